"""One step of the recurrent layers and its derivatives, against torch's own modules, autograd and vmap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnnreport.capture.inspection import inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.probe import make_probe
from rnnreport.capture.visited import visit
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from tests.motion_nets import evidence_corpus

KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "tanh": (nn.RNN, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
    "gru": (nn.GRU, {}),
    "lstm": (nn.LSTM, {}),
    "projected": (nn.LSTM, {"proj_size": 3}),
}
CORPUS = evidence_corpus(2, 12)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")


class Net(nn.Module):
    def __init__(self, rnn: nn.RNNBase, width: int | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.rnn = rnn
        self.head = nn.Linear(width or rnn.proj_size or rnn.hidden_size, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


class CellStack(nn.Module):
    """Two layers of cells in a loop, and what is done to the lower one's state on the way up."""

    def __init__(self, between: nn.Module | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.cells = nn.ModuleList([nn.LSTMCell(4, 5), nn.LSTMCell(5, 6)])
        self.between = between or nn.Identity()
        self.head = nn.Linear(6, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        states: list[Any] = [None, None]
        for given in self.embedding(tokens).unbind(1):
            states[0] = self.cells[0](given, states[0])
            states[1] = self.cells[1](self.between(states[0][0]), states[1])
        return self.head(states[1][0])


class Forgetting(Net):
    """Halves the state after every step, which is no part of the cell."""

    def forward(self, tokens: Tensor) -> Tensor:
        state = None
        for given in self.embedding(tokens).split(1, dim=1):
            _, state = self.rnn(given, state)
            state = state * 0.5
        return self.head(state[-1])


def visited(model: nn.Module, corpus: Corpus = CORPUS, layers: tuple[str, ...] = ()):
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    model.eval()
    probe = make_probe(corpus)
    with untouched(model):
        found = inspect_model(model, probe, None, None, 64, layers)
        return visit(model, probe, found, np.arange(len(probe.lengths))), found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_derivatives_are_those_of_autograd_through_torchs_own_module(kind: str, layers: int, bias: bool) -> None:
    cell, options = KINDS[kind]
    rnn = cell(4, 5, num_layers=layers, bias=bias, batch_first=True, **options)
    seen, _ = visited(Net(rnn))
    system, widths = seen.system, [width for layer in seen.system.layers for width in layer.widths]
    rnn = rnn.double()
    several = 2 if isinstance(rnn, nn.LSTM) else 1

    def own(s: Tensor, x: Tensor) -> Tensor:
        parts = s.split(widths)
        states = [torch.stack(parts[kind::several])[:, None] for kind in range(several)]
        _, after = rnn(x[None, None], tuple(states) if several == 2 else states[0])
        after = after if several == 2 else (after,)
        return torch.cat([state[layer, 0] for layer in range(layers) for state in after])

    s, x = seen.before[3:6], seen.inputs[3:6]
    by_state, by_input = system.derivatives(s, x)
    for row in range(len(s)):
        expected, expected_input = torch.autograd.functional.jacobian(own, (s[row], x[row]))
        torch.testing.assert_close(by_state[row], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(by_input[row], expected_input, rtol=0, atol=1e-10)
    torch.testing.assert_close(system.step(s, x), torch.stack([own(a, b) for a, b in zip(s, x, strict=True)]))
    frame = torch.randn(len(s), 3, system.size, dtype=torch.float64)
    torch.testing.assert_close(system.moved(s, x, frame), (by_state @ frame.mT).mT, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["tanh", "gru", "lstm"])
def test_moving_directions_takes_as_much_as_steps_of_the_net(kind: str) -> None:
    """So it grows as the weights do; the matrices of derivatives of two layers take a product, cubic in the units."""
    cell, options = KINDS[kind]
    seen, _ = visited(Net(cell(4, 64, num_layers=2, batch_first=True, **options)))
    s, x = seen.before[:1], seen.inputs[:1]
    with FlopCounterMode(display=False) as step:
        seen.system.step(s, x)
    with FlopCounterMode(display=False) as moving:
        seen.system.moved(s, x, torch.ones(1, 3, seen.system.size, dtype=torch.float64))
    once = step.get_total_flops()
    assert 0 < moving.get_total_flops() <= (3 + 2) * once  # directions; the sums and the step they are moved at


@pytest.mark.parametrize("kind", ["tanh", "gru", "lstm"])
def test_derivatives_are_those_of_vmap(kind: str) -> None:
    cell, options = KINDS[kind]
    seen, _ = visited(Net(cell(4, 5, num_layers=2, batch_first=True, **options)))

    def one(s: Tensor, x: Tensor) -> Tensor:
        return seen.system.step(s[None], x[None])[0]

    expected = torch.func.vmap(torch.func.jacrev(one, argnums=(0, 1)))(seen.before, seen.inputs)
    torch.testing.assert_close(seen.system.derivatives(seen.before, seen.inputs), expected)


def test_cells_in_a_loop_are_one_step_of_all_their_layers() -> None:
    seen, found = visited(CellStack())
    assert [str(key) for key in seen.system.keys] == [
        f"cells.{layer}.0.fwd.{kind}" for layer in range(2) for kind in "hc"
    ]
    assert {str(key) for key in found.widths} == {str(key) for key in seen.system.keys}
    assert seen.system.size == 2 * 5 + 2 * 6 and seen.remark == ""
    assert seen.system.hidden == slice(10, 16)


def test_a_layer_that_reads_something_else_than_states_is_looked_at_alone_and_that_is_said() -> None:
    seen, _ = visited(CellStack(nn.Linear(5, 5)))
    assert seen.system.size == 2 * 6
    assert "cells.1 alone" in seen.remark


def test_of_both_directions_it_is_the_forward_one_of_the_last_layer() -> None:
    net = Net(nn.GRU(4, 5, num_layers=2, bidirectional=True, batch_first=True), width=10)
    seen, _ = visited(net)
    assert [str(key) for key in seen.system.keys] == ["rnn.1.fwd.h"]
    assert seen.system.features == 10
    assert "forward direction of layer 2 alone" in seen.remark


def test_what_is_no_step_of_a_cell_is_refused() -> None:
    with pytest.raises(InputError, match="whose step is not known"):
        visited(Net(nn.GRU(4, 5, batch_first=True)), layers=("embedding",))
    with pytest.raises(InputError, match="changes a state between two steps"):
        visited(Forgetting(nn.GRU(4, 5, batch_first=True)))
