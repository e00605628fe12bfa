"""One sequence as lines over its steps: the channels it consists of, a quantity and its target."""

from __future__ import annotations

from collections.abc import Sequence

from bokeh.models import FixedTicker, Range1d
from bokeh.plotting import figure

from rnnreport.report.figures.base import base_figure, empty_source, pointing
from rnnreport.report.figures.steps import LEFT_BORDER, short_name

_MOST_NAMED = 20  # beyond this the rows are too low for their names


def channel_lines(feature_names: Sequence[str]) -> figure:
    """The channels of a continuous input, a row for each, scaled to its own range.

    Sources: ``channels`` (xs, ys), ``channels.columns`` (x, top, bottom), ``channels.here`` (x, color).
    """
    rows = len(feature_names)
    plot = _line_figure(min(420, 34 + (34 if rows <= 6 else 18) * rows), "channels")
    plot.y_range = Range1d(start=rows - 0.4, end=-0.6)
    plot.multi_line(
        "xs", "ys", source=empty_source("channels", "xs", "ys"), line_width=1.4, name="channels.lines",
    )  # fmt: skip
    here = empty_source("channels.here", "x", "color")
    plot.rect("x", rows / 2 - 0.5, 1, rows + 0.1, source=here, fill_color=None, line_color="color", line_width=1.5)
    plot.yaxis.ticker = FixedTicker(ticks=list(range(rows)) if rows <= _MOST_NAMED else [])
    plot.yaxis.major_label_overrides = {place: short_name(name) for place, name in enumerate(feature_names)}
    plot.grid.visible = False
    return plot


def quantity_lines() -> figure:
    """The chosen quantity over the steps of a sequence: prediction and target, the error as a line between them.

    Sources: ``quantity`` (x, y) and ``quantity.dot`` (x, y), the prediction; ``quantity.target`` (x, y) and
    ``quantity.lone`` (x, y), targets between steps without one, which no line shows; ``quantity.error`` (x, y, top),
    ``quantity.columns`` (x, top, bottom), ``quantity.here`` (x, y, color).
    """
    plot = _line_figure(220, "quantity")
    plot.y_range = Range1d(start=0, end=1)
    plot.segment(
        "x", "y", "x", "top", source=empty_source("quantity.error", "x", "y", "top"), line_width=3, line_alpha=0.45,
        name="quantity.errors",
    )  # fmt: skip
    targets = empty_source("quantity.target", "x", "y")
    plot.line("x", "y", source=targets, line_width=1.8, line_dash="dashed", name="quantity.targets")
    lone = empty_source("quantity.lone", "x", "y")
    plot.scatter("x", "y", source=lone, size=6, marker="square", fill_color=None, name="quantity.aims")
    plot.line("x", "y", source=empty_source("quantity", "x", "y"), line_width=2, name="quantity.line")
    dots = empty_source("quantity.dot", "x", "y")
    plot.scatter("x", "y", source=dots, size=5, line_color=None, name="quantity.dots")
    here = empty_source("quantity.here", "x", "y", "color")
    plot.scatter("x", "y", source=here, size=13, fill_color=None, line_color="color", line_width=2)
    return plot


def _line_figure(height: int, name: str) -> figure:
    """A figure over the steps; an invisible column per step takes the pointer, so that a line need not be hit."""
    plot = base_figure(height=height, x_range=Range1d(start=-0.5, end=1.5))
    plot.min_border_left = LEFT_BORDER
    plot.min_border_right = 8
    columns = plot.vbar(
        "x", top="top", bottom="bottom", width=1, source=empty_source(f"{name}.columns", "x", "top", "bottom"),
        fill_alpha=0, line_color=None,
    )  # fmt: skip
    plot.xaxis.name = f"{name}.steps"
    plot.xaxis.ticker = FixedTicker(ticks=[])
    pointing(plot, columns)
    return plot
