"""Every layer's states, cells and gates from one observed call.

torch returns the states of the last layer only, and the cells of the last step only. The rest follows exactly:

* each layer and direction is one fused call with that layer's weights (the last layer's states are torch's own output);
* with h known at every step, the gates need no recurrence: they are matrix products over all steps, taken in blocks of
  steps that fit the cache;
* the cell of an LSTM is then an element-wise scan, c_t = f_t c_(t-1) + i_t g_t.

LSTM (gate order i, f, g, o): h_t = o_t tanh(c_t), times W_hr where there is a projection.
GRU (gate order r, z, n): n_t = tanh(W_in x_t + b_in + r_t (W_hn h_(t-1) + b_hn)), h_t = (1 - z_t) n_t + z_t h_(t-1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rnnreport.capture.layers import LayerCall
from rnnreport.capture.recurrent import Piece, RecurrentCall, Weights, padded
from rnnreport.errors import InputError
from rnnreport.results.recorded import StateKey

_BLOCK_STEPS = 8
Direction = Literal["fwd", "rev"]
_Found = dict[tuple[int, Direction, str], Tensor]  # by layer, direction and kind; (T, B, H)


@dataclass(frozen=True)
class Replayed:
    """States of one call.

    Attributes
    ----------
    states : dict of StateKey to Tensor (B, T, H), sequences in the order in which the model was given them; kind "h"
        always, "c" for an LSTM, gates where asked for. Beyond a sequence's length the values mean nothing.
    lengths : int64 (B,)
    """

    states: dict[StateKey, Tensor]
    lengths: Tensor


@torch.no_grad()
def replay(call: RecurrentCall | LayerCall, *, gates: bool = False) -> Replayed:
    """All states of all layers and directions of one observed call, in the order of the sequence.

    Parameters
    ----------
    call : RecurrentCall or LayerCall
    gates : bool
        Also give the gates: LSTM "i", "f", "g", "o", GRU "r", "z", "n". A plain RNN or a named layer has none.

    Raises
    ------
    InputError
        If dropout between the layers was active, so that the call cannot be repeated.
    """
    if isinstance(call, LayerCall):
        found: _Found = {(0, "fwd", "h"): call.states}
        lengths = padded(call.states)[1]
    else:
        found, lengths = _run(call, gates)
    backward = isinstance(call, RecurrentCall) and call.backward
    states = {}
    for (layer, direction, kind), values in found.items():
        ordered = values.flip(0) if backward else values
        key = StateKey(call.name, layer, "rev" if backward else direction, kind)
        states[key] = ordered.transpose(0, 1)
    return Replayed(states, lengths)


def _run(call: RecurrentCall, gates: bool) -> tuple[_Found, Tensor]:
    """States in the order of the calls, and the lengths."""
    if any(piece.dropping for piece in call.pieces):
        raise InputError(f"{call.name} ran with dropout between its layers", "capture in eval mode")
    if len(call.pieces) == 1:
        return _piece(call.pieces[0], gates)
    if _is_loop(call.pieces):
        return _loop(call.pieces, gates), torch.full((call.sequences,), call.steps, dtype=torch.int64)
    parts = [_piece(piece, gates) for piece in call.pieces]
    together = {key: torch.cat([found[key] for found, _ in parts]) for key in parts[0][0]}
    return together, torch.stack([lengths for _, lengths in parts]).sum(0)


def _is_loop(pieces: tuple[Piece, ...]) -> bool:
    """Whether these are single steps with the same weights, so that every state was seen as it passed."""
    first = pieces[0]
    return not first.bidirectional and all(
        piece.steps == 1 and all(mine.equals(own) for mine, own in zip(first.weights, piece.weights, strict=True))
        for piece in pieces
    )


def _loop(pieces: tuple[Piece, ...], gates: bool) -> _Found:
    """States of single steps: all were given back, only the gates are computed."""
    found: _Found = {}
    layer_input = torch.cat([padded(piece.inputs)[0] for piece in pieces])
    for layer, weights in enumerate(pieces[0].weights):
        h, *cells = (torch.stack(states) for states in zip(*[_of_layer(p.final, layer) for p in pieces], strict=True))
        previous = torch.stack([piece.initial[0][layer] for piece in pieces])
        found[layer, "fwd", "h"] = h
        if cells:
            found[layer, "fwd", "c"] = cells[0]
        if gates:
            computed = _gates(pieces[0], weights, layer_input, previous)
            found |= {(layer, "fwd", kind): values for kind, values in computed.items()}
        layer_input = h
    return found


def _of_layer(states: tuple[Tensor, ...], layer: int) -> list[Tensor]:
    return [state[layer] for state in states]


def _gates(piece: Piece, weights: Weights, inputs: Tensor, previous: Tensor) -> dict[str, Tensor]:
    """Gates (T, B, H) where the state before every step is known."""
    if piece.mode == "LSTM":
        out = previous.new_empty(*previous.shape[:2], weights.hidden.shape[0])
        _activations(weights, inputs, previous, out)
        return dict(zip("ifgo", out.chunk(4, dim=2), strict=True))
    return dict(zip("rzn", _gru_gates(weights, inputs, previous), strict=True)) if piece.mode == "GRU" else {}


def _piece(piece: Piece, gates: bool) -> tuple[_Found, Tensor]:
    """States of one call over whole sequences, and the lengths."""
    layer_input, lengths = padded(piece.inputs)
    output = padded(piece.output)[0]
    directions = _direction_names(piece)
    found: _Found = {}
    for layer in range(piece.layers):
        outputs = output.chunk(len(directions), dim=2) if layer == piece.layers - 1 else None
        produced = []
        for side, direction in enumerate(directions):
            index = layer * len(directions) + side
            weights, initial = piece.weights[index], _of_layer(piece.initial, index)
            aligned = _aligned(layer_input, lengths, direction)
            h = (
                _aligned(outputs[side], lengths, direction)
                if outputs is not None
                else _fused(piece, weights, aligned, initial)
            )
            for kind, values in _kinds(piece, weights, aligned, h, initial, gates):
                restored = _aligned(values, lengths, direction)
                found[layer, direction, kind] = restored
                produced += [restored] if kind == "h" else []
        layer_input = torch.cat(produced, dim=2)
    return found, lengths


def _direction_names(piece: Piece) -> tuple[Direction, ...]:
    return ("fwd", "rev") if piece.bidirectional else ("fwd",)


def _aligned(values: Tensor, lengths: Tensor, direction: Direction) -> Tensor:
    """The order in which the direction reads: "rev" reverses within each sequence's length (and back, done twice)."""
    if direction == "fwd":
        return values
    steps = torch.arange(values.shape[0]).unsqueeze(1)
    order = torch.where(steps < lengths, lengths - 1 - steps, steps).to(values.device)
    return values.gather(0, order.unsqueeze(2).expand_as(values))


