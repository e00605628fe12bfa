"""Two tasks whose solution is known as a dynamical system, and nets that are trained on them in seconds.

The flip-flop is the ground truth of Sussillo and Barak (2013) and of FixedPointFinder; the evidence counting that of
Aitken et al. (2020): tokens speak for a class with +2 to -2, and the label is the class with the largest sum.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.load.corpus import NO_LABELS, Corpus

BITS, SCORES = 3, (2, 1, 0, -1, -2)


class FlipFlop(nn.Module):
    """Says for each channel the sign of its last pulse."""

    def __init__(self, cell: type[nn.GRU] | type[nn.LSTM] = nn.GRU, units: int = 16) -> None:
        super().__init__()
        self.rnn = cell(BITS, units, batch_first=True)
        self.head = nn.Linear(units, BITS)

    def forward(self, pulses: Tensor) -> Tensor:
        return self.head(self.rnn(pulses)[0])


class Counter(nn.Module):
    """Names the class that the tokens speak for most."""

    def __init__(self, classes: int, units: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(SCORES) * classes, 8)
        self.rnn = nn.GRU(8, units, batch_first=True)
        self.head = nn.Linear(units, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def draw_pulses(count: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pulses (count, steps, 3), one in five steps and one at the first, and the bits they leave."""
    signs = torch.randint(0, 2, (count, steps, BITS), generator=generator) * 2.0 - 1
    there = torch.rand(count, steps, BITS, generator=generator) < 0.2
    there[:, 0] = True
    pulses = signs * there
    last = torch.where(there, torch.arange(steps)[:, None], 0).cummax(1).values
    return pulses, signs.gather(1, last)


def draw_evidence(classes: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (count, 40) and the class of each sequence."""
    tokens = torch.randint(0, len(SCORES) * classes, (count, 40), generator=generator)
    sums = torch.zeros(count, classes, dtype=torch.int64)
    sums.scatter_add_(1, tokens // len(SCORES), torch.tensor(SCORES)[tokens % len(SCORES)])
    return tokens, sums.argmax(1)


def trained_flip_flop(cell: type[nn.GRU] | type[nn.LSTM]) -> tuple[FlipFlop, float]:
    """A net and the share of wrong bits on new sequences."""
    torch.manual_seed(0)
    generator, model = torch.Generator().manual_seed(0), FlipFlop(cell)

    def loss() -> Tensor:
        pulses, bits = draw_pulses(128, 24, generator)
        return (model(pulses) - bits).square().mean()

    _train(model, loss, 400, 0.03)
    with torch.no_grad():
        pulses, bits = draw_pulses(400, 40, generator)
        return model.eval(), float(((model(pulses) > 0) != (bits > 0)).float().mean())


def trained_counter(classes: int) -> tuple[Counter, float]:
    """A net and its accuracy on new sequences."""
    torch.manual_seed(0)
    generator, model = torch.Generator().manual_seed(0), Counter(classes)

    def loss() -> Tensor:
        tokens, labels = draw_evidence(classes, 64, generator)
        return nn.functional.cross_entropy(model(tokens), labels)

    _train(model, loss, 500 + 100 * classes, 0.02, decay=0.1)
    with torch.no_grad():
        tokens, labels = draw_evidence(classes, 1000, generator)
        return model.eval(), float((model(tokens).argmax(1) == labels).float().mean())


def _train(model: nn.Module, loss: object, steps: int, rate: float, decay: float = 0.0) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def flip_flop_corpus(count: int = 60, steps: int = 24) -> Corpus:
    """Series with the bits as what is to be said at every step."""
    pulses, bits = draw_pulses(count, steps, torch.Generator().manual_seed(9))
    names = tuple(f"bit {bit + 1}" for bit in range(BITS))
    return _corpus(
        "step-regression", pulses.numpy(), class_names=names, feature_names=names, truths=tuple(bits.numpy())
    )


def evidence_corpus(classes: int, count: int = 150) -> Corpus:
    """Tokens such as "b+2"."""
    tokens, labels = draw_evidence(classes, count, torch.Generator().manual_seed(9))
    letters = "abcdefgh"[:classes]
    return _corpus(
        "classification",
        tokens.numpy().astype(np.int32),
        vocabulary=tuple(f"{letter}{score:+d}" for letter in letters for score in SCORES),
        class_names=tuple(letters),
        labels=labels.numpy().astype(np.int32),
    )


def _corpus(task: object, inputs: np.ndarray, **more: object) -> Corpus:
    given = {
        "labels": NO_LABELS,
        "step_targets": (),
        "vocabulary": (),
        "class_names": (),
        "feature_names": (),
        "skipped": {},
        "unknown_tokens": 0,
        "sha256": "",
    }
    ids = tuple(f"s{number:03}" for number in range(len(inputs)))
    return Corpus(name="planted", task=task, sequence_ids=ids, inputs=tuple(inputs), **given | more)
