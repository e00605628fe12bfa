"""Each rule of the verdict at its threshold, and the findings against what was planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from rnnreport.analyses import rules
from rnnreport.analyses.decisions import DecisionParams, decision_timeline
from rnnreport.analyses.findings import FINDERS, MOST_FINDINGS
from rnnreport.analyses.health import state_health
from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.rules.evidence import Evidence, Thresholds
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.analyses.units import analyse_units
from rnnreport.analyses.words import WordParams, find_words
from rnnreport.results.recorded import Task
from rnnreport.results.schema import Unavailable, Units
from tests.fabricate import fabricate_run
from tests.small import ROUGH


def evidence(path: Path, task: Task = "classification", **options: Any) -> Evidence:
    folder = fabricate_run(path / "run", task=task, **({"epochs": 6} | options))
    probe, last = folder.probe(), folder.checkpoint(folder.epochs()[-1])
    scored = performance(probe, last, folder.metrics(), PerformanceParams())
    words = Unavailable("words", "not asked for")
    decided = decision_timeline(probe, last, DecisionParams())
    return Evidence(folder.manifest(), probe, last, scored, words, {}, Thresholds(), state_health(folder), decided)


def with_metric(found: Evidence, name: str, **values: Any) -> Evidence:
    metrics = found.performance.metrics
    return replace(found, performance=replace(found.performance, metrics=metrics | {name: metrics[name] | values}))


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.5, 0.7, "pass"), (0.3, 0.5, "warn"), (0.1, 0.2, "fail"), (None, None, "no data")]
)
def test_accuracy_against_the_majority(tmp_path: Path, low: float | None, high: float | None, verdict: str) -> None:
    found = with_metric(evidence(tmp_path), "accuracy", low=low, high=high)
    assert rules.beats_the_majority(found).verdict == verdict


def test_perplexity_against_an_even_guess(tmp_path: Path) -> None:
    found = evidence(tmp_path, "language-model")
    assert rules.beats_the_majority(found).verdict == "pass"
    check = rules.beats_the_majority(with_metric(found, "perplexity", value=43.0))
    assert (check.verdict, check.threshold) == ("fail", 42)


@pytest.mark.parametrize(
    ("counts", "verdict"), [((40, 20), "pass"), ((41, 20), "warn"), ((60, 20), "warn"), ((9, 0), "warn")]
)
def test_classes_of_different_frequency(tmp_path: Path, counts: tuple[int, int], verdict: str) -> None:
    found = evidence(tmp_path, epochs=1)
    labels = np.repeat(np.arange(2, dtype=np.int32), counts)
    probe = replace(found.probe, labels=labels, class_names=("bad", "good"))
    check = rules.classes_are_balanced(replace(found, probe=probe))
    assert (check.verdict, check.n) == (verdict, sum(counts))
    assert f"“bad” {counts[0]}, “good” {counts[1]} of {sum(counts)}" in check.text
    assert check.value == (counts[0] / counts[1] if counts[1] else None)
    if counts == (60, 20):
        assert "3.0 to 1" in check.text
    tagged = evidence(tmp_path / "tagged", "tagging", epochs=1)
    assert rules.classes_are_balanced(tagged).verdict == "no data"


def test_a_prediction_that_differs_is_not_verified(tmp_path: Path) -> None:
    found = evidence(tmp_path)
    assert rules.prediction_is_verified(found).verdict == "pass"
    found.last.step_output[found.probe.offsets[1] - 1, 0] += 1e-3
    check = rules.prediction_is_verified(found)
    assert check.verdict == "warn" and check.value == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(("losses", "verdict"), [((3, 1, 1.05), "pass"), ((3, 1, 1.2), "warn"), ((3,), "no data")])
def test_rising_test_loss(tmp_path: Path, losses: tuple[float, ...], verdict: str) -> None:
    found = evidence(tmp_path)
    history = replace(
        found.performance,
        history_names=("test_loss",),
        history_epochs=np.arange(len(losses), dtype=np.int32),
        history=np.array([losses]),
    )
    assert rules.loss_did_not_rise(replace(found, performance=history)).verdict == verdict


@pytest.mark.parametrize("task", get_args(Task))
def test_every_check_points_at_a_section_and_has_an_id(tmp_path: Path, task: Task) -> None:
    found = evidence(tmp_path, task)
    checks = [rule(found) for rule in rules.RULES]
    assert len({check.id for check in checks}) == len(checks)
    anchors = {
        "overview",
        "health",
        "units",
        "sequences",
        "map",
        "training",
        "comparison",
        "provenance",
        "causes",
        "machine",
        "memory",
    }
    assert {check.anchor for check in checks} <= anchors
    doubted = {check.id for check in checks if check.verdict not in ("pass", "no data")}
    assert doubted == ({"class-balance"} if task == "classification" else set())  # its classes are planted unequal
    assert all(find(found) is None or find(found)[1] in anchors for find in FINDERS)
    assert len(FINDERS) >= MOST_FINDINGS


def test_findings_state_the_numbers_of_the_results(tmp_path: Path) -> None:
    found = evidence(tmp_path, gain=0.5)
    sample = display_sample(found.probe, SampleParams())
    words, step_words = find_words(found.probe, sample, WordParams())  # type: ignore[misc]  # tokens always give words
    units = {
        key: analyse_units(key, found.last.states[key], found.last.epoch, found.probe, sample, step_words, ROUGH.units)
        for key in found.manifest.state_keys
    }
    found = replace(found, words=words, units=units)
    texts = {find.__name__: (find(found) or ("", ""))[0] for find in FINDERS}
    assert f"{found.performance.metrics['accuracy']['value']:.1%}" in texts["quality"]
    errors = found.performance.confusion - np.diag(np.diag(found.performance.confusion))
    actual, predicted = np.argwhere(errors == errors.max())[0]
    names = found.probe.class_names
    assert f"“{names[actual]}” read as “{names[predicted]}”: {errors.max()} of" in texts["confusion"]
    cell = units["lstm.0.fwd.c"]
    assert isinstance(cell, Units)
    sizes = np.where(words.counts >= 10, np.linalg.norm(cell.response, axis=1), 0)
    assert f"are “{words.names[sizes.argmax()]}” (" in texts["moving_words"]
    assert f"the cell state {cell.kept_rate[0]:.0%}" in texts["retention"]
    assert "hidden state" in texts["retention"]
    chosen = np.split(found.last.step_output.argmax(axis=1), found.probe.offsets[1:-1])
    settled = [next(t for t in range(len(one)) if (one[t:] == one[-1]).all()) + 1 for one in chosen]
    shares = np.array([t / len(one) for t, one in zip(settled, chosen, strict=True)])
    wrong = np.array([one[-1] for one in chosen]) != found.probe.labels
    half, late = (np.quantile(some, 0.5, method="lower") for some in (shares, shares[wrong]))
    assert f"decided after {half:.0%} of their steps (95% interval" in texts["decision_time"]
    assert f"of the {wrong.sum()} read wrongly, half are decided after {late:.0%}." in texts["decision_time"]
    losses = found.performance.history[found.performance.history_names.index("test_loss")]
    assert f"epoch {losses.argmin()} ({losses.min():.3g})" in texts["best_epoch"]
