"""The class colours: the same in every view, apart for colour-blind readers, and beyond 11 classes (G6).

Simulation of the three kinds of colour-blindness: Machado, Oliveira and Fernandes, IEEE TVCG 2009, severity 1, on
linear RGB. Differences are Euclidean in CIELAB (about 2.3 is just noticeable).
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from rnnreport.report.page import CLASS_COLOURS

SIGHT = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


@pytest.fixture(scope="module")
def palette(root: Path) -> dict[str, list[str]]:
    script = (root / "templates" / "assets" / "palette.js").read_text(encoding="utf-8")
    rows = {theme: re.search(rf"{theme}: \[(.*)\]", script) for theme in ("light", "dark")}
    return {theme: re.findall("#[0-9a-f]{6}", row[1]) for theme, row in rows.items() if row}


def lab(colour: str, sight: str = "usual") -> np.ndarray:
    """CIELAB of a colour as it is seen."""
    coded = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    white = TO_XYZ @ np.ones(3)
    x, y, z = np.cbrt(np.clip(TO_XYZ @ np.clip(SIGHT[sight] @ linear, 0, 1) / white, 1e-9, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(colours: list[str], sight: str) -> float:
    """The least difference of two of them."""
    return min(float(np.linalg.norm(lab(a, sight) - lab(b, sight))) for a, b in combinations(colours, 2))


@pytest.mark.parametrize(("place", "paper"), [(0, "#ffffff"), (1, "#1d2024")])
@pytest.mark.parametrize("sight", SIGHT)
def test_colours_of_ordered_values_get_lighter_and_stand_off_the_paper(
    root: Path, place: int, paper: str, sight: str
) -> None:
    script = (root / "templates" / "assets" / "palette.js").read_text(encoding="utf-8")
    row = re.findall(r"\[(\"#.*?)\]", script[script.index("const ORDER") :])[place]
    colours = re.findall("#[0-9a-f]{6}", row)
    lightness = [lab(colour, sight)[0] for colour in colours]
    assert len(colours) == 6 and np.diff(lightness).min() > 2
    luminance = [((lab(colour)[0] + 16) / 116) ** 3 for colour in (*colours, paper)]
    assert all((max(one, luminance[-1]) + 0.05) / (min(one, luminance[-1]) + 0.05) >= 3 for one in luminance[:-1])


def test_lab_is_that_of_known_colours() -> None:
    np.testing.assert_allclose(lab("#ffffff"), [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(lab("#ff0000"), [53.24, 80.09, 67.20], atol=0.05)


def test_static_pictures_take_the_colours_of_the_scripts(palette: dict[str, list[str]]) -> None:
    assert list(CLASS_COLOURS) == palette["light"]


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_of_classes_can_be_told_apart(palette: dict[str, list[str]], theme: str, sight: str) -> None:
    """Measured: the first five differ by at least 12.1 (dark, deuteranopia), all ten by 4.5 (light, protanopia)."""
    colours = palette[theme]
    assert len(set(colours)) == len(colours) == 10
    assert apart(colours[:5], sight) >= 12
    assert apart(colours, sight) >= 4.5
    if sight == "usual":
        assert apart(colours, sight) >= 16
