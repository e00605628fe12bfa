"""What the model says against what is right, item by item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import NUMERIC, Checkpoint, Doubles, Floats, Ints, Probe

_SMALLEST = float(np.finfo(np.float32).tiny)  # a probability stored as 0 costs this much, not infinity
LABEL_AT = 0.5  # a label is given from this probability on
SHARES = ("accuracy", "exact_match")  # metrics of which more is better; their differences are told in points

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Right and wrong, per scored item, and where each item belongs.

    Attributes
    ----------
    sequence : int64 (I,), the sequence of each scored item (a sequence, a tag, a next token)
    right : float64 (I,), 1 where the prediction is right; where there are several labels, all of them
    loss : float64 (I,), -ln p(actual) in nats; where there are several labels, their mean
    actual, predicted : int32 (I,), a class, a token or a number for a set of labels; -1 for a prediction of NaN
    """

    sequence: NDArray[np.int64]
    right: Doubles
    loss: Doubles
    actual: Ints
    predicted: Ints

    def per_sequence(self, values: Doubles, count: int) -> tuple[Doubles, Doubles]:
        """Sum of the values over the items of each sequence, and the number of items, both float64 (count,)."""
        return sums(self.sequence, values, count), sums(self.sequence, np.ones(self.sequence.size), count)


@dataclass(frozen=True)
class Errors:
    """Predicted and right quantities of the scored items: the sequences, or the steps, that have a target.

    Attributes
    ----------
    sequence : int64 (I,), the sequence of each item
    truth : float64 (I, K), NaN where an item lacks a quantity, but not all of them
    output : float64 (I, K)
    """

    sequence: NDArray[np.int64]
    truth: Doubles
    output: Doubles

    @property
    def known(self) -> Flags:
        """bool (I, K): which quantities have a target."""
        return np.isfinite(self.truth)

    @property
    def error(self) -> Doubles:
        """float64 (I, K): output less truth, 0 where there is no target."""
        return np.where(self.known, self.output - self.truth, 0.0)


def expected_classes(probe: Probe, checkpoint: Checkpoint) -> Ints:
    """int32 (S,): the class or tag that is most probable at each step; -1 where none is."""
    outputs = checkpoint.step_output
    if probe.task not in ("classification", "tagging") or not outputs.size:
        return np.full(int(probe.lengths.sum()), -1, np.int32)
    known = np.isfinite(outputs).all(axis=1)
    return np.where(known, outputs.argmax(axis=1), -1).astype(np.int32)


def score(probe: Probe, checkpoint: Checkpoint) -> Scores | Errors | None:
    """Compare what the model says with what is right, or None where one of the two is missing."""
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    if probe.task == "classification" and probe.labels.size and checkpoint.model_output.size:
        return _score_classes(np.arange(probe.lengths.size), checkpoint.model_output, probe.labels)
    if probe.task == "tagging" and probe.targets.size and checkpoint.step_output.size:
        known = probe.targets >= 0
        return _score_classes(owners[known], checkpoint.step_output[known], probe.targets[known])
    if probe.task == "language-model" and checkpoint.surprisal.size:
        return _score_tokens(probe, checkpoint, owners)
    if probe.task == "multi-label" and probe.truths.size and checkpoint.model_output.size:
        return _score_labels(probe.truths, checkpoint.model_output)
    if probe.task in NUMERIC:
        sequences = probe.task == "regression"
        output = checkpoint.model_output if sequences else checkpoint.step_output
        return _score_quantities(np.arange(len(output)) if sequences else owners, output, probe.truths)
    return None


def label_flags(truths: Floats, output: Floats) -> tuple[Flags, Flags, Flags]:
    """Which labels a sequence has, which the model gives it, and of which sequences its output is finite.

    Parameters
    ----------
    truths : float32 (N, K), 0 or 1
    output : float32 (N, K), probabilities

    Returns
    -------
    has, gives : bool (N, K)
    finite : bool (N,)
    """
    finite = np.asarray(np.isfinite(output).all(axis=1))
    return truths > 0, output >= LABEL_AT, finite


def sums(sequence: NDArray[np.int64], values: Doubles, count: int) -> Doubles:
    """Sum of the values, one per item, over the items of each sequence, float64 (count,)."""
    return np.bincount(sequence, weights=values, minlength=count).astype(np.float64)


def set_numbers(*flags: Flags) -> list[Ints]:
    """A number for each row, the same for the same set of labels, int32 (I,) for each of the arrays (I, K)."""
    _, numbers = np.unique(np.concatenate(flags), axis=0, return_inverse=True)
    return [part.astype(np.int32) for part in np.split(numbers.ravel(), np.cumsum([len(one) for one in flags])[:-1])]


def _score_classes(sequence: NDArray[np.int64], output: Floats, actual: Ints) -> Scores:
    finite = np.isfinite(output).all(axis=1)
    predicted = np.where(finite, output.argmax(axis=1), -1).astype(np.int32)  # a prediction of NaN is no class at all
    chosen = np.clip(output[np.arange(actual.size), actual].astype(np.float64), _SMALLEST, None)
    return Scores(sequence, (predicted == actual).astype(np.float64), -np.log(chosen), actual, predicted)


def _score_tokens(probe: Probe, checkpoint: Checkpoint, owners: NDArray[np.int64]) -> Scores:
    scored = probe.targets >= 0
    actual, predicted = probe.targets[scored], checkpoint.top_tokens[scored, 0]
    loss = checkpoint.surprisal[scored].astype(np.float64)
    return Scores(owners[scored], (actual == predicted).astype(np.float64), loss, actual, predicted)


def _score_labels(truths: Floats, output: Floats) -> Scores:
    has, gives, finite = label_flags(truths, output)
    actual, predicted = set_numbers(has, gives)
    predicted = np.where(finite, predicted, -1).astype(np.int32)
    chosen = np.where(has, output, 1 - output).astype(np.float64)
    loss = -np.log(np.clip(chosen, _SMALLEST, None)).mean(axis=1)
    return Scores(np.arange(len(truths)), (predicted == actual).astype(np.float64), loss, actual, predicted)


def _score_quantities(sequence: NDArray[np.int64], output: Floats, truths: Floats) -> Errors | None:
    if not output.size or not truths.size:
        return None
    scored = np.isfinite(truths).any(axis=1)
    if not scored.any():
        return None
    return Errors(sequence[scored], truths[scored].astype(np.float64), output[scored].astype(np.float64))
