"""Figures of a comparison: the states of one run in the map that all share, and responses to a word over each other."""

from __future__ import annotations

from collections.abc import Sequence

from bokeh.models import DataRange1d, Range1d
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from rnnreport.report.figures.base import EDGE, base_figure, empty_source, hide_axes, pointing
from rnnreport.report.figures.maps import EXTENT

_DASHES = ("solid", "dashed", "dotted", "dotdash")


def shared_map(side: int) -> figure:
    """The states of one run; both sides have the same axes.

    Sources: ``plane-SIDE.points`` (x, y, color, alpha), ``plane-SIDE.path`` (x, y), ``plane-SIDE.rings`` (x, y, color),
    ``plane-SIDE.here`` (x, y).

    Parameters
    ----------
    side : 0 left, 1 right
    """
    name = f"plane-{side}"
    plot = base_figure(
        height=360,
        x_range=Range1d(start=-EXTENT, end=EXTENT),
        y_range=Range1d(start=-EXTENT, end=EXTENT),
        match_aspect=True,
    )
    hide_axes(plot)
    points = plot.scatter(
        "x", "y", source=empty_source(f"{name}.points", "x", "y", "color", "alpha"), size=5, fill_color="color",
        fill_alpha="alpha", line_color=EDGE, line_alpha="alpha", line_width=0.4,
    )  # fmt: skip
    plot.line("x", "y", source=empty_source(f"{name}.path", "x", "y"), line_width=2, name=f"{name}.line")
    for part, size in (("rings", 13), ("here", 11)):
        source = empty_source(f"{name}.{part}", "x", "y", "color")
        plot.scatter("x", "y", source=source, size=size, fill_color=None, line_color="color", line_width=2.2)
    pointing(plot, points)
    return plot


def response_overlay(runs: Sequence[str]) -> figure:
    """Responses of all units of every run to one word, each run's units in the order of their own response.

    Sources: ``overlay.run-R`` (x, y), x the share of the units in percent.

    Parameters
    ----------
    runs : their titles
    """
    plot = base_figure(
        height=230,
        x_label="units in the order of each run, %",
        y_label="change of the state",
        x_range=Range1d(start=0, end=100),
        y_range=DataRange1d(range_padding=0.08),
    )
    for place in range(len(runs)):
        source = empty_source(f"overlay.run-{place}", "x", "y")
        dash = _DASHES[place % len(_DASHES)]
        plot.line("x", "y", source=source, line_width=2.2, line_dash=dash, name=f"overlay.line-{place}")
    plot.add_layout(Span(dimension="width", location=0, line_width=1, name="overlay.zero"))
    return plot
