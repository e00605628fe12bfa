"""Which occurrences of each word are sampled: those with the smallest hashes of (sequence id, step).

So the sample depends neither on the order nor on the size of the parts in which a corpus is read, nor on who reads them
(bottom-k sampling; E. Cohen and H. Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Ints

SAMPLED = 64  # occurrences kept per word: bands are exact up to this many, and estimated from them beyond

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


class Sample:
    """The sampled occurrences of some words, in the order of the words.

    Parameters
    ----------
    most : int, occurrences kept per word

    Attributes
    ----------
    words : int32 (M,), increasing
    steps : int64 (M,)
    """

    def __init__(self, most: int = SAMPLED) -> None:
        self._most = most
        self.words = np.zeros(0, np.int32)
        self.steps = np.zeros(0, np.int64)
        self._hashes = np.zeros(0, np.uint64)

    def enter(self, step_words: Ints, hashes: Hashes, steps: Places) -> None:
        """Take in some steps.

        Parameters
        ----------
        step_words : int32 (steps,), -1 for none of the words
        hashes : uint64 (steps,), from ``step_hashes``
        steps : int64 (steps,), their numbers, by which they are found again
        """
        here = step_words >= 0
        words = np.concatenate([self.words, step_words[here]])
        hashes = np.concatenate([self._hashes, hashes[here]])
        steps = np.concatenate([self.steps, steps[here]])
        order = np.lexsort((steps, hashes, words))
        rank = np.arange(order.size) - np.searchsorted(words[order], words[order])
        kept = order[rank < self._most]
        self.words, self._hashes, self.steps = words[kept], hashes[kept], steps[kept]


def step_hashes(sequence_ids: Sequence[str], lengths: Ints) -> Hashes:
    """A hash for every step of some sequences, the same on every machine: uint64 (steps,), sequence after sequence."""
    seeds = [hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).digest()[:8] for name in sequence_ids]
    start = np.repeat(np.frombuffer(b"".join(seeds), "<u8").astype(np.uint64), lengths)
    within = np.arange(start.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return _mixed(start + within.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
