"""What a recurrent operation of torch received and gave: the records that states are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

Mode = Literal["RNN_TANH", "RNN_RELU", "GRU", "LSTM"]
Sequences = Tensor | PackedSequence


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
    outputs : tuple of Tensor (T, B, H x directions) or PackedSequence, states by layer; None where torch ran a layer
        and the one above it together, never for the last one
    final : h_n, or (h_n, c_n), shaped and ordered like ``initial``
    cells : tuple of Tensor (T, B, H), by layer, then direction, in the order in which the direction reads; () where
        torch did not show them
    gates : tuple of Tensor (T, B, 4 H): i, f, g, o, likewise
    """

    mode: Mode
    weights: tuple[Weights, ...]
    bidirectional: bool
    dropping: bool
    inputs: Sequences
    initial: tuple[Tensor, ...]
    outputs: tuple[Sequences | None, ...]
    final: tuple[Tensor, ...]
    cells: tuple[Tensor, ...] = ()
    gates: tuple[Tensor, ...] = ()

    @property
    def output(self) -> Sequences:
        """States of the last layer."""
        last = self.outputs[-1]
        assert last is not None
        return last

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
    return sequences, torch.full((sequences.shape[1],), sequences.shape[0], dtype=torch.int64, device="cpu")
