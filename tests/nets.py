"""Two small nets as a user may have them, and how they were trained. Tests copy this file into a working directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence


class Sentiment(nn.Module):
    """A GRU over packed sequences; the head reads the state after the last word of each."""

    def __init__(self, words: int, units: int = 24) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 48, padding_idx=0)
        self.dropout = nn.Dropout(0.4)
        self.gru = nn.GRU(48, units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Class scores (B, 2) of padded tokens (B, T)."""
        inputs = self.dropout(self.embedding(tokens))
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.head(self.dropout(self.gru(packed)[1][-1]))


class Language(nn.Module):
    """A time-major LSTM language model that also returns its state, as in PyTorch's own example."""

    def __init__(self, words: int, units: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, units)
        self.lstm = nn.LSTM(units, units)
        self.decoder = nn.Linear(units, words)

    def forward(
        self, tokens: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Scores (T, B, V) of the next token for tokens (T, B), and the last state."""
        output, state = self.lstm(self.embedding(tokens), state)
        return self.decoder(output), state


def train_sentiment(model: Sentiment, texts: list[Tensor], labels: Tensor, epochs: int, folder: Path) -> None:
    """Train and leave ``epoch_1.pt`` ... in the folder; the model ends in eval mode."""
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    lengths = torch.tensor([len(text) for text in texts])
    for epoch in range(1, epochs + 1):
        model.train()
        for batch in torch.randperm(len(texts)).split(32):
            scores = model(pad_sequence([texts[n] for n in batch], batch_first=True), lengths[batch])
            _step(optimiser, nn.functional.cross_entropy(scores, labels[batch]))
        torch.save(model.state_dict(), folder / f"epoch_{epoch}.pt")
    model.eval()


def train_language(model: Language, stream: Tensor, epochs: int) -> None:
    """Train by truncated backpropagation on 20 strands of the stream; the model ends in eval mode."""
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    strands = stream[: len(stream) // 20 * 20].reshape(20, -1).T
    for _ in range(epochs):
        state = None
        for tokens, targets in _windows(strands, 35):
            scores, state = model(tokens, state)
            state = (state[0].detach(), state[1].detach())
            _step(optimiser, nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten()))
    model.eval()


def _windows(strands: Tensor, length: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(strands) - 1, length):
        targets = strands[start + 1 : start + 1 + length]
        yield strands[start : start + len(targets)], targets


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
