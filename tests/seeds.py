"""Many tiny nets of one configuration, trained with different seeds, and copies of one with a planted fault."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder

WORDS = ("up", "down", "higher", "lower", "and", "the", "so", "it")
_PUSH = np.array([1, -1, 2, -2, 0, 0, 0, 0])
UNITS = 8


class Net(nn.Module):
    """Two GRU layers, and a head that reads the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), 6)
        self.rnn = nn.GRU(6, UNITS, num_layers=2, batch_first=True)
        self.head = nn.Linear(UNITS, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Class scores (B, 2) of tokens (B, T)."""
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def sentences(seed: int, count: int, steps: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Words (count, steps), and whether they went up in all: never to where they began."""
    draw = np.random.default_rng(seed)
    tokens = draw.integers(0, len(WORDS), (4 * count, steps))
    total = _PUSH[tokens].sum(axis=1)
    return tokens[total != 0][:count], (total[total != 0][:count] > 0).astype(np.int64)


def train(seed: int, noise: float = 0.0, batches: int = 250) -> Net:
    """A net of a seed; ``noise``: share of the training labels that are drawn anew."""
    torch.manual_seed(seed)
    net = Net()
    tokens, labels = sentences(1, 400)
    draw = np.random.default_rng(seed)
    labels = np.where(draw.random(labels.size) < noise, draw.integers(0, 2, labels.size), labels)
    inputs, answers = torch.from_numpy(tokens), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(batches):
        batch = torch.randint(len(inputs), (32,))
        loss = nn.functional.cross_entropy(net(inputs[batch]), answers[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def record(net: Net, path: Path, seed: int, sequences: int = 200) -> RunFolder:
    """A run folder of the net on unseen sentences."""
    tokens, labels = sentences(2, sequences)
    corpus = Corpus(
        name="ups and downs",
        task="classification",
        sequence_ids=tuple(f"s{place}" for place in range(sequences)),
        inputs=tuple(row.astype(np.int32) for row in tokens),
        labels=labels.astype(np.int32),
        step_targets=(),
        vocabulary=WORDS,
        class_names=("down", "up"),
        feature_names=(),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )
    recorder = Recorder(net, corpus, path, name=path.name, source="seeds:Net", command="python train.py", seed=seed)
    recorder.record(1)
    return recorder.folder


def damaged(net: Net, damage: Callable[[Net], None]) -> Net:
    """A copy with a fault."""
    broken = copy.deepcopy(net)
    with torch.no_grad():
        damage(broken)
    return broken


def shift_gate(layer: int, by: float = -3.0) -> Callable[[Net], None]:
    """Shift the bias of the update gate, the second of torch's three, of every unit of a layer."""

    def damage(net: Net) -> None:
        getattr(net.rnn, f"bias_ih_l{layer}")[UNITS : 2 * UNITS] += by

    return damage


def restart_layer(layer: int) -> Callable[[Net], None]:
    """Draw all weights of a layer anew."""

    def damage(net: Net) -> None:
        torch.manual_seed(1000)
        fresh = Net().rnn
        for name, values in net.rnn.named_parameters():
            if name.endswith(f"_l{layer}"):
                values.copy_(dict(fresh.named_parameters())[name])

    return damage
