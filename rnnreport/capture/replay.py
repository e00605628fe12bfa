"""Every layer's states, cells and gates from one observed call.

torch returns the states of the last layer only, and the cells of the last step only. The rest follows exactly:

* the states of the layers below were seen as torch ran them, or each is one fused call with that layer's weights;
* with h known at every step, the gates need no recurrence: they are matrix products over all steps, taken in blocks of
  steps that fit the cache;
* the cell of an LSTM is then an element-wise scan, c_t = f_t c_(t-1) + i_t g_t, which needs no o.

Where torch kept the gates of its own pass (``workspace.py``) they and the cells are taken from there.

LSTM (gate order i, f, g, o): h_t = o_t tanh(c_t), times W_hr where there is a projection.
GRU (gate order r, z, n): n_t = tanh(W_in x_t + b_in + r_t (W_hn h_(t-1) + b_hn)), h_t = (1 - z_t) n_t + z_t h_(t-1).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from rnnreport.capture.layers import LayerCall
from rnnreport.capture.recurrent import Piece, RecurrentCall, Weights, padded
from rnnreport.capture.workspace import scan
from rnnreport.errors import InputError
from rnnreport.results.recorded import StateKey

STATES = ("h", "c")
GATES = {"LSTM": ("i", "f", "g", "o"), "GRU": ("r", "z", "n")}
EVERYTHING = (*STATES, *GATES["LSTM"], *GATES["GRU"])

_BLOCK_ROWS = 1024  # steps times sequences, or more of narrow layers
_BLOCK_NUMBERS = 2**18
Direction = Literal["fwd", "rev"]
_Found = dict[tuple[int, Direction, str], Tensor]  # by layer, direction and kind; (T, B, H)


@torch.no_grad()
def replay(call: RecurrentCall | LayerCall, kinds: Collection[str] = STATES) -> dict[StateKey, Tensor]:
    """All states of all layers and directions of one observed call, in the order of the sequence.

    Parameters
    ----------
    call : RecurrentCall or LayerCall
    kinds : collection of str
        What is computed and given: "h"; "c" of an LSTM; gates, "i", "f", "g", "o" of an LSTM and "r", "z", "n" of a
        GRU. A plain RNN has "h" only; of a named layer all states are given.

    Returns
    -------
    dict of StateKey to Tensor (B, T, H)
        Sequences in the order in which the model was given them; of the kinds asked for those that the layer has.
        Beyond a sequence's length the values mean nothing.

    Raises
    ------
    InputError
        If dropout between the layers was active, so that the call cannot be repeated.
    """
    if isinstance(call, LayerCall):
        found: _Found = {(0, "fwd", kind): values for kind, values in call.states.items()}
        kinds = call.states
    else:
        found = _run(call, kinds)
    backward = isinstance(call, RecurrentCall) and call.backward
    states = {}
    for (layer, direction, kind), values in found.items():
        if kind in kinds:
            ordered = values.flip(0) if backward else values
            key = StateKey(call.name, layer, "rev" if backward else direction, kind)
            states[key] = ordered.transpose(0, 1)
    return states


def _run(call: RecurrentCall, kinds: Collection[str]) -> _Found:
    """States in the order of the calls."""
    if any(piece.dropping for piece in call.pieces):
        raise InputError(f"{call.name} ran with dropout between its layers", "capture in eval mode")
    if len(call.pieces) == 1:
        return _piece(call.pieces[0], kinds)
    if _is_loop(call.pieces):
        return _loop(call.pieces, kinds)
    parts = [_piece(piece, kinds) for piece in call.pieces]
    return {key: torch.cat([found[key] for found in parts]) for key in parts[0]}


def _is_loop(pieces: tuple[Piece, ...]) -> bool:
    """Whether these are single steps with the same weights, so that every state was seen as it passed."""
    first = pieces[0]
    return not first.bidirectional and all(
        piece.steps == 1 and all(mine.equals(own) for mine, own in zip(first.weights, piece.weights, strict=True))
        for piece in pieces
    )


def _loop(pieces: tuple[Piece, ...], kinds: Collection[str]) -> _Found:
    """States of single steps: all were given back, only the gates are computed."""
    found: _Found = {}
    mode = pieces[0].mode
    layer_input = torch.cat([padded(piece.inputs)[0] for piece in pieces])
    for layer, weights in enumerate(pieces[0].weights):
        h, *cells = (torch.stack(states) for states in zip(*[_of_layer(p.final, layer) for p in pieces], strict=True))
        found[layer, "fwd", "h"] = h
        if cells:
            found[layer, "fwd", "c"] = cells[0]
        if _gates_wanted(mode, kinds):
            previous = torch.stack([piece.initial[0][layer] for piece in pieces])
            gates = (_activated if mode == "LSTM" else _gru)(weights, layer_input, previous)
            found |= {(layer, "fwd", kind): values for kind, values in _named(mode, gates).items()}
        layer_input = h
    return found


def _of_layer(states: tuple[Tensor, ...], layer: int) -> list[Tensor]:
    return [state[layer] for state in states]


def _gates_wanted(mode: str, kinds: Collection[str]) -> bool:
    return any(gate in kinds for gate in GATES.get(mode, ()))


def _named(mode: str, gates: Tensor) -> dict[str, Tensor]:
    """Gates (T, B, n H) by their names."""
    return dict(zip(GATES[mode], gates.chunk(len(GATES[mode]), dim=2), strict=True))


def _piece(piece: Piece, kinds: Collection[str]) -> _Found:
    """States of one call over whole sequences."""
    layer_input, lengths = padded(piece.inputs)
    directions = _direction_names(piece)
    found: _Found = {}
    for layer, output in enumerate(piece.outputs):
        known = None if output is None else padded(output)[0].chunk(len(directions), dim=2)
        for side, direction in enumerate(directions):
            index = layer * len(directions) + side
            inputs = _aligned(layer_input, lengths, direction)
            h = _fused(piece, index, inputs) if known is None else _aligned(known[side], lengths, direction)
            for kind, values in {"h": h, **_beside(piece, index, inputs, h, kinds)}.items():
                found[layer, direction, kind] = _aligned(values, lengths, direction)
        layer_input = torch.cat([found[layer, direction, "h"] for direction in directions], dim=2)
    return found


def _direction_names(piece: Piece) -> tuple[Direction, ...]:
    return ("fwd", "rev") if piece.bidirectional else ("fwd",)


def _aligned(values: Tensor, lengths: Tensor, direction: Direction) -> Tensor:
    """The order in which the direction reads: "rev" reverses within each sequence's length (and back, done twice)."""
    if direction == "fwd":
        return values
    steps = torch.arange(values.shape[0], device="cpu").unsqueeze(1)
    order = torch.where(steps < lengths, lengths - 1 - steps, steps).to(values.device)
    return values.gather(0, order.unsqueeze(2).expand_as(values))


