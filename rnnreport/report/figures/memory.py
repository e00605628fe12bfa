"""How long the network remembers: two pictures on one axis of steps, drawn here, so that they need no scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from rnnreport.report.environment import number
from rnnreport.results.recorded import Doubles, Floats, StateKey
from rnnreport.results.schema import Memory

NAMES = {"state": "the state", "output": "the prediction", "gradient": "gradient"}
_WIDTH, _LEFT, _RIGHT, _TOP = 400, 40, 26, 10  # the right margin holds what lies beyond the axis
_CURVES, _ROW, _FOOT = 216, 46, 38
_TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
_PERCENT = (0, 25, 50, 75, 100)


@dataclass(frozen=True)
class UnitRow:
    """The times of the units of one state by one estimate.

    Attributes
    ----------
    title : str
    place : int, the state's place on the page, -1 where its units are not shown
    times : float32 (H,), steps
    median : float64 (3,), low and high after it
    """

    title: str
    place: int
    times: Floats
    median: Doubles


class Axis:
    """Steps on a logarithmic axis that begins at 0, by log(1 + steps).

    Parameters
    ----------
    end : float
        The largest number of steps that is not beyond it.
    """

    def __init__(self, end: float) -> None:
        self.end = max(4.0, end)

    def x(self, steps: float) -> float:
        """Where a number of steps lies; what is beyond the end lies in the margin."""
        if steps > self.end:
            return _WIDTH - _RIGHT / 2
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log1p(steps) / math.log1p(self.end)

    def ticks(self) -> list[int]:
        """Numbers of steps to name, far enough apart to be read."""
        kept: list[int] = []
        for tick in _TICKS:
            if tick <= self.end and (not kept or self.x(tick) - self.x(kept[-1]) > 24):
                kept.append(tick)
        return kept


def unit_rows(memory: Memory, scopes: Sequence[str]) -> list[UnitRow]:
    """One row for each estimate of each state, layer by layer.

    Parameters
    ----------
    memory : Memory
    scopes : sequence of str, the StateKeys whose units are on the page, in order
    """
    rows = []
    for key in memory.decay_times:
        title, place = StateKey.parse(key).title, scopes.index(key) if key in scopes else -1
        if key in memory.gate_times:
            rows.append(UnitRow(f"gate of {title}", place, memory.gate_times[key], memory.gate_medians[key]))
        rows.append(UnitRow(f"decay of {title}", place, memory.decay_times[key], memory.decay_medians[key]))
    return rows


def memory_axis(memory: Memory, rows: Sequence[UnitRow]) -> Axis:
    """The axis of both pictures: as long as the longest sequence looked at, and as long again for the units."""
    ends = [float(curve[-1, 0]) for curve in memory.curves.values()] + [float(memory.longest), memory.lengths[2]]
    times = [float(row.times[np.isfinite(row.times)].max(initial=0)) for row in rows]
    return Axis(min(max(ends + times), 2 * max(ends)))


def effect_picture(memory: Memory, axis: Axis) -> Markup:
    """What is left of the effect of an input over the steps back, with the 1/e line and the horizons."""
    parts = [_level_line(percent / 100, f"{percent}%") for percent in _PERCENT]
    parts.append(_foot(axis, _CURVES, "steps since the input"))
    parts.append(_level_line(1 / math.e, "1/e", "aim"))
    for name, curve in memory.curves.items():
        across = [axis.x(steps) for steps in curve[:, 0]]
        if np.isfinite(curve[:, 2:4]).all():
            low, high = ([_level(share) for share in curve[:, k]] for k in (2, 3))
            parts.append(f'<path class="band {name}" d="{_line(across, low)}{_line(across[::-1], high[::-1], "L")}Z"/>')
        parts.append(f'<path class="curve {name}" d="{_line(across, [_level(share) for share in curve[:, 1]])}"/>')
        far = memory.horizons[name][0]
        at = _level(float(curve[curve[:, 0] == far, 1][0]))
        parts.append(f'<circle class="end {name}" cx="{axis.x(far):.1f}" cy="{at:.1f}" r="4"/>')
    return _svg(_CURVES, "What is left of the effect of an input, by the steps since", "".join(parts))


def _level(share: float) -> float:
    return _TOP + (_CURVES - _TOP - _FOOT) * (1 - share)


def _level_line(share: float, label: str, kind: str = "grid") -> str:
    y, end = _level(share), _WIDTH - _RIGHT
    at, anchor = (_LEFT - 6, "end") if kind == "grid" else (end + 3, "start")
    return (
        f'<line class="{kind}" x1="{_LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{at}" y="{y + 4:.1f}" text-anchor="{anchor}">{label}</text>'
    )


def unit_picture(memory: Memory, rows: Sequence[UnitRow], axis: Axis) -> Markup:
    """One dot per unit at its time, row by row, with the median; a bar for the lengths of the sequences."""
    height = _TOP + _ROW * (len(rows) + 1) + _FOOT
    short, _, long = (axis.x(length - 1) for length in memory.lengths)
    parts = [_foot(axis, height, "steps")]
    parts.append(
        f'<text class="row" x="{_LEFT}" y="{_TOP + 12}">lengths of the sequences, 10% to 90%</text>'
        f'<line class="lengths" x1="{short:.1f}" x2="{max(long, short + 1):.1f}" y1="{_TOP + 26}" y2="{_TOP + 26}"/>'
    )
    for place, row in enumerate(rows, start=1):
        top = _TOP + _ROW * place
        known = np.flatnonzero(~np.isnan(row.times)).tolist()
        dots = "".join(f"M{axis.x(row.times[unit]):.1f} {top + 20 + 17 * _spread(unit):.1f}h0" for unit in known)
        parts.append(
            f'<g class="units" data-state="{row.place}" data-title="{escape(row.title)}" '
            f'data-units="{" ".join(map(str, known))}" data-times="{" ".join(map(_short, row.times[known]))}">'
            f'<text class="row" x="{_LEFT}" y="{top + 12}">{escape(row.title)}{escape(_median(row))}</text>'
            f'<path class="dots" d="{dots}"/>{_tick(row, axis, top)}</g>'
        )
    return _svg(height, "Times of the units, by gate and by decay of the autocorrelation", "".join(parts))


def _spread(unit: int) -> float:
    """Between 0 and 1, different for neighbouring units: dots of equal times do not cover one another."""
    return (unit * 0.618034) % 1.0


def _tick(row: UnitRow, axis: Axis, top: int) -> str:
    if np.isnan(row.median[0]):
        return ""
    x, y = axis.x(row.median[0]), top + 28
    bounds = [axis.x(bound) for bound in row.median[1:] if not np.isnan(bound)]
    span = (
        f'<line class="span" x1="{bounds[0]:.1f}" x2="{bounds[1]:.1f}" y1="{y}" y2="{y}"/>' if len(bounds) == 2 else ""
    )
    return f'{span}<line class="middle" x1="{x:.1f}" x2="{x:.1f}" y1="{top + 17}" y2="{top + 40}"/>'


def _median(row: UnitRow) -> str:
    if np.isnan(row.median[0]):
        return ": none"
    return f": median {number(row.median[0])}" if np.isfinite(row.median[0]) else ": most without an end"


def _short(steps: float) -> str:
    return "∞" if math.isinf(steps) else f"{steps:.3g}"


def _foot(axis: Axis, height: int, label: str) -> str:
    base = height - _FOOT
    ticks = "".join(
        f'<line class="grid" x1="{axis.x(tick):.1f}" x2="{axis.x(tick):.1f}" y1="{base}" y2="{base + 4}"/>'
        f'<text x="{axis.x(tick):.1f}" y="{base + 17}" text-anchor="middle">{tick:,}</text>'
        for tick in axis.ticks()
    )
    beyond = (
        f'<text x="{_WIDTH - _RIGHT / 2}" y="{base + 17}" text-anchor="middle">∞</text>' if label == "steps" else ""
    )
    return f'{ticks}{beyond}<text x="{_WIDTH / 2}" y="{base + 33}" text-anchor="middle">{label}</text>'


def _line(across: Sequence[float], up: Sequence[float], begin: str = "M") -> str:
    return "".join(
        f"{begin if place == 0 else 'L'}{x:.1f} {y:.1f}" for place, (x, y) in enumerate(zip(across, up, strict=True))
    )


def _svg(height: int, label: str, body: str) -> Markup:
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    return Markup(f'<svg class="small-picture memory" {size} role="img" aria-label="{label}">{body}</svg>')
