"""Recurrent nets small enough to train while one waits: a classifier and a language model."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

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

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores, float32 (batch, K), of sequences of equal length."""
        states, _ = self.rnn(self.embedding(inputs))
        scores: Tensor = self.head(states[:, -1])
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
