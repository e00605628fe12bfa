"""Responses of units to words (Ming et al., "Understanding Hidden Memories of Recurrent Neural Networks", VAST 2017).

The response of unit i to word w is the mean, over all occurrences of w, of the change of the unit at that step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.schema import Doubles, Floats, Ints

BANDS = (9, 25, 75, 91)  # percentiles: the central 82 % and the central 50 %


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


def changes(states: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Change of the state at each step; the first step of a sequence starts from a zero state.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)

    Returns
    -------
    float32 (S, H)
    """
    delta = states.copy()
    delta[1:] -= states[:-1]
    delta[offsets[:-1]] = states[offsets[:-1]]
    return delta


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
    """The mean responses alone, as in ``word_responses``: float32 (W, H)."""
    order = np.argsort(step_words, kind="stable")
    starts = np.searchsorted(step_words[order], np.arange(words))
    counts = np.bincount(step_words[step_words >= 0], minlength=words)
    totals = np.add.reduceat(delta[order].astype(np.float64), starts, axis=0)
    return np.asarray(totals / counts[:, None], dtype=np.float32)


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


def kept_rates(states: Floats, offsets: NDArray[np.int64]) -> Doubles:
    """Share of the previous state's magnitude that each step keeps, over all units of the layer.

    ``kept_t = sum of min(|h_t|, |h_(t-1)|)`` over the units that keep their sign; the rate divides it by
    ``sum |h_(t-1)|``.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)

    Returns
    -------
    float64, one rate in [0, 1] for every step that has a predecessor; 0 where the previous state is zero
    """
    first = np.zeros(states.shape[0], dtype=bool)
    first[offsets[:-1]] = True
    later = np.flatnonzero(~first)
    now, before = states[later], states[later - 1]
    smaller = np.minimum(np.abs(now), np.abs(before))
    kept = np.where(np.sign(now) == np.sign(before), smaller, 0).sum(axis=1, dtype=np.float64)
    size = np.abs(before).sum(axis=1, dtype=np.float64)
    return np.asarray(np.divide(kept, size, out=np.zeros_like(size), where=size > 0))


def kept_rate_summary(rates: Doubles) -> Floats:
    """float32 (4,): mean, 10th, 50th and 90th percentile; NaN where no step has a predecessor."""
    if rates.size == 0:
        return np.full(4, np.nan, np.float32)
    return np.array([rates.mean(), *np.percentile(rates, [10, 50, 90])], dtype=np.float32)
