"""Layers run one by one, and gates out of torch's own pass: the model sees what it would have seen."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from rnnreport.capture import replay as replaying
from rnnreport.capture import workspace
from rnnreport.capture.recurrent import Piece, RecurrentCall, Weights
from rnnreport.capture.replay import EVERYTHING, replay
from rnnreport.capture.stitching import stitch
from rnnreport.capture.watching import watched

# torch says once per process that projections take its plain path on a CPU
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

LAYERS = 3


def flat(result: Any) -> list[Tensor]:
    """Output and last states."""
    output, final = result
    data = output.data if isinstance(output, PackedSequence) else output
    return [data, *(final if isinstance(final, tuple) else (final,))]


def run(module: nn.Module, given: Any, **options: Any) -> tuple[list[Tensor], Piece]:
    with torch.no_grad(), watched(module, **options) as seen:
        result = module(*given)
    return flat(result), seen.pieces[0].piece


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "options"), [(nn.LSTM, {}), (nn.LSTM, {"proj_size": 3}), (nn.GRU, {}), (nn.RNN, {})])
def test_layer_by_layer_is_bit_for_bit_what_torch_gives(
    kind: Any, options: dict[str, Any], bidirectional: bool, bias: bool, batch_first: bool, packed: bool
) -> None:
    torch.manual_seed(0)
    module = kind(
        7, 20, LAYERS, bidirectional=bidirectional, bias=bias, batch_first=batch_first, dropout=0.3, **options
    )
    module.eval()
    inputs: Any = pack_sequence([torch.randn(n, 7) for n in (4, 9, 6)], enforce_sorted=False)
    given = (inputs,) if packed else (torch.randn(5, 11, 7),)
    with torch.no_grad():
        expected = flat(module(*given))
    found, piece = run(module, given)
    assert all(torch.equal(own, plain) for own, plain in zip(found, expected, strict=True))
    assert [own.stride() for own in found] == [plain.stride() for plain in expected]
    assert None not in piece.outputs and len(piece.outputs) == LAYERS


def test_no_layer_runs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a layer ran again")

    monkeypatch.setattr(replaying, "_fused", refuse)
    module = nn.GRU(4, 5, LAYERS, bidirectional=True)
    with torch.no_grad(), watched(module) as seen:
        module(torch.randn(6, 2, 4))
    assert len(replay(stitch(seen.pieces, 6)[0])) == 2 * LAYERS


@pytest.mark.parametrize("most_bytes", [2**28, 2**14])  # in one part and in several
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("units", [5, 64])
def test_gates_that_torch_kept_are_those_of_the_states(
    units: int, bias: bool, bidirectional: bool, most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "_MOST_BYTES", most_bytes)
    torch.manual_seed(0)
    module = nn.LSTM(7, units, 2, bias=bias, bidirectional=bidirectional, batch_first=True)
    sides = 2 if bidirectional else 1
    states = [torch.randn(2 * sides, 3, units) for _ in range(2)]
    given = (torch.randn(3, 31, 7), tuple(states))
    plain, computed = run(module, given)
    kept, piece = run(module, given, keep_gates=True)
    assert len(piece.gates) == 2 * sides and not computed.gates
    for own, expected in zip(kept, plain, strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-6)
    found, expected_states = (replay(RecurrentCall("model", (each,)), EVERYTHING) for each in (piece, computed))
    assert set(found) == set(expected_states)
    for key, values in expected_states.items():
        torch.testing.assert_close(found[key], values, rtol=0, atol=1e-6)


def test_states_stay_true_where_the_workspace_is_laid_out_in_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module, given = nn.LSTM(7, 5, 2), (torch.randn(9, 3, 7),)
    expected, _ = run(module, given)
    monkeypatch.setattr(workspace, "_row_of", lambda width: width)
    found, piece = run(module, given, keep_gates=True)
    assert not piece.gates
    assert all(torch.equal(own, plain) for own, plain in zip(found, expected, strict=True))


@pytest.mark.parametrize("wrong", ["i and g", "f and o", "steps", "last cell"])
def test_numbers_that_are_not_the_gates_are_noticed(wrong: str) -> None:
    torch.manual_seed(0)
    module = nn.LSTM(7, 20)
    weights = Weights(module.weight_ih_l0, module.weight_hh_l0, module.bias_ih_l0, module.bias_hh_l0, None)
    zeros = torch.zeros(3, 20)
    with torch.no_grad():
        found = workspace.run_layer(torch.randn(9, 3, 7), weights, zeros, zeros)
    assert found is not None and found.holds()
    i, f, g, o = found.gates.chunk(4, dim=2)
    gates, final = found.gates, found.final
    if wrong == "i and g":  # their product is the same, so the cells are
        gates = torch.cat([g, f, i, o], dim=2)
    elif wrong == "f and o":
        gates = torch.cat([i, o, g, f], dim=2)
    elif wrong == "steps":
        gates = gates.roll(1, 0)
    else:
        final = (final[0], final[1] + 0.01)
    assert not workspace.LayerPass(found.h, workspace.scan(gates, zeros), gates, final).holds()


def test_gates_are_not_kept_where_gradients_may_be_wanted() -> None:
    module = nn.LSTM(4, 5, 2)
    with watched(module, keep_gates=True) as seen:
        output, _ = module(torch.randn(6, 2, 4))
    assert not seen.pieces[0].piece.gates
    output.sum().backward()
    assert module.weight_ih_l0.grad is not None
