"""Runs with everything that is recorded, from end to end: of each task, and of nets that explode."""

from __future__ import annotations

import html
import warnings
from pathlib import Path

import pytest

from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import (
    ContinuationTrees,
    FixedPoints,
    GradientReach,
    InputAttribution,
    LeftOutSteps,
    Lyapunov,
    Memory,
    Unavailable,
    UnitImportance,
)
from tests import recordings
from tests.cli.conftest import Command
from tests.trainings import TASKS

EVERYWHERE = (LeftOutSteps, UnitImportance, InputAttribution, GradientReach, FixedPoints, Lyapunov, Memory)


@pytest.mark.parametrize("task", [*TASKS, "given"])
def test_every_recording_reaches_the_page(rnnreport: Command, tmp_path: Path, task: str) -> None:
    run = recordings.given(tmp_path) if task == "given" else recordings.trained(task, tmp_path)
    for command in ("analyse", "render"):
        outcome = rnnreport(command, run)
        assert outcome.code == 0, outcome.err
    found = [RunFolder.open(run).result(kind) for kind in EVERYWHERE]
    assert not [f"{one.analysis}: {one.reason}" for one in found if isinstance(one, Unavailable)]
    (left_out,) = (one for one in found if isinstance(one, LeftOutSteps))
    assert html.escape(left_out.finding[:30]) in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("task", "gain"),
    [("classification", 1e7), ("language-model", 1e3), ("tagging", 1e30), ("regression", 1e30)],
)
def test_a_net_that_explodes_has_a_page_that_says_so(
    rnnreport: Command, tmp_path: Path, task: str, gain: float
) -> None:
    """Some of its states are infinite or no number, and so are outputs, losses and gradients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of capture, which runs into them
        run = recordings.exploding(task, gain, tmp_path)
    for command in (("analyse", run), ("render", run), ("compare", run, run, "--out", "compare.html")):
        outcome = rnnreport(*command)
        assert outcome.code == 0, outcome.err
    folder = RunFolder.open(run)
    reach, trees, summary = folder.result(GradientReach), folder.result(ContinuationTrees), folder.summary()
    if isinstance(reach, Unavailable):
        assert "not finite" in reach.reason
    else:
        assert reach.verdicts == ("exploding",)
    assert isinstance(trees, Unavailable)
    assert ("no numbers" in trees.reason) == (task == "language-model")
    assert summary.verdict == "fail"
    assert "finite" in " ".join(check.text for check in summary.checks if check.verdict == "fail")
