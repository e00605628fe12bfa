"""Metrics against scikit-learn, and intervals that respect that steps depend on each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

from rnnreport.analyses.bootstrap import BootstrapParams, exact_ends, ratio_interval
from rnnreport.analyses.performance import PerformanceParams, performance
from tests.fabricate import fabricate_run

PARAMS = PerformanceParams()


def test_classification_agrees_with_scikit_learn(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=3, gain=0.4)
    probe, last = folder.probe(), folder.checkpoint(2)
    found = performance(probe, last, folder.metrics(), PARAMS)
    predicted = last.model_output.argmax(axis=1)
    assert found.metrics["accuracy"]["value"] == pytest.approx(accuracy_score(probe.labels, predicted))
    output = last.model_output.astype(np.float64)
    expected = log_loss(probe.labels, output / output.sum(axis=1, keepdims=True))
    assert found.metrics["cross_entropy"]["value"] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(probe.labels, predicted))
    assert found.metrics["majority_share"]["value"] == np.bincount(probe.labels).max() / probe.labels.size
    for metric in found.metrics.values():
        assert metric["low"] < metric["value"] < metric["high"] and metric["n"] == 120
    assert found.history_names == ("test_accuracy", "test_loss", "train_loss")
    assert found.history[0, -1] == pytest.approx(found.metrics["accuracy"]["value"])


def test_perplexity_is_the_exponential_of_the_mean_nats(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", task="language-model", epochs=1)
    probe, last = folder.probe(), folder.checkpoint(0)
    found = performance(probe, last, [], PARAMS).metrics
    assert found["perplexity"]["value"] == pytest.approx(np.exp(np.nanmean(last.surprisal.astype(np.float64))))
    scored = probe.targets >= 0
    assert found["accuracy"]["value"] == pytest.approx((last.top_tokens[scored, 0] == probe.targets[scored]).mean())
    assert found["perplexity"]["n"] == scored.sum() == probe.tokens.size - 120


def test_tagging_scores_every_step(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", task="tagging", epochs=2, gain=0.5)
    probe, last = folder.probe(), folder.checkpoint(1)
    found = performance(probe, last, [], PARAMS)
    assert found.metrics["accuracy"]["value"] == pytest.approx(
        accuracy_score(probe.targets, last.step_output.argmax(axis=1))
    )
    assert found.confusion.sum() == probe.targets.size


def test_an_output_that_is_not_finite_is_wrong(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=6)
    probe, last = folder.probe(), folder.checkpoint(5)
    before = performance(probe, last, [], PARAMS).metrics["accuracy"]["value"]
    right = int(np.flatnonzero(last.model_output.argmax(axis=1) == probe.labels)[0])
    last.model_output[right] = np.nan
    found = performance(probe, last, [], PARAMS)
    assert found.metrics["accuracy"]["value"] == pytest.approx(before - 1 / 120)
    assert "cross_entropy" not in found.metrics
    assert found.confusion.sum() == 119


def test_a_probability_of_zero_costs_a_finite_amount(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1)
    last = folder.checkpoint(0)
    wrong = np.eye(4, dtype=np.float32)[(folder.probe().labels + 1) % 4]
    found = performance(folder.probe(), replace(last, model_output=wrong), [], PARAMS).metrics["cross_entropy"]
    assert found["value"] == pytest.approx(-np.log(np.finfo(np.float32).tiny))


def test_the_later_line_of_an_epoch_counts_and_gaps_are_nan(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1, task="unlabelled")
    lines = [{"epoch": 2, "loss": 3.0}, {"epoch": 1, "loss": 9.0, "note": "x"}, {"epoch": 1, "loss": 1.0, "f1": 0.5}]
    found = performance(folder.probe(), folder.checkpoint(0), lines, PARAMS)
    assert found.history_names == ("f1", "loss") and found.history_epochs.tolist() == [1, 2]
    np.testing.assert_array_equal(found.history, [[0.5, np.nan], [1.0, 3.0]])
    assert found.metrics == {}


def test_duplicating_each_step_shrinks_no_interval() -> None:
    draw = np.random.default_rng(0)
    sizes = draw.integers(1, 9, 60).astype(np.float64)
    totals = draw.binomial(sizes.astype(int), 0.7).astype(np.float64)
    assert ratio_interval(2 * totals, 2 * sizes, BootstrapParams()) == ratio_interval(totals, sizes, BootstrapParams())


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        rates = draw.beta(4, 2, 80)  # sequences differ, so steps within one are alike: 2/3 on average
        totals = draw.binomial(10, rates).astype(np.float64)
        _, low, high = ratio_interval(totals, np.full(80, 10.0), BootstrapParams(resamples=400))
        covered += low <= 2 / 3 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_one_sequence_has_no_interval() -> None:
    value, low, high = ratio_interval(np.array([3.0, 0.0]), np.array([4.0, 0.0]), BootstrapParams())
    assert value == 0.75 and np.isnan([low, high]).all()


@pytest.mark.parametrize("sequences", [2, 30, 600])
def test_a_share_of_one_has_the_exact_binomial_bound(sequences):
    exact = binomtest(sequences, sequences).proportion_ci(0.95, "exact")
    assert exact_ends(1.0, 1.0, 1.0, sequences, BootstrapParams()) == pytest.approx((1.0, exact.low, 1.0))
    none = binomtest(0, sequences).proportion_ci(0.95, "exact")
    assert exact_ends(0.0, 0.0, 0.0, sequences, BootstrapParams()) == pytest.approx((0.0, 0.0, none.high))
    assert exact_ends(0.5, 0.4, 0.6, sequences, BootstrapParams()) == (0.5, 0.4, 0.6)
