"""Sequences of different lengths: steps that too few reach are missing slices, and change nothing of the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.formation import FormationParams, formation
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Doubles, Probe
from rnnreport.results.schema import Unavailable
from tests.courses import planted

E, T, WHOLE = 6, 8, 18
STATE = "lstm.0.fwd.h"
PARAMS = DynamicsParams(samples=12)
ACTIVITY = planted(0, epochs=E, steps=T + 3, samples=30, per_community=2).activity  # of more steps than most reach


def recorded(path: Path, activity: Doubles, lengths: np.ndarray, epochs: tuple[int, ...]) -> RunFolder:
    """Sequence k has the first of ``activity[:, :, :, k]``, float64 (E, T, H, samples); named after its place."""
    folder, count = RunFolder(path), lengths.size
    steps = int(lengths.sum())
    probe = Probe(
        task="classification",
        sequence_ids=tuple(f"s{k}" for k in range(count)),
        lengths=lengths.astype(np.int32),
        tokens=np.zeros(steps, np.int32),
        values=np.zeros((0, 0), np.float32),
        labels=(np.arange(count) % 2).astype(np.int32),
        targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32),
        vocabulary=("a",),
        class_names=("no", "yes"),
        feature_names=(),
        sampled_from=count,
    )
    folder.write_probe(probe)
    none = np.zeros((0, 0), np.float32)
    for epoch, values in zip(epochs, activity, strict=True):
        states = np.concatenate([values[:length, :, k] for k, length in enumerate(lengths)]).astype(np.float32)
        folder.write_checkpoint(
            Checkpoint(
                epoch=epoch,
                states={STATE: states},
                step_output=none,
                model_output=none,
                surprisal=np.zeros(0, np.float32),
                top_tokens=np.zeros((0, 5), np.int32),
                top_probabilities=np.zeros((0, 5), np.float32),
            )
        )
    return folder


def embedded(folder: RunFolder) -> Embedded:
    found = training_dynamics(folder, STATE, folder.probe(), PARAMS)
    assert isinstance(found, Embedded), found
    return found


def assert_alike(one: Embedded, other: Embedded) -> None:
    for name in ("epochs", "steps", "units", "plane", "space", "active"):
        np.testing.assert_array_equal(getattr(one.dynamics, name), getattr(other.dynamics, name), err_msg=name)
    first, second = (formation(found, None, None, FormationParams(resamples=10)) for found in (one, other))
    for name in ("within_step", "within_unit", "change", "similarity", "participation"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)
    assert first.finding == second.finding


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """Of the sequences that have all steps, and no others."""
    whole = np.full(WHOLE, T)
    return embedded(recorded(tmp_path_factory.mktemp("plain") / "run", ACTIVITY[..., :WHOLE], whole, tuple(range(E))))


def test_short_sequences_and_steps_that_few_reach_change_nothing(plain: Embedded, tmp_path: Path) -> None:
    """Twelve of the 30 break off early and five go on alone: the picture is of the steps that all samples have."""
    draw = np.random.default_rng(0)
    lengths = np.concatenate([np.full(WHOLE, T), draw.integers(1, T, 30 - WHOLE)])
    lengths[:5] = T + 3
    ragged = embedded(recorded(tmp_path / "run", ACTIVITY, lengths, tuple(range(E))))
    assert ragged.dynamics.steps.tolist() == list(range(T))
    assert (lengths[ragged.sequences] >= T).all() and ragged.sequences.size == PARAMS.samples
    assert_alike(ragged, plain)
    said = ragged.dynamics.left_out
    assert (
        f"steps 9 to 11 are missing in every epoch ({E * 3} slices): fewer than 12 of the 30 sequences reach so far, "
        "none is padded"
    ) in said
    assert any(text.startswith("12 of the 18 sequences that reach") for text in said)
    assert not any("missing" in text for text in plain.dynamics.left_out)


def test_most_sequences_may_be_short_as_long_as_enough_are_left(tmp_path: Path) -> None:
    """A third of the sequences reach the end, which are as many as are sampled: no step is cut for their sake."""
    lengths = np.concatenate([np.full(12, T), np.full(18, 3)])
    assert embedded(recorded(tmp_path / "run", ACTIVITY, lengths, tuple(range(E)))).dynamics.steps.tolist() == [
        *range(T)
    ]


def test_an_epoch_that_is_not_finite_is_missing_and_changes_nothing(plain: Embedded, tmp_path: Path) -> None:
    diverged = np.insert(ACTIVITY[..., :WHOLE], 2, ACTIVITY[2, ..., :WHOLE], axis=0)
    diverged[2, 5, 1, 3:] = np.inf
    epochs = (0, 1, 9, 20, 30, 40, 50)
    folder = recorded(tmp_path / "run", diverged, np.full(WHOLE, T), epochs)
    found = embedded(folder)
    assert found.dynamics.epochs.tolist() == [0, 1, 20, 30, 40, 50]
    assert f"epoch 9 missing ({T} slices): the states are not finite at every sampled step" in found.dynamics.left_out
    np.testing.assert_array_equal(found.dynamics.space, plain.dynamics.space)
    for epoch in epochs[1:]:
        checkpoint = folder.checkpoint(epoch)
        checkpoint.states[STATE][:] = np.nan
        folder.write_checkpoint(replace(checkpoint))
    refused = training_dynamics(folder, STATE, folder.probe(), PARAMS)
    assert isinstance(refused, Unavailable) and "of 1 of the epochs only" in refused.reason
