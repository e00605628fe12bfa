"""How much a network loses without each stretch of steps: bars with intervals, drawn here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rnnreport.report.environment import number, percent
from rnnreport.results.schema import LeftOutSteps

_WIDTH, _HEIGHT, _MARGIN = 1000, 100, 6


@dataclass(frozen=True)
class Bars:
    """One row of bars over the steps.

    Attributes
    ----------
    title, low, high : str, what is drawn and the ends of its axis
    last : int, steps in all
    svg : Markup
    """

    title: str
    low: str
    high: str
    last: int
    svg: Markup


def left_out_bars(found: LeftOutSteps) -> list[Bars]:
    """Loss of the metric and, of answers that are not quantities, rise of the cross entropy.

    Parameters
    ----------
    found : LeftOutSteps
    """
    if found.metric == "R²":
        return [_bars("Loss of R²", found.drop, found, number)]
    per_label = " per label" if found.metric == "exact match" else ""
    return [
        _bars(f"Loss of {found.metric}", found.drop, found, percent),
        _bars(f"Rise of the cross entropy, nats{per_label}", found.surprise, found, number),
    ]


def _bars(title: str, values: NDArray[Any], found: LeftOutSteps, written: Any) -> Bars:
    low, high = min(0.0, float(np.nanmin(values))), max(0.0, float(np.nanmax(values)))
    span, last = (high - low) or 1.0, int(found.edges[-1])

    def up(value: float) -> float:
        return _HEIGHT - _MARGIN - (value - low) / span * (_HEIGHT - 2 * _MARGIN)

    parts = []
    for place, (start, end) in enumerate(zip(found.edges[:-1].tolist(), found.edges[1:].tolist(), strict=True)):
        left, right = _WIDTH * start / last + 2, _WIDTH * end / last - 2
        value, least, most = (float(row[place]) for row in values)
        if not math.isfinite(value):
            continue
        top, bottom = up(max(0.0, value)), up(min(0.0, value))
        middle = (left + right) / 2
        steps = f"step {end}" if end == start + 1 else f"steps {start + 1} to {end}"
        said = quoteattr(f"without {steps}: {written(value)} (95% interval {written(least)} to {written(most)})")
        parts.append(
            f'<g data-step="{start}" data-says={said}>'
            f'<rect class="catch" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{_HEIGHT}"/>'
            f'<rect class="bar" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"/>'
            f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{up(most):.1f}" y2="{up(least):.1f}"/></g>'
        )
    parts.append(f'<line class="level" x1="0" x2="{_WIDTH}" y1="{up(0):.1f}" y2="{up(0):.1f}"/>')
    label = quoteattr(f"{title} without each of {len(found.edges) - 1} stretches of {last} steps")
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label={label}'
    return Bars(title, written(low), written(high), last, Markup(f"<svg {box}>{''.join(parts)}</svg>"))
