"""Sentences given by hand, put after the displayed sequences of a page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import PER_SEQUENCE, Floats, Ints
from rnnreport.results.schema import GivenSentences, Sequences


def with_given(shown: Sequences, given: GivenSentences | None) -> Sequences:
    """The displayed sequences and after them the given ones, whose answers are unknown: -1, or NaN.

    Parameters
    ----------
    shown : Sequences
    given : GivenSentences, optional
        With the same epochs.
    """
    if given is None:
        return shown
    count, steps, first = len(given.lengths), len(given.tokens), len(shown.token_names)
    answers = count if shown.task in PER_SEQUENCE else steps
    return replace(
        shown,
        sequence_ids=shown.sequence_ids + given.sequence_ids,
        lengths=np.concatenate([shown.lengths, given.lengths]),
        labels=_unknown(shown.labels, count),
        predicted=np.concatenate([shown.predicted, given.predicted]),
        confidence=np.concatenate([shown.confidence, given.confidence]),
        truths=_undefined(shown.truths, answers),
        outputs=np.concatenate([shown.outputs, given.outputs]),
        tokens=np.concatenate([shown.tokens, first + np.arange(steps, dtype=np.int32)]),
        token_names=shown.token_names + given.written + given.token_names,
        step_output=np.concatenate([shown.step_output, given.step_output], axis=1),
        targets=_following(shown, given) if shown.surprisal.size else _unknown(shown.targets, steps),
        surprisal=np.concatenate([shown.surprisal, given.surprisal]),
        top_tokens=np.concatenate([shown.top_tokens, _after(given.top_tokens, first + steps)]),
        top_probabilities=np.concatenate([shown.top_probabilities, given.top_probabilities]),
        distance=np.concatenate([shown.distance, given.distance]),
    )


def _following(shown: Sequences, given: GivenSentences) -> Ints:
    """The tokens that came next, of a language model; none where either was analysed before they were kept."""
    if not shown.targets.size or not given.targets.size:
        return np.zeros(0, np.int32)
    return np.concatenate([shown.targets, _after(given.targets, len(shown.token_names) + len(given.tokens))])


def _after(places: Ints, count: int) -> Ints:
    """Places among names that follow ``count`` others; -1 stays."""
    return np.where(places < 0, places, places + count).astype(np.int32)


def _unknown(values: Ints, count: int) -> Ints:
    """-1 for each further one, where there are any."""
    return np.append(values, np.full(count, -1, np.int32)).astype(np.int32) if values.size else values


def _undefined(values: Floats, count: int) -> Floats:
    """A row of NaN for each further one, where there are any."""
    rows: NDArray[np.float32] = np.full((count, values.shape[1]), np.nan, np.float32)
    return np.concatenate([values, rows]) if values.size else values
