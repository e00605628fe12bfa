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
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnreport.capture.recurrent import Initial, RecurrentCall, Sequences
from rnnreport.errors import InputError
from rnnreport.results.schema import StateKey

_BLOCK_STEPS = 8
Direction = Literal["fwd", "rev"]


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


@dataclass(frozen=True)
class _Weights:
    """One layer and direction; biases and the projection may be absent."""

    input: Tensor
    hidden: Tensor
    input_bias: Tensor | None
    hidden_bias: Tensor | None
    projection: Tensor | None

    def flat(self) -> list[Tensor]:
        tensors = (self.input, self.hidden, self.input_bias, self.hidden_bias, self.projection)
        return [tensor for tensor in tensors if tensor is not None]


@torch.no_grad()
def replay(call: RecurrentCall, *, gates: bool = False) -> Replayed:
    """All states of all layers and directions of one observed call.

    Parameters
    ----------
    call : RecurrentCall
    gates : bool
        Also give the gates: LSTM "i", "f", "g", "o", GRU "r", "z", "n". An ``nn.RNN`` has none.

    Raises
    ------
    InputError
        If dropout between the layers was active, so that the call cannot be repeated.
    """
    module = call.module
    if module.training and module.dropout > 0 and module.num_layers > 1:
        raise InputError(f"{call.name} ran with dropout between its layers", "capture in eval mode")
    inputs, lengths = _time_major(call.inputs, module.batch_first)
    output, _ = _time_major(call.output, module.batch_first)
    hidden, cell = _initial_states(call.initial, module, inputs)
    states: dict[StateKey, Tensor] = {}
    layer_input = inputs
    for layer in range(module.num_layers):
        last = layer == module.num_layers - 1
        outputs = output.chunk(_directions(module), dim=2) if last else None
        produced = []
        for side, direction in enumerate(_direction_names(module)):
            weights = _weights(module, layer, side)
            index = layer * _directions(module) + side
            aligned = _aligned(layer_input, lengths, direction)
            h = (
                _aligned(outputs[side], lengths, direction)
                if outputs is not None
                else _fused(module, weights, aligned, hidden[index], cell[index])
            )
            for kind, values in _kinds(module, weights, aligned, h, hidden[index], cell[index], gates):
                restored = _aligned(values, lengths, direction)
                states[StateKey(call.name, layer, direction, kind)] = restored.transpose(0, 1)
                produced += [restored] if kind == "h" else []
        layer_input = torch.cat(produced, dim=2)
    return Replayed(states, lengths)


def _directions(module: nn.RNNBase) -> int:
    return 2 if module.bidirectional else 1


def _direction_names(module: nn.RNNBase) -> tuple[Direction, ...]:
    return ("fwd", "rev") if module.bidirectional else ("fwd",)


def _weights(module: nn.RNNBase, layer: int, side: int) -> _Weights:
    tensors = list(module.all_weights[layer * _directions(module) + side])
    projection = tensors.pop() if module.proj_size > 0 else None
    biases = tensors[2:] if module.bias else [None, None]
    return _Weights(tensors[0], tensors[1], biases[0], biases[1], projection)


def _time_major(sequences: Sequences, batch_first: bool) -> tuple[Tensor, Tensor]:
    """(T, B, D) in the order of the batch, padded on the right, and the lengths (B,)."""
    if isinstance(sequences, PackedSequence):
        padded, lengths = pad_packed_sequence(sequences)
        return padded, lengths
    batched = sequences if sequences.dim() == 3 else sequences.unsqueeze(0 if batch_first else 1)
    padded = batched.transpose(0, 1) if batch_first else batched
    return padded, torch.full((padded.shape[1],), padded.shape[0], dtype=torch.int64)


