"""The inputs at which a network's own dynamics are looked at: the mean one, none at all, and a few typical ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnreport.capture.visited import Visited
from rnnreport.results.recorded import Probe

_SPARSE = 0.05  # of the steps: a series whose commonest value takes so many is told by its values
_SEED = 0


@dataclass(frozen=True)
class TypicalInputs:
    """``names``: of I inputs as the page calls them; ``values``: Tensor (I, D), what the lowest layer reads."""

    names: tuple[str, ...]
    values: Tensor


def typical_inputs(probe: Probe, visited: Visited, most: int) -> TypicalInputs:
    """The mean input, zero, and at most so many of the commonest tokens, values, or groups of values.

    Parameters
    ----------
    probe : Probe
    visited : Visited
        Whose inputs they are taken from: of a token the mean over its steps there.
    most : int
    """
    rows = np.concatenate([np.arange(probe.offsets[n], probe.offsets[n] + length) for n, length in _steps(visited)])
    kinds, names = _kinds(probe, rows, most)
    values = [visited.inputs.mean(0), torch.zeros_like(visited.inputs[0])]
    found = ["the mean input", "no input (zero)"]
    for kind, name in enumerate(names):
        value = visited.inputs[torch.from_numpy(np.flatnonzero(kinds == kind))].mean(0)
        if not torch.equal(value, values[1]):  # a series often has nothing in it
            values.append(value)
            found.append(name)
    return TypicalInputs(tuple(found), torch.stack(values))


def _steps(visited: Visited) -> list[tuple[int, int]]:
    return list(zip(visited.places.tolist(), visited.lengths.tolist(), strict=True))


def _kinds(probe: Probe, rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], list[str]]:
    """The kind of each row, -1 for none, and the names of the kinds, the commonest first."""
    if not most:
        return np.full(rows.size, -1), []
    if not probe.continuous:
        tokens, own, counts = np.unique(probe.tokens[rows], return_inverse=True, return_counts=True)
        return _commonest(own, counts, most, [f"“{probe.vocabulary[token]}”" for token in tokens])
    values, own, counts = np.unique(probe.values[rows], axis=0, return_inverse=True, return_counts=True)
    if counts.max() >= _SPARSE * rows.size:
        named = ["(" + ", ".join(f"{value + 0.0:.3g}" for value in row) + ")" for row in values[:, :6]]  # no "-0"
        return _commonest(own.reshape(-1), counts, most, named)
    return _groups(probe, rows, most)


def _commonest(
    own: NDArray[np.int64], counts: NDArray[np.int64], most: int, names: list[str]
) -> tuple[NDArray[np.int64], list[str]]:
    order = np.argsort(-counts, kind="stable")[:most]
    kinds = np.full(counts.size, -1)
    kinds[order] = np.arange(order.size)
    return kinds[own], [names[place] for place in order]


def _groups(probe: Probe, rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], list[str]]:
    """Groups of similar values, the largest first."""
    from scipy.cluster.vq import kmeans2

    values = probe.values[rows].astype(np.float64)
    spread = values.std(axis=0)
    _, own = kmeans2((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1), most, minit="++", seed=_SEED)
    kinds, own, counts = np.unique(own, return_inverse=True, return_counts=True)
    share = [f"a typical input, {count / rows.size:.0%} of the steps" for count in counts]
    return _commonest(own, counts, len(kinds), share)
