"""A number over many runs as a small picture, drawn here, so that it needs no scripts; see also ``assets/index.js``."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT = 220, 44


def trend_svg(values: Sequence[float | None]) -> Markup:
    """A line through the known values, evenly spaced by run; a gap is bridged.

    Parameters
    ----------
    values : in the order of the table, None where a run has none; at least two are known
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    low, high = min(value for _, value in known), max(value for _, value in known)
    across, up = WIDTH / max(1, len(values) - 1), HEIGHT / ((high - low) or 1)
    points = " ".join(f"{place * across:.1f},{HEIGHT - (value - low) * up:.1f}" for place, value in known)
    return Markup(
        f'<svg viewBox="-4 -4 {WIDTH + 8} {HEIGHT + 8}" aria-hidden="true"><polyline points="{points}"/>'
        '<circle r="3.5" visibility="hidden"/></svg>'
    )
