"""What a recurrent operation of torch received and gave: the records that states are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

Mode = Literal["RNN_TANH", "RNN_RELU", "GRU", "LSTM"]
Sequences = Tensor | PackedSequence

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


@dataclass(frozen=True)
class Weights:
    """One layer and direction, as used in the call; biases and the projection may be absent."""

    input: Tensor
    hidden: Tensor
    input_bias: Tensor | None
    hidden_bias: Tensor | None
    projection: Tensor | None

    def flat(self) -> list[Tensor]:
        """Those that are present, in torch's order."""
        tensors = (self.input, self.hidden, self.input_bias, self.hidden_bias, self.projection)
        return [tensor for tensor in tensors if tensor is not None]

    def equals(self, other: Weights) -> bool:
        """Whether all are the same numbers; quick where they are the same tensors."""
        mine, others = self.flat(), other.flat()
        return len(mine) == len(others) and all(
            a is b or (a.shape == b.shape and torch.equal(a, b)) for a, b in zip(mine, others, strict=True)
        )


@dataclass(frozen=True)
class Piece:
    """One call of ``torch.lstm``, ``torch.lstm_cell`` or their like; a cell's call is a sequence of one step.

    Inputs and states are copies, which later in-place operations cannot reach; weights are the tensors of the call.

    Attributes
    ----------
    mode : Mode
    weights : tuple of Weights, by layer, then direction
    bidirectional : bool
    dropping : bool, whether dropout between the layers was active
    inputs : Tensor (T, B, D) or PackedSequence
    initial : h0, or (h0, c0), each (layers x directions, B, its width), in the order of the batch
    output : Tensor (T, B, H x directions) or PackedSequence, states of the last layer
    final : h_n, or (h_n, c_n), shaped and ordered like ``initial``
    """

    mode: Mode
    weights: tuple[Weights, ...]
    bidirectional: bool
    dropping: bool
    inputs: Sequences
    initial: tuple[Tensor, ...]
    output: Sequences
    final: tuple[Tensor, ...]

    @property
    def steps(self) -> int:
        """Steps of the longest sequence."""
        return len(self.inputs.batch_sizes) if isinstance(self.inputs, PackedSequence) else self.inputs.shape[0]

    @property
    def sequences(self) -> int:
        """Sequences that take all these steps."""
        return int(self.inputs.batch_sizes[-1]) if isinstance(self.inputs, PackedSequence) else self.inputs.shape[1]

    @property
    def layers(self) -> int:
        """Layers of the call, 1 for a cell."""
        return len(self.weights) // (2 if self.bidirectional else 1)


@dataclass(frozen=True)
class RecurrentCall:
    """One run of a recurrent layer over whole sequences: a single call, or the calls of its steps in their order.

    Attributes
    ----------
    name : str, path of the module in the model ("model" for the model itself); "#2" follows where it ran a second time
    pieces : tuple of Piece, at least one
    backward : bool, whether the steps are taken from the last to the first
    """

    name: str
    pieces: tuple[Piece, ...]
    backward: bool = False

    @property
    def mode(self) -> Mode:
        """Kind of cell."""
        return self.pieces[0].mode

    @property
    def layers(self) -> int:
        """Layers that ran together, 1 for a loop over a cell."""
        return self.pieces[0].layers

    @property
    def units(self) -> int:
        """Width of the cell and of the gates; with a projection that of h is smaller."""
        gates = {"LSTM": 4, "GRU": 3}.get(self.mode, 1)
        return self.pieces[0].weights[0].hidden.shape[0] // gates

    @property
    def bidirectional(self) -> bool:
        """Whether one call reads in both directions."""
        return self.pieces[0].bidirectional

    @property
    def steps(self) -> int:
        """Steps of the longest sequence."""
        return sum(piece.steps for piece in self.pieces)

    @property
    def sequences(self) -> int:
        """Sequences that take all these steps."""
        return min(piece.sequences for piece in self.pieces)

    def inputs(self) -> Tensor:
        """Inputs (T, B, D) in the order of the calls, padded with zeros."""
        return torch.cat([padded(piece.inputs)[0] for piece in self.pieces])

    def outputs(self) -> Tensor:
        """States (T, B, H x directions) of the last layer in the order of the calls, padded with zeros."""
        return torch.cat([padded(piece.output)[0] for piece in self.pieces])


