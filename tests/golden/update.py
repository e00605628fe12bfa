"""Make ``sample_reports/`` anew: nets of the demo, trained and recorded, and pages of them.

``make samples`` after a change that is meant to change the pages; ``python -m tests.golden.update FOLDER`` makes them
elsewhere. Of the digits the results that the pages are rendered from are kept, too, and ``test_samples.py`` renders
them again; of the other tasks only the pages, because a repository has to carry all this.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rnnreport.report import (
    IndexEntry,
    render_comparison,
    render_index,
    render_report,
    render_summary_markdown,
)
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import (
    Changes,
    Comparison,
    Confusions,
    Effects,
    Likeness,
    MachineDiff,
    MatchedClusters,
    SideBySide,
    Slices,
)
from rnnreport.train.nets import Cell
from rnnreport.train.tasks import TaskName

SAMPLES = Path(__file__).resolve().parents[2] / "sample_reports"
CELLS: tuple[Cell, ...] = get_args(Cell)
DIGITS = tuple(cell.lower() for cell in CELLS)
COMPARED = "compared"  # the folder of what compare.html is rendered from
SHOWN = "lstm"  # of the digits, the run whose whole report is kept; of the others only what the comparison reads
SHORT: tuple[TaskName, ...] = ("sentiment", "source")  # of which only the pages are kept
_PARTS = (Comparison, Likeness, Slices, Effects, MatchedClusters, Changes, MachineDiff, Confusions)


def sample_pages(samples: Path = SAMPLES) -> dict[str, str]:
    """Render every page whose results are kept beside it, by path relative to ``samples``."""
    folders = [RunFolder(samples / name) for name in DIGITS]
    shown = RunFolder(samples / SHOWN)
    compared = RunFolder(samples / COMPARED)
    beside = SideBySide(*(compared.result(kind) for kind in _PARTS))
    return {
        f"{SHOWN}/report.html": render_report(shown),
        f"{SHOWN}/summary.md": render_summary_markdown(shown),
        "compare.html": render_comparison(folders, beside.comparison, beside),
        "index.html": render_index(
            [IndexEntry(f"{name}/report.html", RunFolder(samples / name).summary()) for name in (SHOWN, *SHORT)],
            comparison="compare.html",
        ),
    }


def _train(task_name: TaskName, cells: Sequence[Cell], out: Path) -> list[RunFolder]:
    from rnnreport.train.demo import probe_corpus, record_net
    from rnnreport.train.tasks import load_task

    task = load_task(task_name, 0)
    return [record_net(task, probe_corpus(task), cell, out / cell.lower(), 0) for cell in cells]


def _make_digits(samples: Path, scratch: Path) -> None:
    from rnnreport.analyses import analyse, side_by_side

    folders = _train("digits", CELLS, scratch)
    for folder in folders:
        analyse(folder)
        target = _empty(samples / folder.path.name)
        pattern = "*" if folder.path.name == SHOWN else "sequences.*"
        kept = [folder.path / "run.json", folder.path / "summary.json"]
        for path in (*kept, *sorted((folder.path / "results").glob(pattern))):
            shutil.copy(path, target / path.relative_to(folder.path))
    _empty(samples / COMPARED)
    for record in side_by_side(folders).records:
        RunFolder(samples / COMPARED).write_result(record)


def _make_short(samples: Path, scratch: Path) -> None:
    """The source code's language model; and of the sentiment an LSTM that is to replace a GRU, as in a pull request."""
    from rnnreport.analyses import analyse

    for name, cells in (("sentiment", ("GRU", "LSTM")), ("source", ("LSTM",))):
        *baseline, folder = _train(name, cells, scratch / name)
        for one in baseline:
            analyse(one)
        analyse(folder, *baseline)
        target = _empty(samples / name)
        (target / "results").rmdir()
        shutil.copy(folder.path / "summary.json", target)
        store.write_text(target / "report.html", render_report(folder))
        store.write_text(target / "summary.md", render_summary_markdown(folder))


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "results").mkdir(parents=True)
    return folder


def _screenshot(page: Path, picture: Path) -> None:
    """The README's picture."""
    from playwright.sync_api import sync_playwright

    from tests.conftest import CHROMIUM_FLAGS, find_chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        view = browser.new_page(viewport={"width": 1440, "height": 1500}, color_scheme="light")
        view.goto(page.absolute().as_uri())
        view.wait_for_selector("html[data-ready=yes]", state="attached")
        view.wait_for_timeout(1500)
        view.screenshot(path=picture)
        browser.close()


def main(arguments: Sequence[str]) -> None:
    """Make the samples, in the folder given or in their place."""
    samples = Path(arguments[0]) if arguments else SAMPLES
    with tempfile.TemporaryDirectory() as scratch:
        _make_digits(samples, Path(scratch))
        _make_short(samples, Path(scratch))
    for name, text in sample_pages(samples).items():
        store.write_text(samples / name, text)
    _screenshot(samples / SHOWN / "report.html", samples / "report.png")


if __name__ == "__main__":
    main(sys.argv[1:])
