"""How far gradients reach: torch's own derivatives of cells by hand, and nets whose derivative is a known power."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.gradient_flow import GradientFlowParams, read_gradient_flow
from rnnreport.capture.recorder import Recorder
from rnnreport.results.causes import GradientFlow
from rnnreport.results.recorded import Floats, Probe, Task
from tests.unit.test_capture_unit_ablation import D, H, K, Net, probe_of

torch.set_num_threads(1)


def read(model: nn.Module, probe: Probe, path: Path, **params: Any) -> GradientFlow:
    recorder = Recorder(model, probe, path / "run")
    return read_gradient_flow(model, probe, recorder.inspection, 1, GradientFlowParams(**params))


def tables(found: GradientFlow, key: str) -> list[Floats]:
    """Of each sequence (J, T)."""
    shapes = list(zip(found.counts.tolist(), found.lengths.tolist(), strict=True))
    cuts = np.cumsum([rows * columns for rows, columns in shapes])[:-1]
    return [values.reshape(shape) for values, shape in zip(np.split(found.norms[key], cuts), shapes, strict=True)]


@pytest.mark.parametrize(("task", "steps"), [("classification", False), ("tagging", True)])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_derivatives_are_torchs_own_of_a_loop_over_cells(kind: str, task: Task, steps: bool, tmp_path: Path) -> None:
    model, probe = Net(kind, steps=steps, tokens=steps).eval(), probe_of(task, 6)
    found = read(model, probe, tmp_path)
    cell = getattr(nn, f"{kind}Cell")(D, H)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.rnn.state_dict().items()})
    ends = np.split(found.steps, np.cumsum(found.counts)[:-1])
    for place, sequence in enumerate(found.sequences):
        rows = slice(probe.offsets[sequence], probe.offsets[sequence + 1])
        given = torch.from_numpy(probe.tokens[rows] if steps else probe.values[rows])
        h, c, seen = torch.zeros(1, H), torch.zeros(1, H), []
        for value in model.embedding(given.long() if steps else given):
            h, c = cell(value[None], (h, c)) if kind == "LSTM" else (cell(value[None], h), c)
            seen.append(h)
        truths = probe.targets[rows] if steps else [probe.labels[sequence]]
        for row, end in enumerate(ends[place]):
            truth = torch.tensor([int(truths[end] if steps else truths[0])])
            loss = nn.functional.cross_entropy(model.head(seen[end]), truth)
            expected = [
                0.0 if each is None else float(each.norm())
                for each in torch.autograd.grad(loss, seen, retain_graph=True, allow_unused=True)
            ]
            np.testing.assert_allclose(tables(found, "rnn.0.fwd.h")[place][row], expected, atol=1e-6)
    if steps:
        assert ends[0].tolist() == list(range(4))


class Power(nn.Module):
    """h_t = factor h_(t-1) + x_t, summed by the head: every derivative is a power of the factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(D, 2, nonlinearity="relu", batch_first=True, bias=False)
        self.head = nn.Linear(2, K)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(factor * torch.eye(2))
            self.rnn.weight_ih_l0.fill_(1.0)
            self.head.weight *= 0.01  # or the largest sums leave no loss to differentiate

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.rnn(values.abs())[0][:, -1])


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_each_step_back_multiplies_by_the_factor(factor: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = read(Power(factor).eval(), probe_of(sequences=8), tmp_path)
    for table in tables(found, "rnn.0.fwd.h"):
        np.testing.assert_allclose(table[0, :-1] / table[0, 1:], factor, rtol=1e-4)


@pytest.mark.parametrize("form", ["LSTM packed", "GRUCell", "LSTM projected"])
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
def test_frozen_nets_of_other_forms_have_the_same_derivatives(form: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"LSTM packed": {"pack": True}, "GRUCell": {}, "LSTM projected": {"proj_size": 2}}[form]
    model, probe = Net(form.split()[0], **options).requires_grad_(False).eval(), probe_of(sequences=6)
    found = read(model, probe, tmp_path)
    assert found.reason == ""
    (key,) = found.scopes
    for place, sequence in enumerate(found.sequences):
        last = torch.from_numpy(probe.values[probe.offsets[sequence] : probe.offsets[sequence + 1]])
        with torch.no_grad():
            logits = model(last[None])[0]
        apart = logits.softmax(0) - nn.functional.one_hot(torch.tensor(int(probe.labels[sequence])), K)
        expected = float((model.head.weight.T @ apart).norm())  # of the last state, from the head alone
        assert tables(found, key)[place][0, -1] == pytest.approx(expected, rel=1e-4)


def test_the_backward_direction_is_given_by_step_too(tmp_path: Path) -> None:
    """The state of a backward layer after step s reaches the answer at an earlier step, and at its own, only."""
    found = read(Net("GRU", steps=True, tokens=True, bidirectional=True), probe_of("tagging", 4), tmp_path)
    ends = np.split(found.steps, np.cumsum(found.counts)[:-1])
    for forward, backward, rows in zip(tables(found, "rnn.0.fwd.h"), tables(found, "rnn.0.rev.h"), ends, strict=True):
        for row, end in enumerate(rows):
            assert (forward[row, : end + 1] > 0).all() and (forward[row, end + 1 :] == 0).all()
            assert (backward[row, end:] > 0).all() and (backward[row, :end] == 0).all()


def test_a_large_model_or_no_answers_say_so(tmp_path: Path) -> None:
    assert "so large" in read(Net("GRU"), probe_of(), tmp_path, multiplications=10).reason
    assert "budget was quick" in read(Net("GRU"), probe_of(), tmp_path, multiplications=0).reason


def test_small_batches_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, probe = Net("LSTM", steps=True, tokens=True).eval(), probe_of("language-model", 8)
    whole = read(model, probe, tmp_path / "whole")
    monkeypatch.setattr("rnnreport.capture.gradient_flow.step_budget", lambda probe: 10)
    parts = read(model, probe, tmp_path / "parts")
    np.testing.assert_array_equal(parts.sequences, whole.sequences)
    np.testing.assert_allclose(parts.norms["rnn.0.fwd.h"], whole.norms["rnn.0.fwd.h"], atol=1e-7)
