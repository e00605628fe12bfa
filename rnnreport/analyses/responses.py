"""Responses of units to words (Ming et al., "Understanding Hidden Memories of Recurrent Neural Networks", VAST 2017).

The response of unit i to word w is the mean, over all occurrences of w, of the change of the unit at that step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.formulas import BANDS
from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class Responses:
    """What the units do at the occurrences of each word.

    Attributes
    ----------
    mean : float32 (W, H)
    bands : float32 (4, W, H), percentiles ``BANDS``
    explained : float32 (H,), share of the variance of the change that word identity explains, 0 for a constant unit
    """

    mean: Floats
    bands: Floats
    explained: Floats


def word_responses(delta: Floats, step_words: Ints, words: int) -> Responses:
    """Mean, spread and explained share of the changes by word.

    Parameters
    ----------
    delta : float32 (S, H)
    step_words : int32 (S,), -1 where the step shows none of the words; each word occurs at least once
    words : int, W
    """
    units = delta.shape[1]
    mean = np.zeros((words, units))
    bands = np.zeros((len(BANDS), words, units), np.float32)
    within = np.zeros(units)
    counts = np.zeros(words)
    for word, places in _occurrences(step_words, words):
        at_word = delta[places].astype(np.float64)
        mean[word] = at_word.mean(axis=0)
        bands[:, word] = np.percentile(at_word, BANDS, axis=0)
        within += ((at_word - mean[word]) ** 2).sum(axis=0)
        counts[word] = places.size
    return Responses(mean.astype(np.float32), bands, _explained(mean, counts, within).astype(np.float32))


def mean_responses(delta: Floats, step_words: Ints, words: int) -> Floats:
    """The mean responses alone, as in ``word_responses``: float32 (W, H), NaN for a word that does not occur."""
    mean = np.full((words, delta.shape[1]), np.nan, np.float32)
    for word, places in _occurrences(step_words, words):
        if places.size:
            mean[word] = delta[places].mean(axis=0, dtype=np.float64)
    return mean


def standard_errors(
    delta: Floats, offsets: NDArray[np.int64], step_words: Ints, words: int, params: BootstrapParams
) -> Floats:
    """Bootstrap standard errors of the mean responses, resampling whole sequences.

    Parameters
    ----------
    delta : float32 (S, H)
    offsets : int64 (N + 1,)
    step_words : int32 (S,), -1 where the step shows none of the words
    words : int, W
    params : BootstrapParams

    Returns
    -------
    float32 (W, H)
        NaN for a word that occurs in fewer than two sequences: nothing can be resampled.
    """
    sequences = len(offsets) - 1
    owner = np.repeat(np.arange(sequences), np.diff(offsets))
    drawn = np.random.default_rng(params.seed).multinomial(
        sequences, np.full(sequences, 1 / sequences), size=params.resamples
    )
    errors = np.full((words, delta.shape[1]), np.nan, np.float32)
    for word, places in _occurrences(step_words, words):
        present, starts, counts = np.unique(owner[places], return_index=True, return_counts=True)
        if present.size < 2:
            continue
        times = drawn[:, present]
        times = times[times.any(axis=1)]
        totals = times.astype(np.float32) @ np.add.reduceat(delta[places], starts, axis=0)
        errors[word] = (totals / (times @ counts)[:, None]).std(axis=0, ddof=1)
    return errors


def _occurrences(step_words: Ints, words: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each word with the places of its steps: the steps are sorted by word once."""
    order = np.argsort(step_words, kind="stable")
    starts = np.searchsorted(step_words[order], np.arange(words + 1))
    for word in range(words):
        yield word, order[starts[word] : starts[word + 1]]


def _explained(mean: Doubles, counts: Doubles, within: Doubles) -> Doubles:
    """Between-word share of the sum of squares, over the steps that show one of the words."""
    overall = counts @ mean / counts.sum()
    between = counts @ (mean - overall) ** 2
    total = between + within
    return np.asarray(np.divide(between, total, out=np.zeros_like(total), where=total > 0))


def kept_rate_summary(rates: Doubles) -> Floats:
    """float32 (4,): mean, 10th, 50th and 90th percentile; NaN where no step has a predecessor."""
    if rates.size == 0:
        return np.full(4, np.nan, np.float32)
    return np.array([rates.mean(), *np.percentile(rates, [10, 50, 90])], dtype=np.float32)
