"""Short patterns of the input that enter a state more often than chance, tested on one occurrence per sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.significance import holm

Places = NDArray[np.int64]


@dataclass(frozen=True)
class PatternParams:
    """Longest pattern, the most frequent ones of each length that are tested, and which are kept.

    Attributes
    ----------
    longest, most_tested : int
    fewest_sequences : int, that a pattern occurs in
    most : int, patterns kept per state
    gain : float, by which a longer pattern must enter the state more often than its own end to be listed beside it
    level : float, of the corrected p-value
    seed : int, of the occurrence that is looked at in each sequence
    """

    longest: int = 3
    most_tested: int = 400
    fewest_sequences: int = 5
    most: int = 4
    gain: float = 1.1
    level: float = 0.05
    seed: int = 0


def entering_patterns(
    symbols: Places, owners: Places, labels: Places, before: Places, k: int, params: PatternParams
) -> tuple[list[dict[str, Any]], int]:
    """Patterns that end at a step that enters a state, as in ``Machine.patterns``, and how many were tested.

    The null hypothesis is that a pattern enters a state as often as any step after the first of a sequence does (the
    first one always enters some state). Steps of one sequence depend on each other, so the test is a binomial one on
    a single occurrence in every sequence, drawn at random.

    Parameters
    ----------
    symbols, owners : int64 (S,), input and sequence of every step
    labels, before : int64 (S,), state after each step and before it; ``k`` before the first of a sequence
    k : int, number of states
    params : PatternParams
    """
    from scipy.stats import binom

    later = before < k
    enters = (labels[None] == np.arange(k)[:, None]) & (before != labels) & later
    rates = enters.sum(axis=1) / max(1, int(later.sum()))
    drawn = np.random.default_rng(params.seed).permutation(symbols.size)
    found, chances = [], []
    for tokens, ends in _patterns(symbols, owners, params):
        places = ends[later[ends]]
        mixed = places[np.argsort(drawn[places], kind="stable")]
        once = mixed[np.unique(owners[mixed], return_index=True)[1]]
        if once.size < params.fewest_sequences:
            continue
        found.append((tokens, enters[:, places].sum(axis=1), places.size, once.size))
        chances.append(binom.sf(enters[:, once].sum(axis=1) - 1, once.size, rates))
    if not found:
        return [], 0
    adjusted = holm(np.array(chances))
    significant = [
        {"state": int(state), "tokens": tokens, "hits": int(hits[state]), "times": times, "sequences": once}
        | {"p": float(row[state])}
        for (tokens, hits, times, once), row in zip(found, adjusted, strict=True)
        for state in np.flatnonzero(row < params.level)
    ]
    entries = enters.sum(axis=1)
    kept = [one for state in range(k) for one in _best(significant, state, int(entries[state]), params)]
    return kept, adjusted.size


def _patterns(symbols: Places, owners: Places, params: PatternParams) -> Iterator[tuple[list[int], Places]]:
    """The frequent patterns of each length with the steps they end at."""
    codes = symbols.copy()
    inside = np.ones(symbols.size, bool)
    for length in range(1, params.longest + 1):
        if length > 1:
            # one number for the pattern one symbol longer: what came before it, then the last symbol
            shorter = np.append(0, codes[:-1])
            inside &= np.append(False, inside[:-1]) & np.append(False, owners[1:] == owners[:-1])
            codes = np.unique(shorter * (int(symbols.max()) + 1) + symbols, return_inverse=True)[1].ravel()
        ends = np.flatnonzero(inside)
        if not ends.size:
            return
        counts = np.bincount(codes[ends])
        order = np.argsort(codes[ends], kind="stable")
        starts = np.cumsum(np.append(0, counts))
        for code in np.argsort(-counts, kind="stable")[: params.most_tested]:
            if counts[code] < params.fewest_sequences:
                break
            places = ends[order[starts[code] : starts[code + 1]]]
            yield symbols[places[0] - length + 1 : places[0] + 1].tolist(), places


def _best(found: list[dict[str, Any]], state: int, entries: int, params: PatternParams) -> list[dict[str, Any]]:
    """Of one state, those that tell most of its entries; a longer one only where it says more than its own end."""
    own = [one for one in found if one["state"] == state]
    own.sort(key=lambda one: (-one["hits"] / np.sqrt(one["times"] * entries), len(one["tokens"]), one["tokens"]))
    kept: list[dict[str, Any]] = []
    for one in own:
        rate = one["hits"] / one["times"]
        if all(not _ends(one, other) or rate >= params.gain * other["hits"] / other["times"] for other in kept):
            kept.append(one)
    return kept[: params.most]


def _ends(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether one pattern ends with the other, or the other way round."""
    shared = min(len(one["tokens"]), len(other["tokens"]))
    return bool(one["tokens"][-shared:] == other["tokens"][-shared:])
