"""One sequence, step by step: classes or expected tokens over time, and the distance the state moves."""

from __future__ import annotations

from collections.abc import Sequence

from bokeh.core.properties import value
from bokeh.models import DataRange1d, FixedTicker, Range1d
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from rnnreport.report.figures.base import EDGE, base_figure, empty_source, pointing

_MOST_LETTERS = 14
MOST_CLASSES = 18  # rows of classes that can still be told apart
TOP_ROW = 52  # px of a rank of expected tokens: room for a word from bottom to top where steps are narrow
LEFT_BORDER = 92  # all figures of one sequence share their steps: equal borders keep the columns under each other


def short_name(name: str) -> str:
    """A name that fits beside its row."""
    return name if len(name) <= _MOST_LETTERS else name[: _MOST_LETTERS - 1] + "…"


def class_steps(names: Sequence[str], *, exclusive: bool) -> figure:
    """Classes x steps: the darker, the more probable after that step.

    Classes exclude each other, and the top strip is the winner; labels do not, and a dot says that one is named.
    At most 18 are shown at once.

    Sources: ``classes`` (x, y, h, color), ``classes.here`` (x, color), ``classes.named`` (x, y, color),
    ``classes.missed`` (x, y), the true tag where another was predicted.
    """
    names = names[:MOST_CLASSES]  # of more, the script lists those that matter to the sequence
    rows = len(names)
    strip = int(exclusive)
    plot = base_figure(
        height=min(420, 76 + 22 * (rows + strip)),
        x_range=Range1d(start=-0.5, end=1.5),
        y_range=Range1d(start=rows + strip - 0.5, end=-0.9),
    )
    plot.min_border_left = LEFT_BORDER
    plot.min_border_right = 8
    source = empty_source("classes", "x", "y", "h", "color")
    cells = plot.rect(
        "x", "y", width=1, height="h", source=source, fill_color="color", line_color=None, dilate=True,
    )  # fmt: skip
    missed = empty_source("classes.missed", "x", "y")
    plot.rect("x", "y", width=0.84, height=0.8, source=missed, fill_color=None, line_width=2, name="classes.errors")
    named = empty_source("classes.named", "x", "y", "color")
    plot.scatter("x", "y", source=named, size=5, fill_color="color", line_color=None)
    here = empty_source("classes.here", "x", "color")
    plot.rect(
        "x", (rows + strip - 1.3) / 2, width=1, height=rows + strip + 0.4, source=here, fill_color=None,
        line_color="color", line_width=1.5,
    )  # fmt: skip
    plot.yaxis.name = "classes.names"
    plot.yaxis.ticker = FixedTicker(ticks=list(range(rows + strip)))
    labels = [*(["winner"] if exclusive else []), *(short_name(name) for name in names)]
    plot.yaxis.major_label_overrides = dict(enumerate(labels))
    plot.xaxis.name = "classes.steps"
    plot.xaxis.ticker = FixedTicker(ticks=[])
    plot.xaxis.major_label_text_font_size = "0px"
    plot.grid.visible = False
    pointing(plot, cells)
    return plot


def top_steps(ranks: int, *, characters: bool) -> figure:
    """Ranks x steps of a language model: the most probable next tokens, coloured by the surprisal of the one that came.

    Sources: ``tops`` (x, y, color); ``tops.odds`` (x, y, right, top, color), a bar along the lower edge as long as the
    token is probable; ``tops.came`` (x, y), the token that came; ``tops.names`` (x, y, text, color); ``tops.here`` (x,
    color).

    Parameters
    ----------
    ranks : int, at least 1
    characters : bool, whether tokens are single characters, for which low rows do
    """
    plot = base_figure(
        height=16 + (26 if characters else TOP_ROW) * ranks,
        x_range=Range1d(start=-0.5, end=1.5),
        y_range=Range1d(start=ranks - 0.5, end=-0.6),
    )
    plot.min_border_left = LEFT_BORDER
    plot.min_border_right = 8
    cells = plot.rect(
        "x", "y", width=1, height=0.94, source=empty_source("tops", "x", "y", "color"), fill_color="color",
        line_color=None, dilate=True,
    )  # fmt: skip
    odds = empty_source("tops.odds", "x", "y", "right", "top", "color")
    plot.quad(left="x", right="right", bottom="y", top="top", source=odds, fill_color="color", line_color=None)
    came = empty_source("tops.came", "x", "y")
    plot.rect("x", "y", width=0.9, height=0.86, source=came, fill_color=None, line_width=2, name="tops.arrived")
    plot.text(
        "x", "y", text="text", source=empty_source("tops.names", "x", "y", "text", "color"), text_color="color",
        text_font_size="11px", text_font=value("system-ui, sans-serif"), text_align="center", text_baseline="middle",
        name="tops.texts",
    )  # fmt: skip
    here = empty_source("tops.here", "x", "color")
    plot.rect(
        "x", (ranks - 1) / 2, width=1, height=ranks + 0.04, source=here, fill_color=None, line_color="color",
        line_width=1.5,
    )  # fmt: skip
    plot.yaxis.ticker = FixedTicker(ticks=list(range(ranks)))
    plot.yaxis.major_label_overrides = dict(enumerate(["most probable", *(f"{rank}." for rank in range(2, ranks + 1))]))
    plot.xaxis.name = "tops.steps"
    plot.xaxis.ticker = FixedTicker(ticks=[])
    plot.xaxis.major_label_text_font_size = "0px"
    plot.grid.visible = False
    pointing(plot, cells)
    return plot


def step_bars(name: str, y_label: str) -> figure:
    """One bar per step: how far the state moves to the next one (original space), or the surprisal of the next token.

    Sources: ``NAME`` (x, top, color), ``NAME.here`` (x, top, color); ``NAME.threshold``: a line across, hidden.
    """
    plot = base_figure(
        height=190,
        x_range=Range1d(start=-0.5, end=1.5),
        y_range=DataRange1d(start=0, range_padding=0.1),
        y_label=y_label,
    )
    plot.min_border_left = LEFT_BORDER
    plot.min_border_right = 8
    bars = plot.vbar(
        "x", top="top", width=0.72, source=empty_source(name, "x", "top", "color"), fill_color="color",
        line_color=EDGE, line_width=0.5,
    )  # fmt: skip
    here = empty_source(f"{name}.here", "x", "top", "color")
    plot.vbar("x", top="top", width=0.72, source=here, fill_color=None, line_color="color", line_width=2)
    plot.xaxis.name = f"{name}.steps"
    plot.xaxis.ticker = FixedTicker(ticks=[])
    plot.xaxis.major_label_orientation = 0.9
    plot.add_layout(Span(name=f"{name}.threshold", dimension="width", location=0, line_width=1.5, visible=False))
    pointing(plot, bars)
    return plot
