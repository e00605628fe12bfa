"""Small runs of every task. ``rendered`` makes each once, with its page, for all files that look at it."""

from __future__ import annotations

from pathlib import Path

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from tests.fabricate import fabricate_run
from tests.small import ROUGH

SAMPLED = 8
CASES = {
    "multi-label": {"task": "multi-label", "gain": 0.5},  # labels are missed, and named wrongly
    "multi-label, sampled": {"task": "multi-label", "sampled": SAMPLED},
    "classification": {"task": "classification"},
    "classification, series": {"task": "classification", "continuous": True},
    "classification, sampled": {"task": "classification", "continuous": True, "sampled": SAMPLED},
    "regression": {"task": "regression"},
    "regression, sampled": {"task": "regression", "continuous": True, "sampled": SAMPLED},
    "step-regression": {"task": "step-regression", "continuous": True},
    "step-regression, words": {"task": "step-regression"},
    "language-model": {"task": "language-model"},
    "tagging": {"task": "tagging", "gain": 0.3},  # tags are missed
    "unlabelled": {"task": "unlabelled"},
}


def fabricate_case(path: Path, case: str, **changes: object) -> RunFolder:
    """The run of a case, analysed."""
    run = fabricate_run(
        path,
        **{"epochs": 2, "sequences": 20, "units": 6, "steps": (5, 7), **CASES[case], **changes},
    )
    analyse(run, params=ROUGH)
    return run


def render_case(folder: Path, case: str) -> None:
    """Its run and its page, in a folder."""
    run = fabricate_case(folder / "run", case)
    (folder / "report.html").write_text(render_report(run), encoding="utf-8")
