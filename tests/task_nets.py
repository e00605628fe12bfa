"""Small nets for several labels and for quantities, and how they are trained. Tests copy this file, as ``nets.py``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


class Labels(nn.Module):
    """Which labels a sentence has: the largest value of every unit over its words decides."""

    def __init__(self, words: int, labels: int, units: int = 48) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 32, padding_idx=0)
        self.gru = nn.GRU(32, units, batch_first=True)
        self.head = nn.Linear(units, labels)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Probabilities (B, K) of padded tokens (B, T)."""
        packed = pack_padded_sequence(self.embedding(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, padding_value=-2.0)
        return torch.sigmoid(self.head(states.amax(dim=1)))


class Scores(nn.Module):
    """Two quantities of a sentence, read off the state after its last word."""

    def __init__(self, words: int, units: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 32, padding_idx=0)
        self.dropout = nn.Dropout(0.3)
        self.gru = nn.GRU(32, units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Quantities (B, 2) of padded tokens (B, T)."""
        inputs = self.dropout(self.embedding(tokens))
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.head(self.gru(packed)[1][-1])


class Next(nn.Module):
    """The next value of every channel, at each step, in the units of the input."""

    def __init__(self, channels: int = 6, units: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.lstm = nn.LSTM(channels, units, batch_first=True)
        self.head = nn.Linear(units, channels)

    def forward(self, values: Tensor) -> Tensor:
        """Quantities (B, T, D) of series (B, T, D)."""
        return self.head(self.lstm((values - self.mean) / self.scale)[0]) * self.scale + self.mean


def train_sentences(
    model: nn.Module, texts: list[Tensor], truths: Tensor, loss: Callable[[Tensor, Tensor], Tensor], epochs: int
) -> None:
    """Train on sentences of tokens; the model ends in eval mode."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    order = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(epochs):
        for picked in torch.randperm(len(texts), generator=order).split(64):
            chosen = [texts[place] for place in picked]
            output = model(pad_sequence(chosen, batch_first=True), torch.tensor([len(text) for text in chosen]))
            _step(optimiser, loss(output, truths[picked]))
    model.eval()


def train_series(model: Next, windows: Tensor, epochs: int) -> None:
    """Train on windows (N, T + 1, D) to foresee every value but the first; the model ends in eval mode."""
    model.mean.copy_(windows.mean(dim=(0, 1)))
    model.scale.copy_(windows.std(dim=(0, 1)))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for picked in torch.randperm(len(windows), generator=order).split(16):
            error = (model(windows[picked, :-1]) - windows[picked, 1:]) / model.scale
            _step(optimiser, error.square().mean())
    model.eval()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
