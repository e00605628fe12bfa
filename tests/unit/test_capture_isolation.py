"""After a recording a model is bit for bit what it was, whatever it does to itself while it runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnreport.capture.recorder import Recorder
from rnnreport.results.recorded import Probe

torch.set_num_threads(1)

V, H, K = 7, 5, 2
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")


class Packed(nn.Module):
    def __init__(self, layers: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(V, 4), nn.Linear(2 * H, K)
        self.rnn = nn.LSTM(4, H, layers, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        inputs = pack_padded_sequence(self.embed(tokens), lengths, batch_first=True, enforce_sorted=False)
        output: Tensor = self.head(pad_packed_sequence(self.rnn(inputs)[0], batch_first=True)[0].mean(dim=1))
        return output


def probe() -> Probe:
    rng = np.random.default_rng(0)
    lengths = np.array([3, 5, 3, 1], np.int32)
    return Probe(
        task="classification",
        sequence_ids=("a", "b", "c", "d"),
        lengths=lengths,
        tokens=rng.integers(1, V, lengths.sum()).astype(np.int32),  # never 0, the padding
        values=np.zeros((0, 0), np.float32),
        labels=np.array([0, 1, 0, 1], np.int32),
        targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32),
        vocabulary=tuple(f"w{number}" for number in range(V)),
        class_names=("no", "yes"),
        feature_names=(),
        sampled_from=4,
    )


class Net(nn.Module):
    """Changes itself in every way: buffers, attributes, random numbers, a state for the next batch."""

    def __init__(self, change: Callable[[nn.LSTM], nn.Module] = lambda rnn: rnn) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(V, 4, padding_idx=0), change(nn.LSTM(4, H)), nn.Linear(H, K)
        self.norm = nn.BatchNorm1d(H)
        self.register_buffer("passes", torch.zeros(1))
        self.count, self.last = 0, torch.ones(2)
        self.carried: Any = None

    def forward(self, tokens: Tensor) -> Tensor:
        self.passes += 1
        self.count += 1
        torch.rand(1), random.random(), np.random.rand()
        output, self.carried = self.rnn(self.embed(tokens).transpose(0, 1), self.carried)
        self.last = output[-1]
        return self.head(self.norm(output[-1]))  # type: ignore[no-any-return]


class WeightDrop(nn.Module):
    def __init__(self, rnn: nn.LSTM) -> None:
        super().__init__()
        self.module = rnn
        self.raw = nn.Parameter(rnn._parameters.pop("weight_hh_l0").data)  # type: ignore[union-attr]

    def forward(self, inputs: Tensor, hx: Any) -> Any:
        self.module.weight_hh_l0 = nn.functional.dropout(self.raw, 0.5, self.training)  # type: ignore[assignment]
        return self.module.forward(inputs, hx)


def parametrised(rnn: nn.LSTM) -> nn.LSTM:
    nn.utils.parametrizations.spectral_norm(rnn, "weight_hh_l0")  # its buffers move in every pass in training mode
    return rnn


CHANGES = {"plain": lambda rnn: rnn, "weight-drop": WeightDrop, "parametrised": parametrised}


def picture(model: nn.Module) -> list[Any]:
    """What must not change, as values that compare bit for bit."""
    modules = list(model.modules())
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    plain = [sorted(set(module.__dict__) - {"training"}) for module in modules]
    return [
        [(name, id(tensor), tensor.detach().numpy().tobytes()) for name, tensor in tensors.items()],
        [(name, parameter.requires_grad, parameter.grad) for name, parameter in model.named_parameters()],
        [module.training for module in modules],
        [list(getattr(module, hook)) for module in modules for hook in HOOKS],
        [id(module.__dict__.get("forward")) for module in modules],
        plain,
        [id(getattr(model, name)) for name in ("last", "carried")] + [getattr(model, "count", None)],
        torch.get_rng_state().tolist(),
        random.getstate(),
        str(np.random.get_state()),
    ]


@pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous chunk")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("training", [True, False])
def test_a_recording_leaves_no_trace(change: str, training: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net(CHANGES[change])
    model.train(training)
    model.norm.eval()  # a mode of its own
    model.embed.requires_grad_(False)
    model.head.register_forward_hook(lambda *_: None)
    before = picture(model)
    Recorder(model, probe(), tmp_path / "run").record(0)
    assert picture(model) == before
    model(torch.ones(3, 4, dtype=torch.int64)).sum().backward()  # and it trains on


def test_a_failing_model_is_left_alone_too(tmp_path: Path) -> None:
    model = Net()
    recorder = Recorder(model, probe(), tmp_path / "run")
    model.head = nn.Linear(H + 1, K)
    before = picture(model)
    with pytest.raises(Exception, match="shapes cannot be multiplied"):
        recorder.record(0)
    assert picture(model) == before


def test_mixed_precision_around_the_recorder_stays_outside(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net()
    plain = Recorder(model, probe(), tmp_path / "run").capture(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = Recorder(model, probe(), tmp_path / "run").capture(0)
        assert torch.is_autocast_enabled("cpu")
    for key, values in plain.states.items():
        np.testing.assert_array_equal(other.states[key], values)
    np.testing.assert_array_equal(other.step_output, plain.step_output)


class Mixed(nn.Module):
    """Runs in another precision than that of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.linear, self.head = nn.Embedding(V, 4), nn.Linear(4, 4), nn.Linear(H, K)
        self.rnn = nn.LSTM(4, H, 2, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states, (_, self.cells) = self.rnn(self.linear(self.embed(tokens)))
            self.states = states
            output: Tensor = self.head(states[:, -1])
            return output


def test_mixed_precision_within_the_model_is_recorded_as_the_model_ran(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Mixed()
    states = Recorder(model, probe(), tmp_path / "run").capture(0).states
    tokens = torch.from_numpy(probe().tokens[:3]).long()[None]
    with torch.no_grad():
        model(tokens)
    assert model.states.dtype == torch.bfloat16
    recorded = states["rnn.1.fwd.h"]
    np.testing.assert_array_equal(recorded, torch.from_numpy(recorded).bfloat16().float().numpy())
    # some processors round the products of one sequence otherwise than those of a batch: two units of the last place
    np.testing.assert_allclose(recorded[:3], model.states[0].float().numpy(), rtol=2**-6, atol=0)
    for layer in (0, 1):  # the cells follow from states that were rounded
        np.testing.assert_allclose(states[f"rnn.{layer}.fwd.c"][2], model.cells[layer, 0].float().numpy(), atol=5e-3)


@pytest.mark.parametrize("layers", [1, 2])
def test_nothing_is_made_on_the_default_device(layers: int, tmp_path: Path) -> None:
    """What is made without a device would be on "meta", where there are no numbers, or on the GPU of the user."""
    torch.manual_seed(0)
    model = Packed(layers)
    plain = Recorder(model, probe(), tmp_path / "run").capture(0)
    with torch.device("meta"):
        other = Recorder(model, probe(), tmp_path / "run").capture(0)
    assert len(plain.states) == 4 * layers
    for key, values in plain.states.items():
        np.testing.assert_array_equal(other.states[key], values)


def test_no_pad_reaches_the_model(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net()
    plain = Recorder(model, probe(), tmp_path / "run").capture(0)
    with torch.no_grad():
        model.embed.weight[0] = torch.nan
    other = Recorder(model, probe(), tmp_path / "run").capture(0)
    assert {key: len(values) for key, values in plain.states.items()} == {"rnn.0.fwd.h": 12, "rnn.0.fwd.c": 12}
    for key, values in plain.states.items():
        np.testing.assert_array_equal(other.states[key], values)
    np.testing.assert_array_equal(other.model_output, plain.model_output)
    np.testing.assert_array_equal(other.step_output, plain.step_output)
