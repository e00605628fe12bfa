"""How alike the dynamics of two sets of states are: Dynamical Similarity Analysis (Ostrow et al., NeurIPS 2023).

The states of consecutive steps are embedded together, reduced, and a linear map is fitted from each to the next. Two
maps are compared after the best change of basis by a rotation. Geometry and dynamics may differ independently.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.similarity import centred
from rnnreport.results.recorded import Doubles

_ENOUGH = 5  # pairs of steps for each dimension of the map
_CONVERGED = 1e-9


@dataclass(frozen=True)
class DynamicsParams:
    """Consecutive states embedded together, dimensions of the map, and starts, iterations and seed of the rotation."""

    delays: int = 2
    rank: int = 10
    starts: int = 6
    iterations: int = 300
    seed: int = 0


def linear_dynamics(
    states: NDArray[np.floating], offsets: NDArray[np.int64], params: DynamicsParams
) -> NDArray[np.float64] | None:
    """The map that takes an embedded state to the next one best, in the least squares.

    Parameters
    ----------
    states : floating (S, H), sequences one after the other
    offsets : int64 (N + 1,), their bounds; no step is followed by one of another sequence
    params : DynamicsParams

    Returns
    -------
    float64 (rank, rank), or None
        In whitened coordinates, None where the sequences are too short or few, or the states do not vary or are not
        finite. The rank is smaller where the states have fewer dimensions.
    """
    usable = centred(states)
    if not usable.any() or not np.isfinite(usable).all():
        return None
    ends = np.concatenate([np.arange(start + params.delays - 1, stop) for start, stop in itertools.pairwise(offsets)])
    last = np.isin(ends, offsets[1:] - 1)
    if not ends.size or ends.size - last.sum() < _ENOUGH * params.rank:
        return None
    embedded = np.hstack([usable[ends - back] for back in range(params.delays)])
    left, sizes, _ = np.linalg.svd(embedded - embedded.mean(axis=0), full_matrices=False)
    rank = min(params.rank, int((sizes > 1e-6 * sizes[0]).sum()))
    white = left[:, :rank] * np.sqrt(len(left))
    white *= np.where((white**3).sum(axis=0) < 0, -1, 1)  # axes have no sign of their own: one that rotation leaves
    now, following = white[:-1][~last[:-1]], white[1:][~last[:-1]]
    return np.asarray(np.linalg.lstsq(now, following, rcond=None)[0].T)


def dynamical_distance(one: Doubles | None, two: Doubles | None, params: DynamicsParams) -> float:
    """Angle between two maps after the best rotation of one: ``min over C of arccos <one, C two C'> / sizes``.

    Parameters
    ----------
    one, two : float64 (n, n), or None; a smaller one counts as having further dimensions in which it is 0
    params : DynamicsParams

    Returns
    -------
    float
        Radians in [0, pi]; NaN where a map is None or 0. The search may end in a local minimum: the angle is an upper
        bound.
    """
    if one is None or two is None or not (one.any() and two.any()):
        return float("nan")
    width = max(len(one), len(two))
    one, two = (np.pad(side, ((0, width - len(side)),) * 2) for side in (one, two))
    one, two = one / np.linalg.norm(one), two / np.linalg.norm(two)
    draw = np.random.default_rng(params.seed)
    starts = _aligned(one, two)
    while len(starts) < params.starts:
        starts.append(np.linalg.qr(draw.normal(size=(width, width)))[0])
    best = max(_ascend(one, two, start, params.iterations) for start in starts)
    return math.acos(max(-1.0, min(1.0, best)))


def _aligned(one: Doubles, two: Doubles) -> list[Doubles]:
    """Rotations that align the axes of two maps, and those of their symmetric parts, with the best signs found.

    Axes of a decomposition have no sign of their own, so that even two equal systems may differ in theirs.
    """
    plain = np.eye(len(one)), np.eye(len(one))
    symmetric = np.linalg.eigh(one + one.T)[1], np.linalg.eigh(two + two.T)[1]
    found = []
    for left, right in (plain, symmetric):
        products = (left.T @ one @ left) * (right.T @ two @ right)
        found.append((left * _signs(products)) @ right.T)
    return found


def _signs(products: Doubles) -> Doubles:
    """Signs s, float64 (n,), that make ``s' products s`` large: one after the other is turned while that helps."""
    links = products + products.T
    np.fill_diagonal(links, 0)
    signs = np.ones(len(links))
    while (gains := -signs * (links @ signs)).max(initial=0) > 1e-12:
        signs[gains.argmax()] *= -1
    return signs


def _ascend(one: Doubles, two: Doubles, rotation: Doubles, iterations: int) -> float:
    """Largest ``<one, C two C'>`` reached from a rotation.

    Each step maximises a linear bound of the shifted objective over all rotations, which a polar decomposition does, so
    that the objective never falls.
    """
    shift = np.linalg.norm(one, 2) * np.linalg.norm(two, 2)
    value = float((one * (rotation @ two @ rotation.T)).sum())
    for _ in range(iterations):
        slope = one @ rotation @ two.T + one.T @ rotation @ two + 2 * shift * rotation
        left, _, right = np.linalg.svd(slope)
        rotation = left @ right
        found = float((one * (rotation @ two @ rotation.T)).sum())
        if found - value < _CONVERGED:
            return found
        value = found
    return value
