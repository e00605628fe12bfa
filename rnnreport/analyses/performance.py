"""How good the model is on the probe set, with intervals, and how it got there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnreport.analyses.bootstrap import BootstrapParams, exact_ends, ratio_interval
from rnnreport.analyses.quantities import quantity_metrics
from rnnreport.analyses.sample import evenly
from rnnreport.analyses.scores import Errors, Scores, label_flags, score
from rnnreport.results.recorded import Checkpoint, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import Performance

Metric = tuple[tuple[float, float, float], str]  # value, low and high, and the unit

_NOT_METRICS = ("epoch", "wall_s")

_GUIDE = {
    "classification": "Intervals resample whole sequences; one that reaches the majority share means that always "
    "naming the most frequent class might do as well. The probe set is a sample: do not read a difference smaller than "
    "the interval as progress.",
    "tagging": "Every step is scored, and intervals resample whole sequences because the steps of one sequence depend "
    "on each other. A high share of one tag makes accuracy look good: compare it with the majority share.",
    "multi-label": "A sequence is an exact match where every label is right at a probability of 0.5; F1 counts single "
    "labels, right ones against missed and wrong ones. Intervals resample whole sequences. Labels that most sequences "
    "lack are easy to get right: compare the exact matches with those of always naming the most frequent set.",
    "regression": "Errors are in the units of the targets, all quantities together, so that one of large numbers "
    "outweighs the others. R² is 1 for no error, 0 for always predicting the mean of each quantity, and below 0 for "
    "worse than that. Intervals resample whole sequences. An error is large or small only beside that of the mean.",
    "step-regression": "Every step with a target is scored, and intervals resample whole sequences because the steps "
    "of one sequence depend on each other. R² is 1 for no error and 0 for always predicting the mean of each quantity; "
    "errors are in the units of the targets, all quantities together. Where values change slowly, repeating the last "
    "one gives a high R² too.",
    "language-model": "Perplexity is the exponential of the mean cross-entropy per token, so a model that guesses "
    "evenly among k tokens has perplexity k. It can be compared only between models with the same vocabulary and "
    "tokeniser.",
    "unlabelled": "The probe set has no labels, so there is nothing to score; the curves show whatever the training "
    "reported. Nothing here says whether the model is good.",
}


@dataclass(frozen=True)
class PerformanceParams:
    """Parameters of the intervals, and the number of predicted quantities that are kept for display at most."""

    bootstrap: BootstrapParams = field(default_factory=BootstrapParams)
    most_items: int = 2000


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
    truth, output = _pairs(scores, params.most_items)
    return Performance(
        metrics=_metrics(probe, checkpoint, scores, params.bootstrap),
        confusion=_confusion(probe, scores),
        label_counts=_label_counts(probe, checkpoint),
        truth=truth,
        output=output,
        class_names=probe.class_names,
        history_names=names,
        history_epochs=epochs,
        history=values,
        guide=_GUIDE[probe.task],
    )


def _metrics(
    probe: Probe, checkpoint: Checkpoint, scores: Scores | Errors | None, params: BootstrapParams
) -> dict[str, dict[str, Any]]:
    """Every metric whose value is finite, by name."""
    if scores is None or scores.sequence.size == 0:
        return {}
    count = probe.lengths.size
    found: dict[str, Metric]
    if isinstance(scores, Errors):
        found = {
            name: (metric, "share of variance" if name == "r2" else "target units")
            for name, metric in quantity_metrics(scores, count, params).items()
        }
    else:
        found = _share_metrics(probe, scores, count, params)
        if probe.task == "multi-label":
            has, gives, _ = label_flags(probe.truths, checkpoint.model_output)
            both, either = 2.0 * (has & gives).sum(axis=1), has.sum(axis=1) + gives.sum(axis=1).astype(np.float64)
            f1 = ratio_interval(both, either, params)
            found = {"exact_match": found["exact_match"], "micro_f1": (f1, "share"), **found}
    return {
        name: {"value": value, "low": _bound(low), "high": _bound(high), "n": int(scores.sequence.size), "unit": unit}
        for name, ((value, low, high), unit) in found.items()
        if math.isfinite(value)
    }


def _share_metrics(probe: Probe, scores: Scores, count: int, params: BootstrapParams) -> dict[str, Metric]:
    """What counts right and wrong items, and their loss."""

    def interval(values: Doubles) -> tuple[float, float, float]:
        return ratio_interval(*scores.per_sequence(values, count), params)

    def share(values: Doubles) -> tuple[float, float, float]:
        value, low, high = interval(values)
        return exact_ends(value, low, high, count, params)

    right, loss = share(scores.right), interval(scores.loss)
    name = "exact_match" if probe.task == "multi-label" else "accuracy"
    found: dict[str, Metric] = {name: (right, "share"), "cross_entropy": (loss, "nats")}
    if probe.task == "language-model":
        found["perplexity"] = ((_exp(loss[0]), _exp(loss[1]), _exp(loss[2])), "tokens")
    else:
        most_frequent = np.bincount(scores.actual).argmax()
        found["majority_share"] = (share((scores.actual == most_frequent).astype(np.float64)), "share")
    return found


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf


def _confusion(probe: Probe, scores: Scores | Errors | None) -> Ints:
    if not isinstance(scores, Scores) or probe.task not in ("classification", "tagging"):
        return np.zeros((0, 0), np.int32)
    predicted = scores.predicted >= 0
    table = np.zeros((len(probe.class_names), len(probe.class_names)), np.int32)
    np.add.at(table, (scores.actual[predicted], scores.predicted[predicted]), 1)
    return table


def _label_counts(probe: Probe, checkpoint: Checkpoint) -> Ints:
    """Only sequences whose output is finite, as in the confusion matrix."""
    if probe.task != "multi-label" or not probe.truths.size or not checkpoint.model_output.size:
        return np.zeros((0, 4), np.int32)
    has, gives, finite = label_flags(probe.truths, checkpoint.model_output)
    has, gives = has[finite], gives[finite]
    kinds = (has & gives, ~has & gives, has & ~gives, ~has & ~gives)
    return np.stack([kind.sum(axis=0) for kind in kinds], axis=1).astype(np.int32)


def _pairs(scores: Scores | Errors | None, most: int) -> tuple[Floats, Floats]:
    """Targets and predictions of evenly spaced items."""
    if not isinstance(scores, Errors):
        return np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32)
    kept = evenly(len(scores.truth), most)
    return scores.truth[kept].astype(np.float32), scores.output[kept].astype(np.float32)


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
