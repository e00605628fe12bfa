"""Statistics of the steps at which each word occurs, in bounded memory: running moments and a fixed sample per word.

Which occurrences are sampled is known before (``sampling.py``). Means and variances come from sums in double precision,
of distances from a value near the mean. Statistics of parts of a corpus, each of whole sequences, are merged; the last
bits depend on the parts and on their order, and on nothing else.

The standard error of a mean treats sequences, not occurrences, as independent: with S_s and n_s the sum and the number
of a word's occurrences in sequence s, its square is sum over s of (S_s - n_s mean)^2 / n^2, times G / (G - 1) for G
sequences (A. C. Cameron and D. L. Miller, "A practitioner's guide to cluster-robust inference", Journal of Human
Resources 2015). It needs sums of S_s^2, S_s n_s and n_s^2 only. Where a word occurs once in a sequence, these are those
of the occurrences, so that only repeated words cost more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.sampling import Places
from rnnreport.formulas import BANDS
from rnnreport.results.recorded import Doubles, Floats, Ints

_BINS = 2000  # of the kept rates, whose percentiles are therefore exact to 0.0005
_RUN = 64  # rows summed in single precision before the sums are added in double precision


@dataclass(frozen=True)
class Repeats:
    """The pairs of a word and a sequence in which it occurs more than once, word by word.

    Attributes
    ----------
    rows : int64 (r,), their steps, pair by pair
    starts : int64 (p,), where each pair's begin in ``rows``
    times : int64 (p,), how many they are
    words : int32 (v,), the words, increasing
    pairs : int64 (v,), where each word's pairs begin
    """

    rows: Places
    starts: Places
    times: Places
    words: Ints
    pairs: Places


@dataclass(frozen=True)
class Group:
    """The words of some steps, as every recorded vector needs them.

    Attributes
    ----------
    words : int32 (w,), those that occur, increasing
    rows : int64 (n,), the steps of these words, word by word
    starts : int64 (w,), where each word's begin in ``rows``
    repeats : Repeats, of words in one sequence
    """

    words: Ints
    rows: Places
    starts: Places
    repeats: Repeats

    def sums(self, values: Tensor) -> Doubles:
        """Sum over each word's steps, (w, H), of values float32 (steps, H)."""
        cuts = np.union1d(self.starts, np.arange(0, self.rows.size, _RUN))
        parts = _sums(values, self.rows, cuts).numpy()
        return np.add.reduceat(parts.astype(np.float64), np.searchsorted(cuts, self.starts), axis=0)


def _sums(values: Tensor, rows: Places, starts: Places) -> Tensor:
    """Sums of some rows of float32 (n, H), as many as there are starts, each up to the next one's."""
    found: Tensor = nn.functional.embedding_bag(torch.from_numpy(rows), values, torch.from_numpy(starts), mode="sum")
    return found


class Occurrences:
    """How often each word has occurred.

    Parameters
    ----------
    words : int, W

    Attributes
    ----------
    counts : int64 (W,)
    sequences : int64 (W,), in how many sequences
    squares : int64 (W,), sum of the squares of the counts in single sequences
    """

    def __init__(self, words: int) -> None:
        self.counts = np.zeros(words, np.int64)
        self.sequences = np.zeros(words, np.int64)
        self.squares = np.zeros(words, np.int64)

    def enter(self, step_words: Ints, owners: Places) -> Group:
        """Take in all steps of some sequences, in any order.

        Parameters
        ----------
        step_words : int32 (steps,), -1 for none of the words
        owners : int64 (steps,), the sequence that each belongs to, by any numbers
        """
        rows = np.lexsort((owners, step_words))
        rows = rows[np.searchsorted(step_words[rows], 0) :]
        words, starts, counts = np.unique(step_words[rows], return_index=True, return_counts=True)
        self.counts[words] += counts
        return Group(words, rows, starts, self._enter_pairs(step_words[rows], owners[rows], rows))

    def merge(self, other: Occurrences) -> None:
        """Take in what was counted in other sequences."""
        self.counts += other.counts
        self.sequences += other.sequences
        self.squares += other.squares

    def _enter_pairs(self, words: Ints, owners: Places, rows: Places) -> Repeats:
        """Count the sequences of each word; those in which it is repeated. Rows are sorted by word and owner."""
        differs = (words[1:] != words[:-1]) | (owners[1:] != owners[:-1])
        starts = np.flatnonzero(np.concatenate([[True], differs])) if rows.size else np.zeros(0, np.int64)
        times = np.diff(np.append(starts, rows.size))
        np.add.at(self.sequences, words[starts], 1)
        np.add.at(self.squares, words[starts], times**2)
        several = times > 1
        kept = np.repeat(several, times)
        times, found = times[several], words[starts[several]]
        of_word, pairs = np.unique(found, return_index=True)
        return Repeats(rows[kept], np.cumsum(times) - times, times, of_word, pairs)


