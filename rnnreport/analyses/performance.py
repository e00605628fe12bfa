"""How good the model is on the probe set, with intervals, and how it got there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, exact_ends, ratio_interval
from rnnreport.results.recorded import Checkpoint, Doubles, Ints, Probe
from rnnreport.results.schema import Performance

_NOT_METRICS = ("epoch", "wall_s")
_SMALLEST = float(np.finfo(np.float32).tiny)  # a probability stored as 0 costs this much, not infinity

_GUIDE = {
    "classification": "Intervals resample whole sequences; one that reaches the majority share means that always "
    "naming the most frequent class might do as well. The probe set is a sample: do not read a difference smaller than "
    "the interval as progress.",
    "tagging": "Every step is scored, and intervals resample whole sequences because the steps of one sequence depend "
    "on each other. A high share of one tag makes accuracy look good: compare it with the majority share.",
    "language-model": "Perplexity is the exponential of the mean cross-entropy per token, so a model that guesses "
    "evenly among k tokens has perplexity k. It can be compared only between models with the same vocabulary and "
    "tokeniser.",
    "unlabelled": "The probe set has no labels, so there is nothing to score; the curves show whatever the training "
    "reported. Nothing here says whether the model is good.",
}


@dataclass(frozen=True)
class PerformanceParams:
    """Parameters of the intervals."""

    bootstrap: BootstrapParams = field(default_factory=BootstrapParams)


@dataclass(frozen=True)
class Scores:
    """Right and wrong, per scored item, and where each item belongs.

    Attributes
    ----------
    sequence : int64 (I,), the sequence of each scored item (a sequence, a tag, a next token)
    right : float64 (I,), 1 where the prediction is right
    loss : float64 (I,), -ln p(actual) in nats
    actual, predicted : int32 (I,)
    """

    sequence: NDArray[np.int64]
    right: Doubles
    loss: Doubles
    actual: Ints
    predicted: Ints

    def per_sequence(self, values: Doubles, count: int) -> tuple[Doubles, Doubles]:
        """Sum of the values over the items of each sequence, and the number of items, both float64 (count,)."""
        totals = np.bincount(self.sequence, weights=values, minlength=count).astype(np.float64)
        return totals, np.bincount(self.sequence, minlength=count).astype(np.float64)


def performance(
    probe: Probe, checkpoint: Checkpoint, history: Sequence[dict[str, Any]], params: PerformanceParams
) -> Performance:
    """Score the last checkpoint and collect the metrics reported during training.

    Parameters
    ----------
    probe : Probe
    checkpoint : Checkpoint
        The last recorded epoch.
    history : sequence of dict
        Lines of metrics.jsonl.
    params : PerformanceParams
    """
    scores = score(probe, checkpoint)
    names, epochs, values = _history(history)
    return Performance(
        metrics=_metrics(probe, scores, params.bootstrap),
        confusion=_confusion(scores, len(probe.class_names)),
        label_counts=np.zeros((0, 4), np.int32),
        truth=np.zeros((0, 0), np.float32),
        output=np.zeros((0, 0), np.float32),
        class_names=probe.class_names,
        history_names=names,
        history_epochs=epochs,
        history=values,
        guide=_GUIDE[probe.task],
    )


def score(probe: Probe, checkpoint: Checkpoint) -> Scores | None:
    """Compare what the model says with what is right, or None where one of the two is missing."""
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    if probe.task == "classification" and probe.labels.size and checkpoint.model_output.size:
        return _score_classes(np.arange(probe.lengths.size), checkpoint.model_output, probe.labels)
    if probe.task == "tagging" and probe.targets.size and checkpoint.step_output.size:
        known = probe.targets >= 0
        return _score_classes(owners[known], checkpoint.step_output[known], probe.targets[known])
    if probe.task == "language-model" and checkpoint.surprisal.size:
        return _score_tokens(probe, checkpoint, owners)
    return None


def _score_classes(sequence: NDArray[np.int64], output: NDArray[np.float32], actual: Ints) -> Scores:
    finite = np.isfinite(output).all(axis=1)
    predicted = np.where(finite, output.argmax(axis=1), -1).astype(np.int32)  # a prediction of NaN is no class at all
    chosen = np.clip(output[np.arange(actual.size), actual].astype(np.float64), _SMALLEST, None)
    return Scores(sequence, (predicted == actual).astype(np.float64), -np.log(chosen), actual, predicted)


def _score_tokens(probe: Probe, checkpoint: Checkpoint, owners: NDArray[np.int64]) -> Scores:
    scored = probe.targets >= 0
    actual, predicted = probe.targets[scored], checkpoint.top_tokens[scored, 0]
    loss = checkpoint.surprisal[scored].astype(np.float64)
    return Scores(owners[scored], (actual == predicted).astype(np.float64), loss, actual, predicted)


def _metrics(probe: Probe, scores: Scores | None, params: BootstrapParams) -> dict[str, dict[str, Any]]:
    """Every metric whose value is finite, by name."""
    if scores is None or scores.right.size == 0:
        return {}
    count = probe.lengths.size

    def interval(values: Doubles) -> tuple[float, float, float]:
        return ratio_interval(*scores.per_sequence(values, count), params)

    def share(values: Doubles) -> tuple[float, float, float]:
        value, low, high = interval(values)
        return exact_ends(value, low, high, count, params)

    accuracy, loss = share(scores.right), interval(scores.loss)
    found = {"accuracy": (accuracy, "share"), "cross_entropy": (loss, "nats")}
    if probe.task == "language-model":
        found["perplexity"] = ((_exp(loss[0]), _exp(loss[1]), _exp(loss[2])), "tokens")
    else:
        most_frequent = np.bincount(scores.actual).argmax()
        found["majority_share"] = (share((scores.actual == most_frequent).astype(np.float64)), "share")
    return {
        name: {"value": value, "low": _bound(low), "high": _bound(high), "n": int(scores.right.size), "unit": unit}
        for name, ((value, low, high), unit) in found.items()
        if math.isfinite(value)
    }


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _confusion(scores: Scores | None, classes: int) -> Ints:
    if scores is None or classes == 0:
        return np.zeros((0, 0), np.int32)
    predicted = scores.predicted >= 0
    table = np.zeros((classes, classes), np.int32)
    np.add.at(table, (scores.actual[predicted], scores.predicted[predicted]), 1)
    return table


def _history(lines: Sequence[dict[str, Any]]) -> tuple[tuple[str, ...], Ints, Doubles]:
    """Metrics by epoch. Where an epoch was recorded twice (a resumed run), the later line counts."""
    by_epoch = {line["epoch"]: line for line in lines}
    epochs = sorted(by_epoch)
    found = {name for line in by_epoch.values() for name, value in line.items() if _is_metric(name, value)}
    names = tuple(sorted(found))
    values = np.full((len(names), len(epochs)), np.nan)
    for column, epoch in enumerate(epochs):
        for row, name in enumerate(names):
            value = by_epoch[epoch].get(name)
            values[row, column] = value if _is_metric(name, value) else np.nan
    return names, np.array(epochs, dtype=np.int32), values


def _is_metric(name: str, value: object) -> bool:
    return name not in _NOT_METRICS and isinstance(value, (int, float)) and not isinstance(value, bool)
