"""What one epoch consists of: batches, losses, steps of the optimiser, and the scores afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from torch.nn.utils.rnn import pad_sequence
from torch.optim import lr_scheduler

from rnnreport.capture.probe import make_probe
from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.corpus import Corpus
from rnnreport.progress import track
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Probe, Task
from rnnreport.train.nets import Net
from rnnreport.train.settings import Fit, Model, Schedule

_NONE = -1  # the class of a step that has none
_BALANCED: dict[str, tuple[Task, ...]] = {
    "none": ("classification", "multi-label", "regression", "language-model", "tagging", "step-regression"),
    "weights": ("classification", "tagging"),
    "oversample": ("classification",),
}


@dataclass(frozen=True)
class Examples:
    """Sequences of any lengths and what is to be answered.

    Attributes
    ----------
    task : Task
    inputs : sequence of N Tensor, int64 (T,) or float32 (T, D)
    targets : sequence of N Tensor: int64 () (classification), float32 (K,) (multi-label, regression), int64 (T,), -1
        where there is none (tagging, language model), float32 (T, K), NaN where there is none (step-regression)
    """

    task: Task
    inputs: Sequence[Tensor]
    targets: Sequence[Tensor]

    def take(self, places: Sequence[int]) -> Examples:
        """The sequences at these places."""
        inputs, targets = ([values[place] for place in places] for values in (self.inputs, self.targets))
        return Examples(self.task, inputs, targets)

    def batch(self, places: Sequence[int]) -> tuple[Tensor, Tensor | None, Tensor]:
        """Inputs (B, T) or (B, T, D), their lengths (B,) where they differ, and targets (B, ...), padded at the end."""
        inputs = [self.inputs[place] for place in places]
        targets = [self.targets[place] for place in places]
        lengths = torch.tensor([len(values) for values in inputs])
        none = _NONE if not targets[0].is_floating_point() else torch.nan
        return (
            pad_sequence(inputs, batch_first=True),
            lengths if lengths.min() < lengths.max() else None,
            torch.stack(targets)
            if self.task in PER_SEQUENCE
            else pad_sequence(targets, batch_first=True, padding_value=none),
        )


def examples(corpus: Corpus) -> Examples:
    """All sequences of a corpus and their answers, as capture sees them."""
    probe = make_probe(corpus, max_steps=sum(map(len, corpus.inputs)))
    lengths = probe.lengths.tolist()
    values = torch.from_numpy(probe.values) if probe.continuous else torch.from_numpy(probe.tokens).long()
    if probe.task == "classification":
        answers = torch.from_numpy(probe.labels).long()
    elif probe.truths.size:
        answers = torch.from_numpy(probe.truths)
    else:
        answers = torch.from_numpy(probe.targets).long()
    targets = answers.unbind() if probe.task in PER_SEQUENCE else torch.split(answers, lengths)
    return Examples(probe.task, torch.split(values, lengths), targets)


def build(model: Model, like: Corpus | Probe) -> Net:
    """The net of a configuration, with initial weights drawn from torch's generator.

    Parameters
    ----------
    model : Model
    like : Corpus or Probe
        Says what goes in and what comes out.

    Raises
    ------
    InputError
        If the net would read what it is to predict.
    """
    language = like.task == "language-model"
    if language and model.direction == "both":
        raise InputError(
            "model.direction is 'both', but a language model that reads from the end sees the next token",
            'set it to "forward"',
        )
    return Net(
        model.cell,
        len(like.vocabulary if language else like.class_names),
        per_sequence=like.task in PER_SEQUENCE,
        units=model.units,
        layers=model.layers,
        vocabulary=len(like.vocabulary),
        embedding=model.embedding,
        features=len(like.feature_names),
        both=model.direction == "both",
        dropout=model.dropout,
    )


def make_optimiser(net: nn.Module, fit: Fit) -> torch.optim.Optimizer:
    """The optimiser of a configuration."""
    kinds = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "sgd": torch.optim.SGD,
    }
    own = {"momentum": fit.momentum} if fit.optimiser in ("rmsprop", "sgd") else {}
    made: torch.optim.Optimizer = kinds[fit.optimiser](
        net.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay, **own
    )
    return made


Scheduler = lr_scheduler.LRScheduler | lr_scheduler.ReduceLROnPlateau


def make_schedule(optimiser: torch.optim.Optimizer, schedule: Schedule, epochs: int) -> Scheduler:
    """The schedule of a configuration, to be stepped once after every epoch."""
    match schedule.kind:
        case "step":
            return lr_scheduler.StepLR(optimiser, step_size=schedule.every, gamma=schedule.factor)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
        case "plateau":
            return lr_scheduler.ReduceLROnPlateau(optimiser, factor=schedule.factor, patience=schedule.patience)
        case _:
            return lr_scheduler.ConstantLR(optimiser, factor=1.0)


def refuse_imbalance(fit: Fit, task: Task) -> None:
    """Raise where the way of balancing means nothing for the task.

    Raises
    ------
    InputError
    """
    if task not in _BALANCED[fit.balance]:
        raise InputError(
            f"training.balance is {fit.balance!r}, but the task is {task}",
            f"it works for {' and '.join(_BALANCED[fit.balance])}",
        )


def class_weights(train: Examples, classes: int) -> Tensor:
    """float32 (K,): what an answer of each class counts, so that all classes count the same; 1 on average.

    Parameters
    ----------
    train : Examples
        Of the training split.
    classes : int
    """
    answers = torch.cat([target.reshape(-1) for target in train.targets])
    counts = torch.bincount(answers, minlength=classes)
    return len(answers) / (classes * counts.clamp(min=1).float())


def order_of_epoch(train: Examples, oversample: bool) -> list[int]:
    """Places of the sequences in the order of one epoch, drawn from torch's generator.

    Parameters
    ----------
    train : Examples
    oversample : bool
        Repeat sequences of the rarer classes until all classes are as frequent as the most frequent one.
    """
    places = torch.arange(len(train.inputs))
    if oversample:
        labels = torch.stack(list(train.targets))
        groups = [places[labels == label] for label in sorted(set(labels.tolist()))]
        size = max(map(len, groups))
        places = torch.cat([part for group in groups for part in _repeated(group, size)])
    order: list[int] = places[torch.randperm(len(places))].tolist()
    return order


def _repeated(group: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Every place as often as it goes evenly, and a random part of them once more."""
    return group.repeat(size // len(group)), group[torch.randperm(len(group))[: size % len(group)]]


def train_epoch(
    net: nn.Module,
    train: Examples,
    fit: Fit,
    optimiser: torch.optim.Optimizer,
    weights: Tensor | None = None,
    label: str = "training",
) -> None:
    """One pass over the training split, in an order drawn from torch's generator.

    Parameters
    ----------
    net : nn.Module
        Changed in place.
    train : Examples
    fit : Fit
    optimiser : Optimizer
    weights : float32 (K,), optional
        Of the classes.
    label : str
        For the display of progress.

    Raises
    ------
    RnnReportError
        If the loss is no longer finite.
    """
    net.train()
    order = order_of_epoch(train, fit.balance == "oversample")
    starts = range(0, len(order), fit.batch_size)
    for start in track(starts, f"{label}, batches", len(starts)):
        inputs, lengths, targets = train.batch(order[start : start + fit.batch_size])
        total, count = loss_of(train.task, net(inputs, lengths), targets, weights)
        if not count:
            continue
        loss = total / count
        if not torch.isfinite(loss):
            raise RnnReportError(
                f"{label}: the loss is no longer finite", "lower training.learning-rate or set training.clip"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if fit.clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), max_norm=fit.clip)
        optimiser.step()


