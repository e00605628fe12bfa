"""How far gradients reach: a matrix of the derivative by steps back, and its mean for every layer; drawn here."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from rnnreport.report.environment import number, power_of_ten
from rnnreport.results.recorded import Doubles, StateKey
from rnnreport.results.schema import GradientReach

_WIDTH, _LEFT, _RIGHT, _TOP, _FOOT = 460, 62, 12, 8, 36
_SHADES, _MATRIX, _CURVE = 8, 230, 230
_KINDS = ("first", "second", "third", "fourth")


def reach_matrix(found: GradientReach) -> Markup:
    """Rows of losses or sequences, columns of steps back, the darker the larger; one path for every shade."""
    values = found.matrix
    low, high = reach_range(found)
    height = (_MATRIX - _TOP - _FOOT) / len(values)
    width = (_WIDTH - _LEFT - _RIGHT) / values.shape[1]
    level = np.clip((values - low) / ((high - low) or 1.0), 0, 1) * (_SHADES - 1)
    shade = np.where(np.isfinite(values), np.round(np.nan_to_num(level)), -1).astype(int)
    parts = []
    for tone in range(_SHADES):
        cells = "".join(
            f"M{_LEFT + width * column:.1f} {_TOP + height * (row + 0.5):.1f}h{width * length + 0.2:.1f}"
            for row, column, length in _stretches(shade == tone)
        )
        parts.append(f'<path class="shade s{tone}" stroke-width="{height + 0.2:.1f}" d="{cells}"/>' if cells else "")
    base = _MATRIX - _FOOT
    for row in sorted({0, len(values) // 2, len(values) - 1}):
        y = _TOP + height * (row + 0.5) + 4
        parts.append(f'<text x="{_LEFT - 6}" y="{y:.1f}" text-anchor="end">{escape(found.rows[row])}</text>')
    columns = values.shape[1]
    for column in sorted({0, columns // 2, columns - 1}):
        x = _LEFT + width * (column + 0.5)
        parts.append(f'<text x="{x:.1f}" y="{base + 15}" text-anchor="middle">{found.lags[column]:,}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{base + 31}" text-anchor="middle">steps back</text>')
    label = "Size of the derivative of the loss, by steps back"
    return _svg(_MATRIX, label, "".join(parts))


def _stretches(chosen: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Row, first column and length of each stretch of chosen cells in a row."""
    edges = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    begins, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    return [(row, begin, end - begin) for (row, begin), (_, end) in zip(begins.tolist(), ends.tolist(), strict=True)]


def reach_range(found: GradientReach) -> tuple[float, float]:
    """The logarithms at which the shades begin and end: at most eight powers of ten."""
    known = found.matrix[np.isfinite(found.matrix)]
    high = float(known.max(initial=-30))
    return max(float(known.min(initial=high)), high - 8), high


def reach_curves(found: GradientReach) -> Markup:
    """Mean logarithm relative to the step of the loss, one line for every state, with its interval."""
    curves = {key: curve for key, curve in found.curves.items() if len(curve)}
    everything = np.concatenate([curve[:, 1:4].ravel() for curve in curves.values()]) if curves else np.zeros(1)
    known = everything[np.isfinite(everything)]
    low, high = min(-1.0, float(known.min(initial=0))), max(0.2, float(known.max(initial=0)))
    longest = max([1.0, *(float(curve[-1, 0]) for curve in curves.values())])
    base = _CURVE - _FOOT

    def up(value: float) -> float:
        return _TOP + (base - _TOP) * (high - value) / (high - low)

    def points(lags: Doubles, values: Doubles) -> list[str]:
        across = _LEFT + (_WIDTH - _LEFT - _RIGHT) * lags / longest
        return [f"{x:.1f} {up(y):.1f}" for x, y in zip(across.tolist(), values.tolist(), strict=True)]

    every = max(1, int(np.ceil((high - low) / 5)))
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(power):.1f}" y2="{up(power):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{up(power) + 4:.1f}" text-anchor="end">{power_of_ten(power)}</text>'
        for power in range(int(np.floor(high)), int(np.ceil(low)) - 1, -every)
    ]
    for (_, curve), kind in zip(curves.items(), _KINDS, strict=False):
        if np.isfinite(curve[:, 2:4]).all():
            band = "L".join([*points(curve[:, 0], curve[:, 2]), *points(curve[:, 0], curve[:, 3])[::-1]])
            parts.append(f'<path class="band {kind}" d="M{band}Z"/>')
        parts.append(f'<path class="curve {kind}" d="M{"L".join(points(curve[:, 0], curve[:, 1]))}"/>')
    for lag in sorted({0, round(longest / 2), round(longest)}):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * lag / longest
        parts.append(f'<text x="{x:.1f}" y="{base + 15}" text-anchor="middle">{lag:,}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{base + 31}" text-anchor="middle">steps back</text>')
    return _svg(_CURVE, "Mean of the derivative relative to the step of the loss, by steps back", "".join(parts))


def reach_legend(found: GradientReach) -> list[tuple[str, str]]:
    """Class and words of every line that is drawn, with its factor per step and verdict."""
    return [
        (kind, f"{StateKey.parse(key).title}: {number(factor, 2)} times per step, {verdict}")
        for key, factor, verdict, kind in zip(found.scopes, found.factors[:, 0], found.verdicts, _KINDS, strict=False)
    ]


def _svg(height: int, label: str, body: str) -> Markup:
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    return Markup(f'<svg class="small-picture causes" {size} role="img" aria-label="{escape(label)}">{body}</svg>')