@dataclass(frozen=True)
class WordResponses:
    """What ``WordStatistics`` has seen.

    Attributes
    ----------
    mean : float32 (W, H), 0 for a word that did not occur
    bands : float32 (4, W, H), percentiles ``BANDS`` of the sampled occurrences
    explained : float32 (H,), share of the variance that word identity explains
    standard_error : float32 (W, H), of the mean; NaN for a word of fewer than two sequences
    """

    mean: Floats
    bands: Floats
    explained: Floats
    standard_error: Floats


class WordStatistics:
    """Running statistics of one vector at every word.

    Parameters
    ----------
    words, units : int, W and H
    sampled : int, M, sampled occurrences in all
    """

    def __init__(self, words: int, units: int, sampled: int) -> None:
        self.units = units
        self._pivot: Tensor | None = None  # about the mean: what is squared is the distance from it
        self._sum = np.zeros((words, units))  # of distances from the pivot
        self._squares = np.zeros((words, units))
        self._cross = np.zeros((words, units))  # of S_s^2, what the squares lack
        self._weighted = np.zeros((words, units))  # of S_s n_s, what the sums lack
        self._sample = np.zeros((sampled, units), np.float32)

    def add(self, values: Tensor, group: Group, places: Places) -> None:
        """Take in the vector at the steps of a group.

        Parameters
        ----------
        values : Tensor float32 (steps, H) on the CPU
        group : Group, what ``Occurrences.enter`` gave for these steps; each is taken in once, in their order
        places : int64 (steps,), of each step in the sample; -1 where it is not in it
        """
        taken = np.flatnonzero(places >= 0)
        self._sample[places[taken]] = values[torch.from_numpy(taken)].numpy()
        if not group.words.size:
            return
        if self._pivot is None:
            self._pivot = values.mean(dim=0)
        deviation = values - self._pivot
        self._sum[group.words] += group.sums(deviation)
        repeats = group.repeats
        pairs = _sums(deviation, repeats.rows, repeats.starts)
        self._squares[group.words] += group.sums(deviation.square_())
        if repeats.words.size:
            more = pairs * torch.from_numpy(repeats.times - 1)[:, None]
            self._weighted[repeats.words] += np.add.reduceat(more.double().numpy(), repeats.pairs, axis=0)
            pairs.square_().sub_(_sums(deviation, repeats.rows, repeats.starts))
            self._cross[repeats.words] += np.add.reduceat(pairs.double().numpy(), repeats.pairs, axis=0)

    def merge(self, other: WordStatistics, occurrences: Occurrences, places: Places) -> None:
        """Take in what was seen in other sequences.

        Parameters
        ----------
        other : WordStatistics
        occurrences : Occurrences, of these sequences
        places : int64 (m,), in this sample, of those that the other has
        """
        self._sample[places] = other._sample
        if other._pivot is None:
            return
        if self._pivot is None:
            self._pivot = other._pivot
        moved = other._pivot.double().numpy() - self._pivot.double().numpy()
        counts = occurrences.counts[:, None]
        pairs = (occurrences.squares - occurrences.counts)[:, None]  # sum of n_s^2 - n_s
        self._sum += other._sum + counts * moved
        self._squares += other._squares + 2 * moved * other._sum + counts * moved**2
        self._cross += other._cross + 2 * moved * other._weighted + pairs * moved**2
        self._weighted += other._weighted + pairs * moved

    def result(self, seen: Occurrences, sample_words: Ints) -> WordResponses:
        """Everything seen so far.

        Parameters
        ----------
        seen : Occurrences, of all that was taken in
        sample_words : int32 (M,), the word of each place in the sample, increasing
        """
        counts = seen.counts
        mean = self._sum / np.maximum(counts, 1)[:, None]
        explained = _explained(counts, mean, self._squares)
        errors = self._errors(mean, seen)
        if self._pivot is not None:
            mean += self._pivot.double().numpy()
        mean[counts == 0] = 0
        return WordResponses(mean.astype(np.float32), self._bands(sample_words), explained, errors)

    def _errors(self, mean: Doubles, seen: Occurrences) -> Floats:
        """Standard errors of the means, which are given as distances from the pivot."""
        several, counts = seen.sequences > 1, np.maximum(seen.counts, 1)
        spread = self._squares + self._cross - 2 * mean * (self._sum + self._weighted) + mean**2 * seen.squares[:, None]
        corrected = seen.sequences / np.maximum(seen.sequences - 1, 1) / counts.astype(np.float64) ** 2
        errors = np.sqrt(np.maximum(spread, 0) * corrected[:, None])
        return np.where(several[:, None], errors, np.nan).astype(np.float32)

    def _bands(self, sample_words: Ints) -> Floats:
        """Percentiles, between the two nearest in rank."""
        bands = np.zeros((len(BANDS), *self._sum.shape), np.float32)
        ranks = np.array(BANDS)[:, None] / 100
        words, starts = np.unique(sample_words, return_index=True)
        for word, sampled in zip(words, np.split(self._sample, starts)[1:], strict=True):
            ordered = np.sort(sampled, axis=0)
            position = ranks * (len(ordered) - 1)
            lower = np.floor(position).astype(np.int64)
            upper = np.ceil(position).astype(np.int64)
            low, high = ordered[lower[:, 0]], ordered[upper[:, 0]]
            bands[:, word] = low + (high - low) * (position - lower)
        return bands


