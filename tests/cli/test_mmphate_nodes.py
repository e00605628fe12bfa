"""``--mmphate-nodes``: how many nodes MM-PHATE has, and that its refusal names the number that it would take."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.results.schema import Dynamics, Unavailable
from tests.cli.conftest import Command
from tests.fabricate import fabricate_run


def test_the_option_sets_the_number_of_nodes_and_the_page_says_what_is_left_out(
    rnnreport: Command, tmp_path: Path
) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=4, sequences=40, units=36, steps=(12, 14))
    assert rnnreport("analyse", "run", "--mmphate-nodes", 700).code == 0
    found = folder.result(Dynamics)
    assert isinstance(found, Dynamics)
    assert found.epochs.size == 4 and 500 < np.prod([found.epochs.size, found.steps.size, found.units.size]) <= 700
    assert rnnreport("render", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"\d+ of 36 units, evenly spaced", page)
    assert rnnreport("analyse", "run", "--force", "--mmphate-nodes", 5).code == 2


def test_without_the_option_no_axis_is_long_and_with_it_all_may_be_whole(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=3, sequences=40, units=36, steps=(12, 14))
    for params, shape in ((DynamicsParams(), (3, 10, 32)), (DynamicsParams.of_nodes(50_000), (3, 13, 36))):
        found = training_dynamics(folder, "lstm.0.fwd.h", folder.probe(), params)
        assert isinstance(found, Embedded)
        assert found.activity.shape[:3] == shape


def test_the_refusal_names_a_number_that_is_then_accepted(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=9, units=24)
    probe, most = folder.probe(), 5.2e8
    refused = training_dynamics(folder, "lstm.0.fwd.h", probe, DynamicsParams(most_bytes=most))
    assert isinstance(refused, Unavailable)
    named = re.search(r"--mmphate-nodes (\d+)$", refused.reason)
    assert named is not None
    fewer = replace(DynamicsParams.of_nodes(int(named[1])), most_bytes=most)
    found = training_dynamics(folder, "lstm.0.fwd.h", probe, fewer)
    assert isinstance(found, Embedded)
    assert found.dynamics.outcome["nodes"] > 0.8 * int(named[1])
