"""Metric multidimensional scaling by majorisation (SMACOF; de Leeuw and Heiser, 1980), from several starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist, squareform

from rnnreport.results.recorded import Doubles, Floats

_POWER_STEPS = 10
_EXTRA = 8  # directions beside those asked for, in the power iteration
_COINCIDENT = 1e-6  # of the mean distance
_TILE = 64  # landmarks whose distances are held at a time, so that they stay in the cache


@dataclass(frozen=True)
class LayoutParams:
    """Starts (the first is classical scaling, the others are random), iterations to judge them, and at most.

    From a given start there are at most ``warm_iterations``.
    """

    starts: int = 3
    trial_iterations: int = 20
    iterations: int = 300
    warm_iterations: int = 30
    tolerance: float = 1e-6
    seed: int = 0


@dataclass(frozen=True)
class Layout:
    """``points`` float64 (L, dimensions); ``stress``: see ``stress``; ``iterations`` of the start that was taken."""

    points: Doubles
    stress: float
    iterations: int


def lay_out(distances: Doubles, dimensions: int, params: LayoutParams, start: Doubles | None = None) -> Layout:
    """The layout of least stress among those reached from several starts, or the one reached from a given start.

    Parameters
    ----------
    distances : float64 (L, L), symmetric, zero diagonal
    dimensions : int
    params : LayoutParams
    start : float64 (L, dimensions), optional
    """
    if not distances.any():
        return Layout(np.zeros((len(distances), dimensions)), 0.0, 0)
    wanted = distances.astype(np.float32)
    if start is not None:
        return _judged(distances, _majorised(wanted, start, params.warm_iterations, params.tolerance))
    trials = [
        _judged(distances, _majorised(wanted, place, params.trial_iterations, params.tolerance))
        for place in _starts(distances, dimensions, params)
    ]
    best = min(trials, key=lambda trial: trial.stress)
    points, more = _majorised(wanted, best.points, params.iterations - best.iterations, params.tolerance)
    return _judged(distances, (points, best.iterations + more))


def _judged(distances: Doubles, found: tuple[Doubles, int]) -> Layout:
    points, iterations = found
    return Layout(points, stress(squareform(distances, checks=False), pdist(points)), iterations)


def _starts(distances: Doubles, dimensions: int, params: LayoutParams) -> Iterator[Doubles]:
    yield classical_scaling(distances, dimensions, params.seed)
    draw = np.random.default_rng(params.seed)
    pairs = len(distances) * (len(distances) - 1)
    size = math.sqrt(float((distances**2).sum()) / pairs / (2 * dimensions))
    for _ in range(1, params.starts):
        yield draw.normal(0, size, (len(distances), dimensions))


def classical_scaling(distances: Doubles, dimensions: int, seed: int) -> Doubles:
    """Classical scaling: the leading eigenvectors of the doubly centred squared distances, by block power iteration.

    Returns
    -------
    float64 (L, dimensions)
    """
    inner = -(distances**2) / 2
    inner -= inner.mean(axis=0)
    inner -= inner.mean(axis=1, keepdims=True)
    width = min(len(inner), dimensions + _EXTRA)
    basis = np.random.default_rng(seed).normal(size=(len(inner), width))
    for _ in range(_POWER_STEPS):
        basis, _ = np.linalg.qr(inner @ basis)
    values, vectors = np.linalg.eigh(basis.T @ inner @ basis)
    order = np.argsort(values)[::-1][:dimensions]
    points = basis @ vectors[:, order] * np.sqrt(np.maximum(values[order], 0))
    return np.pad(points, ((0, 0), (0, dimensions - points.shape[1])))


def _majorised(wanted: Floats, start: Doubles, most: int, tolerance: float) -> tuple[Doubles, int]:
    """Repeat the Guttman transform, doubled in its step, which needs half as many of them, until stress settles.

    Returns the points and the number of iterations.
    """
    count = len(start)
    points = start - start.mean(axis=0)
    pairs = count * (count - 1) / 2
    total = float((wanted.astype(np.float64) ** 2).sum()) / 2
    floor = _COINCIDENT * float(wanted.sum(dtype=np.float64)) / 2 / pairs
    before = math.inf
    for iteration in range(most):
        moved = _guttman(wanted, points, floor)
        # with points around their mean, both sums over all pairs follow from the points
        across, size = count * float((points * moved).sum()), count * float((points**2).sum())
        raw = (total - 2 * across + size) / total
        if before - raw < tolerance * before and raw <= before:
            return points, iteration
        before = raw
        # the doubled step leaves the best scale; the last one is single
        points = moved if iteration == most - 1 else 2 * moved - points
    return points, most


def _guttman(wanted: Floats, points: Doubles, floor: float) -> Doubles:
    """One Guttman transform, float64 (L, dimensions), a tile of the distances at a time and each pair once.

    Quotients of distances are single precision, everything that is added up is double. Points closer than ``floor``
    count as so far apart: closer ones would pull each other without bound.
    """
    count, dimensions = points.shape
    sizes, ones = np.einsum("ij,ij->i", points, points)[:, None], np.ones((count, 1))
    left, right = np.hstack([-2 * points, sizes, ones]), np.hstack([points, ones, sizes])
    across, weighted = np.ascontiguousarray(right.T), right[:, : dimensions + 1]
    pull = np.zeros((count, dimensions + 1))
    for start in range(0, count, _TILE):
        stop = min(start + _TILE, count)
        shown = (left[start:stop] @ across[:, start:]).astype(np.float32)  # squared
        np.sqrt(np.maximum(shown, np.float32(floor**2), out=shown), out=shown)
        quotient = np.divide(wanted[start:stop, start:], shown, out=shown).astype(np.float64)
        pull[start:stop] += quotient @ weighted[start:]
        pull[stop:] += quotient[:, stop - start :].T @ weighted[start:stop]
    return np.asarray((pull[:, -1:] * points - pull[:, :-1]) / count)


def stress(wanted: Doubles, shown: Doubles) -> float:
    """Kruskal's stress-1 of a layout after its best scaling, in [0, 1].

    Parameters
    ----------
    wanted, shown : float64 (pairs,)
        Distances of the same pairs before and in the layout.
    """
    sizes = float((wanted @ wanted) * (shown @ shown))
    return math.sqrt(max(0.0, 1 - float(wanted @ shown) ** 2 / sizes)) if sizes > 0 else 0.0


def unit_variance(points: Doubles) -> Doubles:
    """Centre the points and scale them to a total variance of 1: the method leaves their scale undefined."""
    centred = points - points.mean(axis=0)
    total = centred.var(axis=0).sum()
    return np.asarray(centred / np.sqrt(total) if total > 0 else centred)
