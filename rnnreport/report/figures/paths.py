"""Paths of pictures in few letters: every place is written as its distance from the one before, exact to the decimal.

Places that are not finite are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

Place = tuple[float, float]


def dots(places: Iterable[Place], decimals: int = 1) -> str:
    """A path of round dots, from left to right; dots in the same place are one.

    Parameters
    ----------
    places : of (x, y) in units of the picture
    decimals : int, of the places as they are drawn
    """
    drawn = sorted(set(_drawn(places, decimals)))
    return "".join(f"m{step}h0" for step in _steps(drawn, decimals))


def line(places: Iterable[Place], decimals: int = 1) -> str:
    """A path from place to place; likewise."""
    first, *further = _steps(_drawn(places, decimals), decimals) or [""]
    rest = "".join(step if step.startswith("-") or not place else f" {step}" for place, step in enumerate(further))
    return f"m{first}l{rest}" if rest else f"m{first}" if first else ""


def _drawn(places: Iterable[Place], decimals: int) -> list[tuple[int, int]]:
    """In units of the last decimal, in which distances add up without a rest."""
    size = 10**decimals
    return [(round(x * size), round(y * size)) for x, y in places if math.isfinite(x) and math.isfinite(y)]


def _steps(drawn: list[tuple[int, int]], decimals: int) -> list[str]:
    before = [(0, 0), *drawn]
    steps = [(x - left, y - top) for (left, top), (x, y) in zip(before, drawn, strict=False)]
    written = [(_short(x, decimals), _short(y, decimals)) for x, y in steps]
    return [x + y if y.startswith("-") else f"{x} {y}" for x, y in written]


def _short(value: int, decimals: int) -> str:
    text = f"{value / 10**decimals:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if decimals else text
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
