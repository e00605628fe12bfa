"""The map of units."""

from __future__ import annotations

from bokeh.core.properties import value
from bokeh.models import Range1d
from bokeh.plotting import figure

from rnnreport.report.figures.base import base_figure, empty_source, hide_axes, pointing
from rnnreport.report.figures.maps import EXTENT


def unit_map() -> figure:
    """One mark per unit; the selected ones ringed, those of the selected cluster in full colour.

    Sources: ``unitmap.points`` (x, y, color, alpha, marker), ``unitmap.rings`` (x, y), ``unitmap.names`` (x, y, text,
    color; dx, dy, align: where beside its mark). The ranges are set on the page, whose width decides how large the map
    is drawn in its proportions.
    """
    plot = base_figure(
        height=360,
        x_range=Range1d(start=-EXTENT, end=EXTENT),
        y_range=Range1d(start=-EXTENT, end=EXTENT),
    )
    hide_axes(plot)
    points = plot.scatter(
        "x", "y", source=empty_source("unitmap.points", "x", "y", "color", "alpha", "marker"),
        size=11, fill_color="color", fill_alpha="alpha", line_color=None, marker="marker",
    )  # fmt: skip
    plot.text(
        "x", "y", text="text", source=empty_source("unitmap.names", "x", "y", "text", "color", "dx", "dy", "align"),
        text_color="color", text_font_size="10px", text_font=value("system-ui, sans-serif"), x_offset="dx",
        y_offset="dy", text_align="align", text_baseline="middle",
    )  # fmt: skip
    rings = empty_source("unitmap.rings", "x", "y")
    plot.scatter("x", "y", source=rings, size=15, fill_color=None, line_width=2.2, name="unitmap.ring")
    pointing(plot, points)
    return plot
