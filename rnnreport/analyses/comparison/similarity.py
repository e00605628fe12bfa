"""How alike two sets of states on the same inputs are: functions of two arrays, row by row the same step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles

States = NDArray[np.floating]
_UNDEFINED = float("nan")


def linear_cka(first: States, second: States) -> float:
    """Linear centred kernel alignment (Kornblith et al., ICML 2019), by products of features only.

    Parameters
    ----------
    first : floating (S, H1)
    second : floating (S, H2)

    Returns
    -------
    float
        In [0, 1]; NaN where one side is constant or not finite, so that there is nothing to align.
    """
    one, two = centred(first), centred(second)
    scale = np.linalg.norm(one.T @ one) * np.linalg.norm(two.T @ two)
    if not np.isfinite(scale) or scale == 0:
        return _UNDEFINED
    return float(np.linalg.norm(one.T @ two) ** 2 / scale)


def debiased_cka(first: States, second: States) -> float:
    """Linear CKA from the unbiased estimator of HSIC (Song et al., JMLR 2012), in O(S H) memory.

    The usual estimate is near 1 for any two states where units are many and steps are few; this one is 0 on average for
    independent ones.

    Parameters
    ----------
    first : floating (S, H1)
    second : floating (S, H2)

    Returns
    -------
    float
        At most 1, may be a little below 0; NaN for fewer than four steps and where one side does not vary.
    """
    if len(first) < 4:
        return _UNDEFINED
    one, two = centred(first), centred(second)
    if not (one.any() and two.any() and np.isfinite(one).all() and np.isfinite(two).all()):
        return _UNDEFINED
    own = _unbiased_hsic(one, one) * _unbiased_hsic(two, two)
    return float(_unbiased_hsic(one, two) / np.sqrt(own)) if own > 0 else _UNDEFINED


def _unbiased_hsic(one: Doubles, two: Doubles) -> float:
    """HSIC_1 of Song et al. with the linear kernels K = one one', L = two two', whose diagonals are left out."""
    steps = len(one)
    norms = (one**2).sum(axis=1), (two**2).sum(axis=1)  # the diagonals of K and L
    sides = one @ one.sum(axis=0) - norms[0], two @ two.sum(axis=0) - norms[1]  # row sums without the diagonal
    traces = np.linalg.norm(one.T @ two) ** 2 - norms[0] @ norms[1]
    means = sides[0].sum() * sides[1].sum() / ((steps - 1) * (steps - 2))
    return float((traces + means - 2 * sides[0] @ sides[1] / (steps - 2)) / (steps * (steps - 3)))


def procrustes_distance(first: States, second: States) -> float:
    """Angle, in radians, that is left between two states after the best rotation and scaling of one onto the other.

    Orthogonal Procrustes on centred states of unit size (Williams et al., NeurIPS 2021: a metric between shapes). The
    narrower one counts as having further units of 0.

    Parameters
    ----------
    first : floating (S, H1)
    second : floating (S, H2)

    Returns
    -------
    float
        In [0, pi/2], 0 for the same shape; NaN where one side does not vary.
    """
    width = max(first.shape[1], second.shape[1])
    one, two = (padded(centred(side), width) for side in (first, second))
    if not (one.any() and two.any() and np.isfinite(one).all() and np.isfinite(two).all()):
        return _UNDEFINED
    # The chord between both is exact where the angle is small; the arc cosine of their product would not be.
    chord = float(np.linalg.norm(one - two @ rotation(one, two)))
    return 2 * math.asin(min(1.0, chord / 2))


def rotation(target: Doubles, moved: Doubles) -> Doubles:
    """The orthogonal matrix, float64 (H, H), with which ``moved`` comes closest to ``target``, both float64 (S, H)."""
    left, _, right = np.linalg.svd(moved.T @ target)
    return np.asarray(left @ right)


def neighbour_overlap(first: States, second: States, owners: NDArray[np.integer], neighbours: int = 10) -> float:
    """Share of the nearest neighbours of a step that are the same in both states, averaged over the steps.

    Only steps of other sequences count as neighbours: a step is close to the step before it in any network. Chance is
    ``neighbours`` divided by the number of steps.

    Parameters
    ----------
    first : floating (S, H1)
    second : floating (S, H2)
    owners : int (S,), the sequence of each step
    neighbours : int

    Returns
    -------
    float
        In [0, 1]; NaN where a step has no more than so many candidates, or states are not finite.
    """
    largest = int(np.unique(owners, return_counts=True)[1].max())
    if len(owners) - largest <= neighbours or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return _UNDEFINED
    near = [_nearest(centred(side) * np.sqrt(len(side)), owners, neighbours) for side in (first, second)]
    shared = [np.isin(*pair).sum() for pair in zip(*near, strict=True)]
    return float(np.mean(shared) / neighbours)


def _nearest(states: Doubles, owners: NDArray[np.integer], neighbours: int) -> NDArray[np.int64]:
    """int64 (S, neighbours), by Euclidean distance, ties by place."""
    squares = (states**2).sum(axis=1)
    found = np.empty((len(states), neighbours), np.int64)
    for start in range(0, len(states), 512):
        rows = slice(start, start + 512)
        apart = squares[rows, None] + squares - 2 * states[rows] @ states.T
        apart = np.round(apart, 9)  # equal states shall be equally far, whatever the order of the sums
        apart[owners[rows, None] == owners] = np.inf
        found[rows] = np.argsort(apart, axis=1, kind="stable")[:, :neighbours]
    return found


@dataclass(frozen=True)
class Matching:
    """Units of two states paired one to one.

    Attributes
    ----------
    partner : int64 (H1,), the unit of the second state for each of the first, -1 where there is none
    correlation : float64 (H1,), of the pair over the steps, signed; NaN without a partner
    chance : float, mean size of the correlations of the best pairs where one state is shifted against the other in time
    """

    partner: NDArray[np.int64]
    correlation: Doubles
    chance: float

    @property
    def strength(self) -> float:
        """Mean size of the correlations of the pairs; NaN where no unit varies."""
        sizes = np.abs(self.correlation[np.isfinite(self.correlation)])
        return float(sizes.mean()) if sizes.size else _UNDEFINED


def match_units(first: States, second: States, shifts: int = 20, seed: int = 0) -> Matching:
    """Pair the units of two states so that the sum of the sizes of the correlations is largest.

    A pair may be negatively correlated: a unit that says the opposite says the same. The best of many pairs is never 0,
    so the same is done with the second state shifted in time by random amounts, which keeps how each unit moves.

    Parameters
    ----------
    first : floating (S, H1), the steps of all sequences one after the other
    second : floating (S, H2)
    shifts : int
    seed : int

    Returns
    -------
    Matching
        Units that are constant or not finite have no partner.
    """
    one, two = _standardised(first), _standardised(second)
    partner, correlation = _best_pairs(one, two)
    steps = len(one)
    low = max(1, steps // 10)
    moves = np.random.default_rng(seed).integers(low, max(low + 1, steps - low), shifts)
    sizes = np.abs(np.array([_best_pairs(one, np.roll(two, move, axis=0))[1] for move in moves]))
    return Matching(partner, correlation, float(np.nanmean(sizes)) if np.isfinite(sizes).any() else _UNDEFINED)


def _best_pairs(one: Doubles, two: Doubles) -> tuple[NDArray[np.int64], Doubles]:
    from scipy.optimize import linear_sum_assignment

    correlations = one.T @ two
    rows, columns = linear_sum_assignment(np.abs(correlations), maximize=True)
    partner, found = np.full(one.shape[1], -1, np.int64), np.full(one.shape[1], np.nan)
    alive = np.linalg.norm(one, axis=0)[rows] * np.linalg.norm(two, axis=0)[columns] > 0
    partner[rows[alive]] = columns[alive]
    found[rows[alive]] = correlations[rows[alive], columns[alive]]
    return partner, found


def _standardised(states: States) -> Doubles:
    """Columns of mean 0 and length 1; of 0 where a unit is constant or not finite."""
    finite = np.isfinite(states).all(axis=0)
    kept = np.where(finite, states, 0).astype(np.float64)
    kept = np.where(np.ptp(kept, axis=0) > 0, kept - kept.mean(axis=0), 0)
    length = np.linalg.norm(kept, axis=0)
    return np.asarray(kept / np.where(length > 0, length, 1))


def centred(states: States) -> Doubles:
    """Centred states of unit overall size, so that the size of the states costs no precision; constants become zero."""
    if not np.isfinite(states).all():
        return np.full(states.shape, np.nan)
    moving = np.ptp(states, axis=0) > 0 if len(states) else np.zeros(states.shape[1], bool)
    middle = states.mean(axis=0, dtype=np.float64) if len(states) else 0.0
    apart = np.where(moving, states - middle, 0.0)
    size = np.linalg.norm(apart)
    return np.asarray(apart / size if size > 0 else apart)


def padded(states: Doubles, width: int) -> Doubles:
    """The states with further units of 0, float64 (S, width)."""
    return np.asarray(np.pad(states, ((0, 0), (0, width - states.shape[1]))))
