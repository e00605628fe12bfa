"""Lines over epochs or units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, DataRange1d, Range1d
from bokeh.models.annotations import Label, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from rnnreport.report.figures.base import base_figure, empty_source

_LONGEST_LABEL = 22
_DASHES = ("solid", "dashed", "dotted", "dotdash")


def epoch_curves(
    name: str,
    y_label: str,
    curves: Mapping[str, tuple[NDArray[np.int32], NDArray[np.float64]]],
    kept: int = -1,
) -> figure:
    """Metrics of one scale over epochs, labelled at their ends; a vertical line marks the selected epoch.

    Parameters
    ----------
    name : str, prefix of the model names ``NAME.cursor`` and ``NAME.line-I``
    y_label : str
    curves : label to epochs (E,) and values (E,), NaN where missing
    kept : int
        Epoch before the last one whose weights were kept, a dot on every curve; -1 for none.
    """
    last = max((int(epochs[-1]) for epochs, _ in curves.values() if len(epochs)), default=1)
    first = min((int(epochs[0]) for epochs, _ in curves.values() if len(epochs)), default=0)
    room = max(1, last - first) * 0.02
    plot = base_figure(
        height=230,
        x_label="epoch",
        y_label=y_label,
        x_range=Range1d(start=first - room, end=last + room),
        y_range=DataRange1d(range_padding=0.1),
    )
    plot.xaxis.ticker = _epoch_ticks(first, last)  # none in the room that the names of the curves take
    for place, (epochs, values) in enumerate(curves.values()):
        source = ColumnDataSource({"x": epochs.tolist(), "y": values.tolist()})
        line = plot.line("x", "y", source=source, line_width=2, line_dash=_DASHES[place % len(_DASHES)])
        line.name = f"{name}.line-{place}"
        label = Label(
            x=int(epochs[-1]), y=float(values[-1]), text=_short(list(curves)[place]), x_offset=8, text_font_size="11px",
            text_baseline="middle", text_font="system-ui, sans-serif", name=f"{name}.label-{place}",
        )  # fmt: skip
        plot.add_layout(label)
        dots = epochs == (epochs[0] if len(epochs) == 1 else kept)
        if dots.any():
            marked = ColumnDataSource({"x": epochs[dots].tolist(), "y": values[dots].tolist()})
            plot.scatter("x", "y", source=marked, size=7, name=f"{name}.dot-{place}")
    plot.add_layout(Span(name=f"{name}.cursor", dimension="height", location=last, line_width=1.5))
    return plot


def _epoch_ticks(first: int, last: int) -> list[int]:
    """Round epochs from the first to the last one, at most seven."""
    size = 10 ** max(0, len(str(last - first)) - 2)
    step = next(factor * size for factor in (1, 2, 5, 10, 20, 50) if (last - first) <= 6 * factor * size)
    return list(range(-(-first // step) * step, last + 1, step))


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def response_curve(units: int, noun: str) -> figure:
    """Expected response of every unit to up to three words or prototypes, in the order of the first one.

    Sources: ``response.band-I`` (x, low, high, outer_low, outer_high, sure_low, sure_high), ``response.line-I`` (x, y),
    I = 0, 1, 2, and ``response.once`` (x, y), a single occurrence.
    """
    plot = base_figure(
        height=250,
        x_label=f"units, in the order of the first {noun}",
        y_label="change of the state",
        x_range=Range1d(start=-0.5, end=units - 0.5),
        y_range=DataRange1d(range_padding=0.05),
    )
    plot.xaxis.major_label_text_font_size = "0px"
    pairs = (("outer_low", "outer_high"), ("low", "high"), ("sure_low", "sure_high"))
    for place in range(3):
        band = empty_source(f"response.band-{place}", "x", *sum(pairs, ()))
        for (lower, upper), alpha in zip(pairs, (0.12, 0.2, 0.4), strict=True):
            plot.varea("x", lower, upper, source=band, fill_alpha=alpha, name=f"response.area-{lower}-{place}")
        source = empty_source(f"response.line-{place}", "x", "y")
        plot.line("x", "y", source=source, line_width=1.8, name=f"response.curve-{place}")
    once = empty_source("response.once", "x", "y")
    plot.line("x", "y", source=once, line_width=1.4, line_dash="dashed", name="response.occurrence")
    mark = empty_source("response.unit", "x", "y")
    plot.scatter("x", "y", source=mark, size=9, fill_color=None, line_width=2, name="response.mark")
    plot.add_layout(Span(dimension="width", location=0, line_width=1, name="response.zero"))
    return plot


def unit_boxes() -> figure:
    """The words one or two units answer to most strongly: box 25-75 %, whiskers 9-91 %, line at the mean.

    Sources: ``boxes`` (y, low, high, outer_low, outer_high, mean, color).
    """
    plot = base_figure(height=250, x_label="change of the unit's state", x_range=DataRange1d(range_padding=0.06))
    plot.y_range = Range1d(start=-0.6, end=7.6)
    source = empty_source("boxes", "y", "low", "high", "outer_low", "outer_high", "mean", "color")
    plot.segment("outer_low", "y", "outer_high", "y", source=source, line_color="color", line_width=1.2)
    plot.hbar(
        "y",
        left="low",
        right="high",
        height=0.55,
        source=source,
        fill_color="color",
        fill_alpha=0.35,
        line_color="color",
    )
    plot.scatter("mean", "y", source=source, marker="dash", angle=np.pi / 2, size=15, line_color="color", line_width=3)
    plot.add_layout(Span(dimension="height", location=0, line_width=1, name="boxes.zero"))
    plot.yaxis.name = "boxes.words"
    plot.yaxis.ticker = list(range(8))
    return plot


def reading_curves(runs: Sequence[str], y_label: str, *, probability: bool) -> figure:
    """One sequence read by several runs: what each expects after each step, and a target where there is one.

    Sources: ``reading.line-I`` (x, y), one per run, ``reading.target`` (x, y).

    Parameters
    ----------
    runs : their titles
    y_label : str
    probability : whether the axis goes from 0 to 1
    """
    plot = base_figure(height=250, x_label="step", y_label=y_label, x_range=Range1d(start=-0.5, end=1.5),
        y_range=Range1d(start=-0.02, end=1.05) if probability else DataRange1d(range_padding=0.1),
    )  # fmt: skip
    plot.line(
        "x", "y", source=empty_source("reading.target", "x", "y"), line_width=4, line_alpha=0.3, name="reading.truth",
    )  # fmt: skip
    for place in range(len(runs)):
        source = empty_source(f"reading.line-{place}", "x", "y")
        dash = _DASHES[place % len(_DASHES)]
        plot.line("x", "y", source=source, line_width=2.2, line_dash=dash, name=f"reading.curve-{place}")
        plot.scatter("x", "y", source=source, size=6, name=f"reading.dots-{place}")
    plot.xaxis.ticker = BasicTicker(min_interval=1)
    return plot