def _fused(piece: Piece, index: int, inputs: Tensor) -> Tensor:
    """States (T, B, H) of one layer and direction, by torch's own fused operation."""
    weights, initial = piece.weights[index], _of_layer(piece.initial, index)
    options = (weights.flat(), weights.input_bias is not None, 1, 0.0, False, False, False)
    start = [state.unsqueeze(0).contiguous() for state in initial]
    with warnings.catch_warnings():
        # cuDNN says that it copies the weights: those of one layer lie among the others'
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk of memory")
        if piece.mode == "LSTM":
            return torch.lstm(inputs, start, *options)[0]
        operation = {"GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[piece.mode]
        return operation(inputs, start[0], *options)[0]


def _beside(piece: Piece, index: int, inputs: Tensor, h: Tensor, kinds: Collection[str]) -> dict[str, Tensor]:
    """Cells and gates (T, B, H) of one layer and direction, as far as they are asked for."""
    wanted = _gates_wanted(piece.mode, kinds)
    if piece.gates:
        return {"c": piece.cells[index], **_named(piece.mode, piece.gates[index])}
    if not wanted and not (piece.mode == "LSTM" and "c" in kinds):
        return {}
    weights, initial = piece.weights[index], _of_layer(piece.initial, index)
    previous = torch.cat([initial[0].unsqueeze(0), h[:-1]])
    if piece.mode == "GRU":
        return _named(piece.mode, _gru(weights, inputs, previous))
    if not wanted:
        return {"c": _cells(weights, inputs, previous, initial[1])}
    gates = _activated(weights, inputs, previous)
    return {"c": scan(gates, initial[1]), **_named(piece.mode, gates)}


def _cells(weights: Weights, inputs: Tensor, previous: Tensor, cell: Tensor) -> Tensor:
    """Cells (T, B, H) of an LSTM, of whose gates only a block is kept at a time."""
    units = cell.shape[1]
    cells = []
    for x, h in _blocks(inputs, previous):
        gates = h.new_empty(*h.shape[:2], 3 * units)
        _activate(weights, x, h, gates, units)
        cells.append(scan(gates, cell))
        cell = cells[-1][-1]
    return torch.cat(cells)


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Some steps of tensors (T, B, ...) at a time."""
    rows = max(_BLOCK_ROWS, _BLOCK_NUMBERS // tensors[-1].shape[2])
    steps = max(1, rows // tensors[0].shape[1])
    return zip(*(torch.split(tensor, steps) for tensor in tensors), strict=True)


def _activated(weights: Weights, inputs: Tensor, previous: Tensor) -> Tensor:
    """Gates i, f, g, o (T, B, 4 H) of an LSTM."""
    units = weights.hidden.shape[0] // 4
    out = previous.new_empty(*previous.shape[:2], 4 * units)
    for x, h, gates in _blocks(inputs, previous, out):
        _activate(weights, x, h, gates, units)
        gates[..., 3 * units :].sigmoid_()
    return out


def _activate(weights: Weights, inputs: Tensor, previous: Tensor, out: Tensor, units: int) -> None:
    """Into ``out``: W_ih x_t + b_ih + W_hh h_(t-1) + b_hh for as many rows as it has; i, f and g of it activated."""
    width = out.shape[2]
    flat = out.view(-1, width)
    if weights.input_bias is not None and weights.hidden_bias is not None:
        bias = weights.input_bias[:width] + weights.hidden_bias[:width]
        torch.addmm(bias, inputs.flatten(0, 1), weights.input[:width].t(), out=flat)
    else:
        torch.mm(inputs.flatten(0, 1), weights.input[:width].t(), out=flat)
    flat.addmm_(previous.flatten(0, 1), weights.hidden[:width].t())
    # tanh(x) = 2 sigmoid(2 x) - 1, which torch computes several times faster, with an error of a rounding of 1
    candidate = flat[:, 2 * units : 3 * units].mul_(2)
    flat[:, : 3 * units].sigmoid_()
    candidate.mul_(2).sub_(1)


def _gru(weights: Weights, inputs: Tensor, previous: Tensor) -> Tensor:
    """Gates r, z, n (T, B, 3 H) of a GRU."""
    width = weights.hidden.shape[0]
    units = width // 3
    out = previous.new_empty(*previous.shape[:2], width)
    for x, h, gates in _blocks(inputs, previous, out):
        gates.copy_(nn.functional.linear(x, weights.input, weights.input_bias))
        from_state = nn.functional.linear(h, weights.hidden, weights.hidden_bias)
        gates[..., : 2 * units].add_(from_state[..., : 2 * units]).sigmoid_()
        gates[..., 2 * units :].addcmul_(gates[..., :units], from_state[..., 2 * units :]).tanh_()
    return out
