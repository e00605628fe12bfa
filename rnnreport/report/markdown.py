"""``summary.md``: the report as a pull-request comment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnreport.report.environment import environment, number, signed, typeset
from rnnreport.report.gather import available, model_line, state_title
from rnnreport.report.tasks import metric_name
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import FAULTS, Comparison, Health, Performance, Summary, Unavailable

MOST_CHARACTERS = 60_000  # a comment may have 65,536
_NONE = "–"  # noqa: RUF001  # an en dash
_BARS = "▁▂▃▄▅▆▇█"
_MOST_BARS = 30
_LONGEST_CELL = 300


@dataclass(frozen=True)
class Table:
    """One table of the comment.

    Attributes
    ----------
    title : str
    head : tuple of str
    right : tuple of bool, columns of numbers
    rows : tuple of tuples of str
    left_out : int, rows that were cut
    """

    title: str
    head: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


def render_summary_markdown(folder: RunFolder) -> str:
    """Render the summary of a run as Markdown, below 60,000 characters: its largest tables are cut first.

    It begins with a comment that is not shown and stays the same for runs of the same name, by which a bot finds the
    comment that it wrote before.

    Parameters
    ----------
    folder : RunFolder
        Analysed.

    Raises
    ------
    InputError
        If a result is missing or damaged, or does not fit.
    """
    folder = folder.as_one()
    manifest, summary = folder.manifest(), folder.summary()
    template = environment().get_template("summary.md.j2")
    comparison = available(folder.result(Comparison)) if folder.has_result(Comparison) else None
    health = available(folder.result(Health)) if folder.has_result(Health) else None
    tables = [
        _metrics(summary, comparison),
        _checks(summary),
        *([_flips(comparison)] if comparison else []),
        _training(folder.result(Performance)),
        *([_faults(health)] if health else []),
    ]
    tables = [table for table in tables if table.rows]
    while True:
        text: str = template.render(
            marker=marker(manifest.name),
            summary=summary,
            manifest=manifest,
            model_line=model_line(manifest),
            tables=tables,
        )
        if len(text) < MOST_CHARACTERS:
            return text
        tables = _cut(tables, len(text) - MOST_CHARACTERS)


def marker(name: str) -> str:
    """The first line of the comment of a run of this name."""
    return f"<!-- rnnreport:{re.sub('[^A-Za-z0-9.]+', '-', name)[:80].strip('-')} -->"


def sparkline(values: NDArray[np.floating]) -> str:
    """Numbers as bars of text, at most 30, evenly picked, the last one included; "·" for what is not a number.

    Parameters
    ----------
    values : floating (E,)
    """
    picked = values[np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_BARS)).round().astype(int))]
    finite = picked[np.isfinite(picked)]
    if not finite.size:
        return "·" * len(picked)
    low, span = finite.min(), np.ptp(finite)
    return "".join(
        "·" if not np.isfinite(value) else _BARS[round((len(_BARS) - 1) * float((value - low) / span)) if span else 3]
        for value in picked
    )


def _cut(tables: Sequence[Table], excess: int) -> list[Table]:
    """Shorten the largest table by what is too much, or by half of it if that is less."""
    sizes = [sum(len(cell) for row in table.rows for cell in row) for table in tables]
    largest = int(np.argmax(sizes))
    table = tables[largest]
    share = max(0.5, 1 - 1.1 * excess / max(1, sizes[largest]))
    kept = min(len(table.rows) - 1, int(share * len(table.rows)))
    shorter = replace(table, rows=table.rows[:kept], left_out=table.left_out + len(table.rows) - kept)
    return [*tables[:largest], shorter, *tables[largest + 1 :]]


def _metrics(summary: Summary, comparison: Comparison | None) -> Table:
    rows = []
    for name, entry in summary.metrics.items():
        known = entry["low"] is not None and entry["low"] != entry["high"]
        interval = f"{number(entry['low'])} to {number(entry['high'])}" if known else _NONE
        row = [metric_name(name, summary.task), number(entry["value"]), interval, f"{entry['n']:,}"]
        rows.append((*row, *_against(name, entry["value"], comparison)))
    compared = ("baseline", "change") if comparison else ()
    right = (False, True, True, True, *(True for _ in compared))
    return Table("Metrics", ("metric", "value", "95% interval", "n", *compared), right, tuple(rows))


def _against(name: str, value: float | None, comparison: Comparison | None) -> tuple[str, ...]:
    """The metric of the baseline, and the change with its interval where it was paired."""
    if comparison is None:
        return ()
    before = (
        comparison.metrics[0, comparison.metric_names.index(name), 0] if name in comparison.metric_names else np.nan
    )
    paired = next((found for found in comparison.paired if found["metric"] == name), None)
    if paired:
        interval = f"{signed(paired['low'])} to {signed(paired['high'])}"
        significant = ", significant" if paired["significant"] else ""
        return number(before), f"{signed(paired['difference'])} ({interval}{significant})"
    change = _NONE if value is None or not np.isfinite(before) else signed(value - before)
    return number(before), change


def _checks(summary: Summary) -> Table:
    order = ("fail", "warn", "pass", "no data")
    checks = sorted(summary.checks, key=lambda check: order.index(check.verdict))
    rows = tuple((check.title, check.verdict, _shortened(typeset(check.words)), f"{check.n:,}") for check in checks)
    return Table("Checks", ("check", "verdict", "what was found", "n"), (False, False, False, True), rows)


def _training(performance: Performance | Unavailable) -> Table:
    """The course of every reported metric."""
    rows = []
    if isinstance(performance, Performance) and performance.history_epochs.size > 1:
        for name, values in zip(performance.history_names, performance.history, strict=True):
            known = values[np.isfinite(values)]
            if name not in ("wall_s", "epoch", "n") and known.size > 1:
                rows.append((name.replace("_", " "), sparkline(values), number(known[0]), number(known[-1])))
    return Table("Training", ("metric", "over the epochs", "first", "last"), (False, False, True, True), tuple(rows))


def _faults(health: Health) -> Table:
    """Faulty units by state and kind."""
    rows = []
    for scope in health.scopes:
        for kind in FAULTS:
            units = [fault["unit"] for fault in health.faults if fault["scope"] == scope and fault["kind"] == kind]
            if units:
                rows.append((state_title(scope), kind, _shortened(", ".join(map(str, units))), f"{len(units):,}"))
    return Table("Faulty units", ("state", "kind", "units", "n"), (False, False, False, True), tuple(rows))


def _flips(comparison: Comparison) -> Table:
    """The sequences of which only one of baseline and run is right, or that they read differently."""
    head = ("sequence", "true", "baseline", "this run")
    if not comparison.predicted.size:
        return Table("Changed predictions", head, (False,) * 4, ())
    names = np.array([*comparison.class_names, "no finite output"])
    changed = np.flatnonzero(comparison.predicted[0] != comparison.predicted[1])
    rows = tuple(
        (
            _shortened(comparison.sequence_ids[place]),
            _shortened(names[comparison.labels[place]]) if comparison.labels.size else _NONE,
            *(_shortened(names[comparison.predicted[run, place]]) for run in (0, 1)),
        )
        for place in changed
    )
    return Table(f"Changed predictions ({len(rows):,} of {len(comparison.sequence_ids):,})", head, (False,) * 4, rows)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"
