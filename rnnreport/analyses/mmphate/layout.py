"""Metric multidimensional scaling by majorisation (SMACOF; de Leeuw and Heiser, 1980), from several starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist, squareform

from rnnreport.results.recorded import Doubles

_POWER_STEPS = 10
_EXTRA = 8  # directions beside those asked for, in the power iteration
_COINCIDENT = 1e-6  # of the mean distance: closer points would pull each other without bound


@dataclass(frozen=True)
class LayoutParams:
    """Starts (the first is classical scaling, the others are random), iterations to judge them, and at most."""

    starts: int = 3
    trial_iterations: int = 20
    iterations: int = 300
    tolerance: float = 1e-6
    seed: int = 0


@dataclass(frozen=True)
class Layout:
    """``points`` float64 (L, dimensions); ``stress``: see ``stress``; ``iterations`` of the start that was taken."""

    points: Doubles
    stress: float
    iterations: int


def lay_out(distances: Doubles, dimensions: int, params: LayoutParams) -> Layout:
    """The layout of least stress among those reached from several starts.

    Parameters
    ----------
    distances : float64 (L, L), symmetric, zero diagonal
    dimensions : int
    params : LayoutParams
    """
    wanted = squareform(distances, checks=False)
    if not wanted.any():
        return Layout(np.zeros((len(distances), dimensions)), 0.0, 0)
    trials = [
        _majorised(wanted, start, params.trial_iterations, params.tolerance)
        for start in _starts(distances, wanted, dimensions, params)
    ]
    best = min(trials, key=lambda trial: trial.stress)
    rest = _majorised(wanted, best.points, params.iterations - best.iterations, params.tolerance)
    return Layout(rest.points, rest.stress, best.iterations + rest.iterations)


def _starts(distances: Doubles, wanted: Doubles, dimensions: int, params: LayoutParams) -> Iterator[Doubles]:
    yield classical_scaling(distances, dimensions, params.seed)
    draw = np.random.default_rng(params.seed)
    size = math.sqrt(float(np.mean(wanted**2)) / (2 * dimensions))
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


def _majorised(wanted: Doubles, start: Doubles, most: int, tolerance: float) -> Layout:
    """Repeat the Guttman transform, doubled in its step, which needs half as many of them, until stress settles."""
    points, count = start, len(start)
    floor = _COINCIDENT * float(wanted.mean())
    total = float(wanted @ wanted)
    ones = np.ones((count, 1))
    before = math.inf
    for iteration in range(most):
        shown = pdist(points)
        raw = (total - 2 * float(wanted @ shown) + float(shown @ shown)) / total
        if before - raw < tolerance * before and raw <= before:
            return Layout(points, stress(wanted, shown), iteration)
        before = raw
        shown[shown <= floor] = np.inf
        pull = squareform(np.divide(wanted, shown, out=shown), checks=False) @ np.hstack([points, ones])
        moved = (pull[:, -1:] * points - pull[:, :-1]) / count
        # the doubled step leaves the best scale; the last one is single
        points = moved if iteration == most - 1 else 2 * moved - points
    return Layout(points, stress(wanted, pdist(points)), most)


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
