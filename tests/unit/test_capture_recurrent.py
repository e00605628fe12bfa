"""Hooks and replay: cells step by step, in-place models, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.recurrent import recorded_calls, refuse_unsupported
from rnnreport.capture.replay import replay
from rnnreport.errors import InputError
from rnnreport.results.schema import StateKey

torch.set_num_threads(1)


def test_cells_and_gates_equal_the_lstm_cell() -> None:
    torch.manual_seed(0)
    module, cell = nn.LSTM(4, 6), nn.LSTMCell(4, 6)
    for name, parameter in cell.named_parameters():
        parameter.data.copy_(getattr(module, f"{name}_l0"))
    inputs = torch.randn(21, 3, 4)
    with torch.no_grad(), recorded_calls(module) as calls:
        module(inputs)
    states = replay(calls[0]).states
    h = c = torch.zeros(3, 6)
    with torch.no_grad():
        for step in range(21):
            h, c = cell(inputs[step], (h, c))
            torch.testing.assert_close(states[StateKey("model", 0, "fwd", "h")][:, step], h, rtol=0, atol=1e-6)
            torch.testing.assert_close(states[StateKey("model", 0, "fwd", "c")][:, step], c, rtol=0, atol=1e-6)


def test_double_precision_is_kept() -> None:
    torch.manual_seed(0)
    module = nn.LSTM(4, 6, 2).double()
    with torch.no_grad(), recorded_calls(module) as calls:
        _, (_, c_n) = module(torch.randn(30, 3, 4, dtype=torch.float64))
    states = replay(calls[0]).states
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
        with recorded_calls(model) as calls:
            model(inputs.clone())
    assert [call.name for call in calls] == ["first", "second"]
    found = [replay(call).states[StateKey(call.name, 0, "fwd", "h")] for call in calls]
    assert torch.equal(found[0], middle) and torch.equal(found[1], expected)
    last = replay(calls[1], gates=True)
    i, f, g = (last.states[StateKey("second", 0, "fwd", kind)][:, 0] for kind in "ifg")
    assert torch.equal(last.states[StateKey("second", 0, "fwd", "c")][:, 0], i * g + f * 0)


def test_hooks_come_off_even_when_the_model_fails() -> None:
    model = InPlace()
    with pytest.raises(RuntimeError), recorded_calls(model):
        model(torch.randn(2, 7, 99))
    for module in model.modules():
        for table in ("_forward_hooks", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"):
            assert not getattr(module, table)


def test_dropout_between_layers_cannot_be_repeated() -> None:
    module = nn.LSTM(3, 4, 2, dropout=0.5).train()
    with recorded_calls(module) as calls:
        module(torch.randn(5, 2, 3))
    with pytest.raises(InputError, match="dropout between its layers"):
        replay(calls[0])


class Unsupported(nn.Module):
    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.part: Any = {"cell": nn.GRUCell(3, 4), "none": nn.Linear(3, 4)}.get(way, nn.GRU(3, 4))

    def forward(self, inputs: Tensor) -> Any:
        if self.way == "twice":
            return self.part(inputs), self.part(inputs)
        return self.part.forward(inputs[0] if self.way == "cell" else inputs)


@pytest.mark.parametrize(
    ("way", "complaint"),
    [
        ("cell", "it steps GRUCell in a loop of its own, which is not supported"),
        ("forward", "it has GRU, but its forward does not call it, or only through .forward"),
        ("none", "it has none"),
        ("twice", "part was called 2 times in one forward pass"),
    ],
)
def test_models_that_cannot_be_watched_say_why(way: str, complaint: str) -> None:
    model = Unsupported(way)
    with recorded_calls(model) as calls:
        model(torch.randn(5, 2, 3))
    with pytest.raises(InputError) as caught:
        refuse_unsupported(model, calls)
    assert complaint in str(caught.value)
