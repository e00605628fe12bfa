"""Watching and replay: every way to run a recurrent layer gives torch's own states, cells and gates."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import EVERYTHING, replay
from rnnreport.capture.stitching import stitch
from rnnreport.capture.watching import watched
from rnnreport.errors import InputError
from rnnreport.results.recorded import StateKey

torch.set_num_threads(1)


def calls_of(model: nn.Module, inputs: Tensor, steps: int = 0) -> list[RecurrentCall]:
    with torch.no_grad(), watched(model) as seen:
        model(inputs)
    return stitch(seen.pieces, steps or len(inputs))


def test_cells_and_gates_equal_the_lstm_cell() -> None:
    torch.manual_seed(0)
    module, cell = nn.LSTM(4, 6), nn.LSTMCell(4, 6)
    for name, parameter in cell.named_parameters():
        parameter.data.copy_(getattr(module, f"{name}_l0"))
    inputs = torch.randn(21, 3, 4)
    states = replay(calls_of(module, inputs)[0])
    h = c = torch.zeros(3, 6)
    with torch.no_grad():
        for step in range(21):
            h, c = cell(inputs[step], (h, c))
            torch.testing.assert_close(states[StateKey("model", 0, "fwd", "h")][:, step], h, rtol=0, atol=1e-6)
            torch.testing.assert_close(states[StateKey("model", 0, "fwd", "c")][:, step], c, rtol=0, atol=1e-6)


def test_double_precision_is_kept() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(4, 6, 2).double()
    inputs = torch.randn(30, 3, 4, dtype=torch.float64)
    with torch.no_grad():
        _, (_, c_n) = module(inputs)
    states = replay(calls_of(module, inputs)[0])
    for layer in range(2):
        last = states[StateKey("model", layer, "fwd", "c")][:, -1]
        torch.testing.assert_close(last, c_n[layer], rtol=0, atol=1e-12)


class InPlace(nn.Module):
    """Spoils its input and its states after use, as dropout or masking in place does."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.GRU(3, 4, batch_first=True)
        self.second = nn.LSTM(4, 5, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        middle, _ = self.first(input=inputs, hx=torch.ones(1, len(inputs), 4))
        inputs.zero_()
        output, _ = self.second(middle)
        middle.zero_()
        final = output.sum(1)
        output.zero_()
        return final


def test_copies_are_out_of_reach_of_in_place_operations() -> None:
    torch.manual_seed(0)
    model = InPlace()
    inputs = torch.randn(2, 7, 3)
    with torch.no_grad():
        middle, _ = model.first(inputs, torch.ones(1, 2, 4))
        expected, _ = model.second(middle)
    calls = calls_of(model, inputs.clone(), 7)
    assert [call.name for call in calls] == ["first", "second"]
    found = [replay(call)[StateKey(call.name, 0, "fwd", "h")] for call in calls]
    assert torch.equal(found[0], middle) and torch.equal(found[1], expected)
    last = replay(calls[1], EVERYTHING)
    i, f, g = (last[StateKey("second", 0, "fwd", kind)][:, 0] for kind in "ifg")
    assert torch.equal(last[StateKey("second", 0, "fwd", "c")][:, 0], i * g + f * 0)


def test_nothing_stays_on_the_modules_even_when_the_model_fails() -> None:
    model = InPlace()
    own = model.first.forward
    model.first.forward = lambda *given, **named: own(*given, **named)
    before = [dict(module.__dict__) for module in model.modules()]
    with pytest.raises(RuntimeError), watched(model):
        model(torch.randn(2, 7, 99))
    assert [dict(module.__dict__) for module in model.modules()] == before


def test_dropout_between_layers_cannot_be_repeated() -> None:
    module = nn.LSTM(3, 4, 2, dropout=0.5).train()
    with pytest.raises(InputError, match="dropout between its layers"):
        replay(calls_of(module, torch.randn(5, 2, 3))[0])


KINDS = {"tanh": nn.RNNCell, "relu": partial(nn.RNNCell, nonlinearity="relu"), "gru": nn.GRUCell, "lstm": nn.LSTMCell}
WHOLE = {"tanh": nn.RNN, "relu": partial(nn.RNN, nonlinearity="relu"), "gru": nn.GRU, "lstm": nn.LSTM}


class Loop(nn.Module):
    """Layers of cells, stepped by hand over (T, B, D), from zeros or a given state."""

    def __init__(self, kind: str, layers: int, bias: bool, given: bool) -> None:
        super().__init__()
        self.cells = nn.ModuleList([KINDS[kind](4 if layer == 0 else 5, 5, bias=bias) for layer in range(layers)])
        self.given = given

    def initial(self, sequences: int) -> list[Any]:
        if not self.given:
            return [None for _ in self.cells]
        states = torch.linspace(-1, 1, len(self.cells) * sequences * 5).reshape(-1, sequences, 5)
        double = isinstance(self.cells[0], nn.LSTMCell)
        return [(state, state / 2) if double else state for state in states.to(self.cells[0].weight_ih)]

    def forward(self, inputs: Tensor) -> Tensor:
        states = self.initial(inputs.shape[1])
        for values in inputs:
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(values, states[layer])
                values = states[layer][0] if isinstance(states[layer], tuple) else states[layer]
        return values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loops_over_cells_equal_the_whole_layers(kind: str, bias: bool, given: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    loop = Loop(kind, 3, bias, given).to(dtype)
    inputs = torch.randn(17, 2, 4, dtype=dtype)
    calls = calls_of(loop, inputs)
    assert [(call.name, call.steps, call.sequences, call.units) for call in calls] == [
        (f"cells.{layer}", 17, 2, 5) for layer in range(3)
    ]
    initial = loop.initial(2)
    for layer, call in enumerate(calls):
        whole: nn.RNNBase = WHOLE[kind](4 if layer == 0 else 5, 5, bias=bias).to(dtype)
        whole.load_state_dict({f"{name}_l0": value for name, value in loop.cells[layer].state_dict().items()})
        (direct,) = calls_of(lambda_module(whole, initial[layer]), inputs)
        found, expected = replay(call, EVERYTHING), replay(direct, EVERYTHING)
        assert {key.kind for key in found} == {key.kind for key in expected}
        for key, values in expected.items():
            own = found[StateKey(call.name, 0, "fwd", key.kind)]
            torch.testing.assert_close(own, values, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-12)
        inputs = found[StateKey(call.name, 0, "fwd", "h")].transpose(0, 1)


def lambda_module(whole: nn.RNNBase, initial: Any) -> nn.Module:
    """Runs a layer from a state that a cell was given."""

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = whole

        def forward(self, inputs: Tensor) -> Any:
            hx = tuple(state[None] for state in initial) if isinstance(initial, tuple) else initial
            return self.layer(inputs, hx[None] if isinstance(hx, Tensor) else hx)

    return Around()


class Ways(nn.Module):
    """One layer, run in many ways."""

    def __init__(self, way: str, whole: Any) -> None:
        super().__init__()
        self.way = way
        self.part = whole
        if way == "held in a list":
            self.hidden_list = [self.part]
            del self.part

    def forward(self, inputs: Tensor) -> Any:
        if self.way == "held in a list":
            return self.hidden_list[0](inputs)
        if self.way == "forward":
            return self.part.forward(inputs)
        if self.way == "class":
            return type(self.part).forward(self.part, inputs)
        if self.way == "operation":
            zeros = inputs.new_zeros(self.part.num_layers, inputs.shape[1], 5)
            hx = (zeros, zeros) if self.part.mode == "LSTM" else zeros
            operation = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh}[self.part.mode]
            weights = self.part._flat_weights
            return operation(inputs, hx, weights, True, self.part.num_layers, 0.0, False, False, batch_first=False)
        if self.way in ("steps", "chunks"):
            hx, outputs = None, []
            for chunk in inputs.split(1 if self.way == "steps" else 4):
                output, hx = self.part(chunk, hx)
                outputs.append(output)
            return torch.cat(outputs), hx
        packed = pack_padded_sequence(inputs, torch.full((inputs.shape[1],), len(inputs)), enforce_sorted=False)
        return self.part.forward(packed)


@pytest.mark.parametrize("way", ["forward", "class", "operation", "steps", "chunks", "packed", "held in a list"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_every_way_to_run_a_layer_gives_the_same_states(kind: Any, way: str) -> None:
    torch.manual_seed(0)
    whole = kind(4, 5, 2)
    inputs = torch.randn(11, 3, 4)
    expected = replay(calls_of(whole, inputs)[0], EVERYTHING)
    (call,) = calls_of(Ways(way, whole), inputs)
    assert call.name == ("model" if way == "held in a list" else "part")
    found = replay(call, EVERYTHING)
    assert len(found) == len(expected)
    for key, values in expected.items():
        own = found[StateKey(call.name, key.layer, key.direction, key.kind)]
        torch.testing.assert_close(own, values, rtol=0, atol=1e-6)


def test_packed_batches_whose_order_cannot_be_known_are_refused() -> None:
    class Inside(nn.LSTM):
        def forward(self, inputs: Tensor) -> Any:  # type: ignore[override]
            return super().forward(pack_padded_sequence(inputs, torch.tensor([2, 5]), enforce_sorted=False))

    with pytest.raises(InputError, match=r"runs torch\.lstm on a packed batch that it did not receive"):
        calls_of(Inside(3, 4), torch.randn(5, 2, 3))


class WeightDrop(nn.Module):
    """As in AWD-LSTM: the recurrent weights are made anew before every call, which goes past the hooks."""

    def __init__(self, module: nn.LSTM) -> None:
        super().__init__()
        self.module = module
        raw = module.weight_hh_l0
        del module._parameters["weight_hh_l0"]
        self.raw = nn.Parameter(raw.data)

    def forward(self, inputs: Tensor) -> Any:
        keep = torch.arange(self.raw.numel()).reshape(self.raw.shape) % 3 > 0
        self.module.weight_hh_l0 = self.raw * keep  # type: ignore[assignment]
        return self.module.forward(inputs)


def parametrised(module: nn.LSTM) -> nn.Module:
    nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    nn.utils.parametrizations.spectral_norm(module, "weight_ih_l0")
    return module.eval()


@pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous chunk")
@pytest.mark.parametrize("make", [WeightDrop, parametrised])
def test_weights_are_those_of_the_call(make: Any) -> None:
    torch.manual_seed(0)
    module = nn.LSTM(4, 5)
    original = {name: value.clone() for name, value in module.state_dict().items()}
    model, inputs = make(module), torch.randn(9, 3, 4)
    with torch.no_grad():
        output, (_, c_n) = model(inputs)
    (call,) = calls_of(model, inputs)
    states = {key.kind: values.transpose(0, 1) for key, values in replay(call, EVERYTHING).items()}
    assert call.name == ("module" if make is WeightDrop else "model")
    assert torch.equal(states["h"], output)
    torch.testing.assert_close(states["c"][-1], c_n[0], rtol=0, atol=1e-6)
    recomputed = states["o"] * states["c"].tanh()
    torch.testing.assert_close(recomputed, output, rtol=0, atol=1e-6)
    module = nn.LSTM(4, 5)
    module.load_state_dict(original)
    assert not torch.allclose(module(inputs)[0], output, atol=1e-3)


class Twice(nn.Module):
    def __init__(self, part: Any) -> None:
        super().__init__()
        self.part = part

    def forward(self, inputs: Tensor) -> Any:
        return self.part(self.part(inputs)[0])[0]


def test_a_layer_that_runs_twice_has_two_names() -> None:
    torch.manual_seed(0)
    part, inputs = nn.GRU(4, 4), torch.randn(9, 3, 4)
    calls = calls_of(Twice(part), inputs)
    assert [call.name for call in calls] == ["part", "part#2"]
    with torch.no_grad():
        first = part(inputs)[0]
        second = part(first)[0]
    for call, expected in zip(calls, [first, second], strict=True):
        assert torch.equal(replay(call)[StateKey(call.name, 0, "fwd", "h")].transpose(0, 1), expected)


class SharedCell(nn.Module):
    """Two layers with the same cell, step by step; optionally something else is done to the state in between."""

    def __init__(self, changed: bool = False, layers: int = 2) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 4)
        self.changed = changed
        self.layers = layers

    def forward(self, inputs: Tensor) -> Tensor:
        states = [torch.zeros(inputs.shape[1], 4) for _ in range(self.layers)]
        for values in inputs:
            for layer in range(self.layers):
                states[layer] = values = self.cell(values, states[layer])
                if self.changed:
                    states[layer] = states[layer] * 0.9
        return values


def test_steps_of_a_shared_cell_are_told_apart_by_its_states() -> None:
    torch.manual_seed(0)
    model, inputs = SharedCell(), torch.randn(6, 2, 4)
    calls = calls_of(model, inputs)
    assert [(call.name, call.steps) for call in calls] == [("cell", 6), ("cell#2", 6)]
    h = [torch.zeros(2, 4), torch.zeros(2, 4)]
    with torch.no_grad():
        for step, values in enumerate(inputs):
            for layer, call in enumerate(calls):
                h[layer] = values = model.cell(values, h[layer])
                found = replay(call)[StateKey(call.name, 0, "fwd", "h")][:, step]
                torch.testing.assert_close(found, h[layer], rtol=0, atol=1e-6)


def test_a_state_that_is_changed_between_steps_keeps_the_order_of_the_calls() -> None:
    torch.manual_seed(0)
    model, inputs = SharedCell(changed=True, layers=1), torch.randn(6, 2, 4)
    (call,) = calls_of(model, inputs)
    states = {key.kind: values for key, values in replay(call, EVERYTHING).items()}
    h = torch.zeros(2, 4)
    with torch.no_grad():
        for step, values in enumerate(inputs):
            new = model.cell(values, h)
            torch.testing.assert_close(states["h"][:, step], new, rtol=0, atol=1e-6)
            gates = {kind: states[kind][:, step] for kind in "zn"}
            torch.testing.assert_close((1 - gates["z"]) * gates["n"] + gates["z"] * h, new, rtol=0, atol=1e-6)
            h = new * 0.9


def test_runs_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(InputError, match="cell was called 12 times in a batch of 6 steps, for 2 runs"):
        calls_of(SharedCell(changed=True), torch.randn(6, 2, 4))


def test_layers_without_modules_are_told_apart_by_their_weights() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(4)])

        def forward(self, inputs: Tensor) -> Tensor:
            h = [torch.zeros(inputs.shape[1], 4)] * 2
            for values in inputs:
                h[0] = torch.rnn_tanh_cell(values, h[0], self.weights[0], self.weights[1])
                h[1] = torch.rnn_tanh_cell(h[0], h[1], w_ih=self.weights[2], w_hh=self.weights[3])
            return h[1]

    calls = calls_of(Own(), torch.randn(6, 2, 4))
    assert [(call.name, call.steps) for call in calls] == [("weights", 6), ("weights#2", 6)]


@pytest.mark.parametrize("packed", [False, True])
def test_pad_values_change_no_number(packed: bool) -> None:
    torch.manual_seed(0)
    module = nn.LSTM(4, 5, 2, bidirectional=packed)
    lengths = torch.tensor([3, 9, 1, 6])
    inputs = torch.randn(9, 4, 4)
    states = []
    for pad in (0.0, 1e3):
        filled = inputs.masked_fill((torch.arange(9).unsqueeze(1) >= lengths).unsqueeze(2), pad)
        with torch.no_grad(), watched(module) as seen:
            module(pack_padded_sequence(filled, lengths, enforce_sorted=False) if packed else filled)
        states.append(replay(stitch(seen.pieces, 9)[0], EVERYTHING))
    for key, values in states[0].items():
        for sequence, length in enumerate(lengths):
            assert torch.equal(values[sequence, :length], states[1][key][sequence, :length])
