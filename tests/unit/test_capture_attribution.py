"""What inputs add to answers: a linear net's closed form, torch's own gradients along the path, and completeness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.attribution import AttributionParams, read_attribution
from rnnreport.capture.recorder import Recorder
from rnnreport.results.causes import Attribution
from rnnreport.results.recorded import Floats, Probe, Task
from tests.unit.test_capture_unit_ablation import D, H, K, Net, probe_of

torch.set_num_threads(1)

GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"))


def read(model: nn.Module, probe: Probe, path: Path, **params: Any) -> Attribution:
    recorder = Recorder(model, probe, path / "run")
    return read_attribution(model, probe, recorder.inspection, 1, AttributionParams(**params))


def pieces(found: Attribution, values: Floats) -> list[Floats]:
    return np.split(values, np.cumsum(found.lengths)[:-1])


class Linear(nn.Module):
    """A relu net whose states are always above 0, so that it is linear: a quantity is a weighted sum of the inputs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.rnn = nn.RNN(D, H, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(H, K)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(0.1 * torch.rand(H, H))
            self.rnn.weight_ih_l0.copy_(0.2 * torch.rand(H, D))
            self.rnn.bias_ih_l0.fill_(5.0)

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.rnn(values)[0][:, -1])


def test_both_methods_give_the_closed_form_of_a_linear_net(tmp_path: Path) -> None:
    model, probe = Linear().eval(), probe_of("regression")
    found = read(model, probe, tmp_path)
    assert found.reason == ""
    mean = probe.values.mean(axis=0)
    into, on = (getattr(model.rnn, name).detach().double().numpy() for name in ("weight_ih_l0", "weight_hh_l0"))
    out = model.head.weight.detach().double().numpy()
    for place, sequence in enumerate(found.sequences):
        rows = probe.values[probe.offsets[sequence] : probe.offsets[sequence + 1]].astype(float) - mean
        powers = [np.linalg.matrix_power(on, len(rows) - 1 - step) for step in range(len(rows))]
        expected = [out[found.answers[place]] @ power @ into @ row for power, row in zip(powers, rows, strict=True)]
        np.testing.assert_allclose(pieces(found, found.gradients)[place], expected, atol=2e-6)
        np.testing.assert_allclose(pieces(found, found.occlusion)[place], expected, atol=2e-5)
        assert found.value[place] - found.baseline[place] == pytest.approx(sum(expected), abs=2e-5)
    assert set(found.points.tolist()) == {16}


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_integrated_gradients_are_those_of_torch_along_the_path(kind: str, tmp_path: Path) -> None:
    """A thousand midpoints, through torch's fused layer, of the log odds of the predicted class."""
    model, probe = Net(kind).eval(), probe_of()
    found = read(model, probe, tmp_path)
    mean = torch.from_numpy(probe.values.mean(axis=0))
    for place, sequence in enumerate(found.sequences[:3]):
        values = torch.from_numpy(probe.values[probe.offsets[sequence] : probe.offsets[sequence + 1]])
        shares = (torch.arange(1000) + 0.5) / 1000
        path = (mean + shares[:, None, None] * (values - mean)).requires_grad_()
        with torch.no_grad():
            answer = int(model(values[None])[0].argmax())
        chances = model(path).softmax(1)[:, answer]
        (gradient,) = torch.autograd.grad((chances / (1 - chances)).log().mean(), path)
        expected = (gradient * (values - mean)).sum(dim=(0, 2))
        assert found.answers[place] == answer
        np.testing.assert_allclose(pieces(found, found.gradients)[place], expected, atol=1e-4)


TASKS: list[tuple[Task, bool]] = [
    ("classification", False),
    ("multi-label", False),
    ("regression", False),
    ("tagging", True),
    ("language-model", True),
    ("step-regression", True),
]


