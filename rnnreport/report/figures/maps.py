"""Point clouds: the map of states and MM-PHATE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bokeh.core.properties import value
from bokeh.models import BoxSelectTool, PanTool, Range1d, ResetTool, WheelZoomTool
from bokeh.plotting import figure
from numpy.typing import NDArray

from rnnreport.report.figures.base import EDGE, base_figure, empty_source, hide_axes, pointing

EXTENT = 1000.0  # maps are drawn in a square of this half-width: coordinates carry no unit


@dataclass(frozen=True)
class Square:
    """How a cloud is centred and scaled into the square of the map: ``middle`` real (2 or 3,), ``factor``."""

    middle: NDArray[np.floating]
    factor: float

    @classmethod
    def around(cls, coordinates: NDArray[np.floating]) -> Square:
        """The square of a cloud, real (P, 2) or (P, 3), that keeps its proportions; only finite rows count."""
        finite = coordinates[np.isfinite(coordinates).all(axis=1)]
        if not len(finite):
            return cls(np.zeros(coordinates.shape[1]), 0.0)
        low, high = finite.min(axis=0), finite.max(axis=0)
        middle = (low + high) / 2
        turned = coordinates.shape[1] == 3  # a cloud that is turned has to fit from every side
        reach = np.linalg.norm(finite - middle, axis=1).max() if turned else (high - low).max() / 2
        return cls(middle, 0.94 * EXTENT / (float(reach) or 1.0))

    def place(self, coordinates: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32, same shape (..., 2 or 3)."""
        return np.asarray((coordinates - self.middle) * self.factor, dtype=np.float32)


def to_square(coordinates: NDArray[np.floating]) -> NDArray[np.float32]:
    """Centre and scale a cloud into the square of the map, keeping its proportions.

    Parameters
    ----------
    coordinates : real (P, 2) or (P, 3); rows that are not finite stay so

    Returns
    -------
    float32, same shape
    """
    return Square.around(coordinates).place(coordinates)


def _map_figure(height: int) -> figure:
    plot = base_figure(
        height=height,
        x_range=Range1d(start=-EXTENT, end=EXTENT),
        y_range=Range1d(start=-EXTENT, end=EXTENT),
        match_aspect=True,
        toolbar_location="right",
    )
    hide_axes(plot)
    plot.toolbar.logo = None
    plot.toolbar.autohide = False
    return plot


def state_map() -> figure:
    """All displayed states; the selected sequence as a path over them, start and end ringed.

    Sources: ``map.points`` (x, y, color, alpha), ``map.path`` (x0, y0, x1, y1, color), ``map.rings`` (x, y, color),
    ``map.given`` (x, y, color), the frames of states placed by hand, ``map.fixed`` (x, y, marker, fill, color), where
    the state rests, ``map.here`` (x, y), ``map.labels`` (x, y, text, color, dy, back), on the ground of the page.
    """
    plot = _map_figure(560)
    plot.add_tools(PanTool(), WheelZoomTool(), BoxSelectTool(), ResetTool())
    plot.toolbar.active_drag = None
    plot.toolbar.active_scroll = None
    points = plot.scatter(
        "x", "y", source=empty_source("map.points", "x", "y", "color", "alpha"),
        size=6, fill_color="color", fill_alpha="alpha", line_color=EDGE, line_alpha="alpha", line_width=0.5,
    )  # fmt: skip
    plot.scatter(
        "x", "y", source=empty_source("map.given", "x", "y", "color"),
        size=9, fill_color=None, line_color="color", line_width=1.2, marker="square",
    )  # fmt: skip
    plot.segment(
        "x0", "y0", "x1", "y1", source=empty_source("map.path", "x0", "y0", "x1", "y1", "color", "width"),
        line_color="color", line_width="width", line_cap="round",
    )  # fmt: skip
    plot.scatter(
        "x", "y", source=empty_source("map.rings", "x", "y", "color"),
        size=15, fill_color=None, line_color="color", line_width=2.5,
    )  # fmt: skip
    plot.scatter(
        "x", "y", source=empty_source("map.fixed", "x", "y", "marker", "fill", "color"),
        size=12, marker="marker", fill_color="fill", line_color="color", line_width=2.2,
    )  # fmt: skip
    plot.scatter(
        "x", "y", source=empty_source("map.here", "x", "y", "color"),
        size=13, fill_color=None, line_color="color", line_width=2, marker="circle_x",
    )  # fmt: skip
    plot.text(  # type: ignore[call-arg]  # its types lack the background
        "x", "y", text="text", source=empty_source("map.labels", "x", "y", "text", "color", "dy", "back"),
        text_color="color", background_fill_color="back", background_fill_alpha=0.75,
        text_font_size="12px", text_font=value("system-ui, sans-serif"), x_offset=8, y_offset="dy",
    )  # fmt: skip
    pointing(plot, points)
    return plot


def dynamics_map() -> figure:
    """MM-PHATE: one point per epoch, step and unit. ``rotate3d.js`` writes the projected x and y.

    Sources: ``dynamics.points`` (x, y, color, alpha, size), ``dynamics.path`` (x, y, color).
    """
    plot = _map_figure(560)
    plot.toolbar_location = None
    plot.add_tools(BoxSelectTool(name="dynamics.box"))
    plot.toolbar.active_drag = None  # dragging turns the cloud, unless the page asks for a box
    points = plot.scatter(
        "x", "y", source=empty_source("dynamics.points", "x", "y", "color", "alpha", "size"),
        size="size", fill_color="color", fill_alpha="alpha", line_color=None,
    )  # fmt: skip
    plot.multi_line(
        "x", "y", source=empty_source("dynamics.path", "x", "y", "color"),
        line_color="color", line_width=1.6, line_alpha=0.9,
    )  # fmt: skip
    pointing(plot, points)
    return plot
