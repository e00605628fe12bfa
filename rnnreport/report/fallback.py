"""Small static pictures for print and for readers whose browser runs no scripts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.sax.saxutils import quoteattr

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from rnnreport.report.environment import number
from rnnreport.report.figures.paths import dots

_WIDTH, _HEIGHT = 640, 300
_MOST_POINTS = 900
_LONGEST_NAME = 14
_DASHES = ("", "6 4", "2 3", "8 3 2 3")


def scatter_svg(
    label: str,
    points: NDArray[np.floating],
    groups: NDArray[np.integer],
    colours: Sequence[str],
    named: Mapping[str, NDArray[np.floating]] = MappingProxyType({}),
) -> Markup:
    """A point cloud.

    Parameters
    ----------
    label : str, the text alternative
    points : real (P, 2); drawn with equal scales
    groups : int (P,), index into ``colours``
    colours : CSS colours
    named : dict of text to the point (2,) that it is written at
    """
    shown = _thinned(np.flatnonzero(np.isfinite(points).all(axis=1)))
    points, groups = points[shown], groups[shown]
    if not len(points):
        return Markup("")
    low, high = points.min(axis=0), points.max(axis=0)
    scale = 0.94 * min(_WIDTH / max(high[0] - low[0], 1e-9), _HEIGHT / max(high[1] - low[1], 1e-9))

    def placed(where: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.asarray((where - (low + high) / 2) * scale * [1, -1] + [_WIDTH / 2, _HEIGHT / 2], np.float64)

    x, y = placed(points).T
    paths = []
    for group in np.unique(groups):
        member = groups == group
        path = dots(zip(x[member].tolist(), y[member].tolist(), strict=True), decimals=0)
        paths.append(f'<path d="{path}" stroke="{colours[int(group) % len(colours)]}"/>')
    body = f'<g stroke-width="4" stroke-linecap="round" fill="none">{"".join(paths)}</g>'
    texts = ""
    for name, where in named.items():
        across, down = placed(where)
        texts += f'<text x="{across:.0f}" y="{down:.0f}">{escape(_short(name))}</text>'
    return _svg(label, f'{body}<g class="names">{texts}</g>' if texts else body)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def agreement_svg(name: str, truth: NDArray[np.floating], output: NDArray[np.floating]) -> Markup:
    """Targets against predictions, with the diagonal on which the prediction is right.

    Parameters
    ----------
    name : str, of the quantity
    truth, output : real (I,); items that are not finite are left out
    """
    shown = _thinned(np.flatnonzero(np.isfinite(truth) & np.isfinite(output)))
    if not len(shown):
        return Markup("")
    truth, output = truth[shown].astype(np.float64), output[shown].astype(np.float64)
    low, high = float(min(truth.min(), output.min())), float(max(truth.max(), output.max()))
    side, left, bottom = _HEIGHT - 60, 80, _HEIGHT - 40
    scale = side / (high - low or 1.0)
    across, up = left + (truth - low) * scale, bottom - (output - low) * scale
    path = dots(zip(across.tolist(), up.tolist(), strict=True), decimals=0)
    x, y = left + side, bottom - side
    texts = (
        (left, bottom + 16, number(low)),
        (x - 20, bottom + 16, number(high)),
        (left, bottom + 32, f"target: {name}"),
        (0, y + side / 2, "prediction"),
        (left - 40, bottom, number(low)),
        (left - 40, y + 8, number(high)),
    )
    body = f'<polyline points="{left},{bottom} {x},{y}" fill="none" stroke="#333" stroke-dasharray="4 4"/>'
    body += f'<path d="{path}" stroke="currentColor" stroke-width="4" stroke-linecap="round" stroke-opacity="0.5"/>'
    body += "".join(f'<text x="{a:.0f}" y="{b:.0f}" font-size="11">{escape(text)}</text>' for a, b, text in texts)
    return _svg(f"{name}: target against prediction of {len(truth)} items", body)


def curves_svg(label: str, curves: Mapping[str, tuple[NDArray[np.integer], NDArray[np.floating]]]) -> Markup:
    """Lines over epochs, labelled at their ends."""
    finite = {name: (x[np.isfinite(y)], y[np.isfinite(y)]) for name, (x, y) in curves.items()}
    finite = {name: pair for name, pair in finite.items() if len(pair[0])}
    if not finite:
        return Markup("")
    xs = np.concatenate([pair[0] for pair in finite.values()])
    ys = np.concatenate([pair[1] for pair in finite.values()])
    span_x, span_y = max(np.ptp(xs), 1e-9), max(np.ptp(ys), 1e-9)
    parts = []
    lowest = -np.inf  # labels of curves that end together are kept a line apart, from the top down
    order = sorted(finite, key=lambda name: -finite[name][1][-1])
    for place, name in enumerate(order):
        x, y = finite[name]
        a = 44 + (x - xs.min()) / span_x * (_WIDTH - 190)
        b = _HEIGHT - 28 - (y - ys.min()) / span_y * (_HEIGHT - 50)
        line = " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(a, b, strict=True))
        dash = _DASHES[place % len(_DASHES)]
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="#333" stroke-width="1.6" stroke-dasharray="{dash}"/>'
        )
        lowest = max(b[-1] + 4, lowest + 14)
        said = f"{escape(name)} {number(float(y[-1]))}"
        parts.append(f'<text x="{a[-1] + 6:.0f}" y="{lowest:.0f}" font-size="12">{said}</text>')
    low, high = number(float(ys.min())), number(float(ys.max()))
    parts.append(
        f'<text x="0" y="{_HEIGHT - 26}" font-size="11">{low}</text><text x="0" y="24" font-size="11">{high}</text>'
    )
    ends = f'<text x="44" y="{_HEIGHT - 6}" font-size="11">epoch {int(xs.min())}</text>'
    ends += f'<text x="{_WIDTH - 190}" y="{_HEIGHT - 6}" font-size="11">epoch {int(xs.max())}</text>'
    return _svg(label, "".join(parts) + ends)


def _svg(label: str, body: str) -> Markup:
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" class="static-figure" role="img" aria-label={quoteattr(label)}'
    return Markup(f"<svg {box}>{body}</svg>")


def _thinned(indices: NDArray[np.integer]) -> NDArray[np.integer]:
    """The points with the smallest hashes of their places: the same on every machine."""
    if len(indices) <= _MOST_POINTS:
        return indices
    order = sorted(indices.tolist(), key=lambda index: hashlib.sha256(str(index).encode()).digest())
    return np.sort(np.array(order[:_MOST_POINTS]))