def loss_of(task: Task, scores: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, float]:
    """Sum of the losses of a batch and what to divide it by for their mean.

    Cross-entropy in nats per answer, or per label where there are several; squared error per quantity.

    Parameters
    ----------
    task : Task
    scores : float32 (B, K) or (B, T, K)
    targets : as in ``Examples.batch``
    weights : float32 (K,), optional
        Of the classes; the mean is then a weighted one.
    """
    if task in NUMERIC:
        known = torch.isfinite(targets)
        return mse_loss(scores[known], targets[known], reduction="sum"), int(known.sum())
    if task == "multi-label":
        return binary_cross_entropy_with_logits(scores, targets, reduction="sum"), targets.numel()
    scores, targets = scores.flatten(0, -2), targets.flatten()
    total = cross_entropy(scores, targets, weights, ignore_index=_NONE, reduction="sum")
    known = targets[targets != _NONE]
    return total, len(known) if weights is None else weights[known].sum().item()


def right_of(task: Task, scores: Tensor, targets: Tensor) -> tuple[int, int]:
    """How many answers are right, and of how many; of several labels all must be right, quantities never count."""
    if task in NUMERIC:
        return 0, 0
    if task == "multi-label":
        return int(((scores > 0) == (targets > 0)).all(dim=-1).sum()), len(targets)
    return int((scores.argmax(-1) == targets).sum()), int((targets != _NONE).sum())


@torch.no_grad()
def evaluate(net: nn.Module, split: Examples, batch_size: int) -> dict[str, float]:
    """Mean loss over all answers of a split, every one counting the same, and the share that is right.

    Parameters
    ----------
    net : nn.Module
        Left in eval mode.
    split : Examples
    batch_size : int

    Returns
    -------
    dict
        "loss" (see ``loss_of``) and, unless the answers are quantities, "accuracy".

    Raises
    ------
    InputError
        If the split has nothing to answer.
    """
    net.eval()
    total, count, right, answered = 0.0, 0.0, 0, 0
    for start in range(0, len(split.inputs), batch_size):
        inputs, lengths, targets = split.batch(range(start, min(start + batch_size, len(split.inputs))))
        scores = net(inputs, lengths)
        loss, losses = loss_of(split.task, scores, targets)
        hits, answers = right_of(split.task, scores, targets)
        total, count, right, answered = total + loss.item(), count + losses, right + hits, answered + answers
    if not count:
        raise InputError("a split has no step with a target", "give larger shares or a larger corpus")
    return {"loss": total / count} | ({"accuracy": right / answered} if answered else {})
