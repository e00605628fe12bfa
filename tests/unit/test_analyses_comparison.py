"""Comparison of runs: similarity, paired tests and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from rnnreport.analyses import compare
from rnnreport.analyses.comparison import linear_cka
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from tests.fabricate import fabricate_run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    weak = fabricate_run(tmp_path / "weak", epochs=3, seed=1, gain=0.3, name="weak", units=10)
    return weak, fabricate_run(tmp_path / "strong", epochs=5, name="strong")


def test_cka_of_itself_a_rotation_and_a_scale_is_one() -> None:
    draw = np.random.default_rng(0)
    states = draw.normal(size=(300, 8)) + 5
    rotation, _ = np.linalg.qr(draw.normal(size=(8, 8)))
    assert linear_cka(states, states) == pytest.approx(1, abs=1e-6)
    assert linear_cka(states, 1e-4 * states @ rotation - 3) == pytest.approx(1, abs=1e-6)
    assert linear_cka(states, 1e6 * states) == pytest.approx(1, abs=1e-6)


def test_cka_equals_its_definition_by_kernels() -> None:
    draw = np.random.default_rng(1)
    one, two = draw.normal(size=(40, 5)), draw.normal(size=(40, 3))
    centring = np.eye(40) - 1 / 40
    k, m = centring @ one @ one.T @ centring, centring @ two @ two.T @ centring
    assert linear_cka(one, two) == pytest.approx((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def test_cka_is_undefined_without_variation() -> None:
    draw = np.random.default_rng(2)
    states = draw.normal(size=(20, 3))
    for other in (np.full((20, 2), 0.1), np.full((20, 2), np.nan)):
        assert np.isnan(linear_cka(states, other))


def test_two_runs_side_by_side(pair: tuple[RunFolder, RunFolder]) -> None:
    weak, _strong = pair
    found = compare(pair)
    assert found.runs == ("weak", "strong") and found.cells == ("LSTM 1 x 10", "LSTM 1 x 24")
    labels = weak.probe().labels
    right = [folder.checkpoint(folder.epochs()[-1]).model_output.argmax(axis=1) == labels for folder in pair]
    accuracy = found.metrics[:, found.metric_names.index("accuracy"), 0]
    np.testing.assert_allclose(accuracy, [one.mean() for one in right])
    paired = found.paired[0]
    assert paired["difference"] == pytest.approx(right[1].mean() - right[0].mean())
    assert paired["low"] <= paired["difference"] <= paired["high"]
    only_weak, only_strong = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert (paired["only_baseline_right"], paired["only_run_right"]) == (only_weak, only_strong)
    changed = only_weak + only_strong
    two_sided = min(1.0, 2 * binom.cdf(min(only_weak, only_strong), changed, 0.5))
    assert paired["p_value"] == pytest.approx(two_sided)
    assert paired["significant"] == (two_sided < 0.05 and not paired["low"] <= 0 <= paired["high"])
    np.testing.assert_array_equal(found.predicted == labels, right)
    assert found.epochs.tolist() == [0, 1, 2]
    assert found.similarity_by_epoch[0] == pytest.approx([1, 1, 1])
    assert found.similarity[0, 1] == found.similarity[1, 0] < 1
    assert [epoch for epoch, _ in found.history[1]["test_loss"]] == [0, 1, 2, 3, 4]


def test_a_run_against_itself_shows_no_change(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2)
    found = compare([folder, folder, folder])
    assert len(found.paired) == 2
    for paired in found.paired:
        assert (paired["difference"], paired["low"], paired["high"], paired["p_value"]) == (0, 0, 0, 1)
        assert paired["significant"] is False
    np.testing.assert_allclose(found.similarity, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {"sequence_ids": (p.sequence_ids[1], p.sequence_ids[0], *p.sequence_ids[2:])}, "another order"),
        (lambda p: {"sequence_ids": (*p.sequence_ids[:-1], "new")}, "sequence 120 is 'new' instead of 'news-0119'"),
        (lambda p: {"labels": (p.labels + (np.arange(120) == 7)) % 4}, "'news-0007' has another label"),
        (lambda p: {"tokens": np.where(np.arange(p.tokens.size) == p.offsets[3] + 1, 0, p.tokens)}, "another input"),
        (lambda p: {"task": "unlabelled"}, "task is 'unlabelled'"),
    ],
)
def test_unequal_probe_sets_are_refused_at_the_first_difference(
    pair: tuple[RunFolder, RunFolder], change: Any, message: str
) -> None:
    probe = pair[1].probe()
    pair[1].write_probe(replace(probe, **change(probe)))
    with pytest.raises(InputError, match=message):
        compare(pair)


def test_a_step_is_named_by_its_place_in_its_sequence(pair: tuple[RunFolder, RunFolder]) -> None:
    probe = pair[1].probe()
    tokens = probe.tokens.copy()
    tokens[probe.offsets[3] + 1] = (tokens[probe.offsets[3] + 1] + 1) % len(probe.vocabulary)
    pair[1].write_probe(replace(probe, tokens=tokens))
    with pytest.raises(InputError, match="step 2 of sequence 'news-0003' has another input"):
        compare(pair)


def test_vocabularies_may_be_numbered_differently(pair: tuple[RunFolder, RunFolder]) -> None:
    probe = pair[1].probe()
    last = len(probe.vocabulary) - 1
    pair[1].write_probe(replace(probe, vocabulary=probe.vocabulary[::-1], tokens=last - probe.tokens))
    assert compare(pair).runs == ("weak", "strong")


def test_inputs_that_are_equally_missing_are_equal(tmp_path: Path) -> None:
    folders = [fabricate_run(tmp_path / name, epochs=1, continuous=True) for name in "ab"]
    for folder in folders:
        probe = folder.probe()
        probe.values[0, 0] = np.nan
        folder.write_probe(probe)
    assert len(compare(folders).runs) == 2


def test_one_run_and_a_run_without_epochs_are_refused(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1)
    with pytest.raises(InputError, match="two runs"):
        compare([folder])
    with pytest.raises(InputError, match="no recorded epoch"):
        compare([folder, fabricate_run(tmp_path / "empty", epochs=0)])


def test_runs_without_a_common_epoch_still_compare(tmp_path: Path) -> None:
    one, two = fabricate_run(tmp_path / "a", epochs=1), fabricate_run(tmp_path / "b", epochs=1)
    checkpoint = two.checkpoint(0)
    for path in (two.path / "states").iterdir():
        path.unlink()
    two.write_checkpoint(replace(checkpoint, epoch=7))
    found = compare([one, two])
    assert found.epochs.size == 0 and found.similarity_by_epoch.shape == (2, 0)


def test_one_sequence_leaves_nothing_to_resample(tmp_path: Path) -> None:
    folders = [fabricate_run(tmp_path / name, epochs=1, sequences=1) for name in "ab"]
    assert compare(folders).paired == ()