def _explained(counts: Places, mean: Doubles, squares: Doubles) -> Floats:
    """Share of the variance between words, (H,), from means and sums of squares (W, H) of distances from one value."""
    between = counts @ (mean - counts / max(1, counts.sum()) @ mean) ** 2
    within = np.maximum(squares - mean**2 * counts[:, None], 0).sum(axis=0)
    total = between + within
    shares = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(shares, dtype=np.float32)


class KeptRates:
    """Running mean and percentiles of the kept rate (see ``formulas.kept_rates``)."""

    def __init__(self) -> None:
        self._bins = np.zeros(_BINS, np.int64)
        self._total = 0.0

    def add(self, states: Tensor, delta: Tensor) -> None:
        """Take in some sequences: states and their changes, Tensor float32 (T, B, H)."""
        size = states.abs().sum(dim=2).double().numpy()
        moved = delta.abs().sum(dim=2).double().numpy()
        # where the sign stays, min(|a|, |b|) is (|a| + |b| - |a - b|) / 2; where it changes, that is 0
        kept = (size[1:] + size[:-1] - moved[1:]) / 2
        rates = np.divide(kept, size[:-1], out=np.zeros_like(kept), where=size[:-1] > 0).clip(0, 1)
        self._total += float(rates.sum())
        places = np.minimum((rates * _BINS).astype(np.int64), _BINS - 1)
        self._bins += np.bincount(places.ravel(), minlength=_BINS)

    def merge(self, other: KeptRates) -> None:
        """Take in the rates of other sequences."""
        self._bins += other._bins
        self._total += other._total

    def result(self) -> Floats:
        """float32 (4,): mean, 10th, 50th and 90th percentile; NaN where no step has a predecessor."""
        count = int(self._bins.sum())
        if not count:
            return np.full(4, np.nan, np.float32)
        ranks = np.searchsorted(np.cumsum(self._bins), [0.1 * count, 0.5 * count, 0.9 * count])
        return np.array([self._total / count, *((ranks + 0.5) / _BINS)], np.float32)
