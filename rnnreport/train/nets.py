"""Recurrent nets: a classifier and a language model for the demo, and the one that a configuration describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

Cell = Literal["RNN", "GRU", "LSTM"]

_CELLS: dict[Cell, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
_EMBEDDING = 16


class Classifier(nn.Module):
    """Reads a sequence and names its class from the hidden state of the last step.

    Parameters
    ----------
    cell : {"RNN", "GRU", "LSTM"}
    hidden : int
        Number of units H.
    classes : int
        Number of classes K.
    vocabulary : int, optional
        Number of tokens V; the input is then int64 (batch, T).
    features : int, optional
        Number of input features D of a continuous input, float32 (batch, T, D). Give this or ``vocabulary``.
    """

    def __init__(self, cell: Cell, hidden: int, classes: int, *, vocabulary: int = 0, features: int = 0) -> None:
        super().__init__()
        self.embedding: nn.Module = nn.Embedding(vocabulary, _EMBEDDING) if vocabulary else nn.Identity()
        self.rnn = _CELLS[cell](_EMBEDDING if vocabulary else features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class scores, float32 (batch, K), of sequences of equal length, or of those ``lengths``, int64 (batch,)."""
        states, _ = self.rnn(self.embedding(inputs))
        last = states[:, -1] if lengths is None else states[torch.arange(len(lengths)), lengths - 1]
        scores: Tensor = self.head(last)
        return scores


class LanguageModel(nn.Module):
    """Predicts the next token at every step.

    Parameters
    ----------
    cell : {"RNN", "GRU", "LSTM"}
    hidden : int
        Number of units H.
    vocabulary : int
        Number of tokens V.
    """

    def __init__(self, cell: Cell, hidden: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, _EMBEDDING)
        self.rnn = _CELLS[cell](_EMBEDDING, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of the next token, float32 (batch, T, V), for int64 (batch, T)."""
        states, _ = self.rnn(self.embedding(inputs))
        scores: Tensor = self.head(states)
        return scores


class Net(nn.Module):
    """Embedding or numbers, recurrent layers, a linear output for each step or for each sequence.

    A sequence is answered from its last state; with both directions, from the last one of each.

    Parameters
    ----------
    cell : {"RNN", "GRU", "LSTM"}
    outputs : int
        Numbers per answer, K or V.
    per_sequence : bool
    units : int, or sequence of int
        Of every layer, or of one after the other.
    layers : int
        With one number of units.
    vocabulary : int
        Number of tokens V; 0 for continuous input.
    embedding : int
        Size of a token's vector.
    features : int
        Number of input features D of a continuous input.
    both : bool
        Read in both directions.
    dropout : float
        Of embeddings, between layers and before the output.
    """

    def __init__(
        self,
        cell: Cell,
        outputs: int,
        *,
        per_sequence: bool,
        units: int | Sequence[int],
        layers: int = 1,
        vocabulary: int = 0,
        embedding: int = 0,
        features: int = 0,
        both: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.per_sequence = per_sequence
        self.directions = 2 if both else 1
        self.embedding: nn.Module = (
            nn.Sequential(nn.Embedding(vocabulary, embedding), nn.Dropout(dropout)) if vocabulary else nn.Identity()
        )
        width = embedding if vocabulary else features
        self.dropout = nn.Dropout(dropout)
        self.rnn: nn.Module
        if isinstance(units, int):
            between = dropout if layers > 1 else 0.0
            self.rnn = _CELLS[cell](width, units, layers, batch_first=True, bidirectional=both, dropout=between)
            last = units
        else:  # torch's layers of one module are all of one size
            inputs = [width, *(size * self.directions for size in units[:-1])]
            self.rnn = nn.ModuleList(
                _CELLS[cell](size, wide, batch_first=True, bidirectional=both)
                for size, wide in zip(inputs, units, strict=True)
            )
            last = units[-1]
        self.head = nn.Linear(last * self.directions, outputs)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores, float32 (batch, K), or (batch, T, K) for each step.

        Parameters
        ----------
        inputs : int64 (batch, T) or float32 (batch, T, D)
        lengths : int64 (batch,), where the sequences differ in it; what lies beyond is not read
        """
        values = self.embedding(inputs)
        if lengths is None:
            states, last = self._recur(values)
        else:
            packed, last = self._recur(pack_padded_sequence(values, lengths, batch_first=True, enforce_sorted=False))
            states, _ = pad_packed_sequence(packed, batch_first=True)
        if self.per_sequence:
            hidden = last[0] if isinstance(last, tuple) else last
            states = torch.cat(tuple(hidden[-self.directions :]), dim=-1)
        scores: Tensor = self.head(self.dropout(states))
        return scores

    def _recur(self, values: Any) -> tuple[Any, Any]:
        """States of the last layer at every step, in the form of the input, and what it ended with."""
        if not isinstance(self.rnn, nn.ModuleList):
            return self.rnn(values)  # type: ignore[no-any-return]  # torch's modules return anything
        first, *others = self.rnn
        states, last = first(values)
        for layer in others:
            if isinstance(states, PackedSequence):
                states = states._replace(data=self.dropout(states.data))
            else:
                states = self.dropout(states)
            states, last = layer(states)
        return states, last
