"""rnnreport check: exit codes, what it prints, baselines, and the settings it reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rnnreport.results.folder import RunFolder


def rows(outcome) -> dict[str, str]:
    """Level of every line by its id."""
    return {line[10:].split()[0]: line[:8].strip() for line in outcome.out.splitlines()}


def thresholds(text: str) -> None:
    Path("pyproject.toml").write_text(f"[tool.rnnreport.thresholds]\n{text}\n")


def test_without_settings_the_checks_of_the_report_decide(rnnreport, runs):
    outcome = rnnreport("check", runs[0])
    assert outcome.code == 0
    assert rows(outcome)["states-finite"] == "pass"
    assert rows(outcome)["class-balance"] == "warn"  # planted


def test_a_broken_limit_is_exit_code_three(rnnreport, runs):
    thresholds("accuracy = { min = 0.999 }\nclass-balance = 'off'")
    outcome = rnnreport("check", runs[1])
    assert outcome.code == 3
    assert outcome.error == f"rnnreport: error: {runs[1]}: 1 of {len(rows(outcome))} thresholds failed: accuracy"
    assert (rows(outcome)["accuracy"], rows(outcome)["class-balance"]) == ("error", "off")
    assert "asked: at least 0.999" in outcome.out
    thresholds("accuracy = { min = 0.1 }")
    assert rnnreport("check", runs[1]).code == 0


def test_json_is_all_that_stdout_holds(rnnreport, runs):
    thresholds("accuracy = { min = 0.999, level = 'warn' }")
    outcome = rnnreport("check", runs[1], "--format", "json")
    found = json.loads(outcome.out)
    assert (outcome.code, found["run"], found["passed"]) == (0, "second", True)
    accuracy = next(one for one in found["outcomes"] if one["id"] == "accuracy")
    assert accuracy["level"] == "warn" and len(accuracy["mark"]) == 8


def test_a_worse_run_is_told_from_its_baseline(rnnreport, runs):
    first, second = runs
    thresholds("accuracy = { max_drop = 0 }\n'worse-than-baseline' = 'error'")
    same = rnnreport("check", first, "--baseline", first)
    assert (same.code, rows(same)["accuracy"], rows(same)["worse-than-baseline"]) == (0, "pass", "pass")
    folder = RunFolder(second)
    last = folder.checkpoint(folder.epochs()[-1])
    wrong = (folder.probe().labels + 1) % last.model_output.shape[1]
    last.model_output[:] = np.eye(last.model_output.shape[1])[wrong]  # a model that always names another class
    folder.write_checkpoint(last)
    assert rnnreport("analyse", second, "--force").code == 0
    worse = rnnreport("check", second, "--baseline", first)
    assert worse.code == 3
    assert (rows(worse)["accuracy"], rows(worse)["worse-than-baseline"]) == ("error", "error")
    assert "significantly worse" in worse.out


def test_a_baseline_without_states_still_gives_its_metrics(rnnreport, runs):
    shutil.rmtree(runs[0] / "states")
    thresholds("accuracy = { max_drop = 1 }")
    found = rows(rnnreport("check", runs[1], "--baseline", runs[0]))
    assert (found["accuracy"], found["worse-than-baseline"]) == ("pass", "no data")
    (runs[0] / "summary.json").unlink()
    outcome = rnnreport("check", runs[1], "--baseline", runs[0])
    assert outcome.code == 2 and "rnnreport analyse first" in outcome.error


def test_another_probe_set_is_refused(rnnreport, runs):
    manifest = json.loads((runs[0] / "run.json").read_text())
    (runs[0] / "run.json").write_text(json.dumps(manifest | {"probe_sha256": "0" * 64, "digest": None}))
    outcome = rnnreport("check", runs[1], "--baseline", runs[0])
    assert outcome.code == 2 and "different probe sets" in outcome.error


def test_an_expected_change_is_acknowledged_once(rnnreport, runs):
    line = next(line for line in rnnreport("check", runs[0]).out.splitlines() if line.startswith("warn"))
    entry = line.partition("(expected_change = ")[2].partition(" acknowledges")[0]
    thresholds(f"expected_change = {entry}")
    outcome = rnnreport("check", runs[0])
    assert rows(outcome)["class-balance"] == "expected" and outcome.err == ""
    other = rnnreport("check", runs[1])
    assert rows(other)["class-balance"] == "warn"
    assert "expected_change of class-balance acknowledges no warning" in other.err


@pytest.mark.parametrize("text", ["acuracy = 'warn'", "accuracy = { least = 1 }"])
def test_unknown_keys_name_the_allowed_ones(rnnreport, runs, text):
    thresholds(text)
    for command in (["check", runs[0]], ["analyse", runs[0], "--force"]):
        outcome = rnnreport(*command)
        assert outcome.code == 2
        assert "pyproject.toml [tool.rnnreport.thresholds]" in outcome.error and "allowed are" in outcome.error
    assert rnnreport("render", runs[0]).code == 0  # which judges nothing


def test_the_report_shows_the_verdict_of_the_settings(rnnreport, runs):
    thresholds("accuracy = { min = 0.999 }")
    assert rnnreport("analyse", runs[1], "--force").code == 0
    summary = json.loads((runs[1] / "summary.json").read_text())
    assert summary["verdict"] == "fail"
    assert summary["findings"][0]["text"].startswith("Check failed, “Accuracy”: ")
    assert rnnreport("check", runs[1]).code == 3
    Path("pyproject.toml").unlink()
    assert rnnreport("check", runs[1]).code == 0


def test_a_table_that_is_none(rnnreport, runs):
    Path("rnnreport.toml").write_text("thresholds = 3\n")
    outcome = rnnreport("check", runs[0])
    assert outcome.code == 2 and "thresholds is not a table" in outcome.error
