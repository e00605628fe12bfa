"""A seeded training loop for sequences of unequal length, without padding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnreport.train.nets import Cell, Classifier, LanguageModel
from rnnreport.train.tasks import Split, Task

_NONE = -1  # the target of a step that has none
_EVALUATION_BATCH = 512


@dataclass(frozen=True)
class Scores:
    """Metrics after an epoch. ``accuracy`` is the share of right classes, or of right next tokens.

    Epoch 0 is the net as initialised. Losses are mean cross entropies in nats over the whole split.
    """

    epoch: int
    train_loss: float
    test_loss: float
    test_accuracy: float

    def metrics(self) -> dict[str, float]:
        """Every metric by its name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "epoch"}


def build(task: Task, cell: Cell, seed: int) -> nn.Module:
    """A net for the task, with seeded initial weights."""
    torch.manual_seed(seed)
    if task.language_model:
        return LanguageModel(cell, task.hidden, len(task.vocabulary))
    return Classifier(
        cell,
        task.hidden,
        len(task.class_names),
        vocabulary=len(task.vocabulary),
        features=len(task.feature_names),
    )


def train(net: nn.Module, task: Task, seed: int) -> Iterator[Scores]:
    """Train with Adam and a falling learning rate; yields before the first epoch and after each.

    Between two scores the caller may look at the net in any way that leaves its weights alone.

    Parameters
    ----------
    net : Module
        Changed in place.
    task : Task
    seed : int
        Of the order of the batches.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=task.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=task.epochs)
    yield _scores(net, task, 0)
    for epoch in range(1, task.epochs + 1):
        net.train()
        for inputs, targets in batches(task.train, task.batch_size, generator):
            optimiser.zero_grad()
            loss = cross_entropy(net(inputs), targets)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
            optimiser.step()
        schedule.step()
        yield _scores(net, task, epoch)


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy in nats over all targets that are there.

    Parameters
    ----------
    scores : float32 (batch, K) or (batch, T, V)
    targets : int64 (batch,) or (batch, T), -1 where there is none
    """
    return nn.functional.cross_entropy(scores.flatten(0, -2), targets.flatten(), ignore_index=_NONE)


def batches(split: Split, size: int, generator: torch.Generator | None = None) -> list[tuple[Tensor, Tensor]]:
    """Batches of sequences of equal length: inputs (batch, T) or (batch, T, D), and their targets.

    Parameters
    ----------
    split : Split
    size : int
        Largest number of sequences in a batch.
    generator : torch.Generator, optional
        Draws the order of sequences and batches; without it the order of the split is kept within each length.
    """
    count = len(split)
    order = torch.randperm(count, generator=generator).tolist() if generator else range(count)
    by_length: dict[int, list[int]] = {}
    for place in order:
        by_length.setdefault(len(split.inputs[place]), []).append(place)
    groups = [places[at : at + size] for places in by_length.values() for at in range(0, len(places), size)]
    if generator:
        groups = [groups[number] for number in torch.randperm(len(groups), generator=generator).tolist()]
    return [
        (torch.stack([split.inputs[place] for place in group]), torch.stack([split.targets[place] for place in group]))
        for group in groups
    ]


@torch.no_grad()
def evaluate(net: nn.Module, split: Split) -> tuple[float, float]:
    """Mean cross entropy in nats, and accuracy, over all targets of a split."""
    net.eval()
    loss, right, count = 0.0, 0, 0
    for inputs, targets in batches(split, _EVALUATION_BATCH):
        scores = net(inputs)
        there = targets != _NONE
        loss += cross_entropy(scores, targets).item() * int(there.sum())
        right += int((scores.argmax(-1) == targets)[there].sum())
        count += int(there.sum())
    return loss / count, right / count


def _scores(net: nn.Module, task: Task, epoch: int) -> Scores:
    train_loss, _ = evaluate(net, task.train)
    test_loss, test_accuracy = evaluate(net, task.test)
    return Scores(epoch, train_loss, test_loss, test_accuracy)