@pytest.mark.parametrize(("task", "steps"), TASKS)
@pytest.mark.parametrize("form", ["LSTM", "GRU, both directions", "LSTM packed", "GRUCell"])
def test_the_parts_add_up_whatever_the_task_and_the_layer(task: Task, steps: bool, form: str, tmp_path: Path) -> None:
    """Statement B7, with frozen parameters and in training mode: neither stands in the way, and both stay."""
    tokens = task in ("tagging", "language-model")
    options = {"bidirectional": "both" in form, "pack": "packed" in form} if "Cell" not in form else {}
    model, probe = (
        Net(form.split()[0].rstrip(","), steps=steps, tokens=tokens, **options).requires_grad_(False),
        probe_of(task, 8),
    )
    model.train()
    found = read(model, probe, tmp_path)
    assert found.reason == ""
    assert model.training and not any(parameter.requires_grad for parameter in model.parameters())
    sums = np.array([values.sum() for values in pieces(found, found.gradients)])
    apart = found.value - found.baseline
    large = np.abs(apart) > 1e-3
    assert large.any()
    np.testing.assert_allclose(sums[large], apart[large], rtol=0.02)
    if steps:
        assert (found.steps >= found.lengths // 2).all() and (found.steps < found.lengths).all()
    else:
        assert (found.steps == found.lengths - 1).all()


def test_the_number_is_the_models_own_and_occlusion_puts_the_mean_word_in(tmp_path: Path) -> None:
    model, probe = Net("LSTM", steps=True, tokens=True).eval(), probe_of("tagging", 8)
    found = read(model, probe, tmp_path)
    with torch.no_grad():
        mean = model.embedding.weight[torch.from_numpy(probe.tokens).long()].mean(0)
        for place, sequence in enumerate(found.sequences[:3]):
            rows = slice(probe.offsets[sequence], probe.offsets[sequence + 1])
            tokens = torch.from_numpy(probe.tokens[rows]).long()
            half = len(tokens) // 2
            logits = model(tokens[None])[0]
            losses = nn.functional.cross_entropy(logits, torch.from_numpy(probe.targets[rows]).long(), reduction="none")
            step = half + int(losses[half:].argmax())
            answer = int(logits[step].argmax())
            assert (found.steps[place], found.answers[place]) == (step, answer)

            def number(values: Tensor, step: int = step, answer: int = answer) -> float:
                chance = model.head(model.rnn(values[:, None])[0][:, 0]).softmax(1)[step, answer]
                return float((chance / (1 - chance)).log())

            embedded = model.embedding(tokens)
            assert found.value[place] == pytest.approx(number(embedded), abs=1e-5)
            for left_out in range(len(tokens)):
                changed = embedded.clone()
                changed[left_out] = mean
                fallen = number(embedded) - number(changed)
                assert pieces(found, found.occlusion)[place][left_out] == pytest.approx(fallen, abs=1e-5)


class OneHot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(K, H, batch_first=True), nn.Linear(H, K)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(nn.functional.one_hot(tokens, K).float())[0])


def test_what_cannot_be_explained_says_why(tmp_path: Path) -> None:
    assert "no embedding" in read(OneHot(), probe_of("tagging", 4), tmp_path).reason
    assert "budget was quick" in read(Net("GRU"), probe_of(), tmp_path, multiplications=0).reason
    assert "short enough" in read(Net("GRU"), probe_of(), tmp_path, multiplications=10).reason
    some = read(Net("GRU"), probe_of(), tmp_path, steps=5)
    assert some.skipped == 10
    assert set(some.lengths.tolist()) == {4}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_gradients_come_in_evaluation_mode_on_a_gpu_too(device: str, tmp_path: Path) -> None:
    model, probe = Net("LSTM").eval(), probe_of(sequences=6)
    expected = read(model, probe, tmp_path / "cpu")
    found = read(model.to(device), probe, tmp_path / device)
    assert found.reason == "" and not model.training
    np.testing.assert_allclose(found.gradients, expected.gradients, atol=1e-4)
    np.testing.assert_allclose(found.occlusion, expected.occlusion, atol=1e-4)


def test_small_batches_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, probe = Net("LSTM", steps=True, tokens=True).eval(), probe_of("language-model", 6)
    whole = read(model, probe, tmp_path / "whole")
    monkeypatch.setattr("rnnreport.capture.attribution.step_budget", lambda probe: 24)
    parts = read(model, probe, tmp_path / "parts")
    np.testing.assert_allclose(parts.gradients, whole.gradients, atol=1e-6)
    np.testing.assert_allclose(parts.occlusion, whole.occlusion, atol=1e-6)
