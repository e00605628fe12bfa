"""How far two methods agree on what inputs add: one dot for each of a sample of steps; drawn here."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from rnnreport.report.environment import number
from rnnreport.report.figures.paths import dots
from rnnreport.results.schema import InputAttribution

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _FOOT = 460, 270, 46, 14, 8, 36


def agreement_picture(found: InputAttribution) -> Markup:
    """Integrated gradients against occlusion, on equal scales, cut at the outermost hundredth."""
    reach = float(np.quantile(np.abs(found.pairs), 0.995)) or 1.0
    base, end = _HEIGHT - _FOOT, _WIDTH - _RIGHT

    def across(value: float) -> float:
        return _LEFT + (end - _LEFT) * (value / reach + 1) / 2

    def up(value: float) -> float:
        return _TOP + (base - _TOP) * (1 - value / reach) / 2

    pairs = dots((across(x), up(y)) for x, y in np.clip(found.pairs, -reach, reach).tolist())
    parts = (
        f'<line class="grid" x1="{_LEFT}" x2="{end}" y1="{up(0):.1f}" y2="{up(0):.1f}"/>'
        f'<line class="grid" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="{_TOP}" y2="{base}"/>'
        f'<line class="aim" x1="{_LEFT}" x2="{end}" y1="{base}" y2="{_TOP}"/><path class="pairs" d="{pairs}"/>'
        + "".join(
            f'<text x="{across(value):.1f}" y="{base + 15}" text-anchor="{anchor}">{number(value)}</text>'
            for value, anchor in ((-reach, "start"), (0.0, "middle"), (reach, "end"))
        )
        + "".join(
            f'<text x="{_LEFT - 5}" y="{up(value) + 4:.1f}" text-anchor="end">{number(value)}</text>'
            for value in (-reach, 0.0, reach)
        )
        + f'<text x="{(_LEFT + end) / 2}" y="{base + 31}" text-anchor="middle">'
        "integrated gradients →, occlusion ↑</text>"
    )
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    label = "What single steps add, by integrated gradients and by occlusion"
    return Markup(f'<svg class="small-picture causes" {size} role="img" aria-label="{label}">{parts}</svg>')