def padded(sequences: Sequences) -> tuple[Tensor, Tensor]:
    """(T, B, D) in the order of the batch, padded on the right, and the lengths (B,)."""
    if isinstance(sequences, PackedSequence):
        values, lengths = pad_packed_sequence(sequences)
        return values, lengths
    return sequences, torch.full((sequences.shape[1],), sequences.shape[0], dtype=torch.int64)


def is_packed(arguments: Sequence[Any], named: dict[str, Any]) -> bool:
    """Whether a sequence operation was called in its form for packed sequences, in which the weights come fourth."""
    return "batch_sizes" in named or (len(arguments) > 3 and isinstance(arguments[3], (list, tuple)))


class PieceMaker:
    """Copies what an operation is given before it runs, and what it gives after.

    Parameters
    ----------
    operation : one of ``SEQUENCE_OPERATIONS`` or ``CELL_OPERATIONS``
    arguments, named : as given to it
    order : int64 (B,) or None
        Places in the packed batch of the sequences as the caller has them; None where they are the same.
    """

    def __init__(
        self, operation: Callable[..., Any], arguments: Sequence[Any], named: dict[str, Any], order: Tensor | None
    ) -> None:
        self._order = order
        self._sizes: Tensor | None = None
        self._weights: tuple[Weights, ...]
        if operation in CELL_OPERATIONS:
            self._mode = CELL_OPERATIONS[operation]
            self._read_cell(dict(zip(_CELL, arguments, strict=False)) | named)
        else:
            self._mode = SEQUENCE_OPERATIONS[operation]
            names = _PACKED if is_packed(arguments, named) else _PADDED
            self._read_sequence(dict(zip(names, arguments, strict=False)) | named)

    def _read_cell(self, given: dict[str, Any]) -> None:
        self._cell, self._batch_first, self._bidirectional, self._dropping = True, False, False, False
        self._weights = (Weights(given["w_ih"], given["w_hh"], given.get("b_ih"), given.get("b_hh"), None),)
        self._inputs: Sequences = _copy(given["input"]).unsqueeze(0)
        self._initial = tuple(_copy(state).unsqueeze(0) for state in _states(given["hx"]))

    def _read_sequence(self, given: dict[str, Any]) -> None:
        self._cell, self._batch_first = False, bool(given.get("batch_first", False))
        self._bidirectional = bool(given["bidirectional"])
        self._dropping = bool(given["train"]) and given["dropout"] > 0 and given["num_layers"] > 1
        count = given["num_layers"] * (2 if self._bidirectional else 1)
        self._weights = tuple(_layers(list(given["params"]), count, bool(given["has_biases"])))
        self._sizes = given.get("batch_sizes")
        self._inputs = self._sequences(given["data"] if "data" in given else given["input"])
        self._initial = tuple(self._in_order(_copy(state)) for state in _states(given["hx"]))

    def made(self, result: Any) -> Piece:
        """The piece, once the operation has given its result."""
        output: Sequences
        if self._cell:
            final = tuple(_copy(state).unsqueeze(0) for state in _states(result))
            output = final[0]
        else:
            output = self._sequences(result[0])
            final = tuple(self._in_order(_copy(state)) for state in result[1:])
        return Piece(
            self._mode,
            self._weights,
            self._bidirectional,
            self._dropping,
            self._inputs,
            self._initial,
            output,
            final,
        )

    def _sequences(self, values: Tensor) -> Sequences:
        if self._sizes is not None:
            return PackedSequence(_copy(values), self._sizes, None, self._order)
        return _copy(values.transpose(0, 1) if self._batch_first else values)

    def _in_order(self, state: Tensor) -> Tensor:
        return state if self._order is None else state.index_select(1, self._order)


def _copy(values: Tensor) -> Tensor:
    return values.detach().clone()


def _states(given: Any) -> tuple[Tensor, ...]:
    return (given,) if isinstance(given, Tensor) else tuple(given)


def _layers(flat: list[Tensor], count: int, biased: bool) -> Iterator[Weights]:
    """Torch's flat list: for each layer and direction W_ih, W_hh, b_ih and b_hh where biased, W_hr where projected."""
    each = len(flat) // count
    for start in range(0, len(flat), each):
        tensors = flat[start : start + each]
        biases = tensors[2:4] if biased else [None, None]
        projection = tensors[-1] if each in (3, 5) else None
        yield Weights(tensors[0], tensors[1], biases[0], biases[1], projection)
