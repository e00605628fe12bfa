"""How long a network remembers, against known gates, processes of known decay and a task of known delay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.analyses.memory import (
    MemoryParams,
    decay,
    effect_curve,
    gate_constants,
    gradient_effects,
    memory_horizon,
)
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import record_once
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Salience, StateKey
from rnnreport.results.schema import Memory

torch.set_num_threads(1)
PARAMS = MemoryParams()


def offsets_of(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


@pytest.mark.parametrize(("forget", "expected"), [(0.9, 9.4912), (0.5, 1.4427)])
def test_time_constants_of_a_gate_of_known_value(forget: float, expected: float, tmp_path: Path) -> None:
    """Statement B5: an LSTM without weights whose forget gate has only a bias."""
    model = Net(nn.LSTM(1, 4, batch_first=True))
    for parameter in model.rnn.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        model.rnn.bias_ih_l0[4:8] = float(np.log(forget / (1 - forget)))
    found = recorded(model, np.random.default_rng(0).integers(0, 2, (6, 8)), tmp_path)
    times = found.gate_times["rnn.0.fwd.h"]
    assert times.shape == (4,)
    np.testing.assert_allclose(times, expected, rtol=0.001)
    np.testing.assert_allclose(found.gate_medians["rnn.0.fwd.h"], expected, rtol=0.001)


def test_the_time_constant_of_a_gru_is_that_of_the_gate_that_keeps_the_old_state(tmp_path: Path) -> None:
    model = Net(nn.GRU(1, 3, batch_first=True))
    for parameter in model.rnn.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        model.rnn.bias_ih_l0[3:6] = float(np.log(0.8 / 0.2))  # z, the second of r, z, n
    found = recorded(model, np.random.default_rng(0).integers(0, 2, (6, 8)), tmp_path)
    np.testing.assert_allclose(found.gate_times["rnn.0.fwd.h"], -1 / np.log(0.8), rtol=0.001)


def test_gates_that_are_always_open_keep_for_ever() -> None:
    times, median = gate_constants(np.ones((6, 2), np.float32), offsets_of([3, 3]), PARAMS)
    assert np.isinf(times).all()
    assert np.isinf(median).all()


def test_autocorrelation_of_a_process_with_known_decay() -> None:
    rng, count, steps = np.random.default_rng(1), 60, 200
    kept = np.array([0.9, 0.5, 0.0])
    states = np.zeros((count, steps, 3))
    states[:, 0] = rng.normal(size=(count, 3)) / np.sqrt(1 - kept**2)
    for t in range(1, steps):
        states[:, t] = kept * states[:, t - 1] + rng.normal(size=(count, 3))
    flat = np.concatenate([states.reshape(-1, 3), np.full((count * steps, 1), 0.3)], axis=1).astype(np.float32)
    times, median = decay(flat, offsets_of([steps] * count), PARAMS)
    # r(k) = kept**k falls below 1/e after -1/ln(kept) steps; between whole steps it is taken as a line
    assert times[0] == pytest.approx(-1 / np.log(0.9), rel=0.1)
    assert times[1] == pytest.approx(1 + (0.5 - 1 / np.e) / 0.25, rel=0.05)
    assert times[2] == pytest.approx(1 - 1 / np.e, rel=0.05)
    assert np.isnan(times[3])  # constant
    assert median[0] == pytest.approx(float(times[1]))
    assert median[1] <= median[0] <= median[2]


def test_a_state_that_only_drifts_has_no_end_of_its_memory() -> None:
    ramp = np.tile(np.repeat([-1.0, 1.0], 20), 4)[:, None].astype(np.float32)
    times, _ = decay(ramp, offsets_of([20] * 8), PARAMS)
    assert np.isinf(times[0])


def test_the_curve_of_effects_and_its_horizon() -> None:
    lags = np.array([0, 1, 2, 4, 8])
    effects = np.tile([4.0, 2.0, 1.6, 1.0, 0.4], (9, 1)) * np.arange(1, 10)[:, None]
    effects[:6, 4] = np.nan  # three sequences reach so far back: too few
    found = effect_curve(lags, effects, PARAMS)
    assert found is not None
    curve, horizon = found
    np.testing.assert_allclose(curve[:, 1], [1, 0.5, 0.4, 0.25])
    np.testing.assert_allclose(curve[:, 2], curve[:, 1])  # every sequence has the same shape
    assert curve[:, 4].tolist() == [9, 9, 9, 9]
    assert horizon.tolist() == [2, 2, 2]
    assert effect_curve(lags, np.zeros((9, 5)), PARAMS) is None


def test_the_interval_resamples_sequences_so_repeating_steps_does_not_narrow_it() -> None:
    """Statement B12."""
    rng = np.random.default_rng(3)
    gate = rng.uniform(0.2, 0.9, (12, 1)).repeat(5, axis=0).astype(np.float32)
    _, once = gate_constants(gate, offsets_of([5] * 12), PARAMS)
    _, twice = gate_constants(gate.repeat(2, axis=0), offsets_of([10] * 12), PARAMS)
    np.testing.assert_allclose(once, twice)
    assert once[1] < once[0] < once[2]


def test_gradients_by_steps_back_are_means_over_diagonals() -> None:
    norms = [np.tril(np.arange(9.0).reshape(3, 3)), np.tril(np.ones((2, 2)))]
    salience = Salience(
        epoch=1,
        scope="rnn.0.fwd.h",
        sequences=np.array([0, 1], np.int32),
        lengths=np.array([3, 2], np.int32),
        norms=np.concatenate([each.ravel() for each in norms]).astype(np.float32),
        directions=4,
        units=4,
        reason="",
    )
    lags, effects = gradient_effects(salience)
    assert lags.tolist() == [0, 1, 2]
    np.testing.assert_allclose(effects[0], [(0 + 4 + 8) / 3, (3 + 7) / 2, 6])
    np.testing.assert_allclose(effects[1, :2], [1, 1])
    assert np.isnan(effects[1, 2])


class Net(nn.Module):
    """Answers from the last state what one of the inputs was, 0 or 1."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.hidden_size, 2)

    def forward(self, bits: Tensor) -> Tensor:
        return self.head(self.rnn(bits)[0][:, -1])


