"""Numbers that say how the activity of units is spread and how it moves, in any space their nodes lie in."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import digamma, gammaln

from rnnreport.analyses.mmphate.layout import unit_variance
from rnnreport.results.recorded import Doubles, Ints


def nearest_neighbour_entropy(points: Doubles, neighbours: int) -> float:
    """Differential entropy in nats by the distances to the n-th neighbours (Kozachenko and Leonenko, 1987).

    Parameters
    ----------
    points : float64 (n, d)
    neighbours : int, k

    Returns
    -------
    float
        NaN where it is not defined: with fewer than k + 1 points, or where a point coincides with k others.
    """
    count, dimensions = points.shape
    if count <= neighbours:
        return math.nan
    radius = np.partition(cdist(points, points), neighbours, axis=1)[:, neighbours]
    if not radius.all():
        return math.nan
    ball = dimensions / 2 * math.log(math.pi) - gammaln(dimensions / 2 + 1)
    return float(digamma(count) - digamma(neighbours) + ball + dimensions * np.log(radius).mean())


def step_entropies(points: Doubles, neighbours: int) -> Doubles:
    """Entropy over the units of each step.

    Parameters
    ----------
    points : float64 (E, T, H, d)
    neighbours : int

    Returns
    -------
    float64 (E, T)
    """
    return np.array([[nearest_neighbour_entropy(step, neighbours) for step in epoch] for epoch in points])


def unit_entropies(points: Doubles, neighbours: int) -> Doubles:
    """Entropy over the steps of each unit, float64 (E, H); parameters as in ``step_entropies``."""
    return step_entropies(points.transpose(0, 2, 1, 3), neighbours)


def leading_components(nodes: Doubles, dimensions: int) -> Doubles:
    """The first principal components of all nodes, scaled to a total variance of 1; float64 (N, dimensions)."""
    centred = nodes - nodes.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return unit_variance(centred @ vectors[:, ::-1][:, :dimensions])


def purity(points: Doubles, communities: Ints, neighbours: int) -> Doubles:
    """Share of the nearest units of the same step that belong to the same community.

    Parameters
    ----------
    points : float64 (E, T, H, d)
    communities : int32 (H,), -1 for units of none, which are left out
    neighbours : int

    Returns
    -------
    float64 (E,)
        NaN where there are no more than ``neighbours`` other units: then every picture has the same purity.
    """
    belongs = communities >= 0
    groups = communities[belongs]
    if groups.size <= neighbours + 1:
        return np.full(len(points), np.nan)
    return np.array([np.mean([_same(step[belongs], groups, neighbours) for step in epoch]) for epoch in points])


def _same(points: Doubles, groups: Ints, neighbours: int) -> float:
    distance = cdist(points, points)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
    return float((groups[nearest] == groups[:, None]).mean())


def chance_of_same(communities: Ints) -> float | None:
    """The purity of random neighbours; None with fewer than two units that belong somewhere."""
    groups = communities[communities >= 0]
    if groups.size < 2:
        return None
    return float(((groups[:, None] == groups).sum(axis=1) - 1).mean() / (groups.size - 1))


def alignment(points: Doubles) -> Doubles:
    """Whether the mean of all units keeps its direction from step to step: 1 straight on, -1 back and forth.

    Parameters
    ----------
    points : float64 (E, T, H, d)

    Returns
    -------
    float64 (E,)
        Mean cosine between successive moves; NaN with fewer than three steps or where it never moves.
    """
    moves = np.diff(points.mean(axis=2), axis=1)
    sizes = np.linalg.norm(moves, axis=2)
    products = sizes[:, 1:] * sizes[:, :-1]
    cosines = _ratio((moves[:, 1:] * moves[:, :-1]).sum(axis=2), products)
    known = np.isfinite(cosines)
    return _ratio(np.where(known, cosines, 0).sum(axis=1), known.sum(axis=1))


def change(points: Doubles) -> Doubles:
    """Mean distance of the nodes from their places at the epoch before, float64 (E,), NaN at the first."""
    return np.concatenate([[np.nan], np.linalg.norm(np.diff(points, axis=0), axis=3).mean(axis=(1, 2))])


def similarity_with_last(states: Doubles) -> Doubles:
    """Linear CKA (Kornblith et al., 2019) of every epoch with the last one.

    Parameters
    ----------
    states : float64 (E, n, H)

    Returns
    -------
    float64 (E,)
        NaN where the states of an epoch do not vary.
    """
    centred = states - states.mean(axis=1, keepdims=True)
    cross = np.linalg.norm(centred.transpose(0, 2, 1) @ centred[-1], axis=(1, 2)) ** 2
    own = np.linalg.norm(centred.transpose(0, 2, 1) @ centred, axis=(1, 2))
    return _ratio(cross, own * own[-1])


def participation_ratio(states: Doubles) -> Doubles:
    """How many directions carry the variance: (sum of eigenvalues)^2 / sum of their squares, in 1 ... H.

    Parameters
    ----------
    states : float64 (E, n, H)

    Returns
    -------
    float64 (E,)
    """
    centred = states - states.mean(axis=1, keepdims=True)
    covariance = centred.transpose(0, 2, 1) @ centred
    total = np.trace(covariance, axis1=1, axis2=2)
    squared = (covariance**2).sum(axis=(1, 2))
    return _ratio(total**2, squared)


def settled_place(similarity: Doubles, at_least: float) -> int:
    """Place of the first epoch from which on every epoch is at least so similar to the last, which is so to itself."""
    below = np.flatnonzero(~(similarity[:-1] >= at_least))
    return int(below[-1]) + 1 if below.size else 0


def jumps(changes: Doubles, times: float) -> NDArray[np.int64]:
    """Places where the change is a local maximum and so many times the median, the largest first."""
    known = np.nan_to_num(changes, nan=0.0)
    beside = np.concatenate([[0], known, [0]])
    peak = (known >= beside[:-2]) & (known > beside[2:]) & (known > times * np.nanmedian(changes))
    places = np.flatnonzero(peak)
    return places[np.argsort(-known[places], kind="stable")]


def _ratio(part: Doubles, whole: NDArray[np.floating | np.integer]) -> Doubles:
    """NaN where the whole is zero."""
    found: Doubles = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return found
