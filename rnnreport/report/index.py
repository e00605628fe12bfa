"""The index over many runs: one table to sort and filter, with links, and how the main numbers went from run to run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnnreport.report.assets import page_assets
from rnnreport.report.environment import count, environment, number, percent
from rnnreport.report.figures.trends import trend_svg
from rnnreport.report.tasks import quantity_name
from rnnreport.results.schema import Summary

_METRICS = ("accuracy", "exact_match", "micro_f1", "rmse", "r2", "cross_entropy", "perplexity")
# What of the checks is a number worth following: the column's title, the checks that are added up, how it is written.
_HEALTH: dict[str, tuple[tuple[str, ...], Callable[[Any], str]]] = {
    "faulty units": (("still-units", "duplicate-units"), count),
    "saturated units": (("saturated-units",), percent),
    "directions beyond one, now ÷ before training": (("collapsed-state",), number),  # a ratio: training may add some
}


@dataclass(frozen=True)
class IndexEntry:
    """One run of the index.

    Attributes
    ----------
    href : str, relative link to its report
    summary : Summary
    """

    href: str
    summary: Summary


@dataclass(frozen=True)
class Cell:
    """A number of a run, None where it has none, and as the table shows it."""

    value: float | None
    text: str


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes
    ----------
    title : str
    cells : tuple of Cell, one per run
    trend : str, the numbers as a small picture; "" with fewer than two
    """

    title: str
    cells: tuple[Cell, ...]
    trend: str


def render_index(entries: Sequence[IndexEntry], *, comparison: str = "") -> str:
    """Render the index page.

    Parameters
    ----------
    entries : in the order shown
    comparison : str, optional
        Relative link to a comparison page of these runs.
    """
    summaries = [entry.summary for entry in entries]
    metrics = [name for name in _METRICS if any(name in summary.metrics for summary in summaries)]
    columns = [_column(quantity_name(name), [_metric(summary, name) for summary in summaries]) for name in metrics]
    health = (_column(title, [_checked(one, *asked) for one in summaries]) for title, asked in _HEALTH.items())
    columns += [column for column in health if any(cell.value is not None for cell in column.cells)]
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            assets=page_assets(("index.js",), bokeh=False),
            entries=entries,
            columns=columns,
            verdicts=_present("verdict", summaries),
            tasks=_present("task", summaries),
            comparison=comparison,
        )
    )


def in_order(name: str) -> list[str | int]:
    """Sorts run-9 before run-10.

    Parameters
    ----------
    name : str
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _present(field: str, summaries: Sequence[Summary]) -> list[str]:
    return sorted({getattr(summary, field) for summary in summaries})


def _column(title: str, cells: Sequence[Cell]) -> Column:
    known = sum(cell.value is not None for cell in cells)
    trend = trend_svg([cell.value for cell in cells]) if known > 1 else ""
    return Column(title, tuple(cells), trend)


def _metric(summary: Summary, name: str) -> Cell:
    found = summary.metrics.get(name)
    if not found or found["value"] is None:
        return Cell(None, "–")  # noqa: RUF001  # an en dash
    return Cell(found["value"], percent(found["value"]) if found["unit"] == "share" else number(found["value"]))


def _checked(summary: Summary, ids: Sequence[str], written: Callable[[Any], str]) -> Cell:
    """The sum of what these checks found; none where a run was judged by an earlier version, without them."""
    found = [check.value for check in summary.checks if check.id in ids and check.value is not None]
    if len(found) < len(ids):
        return Cell(None, "–")  # noqa: RUF001  # an en dash
    value = sum(found[1:], found[0])
    return Cell(value, written(value))
