"""Torch's recurrent operations: how each is called, and how it is run so that the states of every layer are seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnnreport.capture.recurrent import Mode, Piece, Sequences, Weights
from rnnreport.capture.workspace import LayerPass, has_workspace, run_layer

SEQUENCE_OPERATIONS: dict[Callable[..., Any], Mode] = {
    torch.rnn_tanh: "RNN_TANH",
    torch.rnn_relu: "RNN_RELU",
    torch.gru: "GRU",
    torch.lstm: "LSTM",
}
CELL_OPERATIONS: dict[Callable[..., Any], Mode] = {
    torch.rnn_tanh_cell: "RNN_TANH",
    torch.rnn_relu_cell: "RNN_RELU",
    torch.gru_cell: "GRU",
    torch.lstm_cell: "LSTM",
}
_OPTIONS = ("params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", "hx", *_OPTIONS, "batch_first")
_PACKED = ("data", "batch_sizes", "hx", *_OPTIONS)
_CELL = ("input", "hx", "w_ih", "w_hh", "b_ih", "b_hh")


def is_packed(arguments: Sequence[Any], named: dict[str, Any]) -> bool:
    """Whether a sequence operation was called in its form for packed sequences, in which the weights come fourth."""
    return "batch_sizes" in named or (len(arguments) > 3 and isinstance(arguments[3], (list, tuple)))


def arguments_of(arguments: Sequence[Any], named: dict[str, Any]) -> dict[str, Any]:
    """By name what a sequence operation was given: padded "input", or packed "data" with "batch_sizes"; "params"."""
    return dict(zip(_PACKED if is_packed(arguments, named) else _PADDED, arguments, strict=False)) | named


def run_cell(operation: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any]) -> tuple[Any, Piece]:
    """Run one of ``CELL_OPERATIONS``: its result, and what it received and gave."""
    given = dict(zip(_CELL, arguments, strict=False)) | named
    weights = Weights(given["w_ih"], given["w_hh"], given.get("b_ih"), given.get("b_hh"), None)
    inputs = _copy(given["input"], weights.input).unsqueeze(0)
    initial = tuple(_copy(state, weights.input).unsqueeze(0) for state in states_of(given["hx"]))
    result = operation(*arguments, **named)
    final = tuple(_copy(state, weights.input).unsqueeze(0) for state in states_of(result))
    return result, Piece(CELL_OPERATIONS[operation], (weights,), False, False, inputs, initial, (final[0],), final)


class SequenceOperation:
    """One call of one of ``SEQUENCE_OPERATIONS``.

    Parameters
    ----------
    operation : one of ``SEQUENCE_OPERATIONS``
    arguments, named : as given to it
    order : int64 (B,) or None
        Places in the packed batch of the sequences as the caller has them; None where they are the same.
    """

    def __init__(
        self, operation: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any], order: Tensor | None
    ) -> None:
        self._call = (operation, arguments, named)
        self._operation = operation
        self._order = order
        given = arguments_of(arguments, named)
        self._sizes: Tensor | None = given.get("batch_sizes")
        self._batch_first = bool(given.get("batch_first", False))
        self._sides = 2 if given["bidirectional"] else 1
        self._layers = int(given["num_layers"])
        self._dropping = bool(given["train"]) and given["dropout"] > 0 and self._layers > 1
        self._weights = tuple(weights_of(list(given["params"]), self._layers * self._sides, bool(given["has_biases"])))
        self._inputs: Tensor = self._turned(given["data"] if "data" in given else given["input"])
        self._states = states_of(given["hx"])

    def run(self, keep_gates: bool) -> tuple[Any, Piece]:
        """The operation's result, and copies of what it received and gave.

        Parameters
        ----------
        keep_gates : bool
            Let torch keep the gates as for training, where it can. States then differ from those of an inference pass
            by rounding.
        """
        passes: list[LayerPass] = []
        if self._layers_apart(keep_gates):
            outputs, final, passes = self._layerwise(keep_gates)
            result = (self._turned(outputs[-1]), *final)
        else:
            function, arguments, named = self._call
            result = function(*arguments, **named)
            outputs, final = [self._turned(result[0])], result[1:]
        like = self._weights[0].input
        seen = [self._sequences(each) for each in (*(o.to(like.dtype) for o in outputs[:-1]), _copy(outputs[-1], like))]
        piece = Piece(
            SEQUENCE_OPERATIONS[self._operation],
            self._weights,
            self._sides == 2,
            self._dropping,
            self._sequences(_copy(self._inputs, like)),
            tuple(self._in_order(_copy(state, like)) for state in self._states),
            (*[None] * (self._layers - len(seen)), *seen),
            tuple(self._in_order(_copy(state, like)) for state in final),
            tuple(one.c for one in passes),
            tuple(one.gates for one in passes),
        )
        return result, piece

    def _layers_apart(self, keep_gates: bool) -> bool:
        """Whether to run layer by layer, as torch itself does on a CPU; single steps show every state as it is."""
        several = self._layers > 1 or (keep_gates and self._operation is torch.lstm)
        steps = len(self._inputs) if self._sizes is None else len(self._sizes)
        return several and steps > 1 and not self._dropping and self._inputs.device.type == "cpu"

    def _layerwise(self, keep_gates: bool) -> tuple[list[Tensor], tuple[Tensor, ...], list[LayerPass]]:
        """Outputs by layer, last states, and where torch kept the gates of all layers the passes by layer and side."""
        values, outputs, finals, passes = self._inputs, [], [], []
        for first in range(0, len(self._weights), self._sides):
            weights = self._weights[first : first + self._sides]
            initial = tuple(state[first : first + self._sides] for state in self._states)
            kept = self._keeping(values, weights, initial) if keep_gates else []
            if kept:
                sides = [one.h.flip(0) if side else one.h for side, one in enumerate(kept)]
                values = torch.cat(sides, 2) if len(sides) > 1 else sides[0]
                finals.append(tuple(torch.stack(states) for states in zip(*(one.final for one in kept), strict=True)))
            else:
                values, *last = self._layer(values, weights, initial)
                finals.append(tuple(last))
            outputs.append(values)
            passes += kept
        final = tuple(torch.cat(states) for states in zip(*finals, strict=True))
        return outputs, final, passes if len(passes) == len(self._weights) else []

    def _keeping(self, values: Tensor, weights: tuple[Weights, ...], initial: tuple[Tensor, ...]) -> list[LayerPass]:
        """The passes of the sides of one layer, or none where torch does not keep their gates."""
        usable = self._operation is torch.lstm and self._sizes is None
        if not usable or not all(has_workspace(values, each, initial) for each in weights):
            return []
        found = (
            run_layer(values.flip(0) if side else values, each, initial[0][side], initial[1][side])
            for side, each in enumerate(weights)
        )
        passes = [one for one in found if one is not None]
        return passes if len(passes) == len(weights) else []

    def _layer(self, values: Tensor, weights: tuple[Weights, ...], initial: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One layer by the same operation: states and last states."""
        hx = initial if self._operation is torch.lstm else initial[0]
        flat = [tensor for each in weights for tensor in each.flat()]
        options = (flat, weights[0].input_bias is not None, 1, 0.0, False, self._sides == 2)
        result: tuple[Tensor, ...] = (
            self._operation(values, hx, *options, False)
            if self._sizes is None
            else self._operation(values, self._sizes, hx, *options)
        )
        return result

    def _turned(self, values: Tensor) -> Tensor:
        """Batch first to time first, or back."""
        return values.transpose(0, 1) if self._batch_first else values

    def _sequences(self, values: Tensor) -> Sequences:
        return values if self._sizes is None else PackedSequence(values, self._sizes, None, self._order)

    def _in_order(self, state: Tensor) -> Tensor:
        return state if self._order is None else state.index_select(1, self._order)


def _copy(values: Tensor, weights: Tensor) -> Tensor:
    """A copy, contiguous, in the precision of the weights: a model may run its layers under an autocast of its own."""
    return values.detach().to(weights.dtype, copy=True, memory_format=torch.contiguous_format)


def states_of(given: Any) -> tuple[Tensor, ...]:
    """h, or h and c."""
    return (given,) if isinstance(given, Tensor) else tuple(given)


def weights_of(flat: list[Tensor], count: int, biased: bool) -> Iterator[Weights]:
    """Torch's flat list: for each layer and direction W_ih, W_hh, b_ih and b_hh where biased, W_hr where projected."""
    each = len(flat) // count
    for start in range(0, len(flat), each):
        tensors = flat[start : start + each]
        biases = tensors[2:4] if biased else [None, None]
        projection = tensors[-1] if each in (3, 5) else None
        yield Weights(tensors[0], tensors[1], biases[0], biases[1], projection)
