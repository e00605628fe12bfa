"""Several labels and quantities: metrics against scikit-learn, checks at their bars, findings, sampled predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, mean_absolute_error, mean_squared_error, multilabel_confusion_matrix
from sklearn.metrics import r2_score as sklearn_r2

from rnnreport.analyses import compare, findings, rules
from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, resampled_sums
from rnnreport.analyses.decisions import DecisionParams, decision_timeline
from rnnreport.analyses.health import state_health
from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.quantities import quantity_metrics, r_squared
from rnnreport.analyses.rules.evidence import Evidence, Thresholds
from rnnreport.analyses.sample import SampleParams, display_sample, hash_order
from rnnreport.analyses.scores import Errors
from rnnreport.analyses.sequences import SequenceParams, read_sequences
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Probe, Task
from rnnreport.results.schema import Performance, Sequences, Unavailable
from tests.fabricate import fabricate_run

PARAMS = PerformanceParams()
NUMERIC = [("regression", False), ("step-regression", False), ("step-regression", True)]
NEW: list[tuple[Task, bool]] = [("multi-label", False), ("regression", False), ("step-regression", True)]


def made(path: Path, task: Task, epochs: int = 3, **options: Any) -> tuple[RunFolder, Probe, Checkpoint]:
    folder = fabricate_run(path / "run", task, epochs=epochs, **options)
    return folder, folder.probe(), folder.checkpoint(epochs - 1)


def evidence(path: Path, task: Task, **options: Any) -> Evidence:
    return judged(*made(path, task, **options))


def judged(folder: RunFolder, probe: Probe, last: Checkpoint) -> Evidence:
    scored = performance(probe, last, folder.metrics(), PARAMS)
    return Evidence(
        folder.manifest(),
        probe,
        last,
        scored,
        Unavailable("words", "not asked for"),
        {},
        Thresholds(),
        state_health(folder),
        decision_timeline(probe, last, DecisionParams()),
    )


def shown(folder: RunFolder, steps: int = 4000) -> Sequences:
    probe = folder.probe()
    sample = display_sample(probe, SampleParams(steps))
    return read_sequences(folder, folder.manifest(), probe, sample, SequenceParams())


def scored_pairs(probe: Probe, last: Checkpoint) -> tuple[np.ndarray, np.ndarray]:
    """Targets and predictions of the items that have a target in every quantity."""
    output = last.model_output if probe.task == "regression" else last.step_output
    known = np.isfinite(probe.truths).all(axis=1)
    return probe.truths[known].astype(np.float64), output[known].astype(np.float64)


def test_labels_agree_with_scikit_learn(tmp_path: Path) -> None:
    folder, probe, last = made(tmp_path, "multi-label")
    found = performance(probe, last, folder.metrics(), PARAMS)
    assert list(found.metrics) == ["exact_match", "micro_f1", "cross_entropy", "majority_share"]
    has, output = probe.truths > 0, last.model_output.astype(np.float64)
    gives = output >= 0.5
    assert found.metrics["exact_match"]["value"] == pytest.approx((has == gives).all(axis=1).mean())
    assert found.metrics["micro_f1"]["value"] == pytest.approx(f1_score(has, gives, average="micro"))
    expected = np.mean([log_loss(has[:, k], output[:, k]) for k in range(4)])
    assert found.metrics["cross_entropy"]["value"] == pytest.approx(expected, abs=1e-5)
    _, counts = np.unique(has, axis=0, return_counts=True)
    assert found.metrics["majority_share"]["value"] == counts.max() / 120
    for metric in found.metrics.values():
        assert metric["low"] < metric["value"] < metric["high"] and metric["n"] == 120
    tn, fp, fn, tp = multilabel_confusion_matrix(has, gives).reshape(4, 4).T
    np.testing.assert_array_equal(found.label_counts, np.stack([tp, fp, fn, tn], axis=1))
    assert found.confusion.shape == found.truth.shape == found.output.shape == (0, 0)


@pytest.mark.parametrize(("task", "continuous"), NUMERIC)
def test_quantities_agree_with_scikit_learn(tmp_path: Path, task: Task, continuous: bool) -> None:
    folder, probe, last = made(tmp_path, task, continuous=continuous)
    found = performance(probe, last, folder.metrics(), PARAMS).metrics
    truth, output = scored_pairs(probe, last)
    assert len(truth) == (120 if task == "regression" else probe.lengths.sum() - 120)
    assert found["rmse"]["value"] == pytest.approx(np.sqrt(mean_squared_error(truth, output)))
    assert found["mae"]["value"] == pytest.approx(mean_absolute_error(truth, output))
    assert found["r2"]["value"] == pytest.approx(sklearn_r2(truth, output, multioutput="variance_weighted"))
    mean = np.broadcast_to(truth.mean(axis=0), truth.shape)
    assert found["mean_rmse"]["value"] == pytest.approx(np.sqrt(mean_squared_error(truth, mean)))
    for metric in found.values():
        assert metric["low"] < metric["value"] < metric["high"] and metric["n"] == len(truth)


def test_a_quantity_that_some_items_lack_is_scored_where_it_is_known(tmp_path: Path) -> None:
    _folder, probe, last = made(tmp_path, "step-regression", continuous=True)
    probe.truths[np.random.default_rng(0).random(probe.truths.shape) < 0.4] = np.nan
    found = performance(probe, last, [], PARAMS)
    known = np.isfinite(probe.truths)
    truth, output = probe.truths.astype(np.float64), last.step_output.astype(np.float64)
    assert found.metrics["rmse"]["value"] == pytest.approx(np.sqrt(mean_squared_error(truth[known], output[known])))
    mean = np.broadcast_to(np.nanmean(truth, axis=0), truth.shape)
    expected = np.sqrt(mean_squared_error(truth[known], mean[known]))
    assert found.metrics["mean_rmse"]["value"] == pytest.approx(expected)
    assert found.metrics["rmse"]["n"] == known.any(axis=1).sum()
    each = [sklearn_r2(truth[known[:, k], k], output[known[:, k], k]) for k in range(3)]
    errors = Errors(np.zeros(len(truth), np.int64), truth, output)
    np.testing.assert_allclose(r_squared(errors), each)


@pytest.mark.parametrize("task", ["regression", "step-regression"])
def test_displayed_pairs_are_evenly_spaced_items(tmp_path: Path, task: Task) -> None:
    _folder, probe, last = made(tmp_path, task)
    truth, output = scored_pairs(probe, last)
    found = performance(probe, last, [], PARAMS)
    np.testing.assert_array_equal(found.truth, truth.astype(np.float32))
    np.testing.assert_array_equal(found.output, output.astype(np.float32))
    few = performance(probe, last, [], PerformanceParams(most_items=20))
    places = np.linspace(0, len(truth) - 1, 20).round().astype(int)
    np.testing.assert_array_equal(few.truth, truth[places].astype(np.float32))
    np.testing.assert_array_equal(few.output, output[places].astype(np.float32))


def test_the_interval_of_r2_is_that_of_resampled_sequences() -> None:
    """Against the same resamples, scored one by one by scikit-learn."""
    draw = np.random.default_rng(0)
    sequence = np.repeat(np.arange(12), 5)
    truth = draw.normal(3, 1, (60, 2)) * [1, 5]
    output = truth + draw.normal(0, 1, (60, 2))
    params = BootstrapParams(resamples=200)
    _, low, high = quantity_metrics(Errors(sequence, truth, output), 12, params)["r2"]
    picks = np.random.default_rng(params.seed).integers(0, 12, (200, 12))
    places = [np.concatenate([np.flatnonzero(sequence == n) for n in pick]) for pick in picks]
    each = [sklearn_r2(truth[place], output[place], multioutput="variance_weighted") for place in places]
    np.testing.assert_allclose([low, high], np.percentile(each, [2.5, 97.5]))


def test_resamples_without_a_value_are_left_out() -> None:
    drawn = np.array([np.nan, 3.0, np.inf, 1.0, 2.0])
    assert percentile_interval(drawn, BootstrapParams()) == tuple(np.percentile([1, 2, 3], [2.5, 97.5]))
    assert np.isnan(percentile_interval(drawn[[0, 2]], BootstrapParams())).all()
    assert resampled_sums([np.ones(1), np.ones(1)], BootstrapParams()).shape == (2, 0)


def test_a_resample_of_one_sequence_has_nothing_to_explain() -> None:
    """Targets that differ between the sequences only: what rounding leaves of their spread is not divided by."""
    sequence = np.repeat([0, 1, 2], [5, 7, 1])
    truth = np.array([[-0.31], [-0.56], [0.97]])[sequence]
    value, low, high = quantity_metrics(Errors(sequence, truth, truth + 0.01), 3, BootstrapParams())["r2"]
    assert value == pytest.approx(sklearn_r2(truth, truth + 0.01))
    assert 0.9 < low < value < high < 1


@pytest.mark.parametrize("constant", [0.0, 1 / 3, 1e6])
def test_targets_that_are_all_the_same_leave_nothing_to_explain(tmp_path: Path, constant: float) -> None:
    folder, probe, last = made(tmp_path, "regression")
    probe.truths[:] = constant
    found = judged(folder, probe, last)
    assert "r2" not in found.performance.metrics
    assert found.performance.metrics["mean_rmse"]["value"] == 0
    check = rules.beats_the_majority(found)
    assert (check.verdict, check.text) == ("no data", "the targets are all the same")
    assert findings.worst_quantity(found) is None


@pytest.mark.parametrize("task", ["regression", "step-regression"])
def test_a_prediction_that_is_not_finite_fails(tmp_path: Path, task: Task) -> None:
    folder, probe, last = made(tmp_path, task)
    last.model_output[3:5] = np.nan
    last.step_output[30:32] = np.nan
    check = rules.beats_the_majority(judged(folder, probe, last))
    assert (check.verdict, check.value) == ("fail", None)
    assert check.text.startswith("2 of ")


def test_labels_of_a_prediction_that_is_not_finite_are_wrong(tmp_path: Path) -> None:
    _folder, probe, last = made(tmp_path, "multi-label", epochs=6)
    before = performance(probe, last, [], PARAMS).metrics["exact_match"]["value"]
    right = int(np.flatnonzero(((last.model_output >= 0.5) == probe.truths).all(axis=1))[0])
    last.model_output[right, 1] = np.nan
    found = performance(probe, last, [], PARAMS)
    assert found.metrics["exact_match"]["value"] == pytest.approx(before - 1 / 120)
    assert "cross_entropy" not in found.metrics
    assert (found.label_counts.sum(axis=1) == 119).all()


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.1, 0.7, "pass"), (-0.1, 0.5, "warn"), (-0.5, -0.2, "fail"), (None, None, "no data")]
)
def test_r2_against_the_mean(tmp_path: Path, low: float | None, high: float | None, verdict: str) -> None:
    found = evidence(tmp_path, "regression")
    metrics = found.performance.metrics
    changed = replace(found.performance, metrics=metrics | {"r2": metrics["r2"] | {"low": low, "high": high}})
    check = rules.beats_the_majority(replace(found, performance=changed))
    assert (check.id, check.verdict, check.threshold, check.n) == ("beats-mean", verdict, 0, 120)


@pytest.mark.parametrize(("task", "continuous"), NEW)
def test_a_trained_run_beats_the_bar_and_guessing_does_not(tmp_path: Path, task: Task, continuous: bool) -> None:
    folder, probe, last = made(tmp_path, task, epochs=6, continuous=continuous)
    assert rules.beats_the_majority(judged(folder, probe, last)).verdict == "pass"
    shuffled = np.random.default_rng(0).permutation(len(probe.truths))
    other = replace(probe, truths=probe.truths[shuffled])
    assert rules.beats_the_majority(judged(folder, other, last)).verdict in ("warn", "fail")
    assert rules.beats_the_majority(judged(folder, replace(probe, truths=probe.truths[:0]), last)).verdict == "no data"


def test_exact_matches_against_the_most_frequent_set(tmp_path: Path) -> None:
    check = rules.beats_the_majority(evidence(tmp_path, "multi-label"))
    assert check.title == "Better than the most frequent set of labels"
    assert check.text.startswith("exact matches ")


@pytest.mark.parametrize("task", ["classification", "multi-label", "regression"])
def test_only_sampled_sequences_are_verified(tmp_path: Path, task: Task) -> None:
    folder, probe, last = made(tmp_path, task, sampled=30)
    check = rules.prediction_is_verified(judged(folder, probe, last))
    assert (check.verdict, check.n, check.value) == ("pass", 30, 0)
    assert "30 of 120 sequences" in check.text
    taken = hash_order(probe.sequence_ids)[:30]
    unsampled = hash_order(probe.sequence_ids)[30]
    last.model_output[unsampled] += 1
    assert rules.prediction_is_verified(judged(folder, probe, last)).verdict == "pass"  # nothing there to compare
    last.model_output[taken[7]] += 0.01
    check = rules.prediction_is_verified(judged(folder, probe, last))
    assert check.verdict == "warn" and check.value == pytest.approx(0.01, rel=1e-3)
    last.model_output[taken[7]] = np.nan
    assert rules.prediction_is_verified(judged(folder, probe, last)).verdict == "warn"
    last.step_output[:] = np.nan
    check = rules.prediction_is_verified(judged(folder, probe, last))
    assert (check.verdict, check.n) == ("warn", 0)


def test_quantities_may_differ_by_their_rounding(tmp_path: Path) -> None:
    folder, probe, last = made(tmp_path, "regression")
    ends = probe.offsets[1:] - 1
    last = replace(last, model_output=last.model_output * 1000, step_output=last.step_output * 1000)
    largest = np.abs(last.model_output).max()
    last.step_output[ends[0], 1] += 5e-6 * largest
    assert rules.prediction_is_verified(judged(folder, probe, last)).verdict == "pass"
    last.step_output[ends[0], 1] += 2e-5 * largest
    assert rules.prediction_is_verified(judged(folder, probe, last)).verdict == "warn"


@pytest.mark.parametrize("sampled", [None, 30])
def test_sequences_show_truths_and_outputs(tmp_path: Path, sampled: int | None) -> None:
    for task in ("multi-label", "regression"):
        folder, probe, last = made(tmp_path / task, task, sampled=sampled)
        found = shown(folder, steps=200)
        np.testing.assert_array_equal(found.truths, probe.truths[found.probe_index])
        np.testing.assert_array_equal(found.outputs, last.model_output[found.probe_index])
        assert found.predicted.shape == found.confidence.shape == (0,)
        # the displayed sequences are the first by hash as well, so that they have their expected predictions
        assert np.isfinite(found.step_output).all()
        ends = np.cumsum(found.lengths) - 1
        np.testing.assert_array_equal(found.step_output[-1, ends], found.outputs)
        whole = shown(folder)
        have = np.isfinite(whole.step_output[-1, np.cumsum(whole.lengths) - 1]).all(axis=1)
        assert have.sum() == (sampled or 120)


def test_steps_show_their_targets(tmp_path: Path) -> None:
    folder, probe, last = made(tmp_path, "step-regression", continuous=True)
    found = shown(folder, steps=200)
    steps = np.concatenate([np.arange(probe.offsets[n], probe.offsets[n + 1]) for n in found.probe_index])
    np.testing.assert_array_equal(found.truths, probe.truths[steps])
    np.testing.assert_array_equal(found.step_output[-1], last.step_output[steps])
    assert found.outputs.shape == (0, 0) and "own answer at that step" in found.guide
    last_steps = np.isnan(found.truths).all(axis=1).nonzero()[0]
    np.testing.assert_array_equal(last_steps, np.cumsum(found.lengths) - 1)
    np.testing.assert_array_equal(
        found.truths[:-1][np.isfinite(found.truths[:-1])], found.values[1:][np.isfinite(found.truths[:-1])]
    )  # planted: the next value


def test_findings_of_labels(tmp_path: Path) -> None:
    found = evidence(tmp_path, "multi-label", gain=0.5)
    has, gives = found.probe.truths > 0, found.last.model_output >= 0.5
    wrong = (has != gives).sum(axis=0)
    name = found.probe.class_names[wrong.argmax()]
    missed, given = (has & ~gives)[:, wrong.argmax()].sum(), (~has & gives)[:, wrong.argmax()].sum()
    text, _ = findings.worst_label(found) or ("", "")
    total = has[:, wrong.argmax()].sum()
    assert f"is “{name}”: missed in {missed} of the {total} sequences that have it, given to {given} of" in text
    text, _ = findings.quality(found) or ("", "")
    assert f"All labels are right in {(has == gives).all(axis=1).mean():.1%}" in text
    assert f"F1 is {f1_score(has, gives, average='micro'):.1%}" in text
    assert findings.confusion(found) is None and findings.worst_quantity(found) is None
    chosen = np.split(found.last.step_output >= 0.5, found.probe.offsets[1:-1])
    longer = [one for one in chosen if len(one) > 1]
    settled = [next(t for t in range(len(one)) if (one[t:] == one[-1]).all()) + 1 for one in longer]
    half = np.quantile([t / len(one) for t, one in zip(settled, longer, strict=True)], 0.5, method="lower")
    text, _ = findings.decision_time(found) or ("", "")
    assert f"decided after {half:.0%} of their steps (95%" in text and f"n = {len(longer)}): from there the set" in text


@pytest.mark.parametrize(("task", "continuous"), NUMERIC)
def test_findings_of_quantities(tmp_path: Path, task: Task, continuous: bool) -> None:
    found = evidence(tmp_path, task, continuous=continuous)
    truth, output = scored_pairs(found.probe, found.last)
    text, _ = findings.quality(found) or ("", "")
    assert f"error is {np.sqrt(mean_squared_error(truth, output)):.4g} (95% interval" in text
    assert f"on {len(truth)} {'sequences' if task == 'regression' else 'steps'};" in text
    each = sklearn_r2(truth, output, multioutput="raw_values")
    text, _ = findings.worst_quantity(found) or ("", "")
    assert f"“{found.probe.class_names[each.argmin()]}” is predicted worst (R² {each.min():.3f})" in text
    assert f"“{found.probe.class_names[each.argmax()]}” best ({each.max():.3f})" in text
    assert findings.decision_time(found) is None and findings.worst_label(found) is None


def test_the_prediction_of_sampled_sequences_settles(tmp_path: Path) -> None:
    found = evidence(tmp_path, "classification", sampled=30)
    longer = found.probe.lengths[hash_order(found.probe.sequence_ids)[:30]] > 1
    text, _ = findings.decision_time(found) or ("", "")
    assert f", n = {longer.sum()}):" in text


def test_paired_labels(tmp_path: Path) -> None:
    weak = fabricate_run(tmp_path / "weak", "multi-label", epochs=2, gain=0.3, name="weak")
    strong = fabricate_run(tmp_path / "strong", "multi-label", epochs=2)
    found = compare([weak, strong])
    right = [((one.checkpoint(1).model_output >= 0.5) == one.probe().truths).all(axis=1) for one in (weak, strong)]
    paired = found.paired[0]
    assert paired["metric"] == "exact_match"
    assert paired["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert paired["only_run_right"] == (right[1] & ~right[0]).sum()
    assert paired["significant"] is True
    assert found.predicted.shape == found.confidence.shape == (0, 0)


@pytest.mark.parametrize(("task", "continuous"), NUMERIC)
def test_paired_quantities(tmp_path: Path, task: Task, continuous: bool) -> None:
    weak = fabricate_run(tmp_path / "weak", task, epochs=2, gain=0.5, continuous=continuous, name="weak")
    strong = fabricate_run(tmp_path / "strong", task, epochs=2, continuous=continuous)
    paired = compare([weak, strong]).paired[0]
    rmse = [np.sqrt(mean_squared_error(*scored_pairs(one.probe(), one.checkpoint(1)))) for one in (weak, strong)]
    assert paired["metric"] == "rmse" and "p_value" not in paired
    assert paired["difference"] == pytest.approx(rmse[1] - rmse[0])
    assert paired["low"] <= paired["difference"] <= paired["high"] < 0
    assert paired["significant"] is True and paired["n"] == len(scored_pairs(weak.probe(), weak.checkpoint(1))[0])
    same = compare([weak, weak]).paired[0]
    assert (same["difference"], same["low"], same["high"], same["significant"]) == (0, 0, 0, False)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("multi-label", "sequence 'news-0007' has other labels"),
        ("regression", "sequence 'news-0007' has another target"),
        ("step-regression", "step 2 of sequence 'news-0007' has another target"),
    ],
)
def test_other_truths_are_refused(tmp_path: Path, task: Task, message: str) -> None:
    folders = [fabricate_run(tmp_path / name, task, epochs=1) for name in "ab"]
    probe = folders[1].probe()
    truths = probe.truths.copy()
    truths[probe.offsets[7] + 1 if task == "step-regression" else 7, 1] -= 1
    folders[1].write_probe(replace(probe, truths=truths))
    with pytest.raises(InputError, match=message):
        compare(folders)
    names = probe.class_names[::-1]
    folders[1].write_probe(replace(probe, class_names=names))
    with pytest.raises(InputError, match="it predicts "):
        compare(folders)


@pytest.mark.parametrize(("task", "continuous"), NEW)
def test_every_metric_says_how_it_is_read(tmp_path: Path, task: Task, continuous: bool) -> None:
    folder, probe, last = made(tmp_path, task, continuous=continuous)
    found = performance(probe, last, folder.metrics(), PARAMS)
    assert isinstance(found, Performance) and len(found.guide) > 100
    assert {metric["unit"] for metric in found.metrics.values()} <= {
        "share",
        "nats",
        "target units",
        "share of variance",
    }
