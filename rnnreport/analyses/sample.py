"""Which sequences are displayed: a sample that is the same on every machine and for every run on one probe set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Ints, Probe


@dataclass(frozen=True)
class SampleParams:
    """``max_steps``: displayed steps at most; a first sequence longer than that is taken alone and whole."""

    max_steps: int = 4000


@dataclass(frozen=True)
class Sample:
    """The displayed part of the probe set.

    Attributes
    ----------
    sequences : int32 (Q,), places in the probe set, increasing
    steps : int64 (P,), places among the S recorded steps, increasing
    """

    sequences: Ints
    steps: NDArray[np.int64]


def display_sample(probe: Probe, params: SampleParams) -> Sample:
    """Take whole sequences in the order of their hashes until the next one would exceed the budget of steps."""
    order = hash_order(probe.sequence_ids)
    taken = np.cumsum(probe.lengths[order], dtype=np.int64) <= params.max_steps
    sequences = np.sort(order[: max(1, int(taken.sum()))])
    return Sample(sequences.astype(np.int32), steps_of(probe, sequences))


def hash_order(names: Sequence[str]) -> NDArray[np.int64]:
    """int64: the places of the names in the order of their SHA-256, ties by place."""
    digests = [hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).digest() for name in names]
    return np.array(sorted(range(len(names)), key=digests.__getitem__), dtype=np.int64)


def steps_of(probe: Probe, sequences: NDArray[np.integer]) -> NDArray[np.int64]:
    """int64: the places of all steps of these sequences, in the order of the sequences."""
    offsets = probe.offsets
    return np.concatenate([np.arange(offsets[n], offsets[n + 1]) for n in sequences])


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the places 0 ... count - 1, evenly spaced, the first and the last among them."""
    if most == 1:
        return np.array([count - 1])
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
