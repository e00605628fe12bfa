"""How long a change of the input is felt, against a register of known length and against running the model by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.perturbation import PerturbationParams, lags_of, read_perturbation
from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Perturbation, Probe

TOKENS, HELD, LENGTHS = 7, 4, (9, 3, 12, 1, 9, 6)


def probe_of(values: bool = False) -> Probe:
    rng = np.random.default_rng(2)
    inputs = (
        tuple(rng.normal(size=(length, 2)).astype(np.float32) for length in LENGTHS)
        if values
        else tuple(rng.integers(0, TOKENS, length).astype(np.int32) for length in LENGTHS)
    )
    return make_probe(
        Corpus(
            name="drawn",
            task="classification",
            sequence_ids=tuple(f"s{number}" for number in range(len(LENGTHS))),
            inputs=inputs,
            labels=rng.integers(0, 2, len(LENGTHS)).astype(np.int32),
            step_targets=(),
            vocabulary=() if values else tuple("abcdefg"),
            class_names=("no", "yes"),
            feature_names=("x", "y") if values else (),
            skipped={},
            unknown_tokens=0,
            sha256="",
        )
    )


class Register(nn.Module):
    """Holds the last four tokens, one after the other, and forgets the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.held = nn.Identity()
        self.head = nn.Linear(TOKENS * HELD, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        codes = nn.functional.one_hot(tokens, TOKENS).float()
        padded = nn.functional.pad(codes, (0, 0, HELD - 1, 0))
        states = self.held(torch.cat([padded[:, k : k + codes.shape[1]] for k in range(HELD)], dim=2))
        return self.head(states[:, -1])


class Gru(nn.Module):
    def __init__(self, inputs: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(inputs, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.rnn(values)[0][:, -1])


def read(model: nn.Module, probe: Probe, path: Path, params: PerturbationParams, **options: object) -> Perturbation:
    recorder = Recorder(model.eval(), probe, path, **options)  # type: ignore[arg-type]
    return read_perturbation(recorder.model, probe, recorder.inspection, recorder.capture(1), params)


def test_a_register_of_four_tokens_feels_a_change_for_four_steps(tmp_path: Path) -> None:
    found = read(Register(), probe_of(), tmp_path / "run", PerturbationParams(), layers=["held"])
    assert found.reason == ""
    assert sorted(found.sequences.tolist()) == [0, 1, 2, 4, 5]  # the sequence of one step has no step before its last
    known = np.isfinite(found.state)
    assert known.sum(axis=1).tolist() == [LENGTHS[place] for place in found.sequences]
    np.testing.assert_allclose(
        found.state[:, :HELD][known[:, :HELD]], np.sqrt(2), rtol=1e-6
    )  # another token, each time
    assert (found.state[:, HELD:][known[:, HELD:]] == 0).all()
    assert (found.output[:, HELD:][known[:, HELD:]] < 1e-7).all()  # a row depends on its place by a rounding
    assert (found.output[:, :HELD][known[:, :HELD]] > 0).all()


def test_values_are_those_of_other_steps_and_distances_those_of_the_model_itself(tmp_path: Path) -> None:
    probe, model = probe_of(values=True), Gru()
    probe = replace(probe, values=np.where(np.arange(len(probe.values))[:, None] == 0, probe.values, probe.values[-1]))
    params = PerturbationParams(replacements=400)
    found = read(model, probe, tmp_path / "run", params)
    place = int(found.sequences[0])
    series = torch.from_numpy(probe.values[probe.offsets[place] : probe.offsets[place + 1]])[None]
    kinds, counts = np.unique(probe.values, axis=0, return_counts=True)
    with torch.no_grad():
        plain = model.rnn(series)[0][0, -1]
        for column in range(series.shape[1]):
            moved = []
            for value in kinds:
                other = series.clone()
                other[0, -1 - column] = torch.from_numpy(value)
                moved.append(float((model.rnn(other)[0][0, -1] - plain).norm()))
            expected = np.average(moved, weights=counts)
            spread = np.sqrt(np.average((np.array(moved) - expected) ** 2, weights=counts) / params.replacements)
            assert abs(found.state[0, column] - expected) <= 5 * spread + 1e-6


def test_a_large_model_reads_fewer_sequences_or_says_why_none(tmp_path: Path) -> None:
    some = read(Gru(), probe_of(values=True), tmp_path / "run", PerturbationParams(multiplications=3e4))
    assert 0 < some.sequences.size < 5
    none = read(Gru(), probe_of(values=True), tmp_path / "none", PerturbationParams(multiplications=10))
    assert "short enough for a model of this size" in none.reason
    assert none.state.shape == (0, 1)


@pytest.mark.parametrize("length", [1, 2, 17, 18, 100, 5000])
def test_lags_begin_at_the_last_step_and_end_at_the_first(length: int) -> None:
    lags = lags_of(length, 16)
    assert lags[0] == 0
    assert lags[-1] == length - 1
    assert (np.diff(lags) > 0).all()
    assert len(lags) <= 17 + 6 * max(0, np.log2(length / 16))