def _fused(piece: Piece, weights: Weights, inputs: Tensor, initial: list[Tensor]) -> Tensor:
    """States (T, B, H) of one layer and direction, by torch's own fused operation."""
    options = (weights.flat(), weights.input_bias is not None, 1, 0.0, False, False, False)
    start = [state.unsqueeze(0).contiguous() for state in initial]
    if piece.mode == "LSTM":
        return torch.lstm(inputs, start, *options)[0]
    operation = {"GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[piece.mode]
    return operation(inputs, start[0], *options)[0]


def _kinds(
    piece: Piece, weights: Weights, inputs: Tensor, h: Tensor, initial: list[Tensor], gates: bool
) -> Iterator[tuple[str, Tensor]]:
    yield "h", h
    if piece.mode == "LSTM":
        cells, activations = _lstm(weights, inputs, h, initial, gates)
        yield "c", cells
        yield from zip("ifgo", activations, strict=True) if activations else ()
    elif gates:
        yield from _gates(piece, weights, inputs, _previous(h, initial[0])).items()


def _previous(h: Tensor, hidden: Tensor) -> Tensor:
    return torch.cat([hidden.unsqueeze(0), h[:-1]])


def _lstm(
    weights: Weights, inputs: Tensor, h: Tensor, initial: list[Tensor], gates: bool
) -> tuple[Tensor, list[Tensor]]:
    """Cells (T, B, H) and, where asked for, the four gates. Blocks of steps keep the gates in the cache."""
    steps, batch, _ = inputs.shape
    units = weights.hidden.shape[0] // 4
    hidden, current = initial
    previous = _previous(h, hidden)
    cells = h.new_empty(steps, batch, units)
    kept = h.new_empty(steps, batch, 4 * units) if gates else None
    buffer = h.new_empty(min(steps, _BLOCK_STEPS), batch, 4 * units)
    for start in range(0, steps, _BLOCK_STEPS):
        stop = min(start + _BLOCK_STEPS, steps)
        block = kept[start:stop] if kept is not None else buffer[: stop - start]
        _activations(weights, inputs[start:stop], previous[start:stop], block)
        for step in range(start, stop):
            i, f, g, _ = block[step - start].chunk(4, dim=1)
            torch.mul(i, g, out=cells[step])
            current = cells[step].addcmul_(f, current)
    return cells, [] if kept is None else list(kept.chunk(4, dim=2))


def _activations(weights: Weights, inputs: Tensor, previous: Tensor, out: Tensor) -> None:
    """The gates i, f, g, o of a block of steps, of W_ih x_t + b_ih + W_hh h_(t-1) + b_hh, into ``out``."""
    flat = out.view(-1, out.shape[-1])
    torch.mm(inputs.reshape(-1, inputs.shape[-1]), weights.input.t(), out=flat)
    flat.addmm_(previous.reshape(-1, previous.shape[-1]), weights.hidden.t())
    if weights.input_bias is not None and weights.hidden_bias is not None:
        flat.add_(weights.input_bias + weights.hidden_bias)
    units = out.shape[-1] // 4
    out[..., : 2 * units].sigmoid_()
    out[..., 2 * units : 3 * units].tanh_()
    out[..., 3 * units :].sigmoid_()


def _gru_gates(weights: Weights, inputs: Tensor, previous: Tensor) -> list[Tensor]:
    """The three gates, each (T, B, H)."""
    from_input = nn.functional.linear(inputs, weights.input, weights.input_bias).chunk(3, dim=2)
    from_state = nn.functional.linear(previous, weights.hidden, weights.hidden_bias).chunk(3, dim=2)
    r, z = (torch.sigmoid(x + s) for x, s in zip(from_input[:2], from_state[:2], strict=True))
    return [r, z, torch.tanh(from_input[2] + r * from_state[2])]
