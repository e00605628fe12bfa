"""The whole pipeline on fabricated runs: every task, every corner case, and the same bytes twice."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.analyses.mmphate.dynamics import DynamicsParams
from rnnreport.analyses.mmphate.stage import TrainingParams
from rnnreport.analyses.units import UnitParams, earlier_responses
from rnnreport.errors import InputError
from rnnreport.report.gather import gather
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Gates, Task
from rnnreport.results.schema import (
    Comparison,
    Decisions,
    Dynamics,
    Formation,
    Jumps,
    Performance,
    Pictures,
    Projection,
    Sequences,
    Unavailable,
    UnitMap,
    Units,
    Words,
)
from tests.fabricate import fabricate_run
from tests.small import ROUGH

SMALL = replace(
    ROUGH,
    training=TrainingParams(DynamicsParams(epochs=3, steps=3, units=8)),
    projection=replace(ROUGH.projection, perplexities=(30.0,)),
)
PER_RUN = (Performance, Words, Sequences, Jumps, Projection, Dynamics, Formation, Pictures)


def rewrite(folder: RunFolder, change: Callable[[Checkpoint], Checkpoint]) -> RunFolder:
    for checkpoint in list(folder.checkpoints()):
        folder.write_checkpoint(change(checkpoint))
    return folder


def with_states(checkpoint: Checkpoint, change: Callable[[np.ndarray], np.ndarray]) -> Checkpoint:
    return replace(checkpoint, states={key: change(states) for key, states in checkpoint.states.items()})


def digest(folder: RunFolder) -> str:
    files = sorted(path for path in folder.path.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("task", [task for task in get_args(Task) if task != "language-model"])
def test_every_task_gives_every_result(tmp_path: Path, task: Task, continuous: bool) -> None:
    folder = fabricate_run(tmp_path / "run", task=task, continuous=continuous, epochs=3, sequences=24)
    analyse(folder, params=SMALL)
    for kind in PER_RUN:
        assert isinstance(folder.result(kind), kind)
    for scope in range(2):
        assert isinstance(folder.result(Units, scope=scope), Units)
    doubted = {check.id for check in folder.summary().checks if check.verdict not in ("pass", "no data")}
    assert doubted == ({"class-balance"} if task == "classification" else set())  # its classes are planted unequal
    assert not (folder.path / "results" / "comparison.json").exists()


def test_a_language_model_with_a_baseline(tmp_path: Path) -> None:
    baseline = fabricate_run(tmp_path / "weak", task="language-model", epochs=2, gain=0.3, name="weak", sequences=40)
    folder = fabricate_run(tmp_path / "run", task="language-model", epochs=3, sequences=40)
    analyse(folder, baseline, SMALL)
    comparison = folder.result(Comparison)
    assert isinstance(comparison, Comparison)
    assert comparison.runs == ("weak", "fabricated language-model")
    assert comparison.paired[0]["metric"] == "cross_entropy"
    assert comparison.paired[0]["high"] < 0
    sequences = folder.result(Sequences)
    assert isinstance(sequences, Sequences)
    probe = folder.probe()
    step = int(np.flatnonzero(~np.isnan(sequences.surprisal))[3])
    assert sequences.token_names[sequences.tokens[step]] == probe.vocabulary[probe.tokens[step]]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=3, sequences=24)
    analyse(folder, params=SMALL)
    first = digest(folder)
    analyse(folder, params=SMALL)
    assert digest(folder) == first


def test_responses_along_training_are_the_mean_changes_of_each_epoch(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=5, sequences=30, units=6)
    units = replace(SMALL.units, most_numbers=3 * 42 * 6)  # room for three of the five epochs
    analyse(folder, params=replace(SMALL, units=units))
    found, words, probe = folder.result(Units, 0), folder.result(Words), folder.probe()
    assert isinstance(found, Units) and isinstance(words, Words)
    assert found.epochs.tolist() == [folder.epochs()[place] for place in (0, 2, 4)]
    np.testing.assert_array_equal(found.response_by_epoch[-1], found.response)
    for epoch, response in zip(found.epochs, found.response_by_epoch, strict=True):
        states = folder.checkpoint(int(epoch)).states[found.scope].astype(np.float64)
        parts = np.split(states, probe.offsets[1:-1])
        delta = np.concatenate([np.diff(part, axis=0, prepend=np.zeros((1, 6))) for part in parts])
        for word, token in enumerate(words.tokens):
            np.testing.assert_allclose(response[word], delta[probe.tokens == token].mean(axis=0), atol=1e-5)


def test_a_checkpoint_is_read_once_for_the_responses_of_all_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=5, sequences=30, units=6)
    probe, read, own = folder.probe(), [], RunFolder.checkpoint
    monkeypatch.setattr(RunFolder, "checkpoint", lambda run, epoch: read.append(epoch) or own(run, epoch))
    widths = dict.fromkeys(folder.manifest().state_keys, 6)
    found = earlier_responses(folder, widths, probe, probe.tokens, len(probe.vocabulary), UnitParams())
    assert read == folder.epochs()[:-1] and len(widths) == 2
    assert [list(epochs) for epochs in found.values()] == [read, read]


def test_displayed_results_share_their_steps(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2)
    params = dataclasses.replace(SMALL, sample=dataclasses.replace(SMALL.sample, max_steps=200))
    analyse(folder, params=params)
    sequences, words, units, projection = (
        folder.result(Sequences),
        folder.result(Words),
        folder.result(Units, scope=0),
        folder.result(Projection),
    )
    assert isinstance(sequences, Sequences) and isinstance(words, Words)
    assert isinstance(units, Units) and isinstance(projection, Projection)
    steps = int(sequences.lengths.sum())
    assert 186 <= steps <= 200
    assert len(words.step_words) == len(units.activation) == projection.coordinates.shape[1] == steps
    probe, last = folder.probe(), folder.checkpoint(1)
    place = np.concatenate([np.arange(probe.offsets[n], probe.offsets[n + 1]) for n in sequences.probe_index])
    np.testing.assert_array_equal(units.activation, last.states["lstm.0.fwd.c"][place])
    np.testing.assert_array_equal(sequences.step_output[-1], last.step_output[place])
    shown = [words.names[word] for word in words.step_words]
    assert shown == [probe.vocabulary[token] for token in probe.tokens[place]]


CORNERS: dict[str, dict[str, object]] = {
    "one sequence": {"sequences": 1},
    "two sequences": {"sequences": 2},
    "one sequence of one step": {"sequences": 1, "steps": (1, 1)},
    "T = 1": {"steps": (1, 1), "sequences": 20},
    "one unit": {"units": 1, "sequences": 20},
    "two units": {"units": 2, "sequences": 20},
    "one epoch": {"epochs": 1, "sequences": 20},
}


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("corner", CORNERS)
def test_corner_cases_give_a_result_or_a_reason(tmp_path: Path, corner: str, continuous: bool) -> None:
    options = {"epochs": 2} | CORNERS[corner]
    folder = fabricate_run(tmp_path / "run", continuous=continuous, **options)  # type: ignore[arg-type]
    analyse(folder, params=SMALL)
    assert_finite_or_unavailable(folder)


@pytest.mark.parametrize("task", get_args(Task))
def test_a_single_step_of_every_task(tmp_path: Path, task: Task) -> None:
    folder = fabricate_run(tmp_path / "run", task=task, sequences=1, steps=(1, 1), epochs=1)
    analyse(folder, params=SMALL)
    assert_finite_or_unavailable(folder)


def test_constant_states(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30)
    rewrite(folder, lambda one: with_states(one, np.zeros_like))
    analyse(folder, params=SMALL)
    assert_finite_or_unavailable(folder)
    assert isinstance(folder.result(Dynamics), Unavailable)
    assert isinstance(folder.result(Projection), Unavailable)
    still = next(check for check in folder.summary().checks if check.id == "still-units")
    assert (still.verdict, still.value, still.n) == ("warn", 48, 48)


def test_states_that_are_not_finite(tmp_path: Path) -> None:
    def damage(states: np.ndarray) -> np.ndarray:
        states = states.copy()
        states[3, 1] = np.nan
        return states

    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30)
    rewrite(folder, lambda one: replace(with_states(one, damage), model_output=one.model_output * np.nan))
    analyse(folder, params=SMALL)
    assert isinstance(folder.result(Units, scope=0), Unavailable)
    assert isinstance(folder.result(Projection), Unavailable)
    summary = folder.summary()
    assert summary.verdict == "fail"
    assert next(check for check in summary.checks if check.id == "states-finite").value == 1
    sequences = folder.result(Sequences)
    assert isinstance(sequences, Sequences)
    assert (sequences.predicted == -1).all() and (sequences.confidence == 0).all()


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_state_far_beyond_all_others(tmp_path: Path, epoch: int) -> None:
    """At the first or at the last epoch: its distances leave none of the others."""
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30)
    checkpoint = folder.checkpoint(epoch)
    for states in checkpoint.states.values():
        states[3, 1] = -1e30
    folder.write_checkpoint(checkpoint)
    analyse(folder, params=SMALL)
    found = folder.result(Projection)
    assert isinstance(found, Unavailable) == (epoch == 1)
    assert not isinstance(found, Unavailable) or "beyond 1e+15 at a displayed step" in found.reason
    gather(folder.as_one())  # everything that was found fits together


def test_no_head_no_labels(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30)
    nothing = np.zeros((0, 0), np.float32)
    rewrite(folder, lambda one: replace(one, step_output=nothing, model_output=nothing))
    folder.write_probe(replace(folder.probe(), labels=np.zeros(0, np.int32)))
    analyse(folder, params=SMALL)
    performance, sequences = folder.result(Performance), folder.result(Sequences)
    assert isinstance(performance, Performance) and performance.metrics == {}
    assert isinstance(sequences, Sequences) and sequences.step_output.shape == (0, 0, 0)
    assert {check.id: check.verdict for check in folder.summary().checks}["prediction-verified"] == "warn"


def test_one_class_present(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30)
    folder.write_probe(replace(folder.probe(), labels=np.zeros(30, np.int32)))
    analyse(folder, params=SMALL)
    assert_finite_or_unavailable(folder)
    performance = folder.result(Performance)
    assert isinstance(performance, Performance) and performance.metrics["majority_share"]["value"] == 1


def test_values_that_are_not_finite_have_no_prototypes(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1, sequences=10, continuous=True)
    probe = folder.probe()
    probe.values[0, 0] = np.inf
    folder.write_probe(probe)
    analyse(folder, params=SMALL)
    for kind, scope in ((Words, None), (Units, 0), (Units, 1)):
        found = folder.result(kind, scope)
        assert isinstance(found, Unavailable) and "not finite" in found.reason


def test_a_run_without_epochs_is_refused(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=0)
    with pytest.raises(InputError, match="no recorded epoch"):
        analyse(folder)


def assert_finite_or_unavailable(folder: RunFolder) -> None:
    """Only fields that document NaN may hold it."""
    may_be_nan = {
        "links",
        "kept_by_cluster",
        "standard_error",
        "stability",
        "cut",
        "kept_rate",
        "distance",
        "surprisal",
        "history",
    }
    may_be_nan |= {"truths", "within_step", "within_unit", "alignment", "change", "purity"}
    may_be_nan |= {"halfway", "halfway_step", "early", "margin", "reliability", "values"}
    results = [folder.result(kind) for kind in (*PER_RUN, Decisions)]
    results += [folder.result(kind, scope=scope) for kind in (Units, UnitMap) for scope in range(2)]
    for result in results:
        if isinstance(result, Unavailable):
            assert result.reason
            continue
        for field in dataclasses.fields(result):
            value = getattr(result, field.name)
            if isinstance(value, np.ndarray) and field.name not in may_be_nan:
                assert np.isfinite(value).all(), (result.analysis, field.name)
    assert folder.summary().checks


def test_gates_are_analysed_by_their_value_after_the_states_and_forgotten_with_them(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30, units=6)
    probe, last = folder.probe(), folder.checkpoint(1)
    gate = (0.5 + 0.5 * last.states["lstm.0.fwd.h"]).astype(np.float32)
    folder.write_record(Gates(1, {"lstm.0.fwd.f": gate, "lstm.0.fwd.i": 1 - gate}))
    analyse(folder, params=ROUGH)
    found, words = folder.result(Units, 2), folder.result(Words)
    assert isinstance(found, Units) and isinstance(words, Words) and found.scope == "lstm.0.fwd.f"
    for word, token in enumerate(words.tokens):
        np.testing.assert_allclose(found.response[word], gate[probe.tokens == token].mean(axis=0), atol=1e-6)
    assert found.epochs.tolist() == [1] and folder.has_result(UnitMap, 3)
    shown = [units.scope for units in gather(folder).units]
    assert shown == [*folder.manifest().state_keys, "lstm.0.fwd.f", "lstm.0.fwd.i"]
    folder.write_checkpoint(dataclasses.replace(last, epoch=2))  # the gates are no longer those of the last epoch
    analyse(folder, params=ROUGH)
    assert not folder.has_result(Units, 2) and len(gather(folder).units) == 2
