"""Responses over a corpus of any length in bounded memory: running moments and a fixed sample of occurrences per word.

The sample keeps the occurrences with the smallest hashes of (sequence id, step), so that it depends neither on the
order nor on the size of the batches (bottom-k sampling; E. Cohen and H. Kaplan, "Summarizing data using bottom-k
sketches", PODC 2007). Means and variances are merged group by group (Chan, Golub and LeVeque, 1979).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnreport.capture.batches import a_parameter, equal_length_batches, make_batch, step_budget
from rnnreport.capture.calling import observe
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.replay import replay
from rnnreport.formulas import BANDS, MOST_WORDS, changes, kept_rates
from rnnreport.progress import track
from rnnreport.results.recorded import CorpusResponses, Floats, Ints, Probe

SAMPLED = 64  # occurrences kept per word: bands are exact up to this many, and estimated from them beyond

Hashes = NDArray[np.uint64]

_NEVER = np.iinfo(np.uint64).max
_BINS = 2000  # of the kept rates, whose percentiles are therefore exact to 0.0005


@dataclass(frozen=True)
class StreamedResponses:
    """What ``WordStatistics`` has seen.

    Attributes
    ----------
    counts : int64 (W,)
    mean : float32 (W, H), 0 for a word that did not occur
    bands : float32 (4, W, H), percentiles ``BANDS`` of the sampled occurrences
    explained : float32 (H,), share of the variance of the change that word identity explains
    """

    counts: NDArray[np.int64]
    mean: Floats
    bands: Floats
    explained: Floats


class WordStatistics:
    """Running statistics of the change of every unit at every word; its memory does not grow with the corpus.

    Parameters
    ----------
    words : int, W
    units : int, H
    sampled : int, occurrences kept per word
    """

    def __init__(self, words: int, units: int, sampled: int = SAMPLED) -> None:
        self._counts = np.zeros(words, np.int64)
        self._mean = np.zeros((words, units))
        self._spread = np.zeros((words, units))  # sum of squared deviations from the mean
        self._priority = np.full((words, sampled), _NEVER, np.uint64)
        self._sample = np.zeros((words, sampled, units), np.float32)

    def add(self, delta: Floats, step_words: Ints, priority: Hashes) -> None:
        """Take in some steps, in any order.

        Parameters
        ----------
        delta : float32 (n, H), change of the state at each step
        step_words : int32 (n,), -1 for none of the words
        priority : uint64 (n,), from ``step_hashes``
        """
        order = np.argsort(step_words, kind="stable")
        order = order[np.searchsorted(step_words[order], 0) :]
        if not order.size:
            return
        delta, priority = delta[order], priority[order]
        words, starts, counts = np.unique(step_words[order], return_index=True, return_counts=True)
        self._merge_moments(delta, words, starts, counts)
        for word, start, count in zip(words, starts, counts, strict=True):
            self._merge_sample(word, delta[start : start + count], priority[start : start + count])

    def _merge_moments(self, delta: Floats, words: Ints, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        mean = np.add.reduceat(delta, starts, axis=0, dtype=np.float64) / counts[:, None]
        deviation = delta - np.repeat(mean, counts, axis=0)
        spread = np.add.reduceat(np.square(deviation, out=deviation), starts, axis=0)
        before = self._counts[words]
        total = before + counts
        shift = mean - self._mean[words]
        self._spread[words] += spread + shift**2 * (before * counts / total)[:, None]
        self._mean[words] += shift * (counts / total)[:, None]
        self._counts[words] = total

    def _merge_sample(self, word: int, delta: Floats, priority: Hashes) -> None:
        """Keep the occurrences with the smallest hashes."""
        kept = self._priority[word]
        entering = np.flatnonzero(priority < kept.max())
        if not entering.size:
            return
        hashes = np.concatenate([kept, priority[entering]])
        chosen = np.argpartition(hashes, kept.size - 1)[: kept.size]
        fresh = chosen[chosen >= kept.size]
        leaving = np.setdiff1d(np.arange(kept.size), chosen)
        self._sample[word, leaving] = delta[entering[fresh - kept.size]]
        self._priority[word, leaving] = hashes[fresh]

    def result(self) -> StreamedResponses:
        """Everything seen so far."""
        bands = np.zeros((len(BANDS), *self._mean.shape), np.float32)
        for word in np.flatnonzero(self._counts):
            occurrences = self._sample[word, self._priority[word] < _NEVER]
            bands[:, word] = np.percentile(occurrences, BANDS, axis=0)
        return StreamedResponses(self._counts.copy(), self._mean.astype(np.float32), bands, self._explained())

    def _explained(self) -> Floats:
        weights = self._counts / max(1, self._counts.sum())
        between = self._counts @ (self._mean - weights @ self._mean) ** 2
        total = between + self._spread.sum(axis=0)
        shares = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
        return np.asarray(shares, dtype=np.float32)


class KeptRates:
    """Running mean and percentiles of the kept rate (see ``formulas.kept_rates``)."""

    def __init__(self) -> None:
        self._bins = np.zeros(_BINS, np.int64)
        self._total = 0.0

    def add(self, states: Floats, offsets: NDArray[np.int64]) -> None:
        """Take in some sequences: states float32 (n, H), offsets int64 (N + 1,)."""
        rates = kept_rates(states, offsets)
        self._total += float(rates.sum())
        places = np.minimum((rates * _BINS).astype(np.int64), _BINS - 1)
        self._bins += np.bincount(places, minlength=_BINS)

    def result(self) -> Floats:
        """float32 (4,): mean, 10th, 50th and 90th percentile; NaN where no step has a predecessor."""
        count = int(self._bins.sum())
        if not count:
            return np.full(4, np.nan, np.float32)
        ranks = np.searchsorted(np.cumsum(self._bins), [0.1 * count, 0.5 * count, 0.9 * count])
        return np.array([self._total / count, *((ranks + 0.5) / _BINS)], np.float32)


def step_hashes(sequence_ids: list[str], steps: int) -> Hashes:
    """A hash for every step of some sequences of one length, the same on every machine: uint64 (B, T)."""
    seeds = [hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).digest()[:8] for name in sequence_ids]
    start = np.frombuffer(b"".join(seeds), "<u8").astype(np.uint64)
    return _mixed(start[:, None] + np.arange(steps, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def frequent_tokens(probe: Probe) -> tuple[Ints, int]:
    """The most frequent tokens of a corpus, ties by id, at most ``MOST_WORDS``; and how many different ones occur."""
    counts = np.bincount(probe.tokens, minlength=len(probe.vocabulary))
    order = np.argsort(-counts, kind="stable")[:MOST_WORDS]
    return order[counts[order] > 0].astype(np.int32), int((counts > 0).sum())


def stream_responses(model: nn.Module, corpus: Probe, found: Inspection, batch_size: int = 64) -> list[CorpusResponses]:
    """Run a model over a whole corpus of tokens and keep the responses of every recorded state, not the states.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    corpus : Probe
        Every sequence of the corpus.
    found : Inspection
        Of this model.
    batch_size : int
        Most sequences in one forward pass.

    Returns
    -------
    list of CorpusResponses, one per recorded state in the order of the manifest
    """
    tokens, distinct = frequent_tokens(corpus)
    word_of_token = np.full(len(corpus.vocabulary), -1, np.int32)
    word_of_token[tokens] = np.arange(tokens.size)
    moments = {key: WordStatistics(tokens.size, width) for key, width in found.widths.items()}
    kept = {key: KeptRates() for key in found.widths}
    like = a_parameter(model)
    batches = equal_length_batches(corpus, batch_size, step_budget(corpus))
    with untouched(model):
        for places in track(batches, "responses over the whole corpus", len(batches)):
            batch = make_batch(corpus, places, like)
            _, calls = observe(model, found.convention, batch)
            words = word_of_token[corpus.tokens[batch.steps.ravel()]]
            hashes = step_hashes([corpus.sequence_ids[place] for place in places], batch.steps.shape[1]).ravel()
            offsets = np.arange(0, batch.steps.size + 1, batch.steps.shape[1])
            for key, values in ((key, values) for call in calls for key, values in replay(call).states.items()):
                if key in moments:
                    states = values.detach().flatten(0, 1).to("cpu", torch.float32).numpy()
                    moments[key].add(changes(states, offsets), words, hashes)
                    kept[key].add(states, offsets)
    streamed = {key: statistics.result() for key, statistics in moments.items()}
    return [
        CorpusResponses(
            scope=str(key),
            tokens=tokens,
            counts=result.counts.astype(np.int32),
            mean=result.mean,
            bands=result.bands,
            explained=result.explained,
            kept_rate=kept[key].result(),
            distinct=distinct,
            sequences=len(corpus.sequence_ids),
            steps=int(corpus.lengths.sum()),
            sampled=SAMPLED,
        )
        for key, result in streamed.items()
    ]
