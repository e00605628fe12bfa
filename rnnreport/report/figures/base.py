"""The look every figure shares. Colours come from the page's style sheet, through ``plots.js``."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, TapTool
from bokeh.plotting import figure

EDGE = "#8a857c"  # outline of marks: a pale one stays a mark, on light and dark paper


def base_figure(*, height: int, x_label: str = "", y_label: str = "", **options: Any) -> figure:
    """A bare figure: transparent, full width, light grid, no toolbar, text as on the page.

    Parameters
    ----------
    height : int, pixels
    x_label, y_label : str, with units; empty hides the axis title
    **options
        Passed to Bokeh (ranges, tools).
    """
    plot = figure(
        **{
            "height": height,
            "sizing_mode": "stretch_width",
            "min_width": 120,
            "toolbar_location": None,
            "tools": "",
            "background_fill_color": None,
            "border_fill_color": None,
            "outline_line_color": None,
            "output_backend": "canvas",
            **options,
        }
    )
    for axis, label in ((plot.xaxis, x_label), (plot.yaxis, y_label)):
        axis.axis_label = label or None
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font = axis.major_label_text_font = "system-ui, sans-serif"
        axis.major_label_text_font_size = "11px"
        axis.axis_line_color = None
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
    plot.xgrid.grid_line_color = None
    return plot


def hide_axes(plot: figure) -> None:
    """For maps whose axes carry no unit."""
    plot.axis.visible = False
    plot.grid.visible = False


def empty_source(name: str, *columns: str) -> ColumnDataSource:
    """A source the page fills."""
    return ColumnDataSource(data={column: [] for column in columns}, name=name)


def pointing(plot: figure, *renderers: Any) -> None:
    """Let the page know which marks the pointer is on and which are clicked. No Bokeh tooltip: data is hostile text."""
    for renderer in renderers:  # a click changes the page's selection, which recolours; Bokeh itself shall not fade
        renderer.nonselection_glyph = renderer.selection_glyph = None
    plot.add_tools(HoverTool(renderers=list(renderers), tooltips=None), TapTool(renderers=list(renderers)))
