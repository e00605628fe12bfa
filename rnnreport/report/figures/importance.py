"""Which units matter: ranked bars, and the score with more and more units held; drawn here, they need no scripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from rnnreport.report.environment import number, percent, signed, typeset
from rnnreport.results.recorded import Doubles, StateKey
from rnnreport.results.schema import UnitImportance

_WIDTH, _NAME, _VALUE, _ROW, _TOP, _FOOT = 460, 132, 64, 21, 6, 34
_CURVE, _LEFT, _RIGHT = 270, 54, 12
_MOST_ROWS = 12
SHARES = ("accuracy", "exact match")


def written(metric: str) -> Callable[[float], str]:
    """How a score is written."""
    return percent if metric in SHARES else number


def importance_bars(found: UnitImportance, scopes: Sequence[str]) -> Markup:
    """The parts that cost most, most first, with their intervals.

    Parameters
    ----------
    found : UnitImportance
    scopes : sequence of str, the StateKeys whose units are on the page, in order
    """
    order = np.argsort(-found.rise[:, 0], kind="stable")[:_MOST_ROWS]
    rise = found.rise[order]
    low, high = min(0.0, float(np.nanmin(rise))), max(1e-9, float(np.nanmax(rise)))
    height = _TOP + _ROW * len(order) + _FOOT

    def across(value: float) -> float:
        return _NAME + (value - low) / (high - low) * (_WIDTH - _NAME - _VALUE)

    rows = []
    for place, (part, (value, least, most)) in enumerate(zip(order.tolist(), rise.tolist(), strict=True)):
        units = np.flatnonzero(found.groups == part)
        y = _TOP + _ROW * place
        left, right = sorted((across(0), across(value)))
        whisker = ""
        if math.isfinite(least):
            whisker = f'<line class="span" x1="{across(least):.1f}" x2="{across(most):.1f}" y1="{y + 9}" y2="{y + 9}"/>'
        rows.append(
            f'<g class="part" {_attributes(found, part, units, scopes)}>'
            f'<rect class="catch" x="0" y="{y}" width="{_WIDTH}" height="{_ROW}"/>'
            f'<text class="row" x="{_NAME - 8}" y="{y + 13}" text-anchor="end">{escape(_name(found, units))}</text>'
            f'<rect class="bar" x="{left:.1f}" y="{y + 3}" width="{max(0.5, right - left):.1f}" height="12"/>{whisker}'
            f'<text x="{_WIDTH}" y="{y + 13}" text-anchor="end">{escape(signed(value))}</text></g>'
        )
    base = _TOP + _ROW * len(order)
    axis = (
        f'<line class="zero" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{_TOP}" y2="{base}"/>'
        f'<text x="{across(0):.1f}" y="{base + 15}" text-anchor="middle">0</text>'
        f'<text x="{across(high):.1f}" y="{base + 15}" text-anchor="middle">{escape(signed(high))}</text>'
        f'<text x="{(across(0) + across(high)) / 2:.1f}" y="{base + 30}" text-anchor="middle">rise of the loss</text>'
    )
    label = f"Rise of the loss when each of {len(order)} {found.parts} is held at its mean"
    return _svg(height, label, "".join(rows) + axis)


def importance_curve(found: UnitImportance) -> Markup:
    """The score by the number of units held: most important first, least important first, and in random order."""
    write = written(found.metric)
    everything = np.concatenate([found.most, found.least, found.random, found.whole[None], found.constant[None]])
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    low, high = (0.0, 1.0) if found.metric in SHARES else (low - 0.04 * (high - low), high + 0.04 * (high - low))
    span, count, base = (high - low) or 1.0, int(found.sizes[-1]), _CURVE - _FOOT

    def up(value: float) -> float:
        return _TOP + (base - _TOP) * (1 - (value - low) / span)

    sizes = np.append(0, found.sizes)
    across = [_LEFT + (_WIDTH - _LEFT - _RIGHT) * size / count for size in sizes.tolist()]

    def line(values: NDArray[Any]) -> list[str]:
        return [f"{x:.1f} {up(value):.1f}" for x, value in zip(across, values.tolist(), strict=True)]

    parts = [
        f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(value):.1f}" y2="{up(value):.1f}"/>'
        f'<text x="{_LEFT - 5}" y="{up(value) + 4:.1f}" text-anchor="end">{escape(write(value))}</text>'
        for kind, value in (("grid", float(found.whole[0])), ("aim", float(found.constant[0])))
    ]
    for kind, curve in (("random", found.random), ("least", found.least), ("most", found.most)):
        values: Doubles = np.concatenate([np.full((1, 3), found.whole[0]), curve])
        if np.isfinite(values[:, 1:]).all():
            band = "L".join([*line(values[:, 1]), *line(values[:, 2])[::-1]])
            parts.append(f'<path class="band {kind}" d="M{band}Z"/>')
        parts.append(f'<path class="curve {kind}" d="M{"L".join(line(values[:, 0]))}"/>')
    ticks = sorted({0, *(round(count * part / 4) for part in range(1, 5))})
    parts += [
        f'<text x="{_LEFT + (_WIDTH - _LEFT - _RIGHT) * tick / count:.1f}" y="{base + 16}" '
        f'text-anchor="{"end" if tick == count else "middle"}">{tick:,}</text>'
        for tick in ticks
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{base + 31}" text-anchor="middle">units held at their mean</text>')
    return _svg(_CURVE, f"{found.metric} by the number of units held at their mean", "".join(parts))


def _attributes(found: UnitImportance, part: int, units: NDArray[np.int64], scopes: Sequence[str]) -> str:
    first = int(units[0])
    key = found.scopes[found.scope[first]]
    write = written(found.metric)
    fallen = float(found.lost[part])
    by = f"falls by {write(fallen)}" if fallen > 0 else f"rises by {write(-fallen)}" if fallen < 0 else "is the same"
    score = "" if found.metric == "loss" else f"; {found.metric} {by}"
    readout = f"; norm of its readout {number(float(found.readout[first]))}" if len(units) == 1 else ""
    readout = readout if np.isfinite(found.readout[first]) else ""
    doubt = found.p_values[part]
    sure = "" if not np.isfinite(doubt) else f"; p = {doubt:.2g} (Holm, {len(found.p_values)} {found.parts})"
    says = f"{_name(found, units)} of {StateKey.parse(key).title}: loss {signed(float(found.rise[part, 0]))}"
    place = scopes.index(key) if key in scopes else -1
    text = typeset(f"{says}{score}{readout}{sure}")
    return f'data-state="{place}" data-unit="{found.unit[first]}" data-says="{escape(text)}"'


def _name(found: UnitImportance, units: NDArray[np.int64]) -> str:
    first = int(units[0])
    key = StateKey.parse(found.scopes[found.scope[first]])
    where = "" if len(found.scopes) == 1 else f"layer {key.layer + 1}{' back' if key.direction == 'rev' else ''}, "
    if len(units) == 1:
        return f"{where}unit {found.unit[first]}"
    return f"{where}unit {found.unit[first]} and {len(units) - 1} like it"


def _svg(height: int, label: str, body: str) -> Markup:
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    return Markup(f'<svg class="small-picture causes" {size} role="img" aria-label="{escape(label)}">{body}</svg>')