def recorded(model: nn.Module, bits: np.ndarray, tmp_path: Path, delay: int = 0) -> Memory:
    corpus = Corpus(
        name="bits",
        task="classification",
        sequence_ids=tuple(f"s{number}" for number in range(len(bits))),
        inputs=tuple(row[:, None].astype(np.float32) for row in bits),
        labels=bits[:, -1 - delay].astype(np.int32),
        step_targets=(),
        vocabulary=(),
        class_names=("0", "1"),
        feature_names=("bit",),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )
    recorder = Recorder(model.eval(), corpus, tmp_path / "run")
    recorder.record(1)
    record_once(recorder, 1)
    found = memory_horizon(RunFolder(tmp_path / "run"), recorder.probe)
    assert isinstance(found, Memory)
    assert all(StateKey.parse(key) for key in found.decay_times)
    return found


@pytest.mark.slow
def test_a_copy_task_is_remembered_over_its_delay_once_it_is_solved(tmp_path: Path) -> None:
    """Statement B5: the horizon of a change is at least the delay in a net that solves the task, and less before."""
    delay, steps = 6, 10
    torch.manual_seed(0)
    model = Net(nn.GRU(1, 24, batch_first=True))
    bits = np.random.default_rng(5).integers(0, 2, (60, steps))
    before = recorded(model, bits, tmp_path / "before", delay)
    assert before.horizons["output"][0] < delay
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for _ in range(250):
        drawn = torch.randint(0, 2, (64, steps))
        loss = nn.functional.cross_entropy(model(drawn[..., None].float()), drawn[:, -1 - delay])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
    after = recorded(model, bits, tmp_path / "after", delay)
    assert after.horizons["output"][0] == delay
    assert after.horizons["output"][1] >= delay
    at = after.curves["output"][:, 0].tolist().index(delay)
    assert after.curves["output"][at, 1] == 1
    assert f"{delay} steps later" in after.finding
