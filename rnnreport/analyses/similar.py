"""The most similar states of other sequences, in the original space: what LSTMVis (Strobelt et al. 2018) calls matches,
found here by distance instead of by a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.sample import Sample
from rnnreport.results.recorded import Doubles, Floats, Ints, Probe
from rnnreport.results.schema import Similar, Unavailable

_BLOCK = 256  # rows of the matrix of distances held at once
_ROUNDING = 1e-9  # of the largest squared norm: what differs by less in the fast formula is compared exactly

_GUIDE = (
    "Which other places of the displayed sequences the network treats like the selected one: their states lie closest "
    "to its state, measured over all units as they are, without projection and without rescaling, so that units of "
    "large values count for more. A distance of 0 means the same state, as after equal beginnings; 1 is the typical "
    "distance between two states of different sequences. The note says how many of these places would be found by the "
    "angle between states as well. That two states are close does not say which of the inputs made them so."
)


@dataclass(frozen=True)
class SimilarParams:
    """``k``: neighbours of each step; ``pairs``: pairs drawn for the typical distance; ``seed``: of that draw.

    ``most_products``: squared states times units of all kinds of state together, about eight seconds of one core; the
    first kind is compared in any case.
    """

    k: int = 4
    pairs: int = 20_000
    seed: int = 0
    most_products: int = 40_000_000_000


def similar_states(
    scope: str, states: Floats, classes: Ints, probe: Probe, sample: Sample, params: SimilarParams
) -> Similar | Unavailable:
    """Find the nearest states of other sequences among the displayed ones, by comparing all of them.

    Parameters
    ----------
    scope : str, a StateKey
    states : float32 (S, H), of the last epoch
    classes : int32 (S,), the class or tag expected at each step; -1 where none is
    probe : Probe
    sample : Sample
    params : SimilarParams
    """
    if sample.sequences.size < 2:
        return Unavailable(Similar.analysis, "only one sequence is displayed")
    points = states[sample.steps].astype(np.float64)
    owners = np.repeat(np.arange(sample.sequences.size), probe.lengths[sample.sequences])
    finite = np.isfinite(points).all(axis=1)
    if np.unique(owners[finite]).size < 2:
        return Unavailable(Similar.analysis, "fewer than two displayed sequences have finite states")
    places = np.flatnonzero(finite)
    near, distances, agreeing = _nearest(points[finite], owners[finite], params.k)
    neighbours = np.full((len(points), params.k), -1, np.int32)
    neighbours[places] = np.where(near < 0, -1, places[near])
    spread = np.full(neighbours.shape, np.nan, np.float32)
    spread[places] = distances
    typical, pairs = _typical(points[finite], owners[finite], params)
    share = agreeing / int((near >= 0).sum())
    agreement = _agreement(classes[sample.steps], neighbours[:, 0])
    return Similar(scope, neighbours, spread, typical, pairs, share, *agreement, _GUIDE)


def _agreement(classes: Ints, nearest: Ints) -> tuple[int, float, float]:
    """How many states and their nearest one expect a class, the share that expect the same, and that by chance."""
    compared = np.flatnonzero((classes >= 0) & (nearest >= 0) & (classes[nearest] >= 0))
    if not compared.size:
        return 0, float("nan"), float("nan")
    own, other = classes[compared], classes[nearest[compared]]
    shares = np.bincount(own) / own.size
    return own.size, float((own == other).mean()), float(shares @ shares)


def _nearest(points: Doubles, owners: NDArray[np.int64], k: int) -> tuple[Ints, Doubles, int]:
    """Places (n, k) of the nearest points of other owners, their distances, and how many are also near by angle."""
    norms = np.linalg.norm(points, axis=1)
    unit = points / np.where(norms > 0, norms, 1)[:, None]
    points = points - points.mean(axis=0)  # the fast formula loses digits far from the origin
    squares = (points**2).sum(axis=1)
    near = np.full((len(points), k), -1, np.int32)
    distances = np.full((len(points), k), np.nan)
    agreeing = 0
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, start + _BLOCK)
        own = owners[rows, None] == owners[None]
        rough = np.where(own, np.inf, squares[rows, None] + squares[None] - 2 * points[rows] @ points.T)
        angle = np.where(own, -np.inf, unit[rows] @ unit.T)
        for place, row in enumerate(rough, start=start):
            found, exact = _closest(points, place, row, k, _ROUNDING * float(squares.max()))
            near[place, : found.size] = found
            distances[place, : found.size] = exact
            cosines = angle[place - start]
            least = np.partition(cosines, -found.size)[-found.size] if found.size else 0.0
            agreeing += int((cosines[found] >= least - _ROUNDING).sum())
    return near, distances, agreeing


def _closest(points: Doubles, place: int, rough: Doubles, k: int, rounding: float) -> tuple[NDArray[np.int64], Doubles]:
    """The k nearest of those whose rough squared distance is finite, by their exact distance and then their order."""
    count = min(k, int(np.isfinite(rough).sum()))
    if not count:
        return np.zeros(0, np.int64), np.zeros(0)
    candidates = np.flatnonzero(rough <= np.partition(rough, count - 1)[count - 1] + rounding)
    exact = np.sqrt(((points[candidates] - points[place]) ** 2).sum(axis=1))
    order = np.lexsort((candidates, exact))[:count]
    return candidates[order], exact[order]


def _typical(points: Doubles, owners: NDArray[np.int64], params: SimilarParams) -> tuple[float, int]:
    """Median distance of randomly drawn pairs of different owners, and how many pairs there were."""
    draw = np.random.default_rng(params.seed)
    first, second = draw.integers(0, len(points), (2, params.pairs))
    apart = owners[first] != owners[second]
    gaps = points[first[apart]] - points[second[apart]]
    return float(np.median(np.sqrt((gaps**2).sum(axis=1)))), int(apart.sum())
