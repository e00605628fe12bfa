"""The decision timeline against loops over single sequences, scikit-learn's calibration, and planted decisions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.calibration import calibration
from rnnreport.analyses.decisions import DecisionParams, decision_timeline, settle, tenths
from rnnreport.results.recorded import Checkpoint, Probe, Task
from rnnreport.results.schema import Decisions, Unavailable
from tests.fabricate import fabricate_run


def recorded(path: Path, task: Task = "classification", **options: object) -> tuple[Probe, Checkpoint]:
    folder = fabricate_run(path / "run", task, epochs=3, **options)  # type: ignore[arg-type]
    return folder.probe(), folder.checkpoint(2)


def timeline(probe: Probe, last: Checkpoint, params: DecisionParams | None = None) -> Decisions:
    found = decision_timeline(probe, last, params or DecisionParams())
    assert isinstance(found, Decisions)
    return found


def planted(outputs: list[list[float]], labels: list[int]) -> tuple[Probe, Checkpoint]:
    """Two classes; of every sequence the probability of class 1 after each step."""
    lengths = np.array([len(one) for one in outputs], np.int32)
    flat = np.concatenate([np.array(one) for one in outputs])
    step_output = np.stack([1 - flat, flat], axis=1).astype(np.float32)
    probe = Probe(
        task="classification",
        sequence_ids=tuple(f"s{n}" for n in range(len(outputs))),
        lengths=lengths,
        tokens=np.zeros(lengths.sum(), np.int32),
        values=np.zeros((0, 0), np.float32),
        labels=np.array(labels, np.int32),
        targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32),
        vocabulary=("word",),
        class_names=("no", "yes"),
        feature_names=(),
        sampled_from=len(outputs),
    )
    nothing = np.zeros((0, 5), np.int32), np.zeros((0, 5), np.float32)
    surprisal = np.zeros(0, np.float32)
    ends = probe.offsets[1:] - 1
    return probe, Checkpoint(0, {}, step_output, step_output[ends], surprisal, *nothing)


@pytest.mark.parametrize(
    ("chosen", "decided", "flips"),
    [([1, 1, 1, 1], 1, 0), ([0, 1, 1, 1], 2, 1), ([0, 1, 0, 1], 4, 3), ([1, 0, 0], 2, 1)],
)
def test_when_a_prediction_settles(chosen: list[int], decided: int, flips: int) -> None:
    probe, last = planted([[0.1 + 0.8 * k for k in chosen]], [1])
    found = timeline(probe, last)
    assert (found.decided.tolist(), found.flips.tolist()) == ([decided], [flips])


@pytest.mark.parametrize("task", ["classification", "multi-label"])
def test_every_sequence_as_a_loop_reads_it(tmp_path: Path, task: Task) -> None:
    probe, last = recorded(tmp_path, task, gain=0.4, steps=(1, 14))
    found = timeline(probe, last)
    rows = []
    for n, (start, stop) in enumerate(zip(probe.offsets[:-1], probe.offsets[1:], strict=True)):
        output = last.step_output[start:stop]
        said = [tuple(row >= 0.5) if task == "multi-label" else (int(row.argmax()),) for row in output]
        if len(said) < 2:
            continue
        answer = tuple(probe.truths[n] > 0) if task == "multi-label" else (int(probe.labels[n]),)
        decided = next(t for t in range(len(said)) if all(one == said[-1] for one in said[t:])) + 1
        flips = sum(now != then for now, then in pairwise(said))
        margins = []
        for time in range(1, 21):
            row = output[-(-time * len(said) // 20) - 1].astype(float)
            if task == "multi-label":
                margins.append(min(2 * p - 1 if given else 1 - 2 * p for p, given in zip(row, said[-1], strict=True)))
            else:
                [own] = said[-1]
                margins.append(row[own] - max(p for k, p in enumerate(row) if k != own))
        rows.append((n, decided, flips, int(said[-1] == answer), margins))
    assert found.left_out == f"{(probe.lengths < 2).sum()} of one step"
    assert found.sequences.tolist() == [row[0] for row in rows]
    assert found.decided.tolist() == [row[1] for row in rows] and max(found.decided) > 4
    assert found.flips.tolist() == [row[2] for row in rows] and max(found.flips) > 2
    assert found.right.tolist() == [row[3] for row in rows]
    share = np.array([row[1] / probe.lengths[row[0]] for row in rows])
    for place, (name, k) in enumerate(zip(found.groups, found.classes, strict=True)):
        if k >= 0:
            inside = probe.labels[found.sequences] == k
        else:
            inside = {"all": found.right >= 0, "right": found.right == 1, "wrong": found.right == 0}[name]
        chosen = [row for row, kept in zip(rows, inside, strict=True) if kept]
        assert found.sizes[place] == len(chosen)
        assert found.halfway[place, 0] == sorted(share[inside])[(len(chosen) - 1) // 2]
        assert found.halfway_step[place, 0] == sorted(row[1] for row in chosen)[(len(chosen) - 1) // 2]
        assert found.early[place, 0] == pytest.approx(np.mean(share[inside] <= 0.25), abs=1e-12)
        np.testing.assert_allclose(found.margin[place, :, 0], np.mean([row[4] for row in chosen], axis=0), atol=1e-6)
        counts = [sum(Fraction(t, 10) < Fraction(row[1], int(probe.lengths[row[0]])) <= Fraction(t + 1, 10)
                      for row in chosen) for t in range(10)]  # fmt: skip
        assert found.decided_counts[place].tolist() == counts
        assert found.flip_counts[place].tolist() == [sum(min(row[2], 5) == n for row in chosen) for n in range(6)]


def test_relative_times_are_counted_in_whole_numbers() -> None:
    lengths = np.repeat(np.arange(2, 401), 3)
    decided = np.concatenate([[1, n // 2, n] for n in range(2, 401)])
    tenth = [-(-10 * int(s) // int(n)) for s, n in zip(decided, lengths, strict=True)]
    assert tenths(decided, lengths).tolist() == [tenth.count(t) for t in range(1, 11)]
    for length in (20, 40, 60, 340):  # after r of the steps the step r T has been read and none after it
        probe, last = planted([[t / length for t in range(1, length + 1)]], [1])
        read = [t * length // 20 / length for t in range(1, 21)]
        np.testing.assert_allclose(timeline(probe, last).margin[0, :, 0], [2 * p - 1 for p in read], atol=1e-6)


def test_planted_decisions_are_found() -> None:
    """Class 1 is decided after a tenth of the steps, class 0 after half, with three flips before; a fifth is wrong."""
    draw = np.random.default_rng(0)
    outputs, labels = [], []
    for n in range(300):
        length, final = 10 * int(draw.integers(2, 9)), n % 2
        decided = length // 10 if final else length // 2
        said = np.full(length, final)
        if not final:
            said[: decided - 1] = 1 - final
            said[1] = final  # 1 0 1 ... 1 0
        else:
            said[: decided - 1] = 1 - final
        outputs.append([0.2 + 0.6 * k for k in said])
        labels.append(int(final) if n % 5 else 1 - int(final))
    probe, last = planted(outputs, labels)
    found = timeline(probe, last)
    ends = np.array([one[-1] > 0.5 for one in outputs])
    shares = found.decided / probe.lengths
    np.testing.assert_allclose(shares, np.where(ends, 0.1, 0.5))
    assert found.groups == ("all", "right", "wrong", "no", "yes")
    assert found.sizes[1:3].tolist() == [240, 60]
    assert found.decided_counts[0].tolist() == [150, 0, 0, 0, 150, 0, 0, 0, 0, 0]
    assert set(found.flips[~ends]) == {3}
    low, value, high = found.early[0, [1, 0, 2]]
    assert value == 0.5 and low < 0.5 < high and high - low < 0.15
    # before half the sequences of class 0 hold the other class: their margin is -0.6, after it 0.6
    own = settle(probe, last).final == 0
    assert own.sum() == 150
    np.testing.assert_allclose(found.margin[0, -1], [0.6, 0.6, 0.6], atol=1e-6)
    np.testing.assert_allclose(found.margin[0, 7, 0], 0.0, atol=1e-6)
    assert found.margin[0, 7, 1] < 0 < found.margin[0, 7, 2]
    # everything is said with 80%: at the end 80% are right, before half of the steps 20% of one class and 80% of other
    assert found.error[-1, 0] == pytest.approx(0.0, abs=1e-6)
    assert found.error[7, 0] == pytest.approx(0.3, abs=1e-6) and found.error[7, 1] < 0.1


def test_repeating_every_step_changes_no_interval(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path, steps=(2, 14))
    twice = replace(probe, lengths=2 * probe.lengths, tokens=np.repeat(probe.tokens, 2))
    doubled = replace(last, step_output=np.repeat(last.step_output, 2, axis=0))
    one, two = timeline(probe, last), timeline(twice, doubled)
    for name in ("margin", "error", "reliability", "flips"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (one.margin[..., 2] > one.margin[..., 1]).any()


@pytest.mark.slow
def test_intervals_cover_what_they_should() -> None:
    """Of 200 samples of 60 sequences, the intervals of median and margin hold the true values about 95 times in 100."""
    draw, hits = np.random.default_rng(1), []
    for _ in range(200):
        decided = draw.integers(1, 101, 60)
        outputs = [[0.3] * (s - 1) + [0.7] * (101 - s) for s in decided]
        probe, last = planted(outputs, [1] * 60)
        found = timeline(probe, last, DecisionParams(times=2, bootstrap=BootstrapParams(300)))
        (_, low, high), (_, bottom, top) = found.halfway[0], found.margin[0, 0]
        hits.append((low <= 0.505 <= high, bottom <= 0.0 <= top))  # half of the decisions fall before step 50
    assert all(0.88 <= share <= 0.99 for share in np.mean(hits, axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_reliability_is_that_of_scikit_learn(seed: int) -> None:
    draw = np.random.default_rng(seed)
    confidence = draw.choice([draw.random(700), draw.integers(0, 11, 700) / 10][seed % 2], 700)
    right = draw.random(700) < confidence**2
    found = calibration(confidence, right)
    share, mean = calibration_curve(right, confidence, n_bins=10, strategy="uniform")
    known = found.bins[:, 2] > 0
    np.testing.assert_allclose(found.bins[known, 0], mean)
    np.testing.assert_allclose(found.bins[known, 1], share)
    counts = found.bins[known, 2]
    assert found.error == pytest.approx((np.abs(share - mean) * counts).sum() / 700, abs=1e-12)


def test_chance_bounds_the_error_of_a_calibrated_model() -> None:
    """Outcomes drawn from the confidences themselves stay below the bound 95 times in 100; overconfidence does not."""
    draw = np.random.default_rng(2)
    confidence = draw.beta(5, 2, 300)
    found = [calibration(confidence, draw.random(300) < confidence) for _ in range(600)]
    below = np.mean([one.error <= one.by_chance for one in found])
    assert 0.92 <= below <= 0.98
    bins = np.concatenate([one.bins[one.bins[:, 2] > 20] for one in found])
    inside = (bins[:, 3] <= bins[:, 1]) & (bins[:, 1] <= bins[:, 4])
    assert 0.93 <= inside.mean() <= 0.99
    overconfident = calibration(confidence, draw.random(300) < confidence - 0.25)
    assert overconfident.error > 2 * overconfident.by_chance


def test_sampled_prefixes_and_missing_labels(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path, sampled=30, steps=(2, 9))
    found = timeline(probe, last)
    assert found.sizes[0] == 30 and found.left_out == "90 without an expected prediction"
    found = timeline(replace(probe, labels=np.zeros(0, np.int32)), last)
    assert found.by == "predicted" and "right" not in found.groups and not found.error.size and not found.right.size


def test_many_classes_leave_the_most_frequent_ones() -> None:
    probe, last = planted([[0.2, 0.8]] * 12, [0] * 12)
    classes = 12
    wide = np.zeros((24, classes), np.float32)
    wide[np.arange(24), np.repeat([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10], 2)] = 1
    labels = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10], np.int32)
    probe = replace(probe, labels=labels, class_names=tuple(f"c{k}" for k in range(classes)))
    found = timeline(probe, replace(last, step_output=wide))
    assert found.groups == ("all", "right", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c10")  # none is wrong
    assert found.classes.tolist() == [-1, -1, 0, 1, 2, 3, 4, 5, 6, 10]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("tagging", "an answer of its own"),
        ("language-model", "another token"),
        ("regression", "a quantity changes"),
        ("step-regression", "quantity of its own"),
        ("unlabelled", "no expected prediction"),
    ],
)
def test_tasks_without_a_decision_say_why(tmp_path: Path, task: Task, why: str) -> None:
    found = decision_timeline(*recorded(tmp_path, task, sequences=12), DecisionParams())
    assert isinstance(found, Unavailable) and why in found.reason


def test_one_sequence_has_no_interval_and_one_step_no_timeline() -> None:
    found = timeline(*planted([[0.2, 0.7, 0.9]], [1]))
    assert found.halfway[0, 0] == pytest.approx(2 / 3) and np.isnan(found.halfway[0, 1:]).all()
    assert np.isnan(found.margin[0, :, 1:]).all() and np.isfinite(found.margin[0, :, 0]).all()
    nothing = decision_timeline(*planted([[0.2]], [1]), DecisionParams())
    assert isinstance(nothing, Unavailable) and "two steps" in nothing.reason