def _initial_states(initial: Initial, module: nn.RNNBase, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """h0 and c0, each (layers x directions, B, its width); zeros where not given."""
    count, batch = module.num_layers * _directions(module), inputs.shape[1]
    if initial is None:
        width = module.proj_size or module.hidden_size
        return inputs.new_zeros(count, batch, width), inputs.new_zeros(count, batch, module.hidden_size)
    hidden, cell = (initial, initial) if isinstance(initial, Tensor) else initial
    return (hidden, cell) if hidden.dim() == 3 else (hidden.unsqueeze(1), cell.unsqueeze(1))


def _aligned(values: Tensor, lengths: Tensor, direction: Direction) -> Tensor:
    """The order in which the direction reads: "rev" reverses within each sequence's length (and back, done twice)."""
    if direction == "fwd":
        return values
    steps = torch.arange(values.shape[0]).unsqueeze(1)
    order = torch.where(steps < lengths, lengths - 1 - steps, steps).to(values.device)
    return values.gather(0, order.unsqueeze(2).expand_as(values))


def _fused(module: nn.RNNBase, weights: _Weights, inputs: Tensor, hidden: Tensor, cell: Tensor) -> Tensor:
    """States (T, B, H) of one layer and direction, by torch's own fused operation."""
    options = (weights.flat(), module.bias, 1, 0.0, False, False, False)
    h0 = hidden.unsqueeze(0).contiguous()
    if module.mode == "LSTM":
        return torch.lstm(inputs, (h0, cell.unsqueeze(0).contiguous()), *options)[0]
    operation = {"GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[module.mode]
    return operation(inputs, h0, *options)[0]


def _kinds(
    module: nn.RNNBase, weights: _Weights, inputs: Tensor, h: Tensor, hidden: Tensor, cell: Tensor, gates: bool
) -> Iterator[tuple[str, Tensor]]:
    yield "h", h
    if module.mode == "LSTM":
        cells, activations = _lstm(weights, inputs, h, hidden, cell, gates)
        yield "c", cells
        yield from zip("ifgo", activations, strict=True) if activations else ()
    elif module.mode == "GRU" and gates:
        yield from zip("rzn", _gru_gates(weights, inputs, h, hidden), strict=True)


def _previous(h: Tensor, hidden: Tensor) -> Tensor:
    return torch.cat([hidden.unsqueeze(0), h[:-1]])


def _lstm(
    weights: _Weights, inputs: Tensor, h: Tensor, hidden: Tensor, cell: Tensor, gates: bool
) -> tuple[Tensor, list[Tensor]]:
    """Cells (T, B, H) and, where asked for, the four gates. Blocks of steps keep the gates in the cache."""
    steps, batch, _ = inputs.shape
    units = weights.hidden.shape[0] // 4
    previous = _previous(h, hidden)
    cells = h.new_empty(steps, batch, units)
    kept = h.new_empty(steps, batch, 4 * units) if gates else None
    buffer = h.new_empty(min(steps, _BLOCK_STEPS), batch, 4 * units)
    current = cell
    for start in range(0, steps, _BLOCK_STEPS):
        stop = min(start + _BLOCK_STEPS, steps)
        block = kept[start:stop] if kept is not None else buffer[: stop - start]
        _preactivation(weights, inputs[start:stop], previous[start:stop], block)
        block[..., : 2 * units].sigmoid_()
        block[..., 2 * units : 3 * units].tanh_()
        block[..., 3 * units :].sigmoid_()
        for step in range(start, stop):
            i, f, g, _ = block[step - start].chunk(4, dim=1)
            torch.mul(i, g, out=cells[step])
            current = cells[step].addcmul_(f, current)
    return cells, [] if kept is None else list(kept.chunk(4, dim=2))


def _preactivation(weights: _Weights, inputs: Tensor, previous: Tensor, out: Tensor) -> None:
    """W_ih x_t + b_ih + W_hh h_(t-1) + b_hh of a block of steps, into ``out``."""
    flat = out.view(-1, out.shape[-1])
    torch.mm(inputs.reshape(-1, inputs.shape[-1]), weights.input.t(), out=flat)
    flat.addmm_(previous.reshape(-1, previous.shape[-1]), weights.hidden.t())
    if weights.input_bias is not None and weights.hidden_bias is not None:
        flat.add_(weights.input_bias + weights.hidden_bias)


def _gru_gates(weights: _Weights, inputs: Tensor, h: Tensor, hidden: Tensor) -> list[Tensor]:
    """The three gates, each (T, B, H)."""
    from_input = nn.functional.linear(inputs, weights.input, weights.input_bias).chunk(3, dim=2)
    from_state = nn.functional.linear(_previous(h, hidden), weights.hidden, weights.hidden_bias).chunk(3, dim=2)
    r, z = (torch.sigmoid(x + s) for x, s in zip(from_input[:2], from_state[:2], strict=True))
    return [r, z, torch.tanh(from_input[2] + r * from_state[2])]
