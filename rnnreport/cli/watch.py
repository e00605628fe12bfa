"""``rnnreport watch``: the page of a training that goes on."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnreport.cli import options, outputs, settings
from rnnreport.errors import InputError, RnnReportError
from rnnreport.interrupts import heed
from rnnreport.progress import Stage, note

if TYPE_CHECKING:
    from rnnreport.analyses import AnalysisParams
    from rnnreport.analyses.mmphate.growth import Growth
    from rnnreport.results.folder import RunFolder

_EVERY_S = 1.0
_OWN = frozenset({"summary.json", "training.json"})  # in a run folder, but no part of a recording


@click.command(context_settings=options.ENVIRONMENT)
@options.run_argument
@options.mmphate_nodes
@options.max_size
def watch(run: Path, mmphate_nodes: int | None, max_size: float | None) -> None:
    """Analyse and render RUN whenever an epoch lands, until Ctrl-C.

    The page RUN/report.html can be left open: it loads itself again from disk. RUN may be made later. What is there of
    results and pages is replaced.
    """
    from rnnreport.analyses import AnalysisParams, SummaryParams
    from rnnreport.results.folder import RunFolder
    from rnnreport.results.locks import InUseError

    params = AnalysisParams.while_training(mmphate_nodes)
    params = replace(params, summary=SummaryParams(policy=settings.policy()))
    if not run.absolute().parent.is_dir():
        raise InputError(f"{run.absolute().parent} is no folder", "give the run folder that the training records into")
    folder, page = RunFolder(run), run / "report.html"
    growth, seen, plain = _resumed(folder), None, None
    note(f"watching {run}; Ctrl-C ends it")
    try:
        while True:
            now = _recorded(folder)
            if now is not None and now != seen:
                with suppress(InUseError), outputs.writing(run):  # who is at work there now is soon done
                    seen = now
                    plain = _update(folder, page, growth, params, max_size) or plain
            heed()
            time.sleep(_EVERY_S)
    finally:
        _end(page, plain)


def _recorded(folder: RunFolder) -> object:
    """What tells a change of the recording; None before the first whole epoch."""
    try:
        if not folder.exists() or not folder.epochs():
            return None
        names = [*folder.path.glob("*.json"), *(folder.path / "states").glob("*.json")]
        stats = [(path.name, path.stat()) for path in sorted(names) if path.name not in _OWN]
    except (OSError, RnnReportError):  # just being written, or replaced by another recording
        return None
    return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in stats]


def _resumed(folder: RunFolder) -> Growth:
    """What an earlier watch of the same run left."""
    from rnnreport.analyses.mmphate.growth import Growth
    from rnnreport.results.schema.landmarks import Landmarks

    try:
        found = folder.result(Landmarks) if folder.has_result(Landmarks) else None
    except RnnReportError:
        found = None
    return Growth(landmarks=found if isinstance(found, Landmarks) else None)


def _update(
    folder: RunFolder, page: Path, growth: Growth, params: AnalysisParams, max_size: float | None
) -> str | None:
    """Make the page anew; None where that fails, which leaves results and page as they were."""
    from rnnreport.analyses import analyse
    from rnnreport.report import render_report, render_summary_markdown
    from rnnreport.report.following import follow, stamp_of
    from rnnreport.results import store

    try:
        epoch = folder.epochs()[-1]
        analyse(folder, params=params, growth=growth)
        with Stage("page"):
            html = render_report(folder)
        store.write_text(folder.path / "summary.md", render_summary_markdown(folder))
        followed, stamp = follow(html, page)
        outputs.write_page(followed, page, max_size)
        store.write_text(stamp_of(page), stamp)
    except Exception as error:  # whatever it is, the training goes on, and so must the watching
        heed()
        text = str(error) if isinstance(error, RnnReportError) else f"{type(error).__name__}: {error}"
        note(f"no page of this epoch, the one before stays: {' '.join(text.split())}")
        return None
    note(f"epoch {epoch}: {page}")
    return html


def _end(page: Path, plain: str | None) -> None:
    """Leave an ordinary page, which an open one loads a last time when it misses its stamp."""
    from rnnreport.report.following import stamp_of
    from rnnreport.results import store

    if plain is not None:
        store.write_text(page, plain)
    stamp_of(page).unlink(missing_ok=True)
