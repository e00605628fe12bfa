"""The map of units."""

from __future__ import annotations

from bokeh.models import Range1d
from bokeh.plotting import figure

from rnnreport.report.figures.base import base_figure, empty_source, hide_axes, pointing
from rnnreport.report.figures.maps import EXTENT


def unit_map() -> figure:
    """One dot per unit; the selected ones ringed, those of the selected cluster in full colour.

    Sources: ``unitmap.points`` (x, y, color, alpha), ``unitmap.rings`` (x, y).
    """
    plot = base_figure(
        height=360,
        x_range=Range1d(start=-EXTENT, end=EXTENT),
        y_range=Range1d(start=-EXTENT, end=EXTENT),
        match_aspect=True,
    )
    hide_axes(plot)
    points = plot.scatter(
        "x", "y", source=empty_source("unitmap.points", "x", "y", "color", "alpha"),
        size=9, fill_color="color", fill_alpha="alpha", line_color=None,
    )  # fmt: skip
    rings = empty_source("unitmap.rings", "x", "y")
    plot.scatter("x", "y", source=rings, size=15, fill_color=None, line_width=2.2, name="unitmap.ring")
    pointing(plot, points)
    return plot
