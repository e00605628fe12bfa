"""Targets against predictions, where the answers are quantities."""

from __future__ import annotations

from bokeh.models import BasicTicker, Range1d
from bokeh.models.annotations import Slope
from bokeh.plotting import figure

from rnnreport.report.figures.base import base_figure, empty_source, pointing


def agreement() -> figure:
    """One point per scored item of the chosen quantity; on the diagonal the prediction is right.

    Sources: ``agreement.rest`` (x, y), items of the probe set whose sequence is not displayed; ``agreement.points``
    (x, y, color, size, alpha), displayed items; ``agreement.here`` (x, y, color).
    """
    plot = base_figure(
        height=330,
        x_label="target",
        y_label="prediction",
        x_range=Range1d(start=0, end=1),
        y_range=Range1d(start=0, end=1),
    )
    plot.min_border_right = 12
    for axis in (plot.xaxis, plot.yaxis):
        axis.ticker = BasicTicker(desired_num_ticks=5)
    plot.add_layout(Slope(gradient=1, y_intercept=0, line_width=1.5, name="agreement.diagonal"))
    plot.scatter(
        "x", "y", source=empty_source("agreement.rest", "x", "y"), size=5, fill_alpha=0.35, line_color=None,
        name="agreement.pale",
    )  # fmt: skip
    points = plot.scatter(
        "x", "y", source=empty_source("agreement.points", "x", "y", "color", "size", "alpha"), size="size",
        fill_color="color", fill_alpha="alpha", line_color=None,
    )  # fmt: skip
    plot.scatter(
        "x", "y", source=empty_source("agreement.here", "x", "y", "color"), size=14, fill_color=None,
        line_color="color", line_width=2,
    )  # fmt: skip
    pointing(plot, points)
    return plot
