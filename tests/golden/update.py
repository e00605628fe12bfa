"""Make ``sample_reports/`` anew: the demo's results without its states, and the pages rendered from them.

Run it after a change that is meant to change the pages: ``make samples``. ``test_samples.py`` compares.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rnnreport.report import render_comparison, render_report, render_summary_markdown
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Changes, Comparison, Effects, Likeness, MatchedClusters, SideBySide, Slices

SAMPLES = Path(__file__).resolve().parents[2] / "sample_reports"
CELLS = ("rnn", "gru", "lstm")
COMPARED = "compared"  # the folder of what compare.html is rendered from
_PARTS = (Comparison, Likeness, Slices, Effects, MatchedClusters, Changes)
SHOWN = "lstm"  # the run whose whole report is kept; of the others only what the comparison reads


def sample_pages(samples: Path = SAMPLES) -> dict[str, str]:
    """Render every sample page from the results beside it, by path relative to ``sample_reports``."""
    folders = [RunFolder(samples / cell) for cell in CELLS]
    shown = RunFolder(samples / SHOWN)
    compared = _compared(RunFolder(samples / COMPARED))
    return {
        f"{SHOWN}/report.html": render_report(shown),
        f"{SHOWN}/summary.md": render_summary_markdown(shown),
        "compare.html": render_comparison(folders, compared.comparison, compared),
    }


def _compared(folder: RunFolder) -> SideBySide:
    return SideBySide(*(folder.result(kind) for kind in _PARTS))


def _keep_results(demo: Path) -> None:
    from rnnreport.analyses import side_by_side

    for cell in CELLS:
        target = SAMPLES / cell
        shutil.rmtree(target, ignore_errors=True)
        (target / "results").mkdir(parents=True)
        kept = [demo / cell / "run.json", demo / cell / "summary.json"]
        pattern = "*" if cell == SHOWN else "sequences.*"
        kept += sorted((demo / cell / "results").glob(pattern))
        for path in kept:
            shutil.copy(path, target / path.relative_to(demo / cell))
    shutil.rmtree(SAMPLES / COMPARED, ignore_errors=True)
    (SAMPLES / COMPARED / "results").mkdir(parents=True)
    for record in side_by_side([RunFolder(demo / cell) for cell in CELLS]).records:
        RunFolder(SAMPLES / COMPARED).write_result(record)


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
    """Use the demo folder given, or make one."""
    with tempfile.TemporaryDirectory() as scratch:
        demo = Path(arguments[0]) if arguments else Path(scratch)
        if not arguments:
            from rnnreport.train.demo import run_demo

            run_demo("digits", demo)
        _keep_results(demo)
    for name, text in sample_pages().items():
        store.write_text(SAMPLES / name, text)
    _screenshot(SAMPLES / SHOWN / "report.html", SAMPLES / "report.png")


if __name__ == "__main__":
    main(sys.argv[1:])
