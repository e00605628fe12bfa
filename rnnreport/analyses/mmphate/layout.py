"""Metric multidimensional scaling by majorisation (SMACOF; de Leeuw and Heiser, 1980), from several starts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from rnnreport.analyses.mmphate.device import CPU, Array, Device, fetched
from rnnreport.results.recorded import Doubles

_POWER_STEPS = 10
_EXTRA = 8  # directions beside those asked for, in the power iteration
_COINCIDENT = 1e-6  # of the mean distance


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


def lay_out(
    distances: Array, dimensions: int, params: LayoutParams, start: Doubles | None = None, device: Device = CPU
) -> Layout:
    """The layout of least stress among those reached from several starts, or the one reached from a given start.

    Parameters
    ----------
    distances : float64 (L, L), symmetric, zero diagonal, an array of the device
    dimensions : int
    params : LayoutParams
    start : float64 (L, dimensions), optional
    device : Device
    """
    xp = array_namespace(distances)
    if not bool(xp.any(distances != 0)):
        return Layout(np.zeros((distances.shape[0], dimensions)), 0.0, 0)
    task = _Task(distances, xp.astype(distances, xp.float32), device, params.tolerance)
    if start is not None:
        return task.judged(*task.majorised(device.put(start), params.warm_iterations))
    trials = [
        task.judged(*task.majorised(device.put(place), params.trial_iterations))
        for place in _starts(distances, dimensions, params, device)
    ]
    best = min(trials, key=lambda trial: trial.stress)
    points, more = task.majorised(device.put(best.points), params.iterations - best.iterations)
    return task.judged(points, best.iterations + more)


def _starts(distances: Array, dimensions: int, params: LayoutParams, device: Device) -> Iterator[Doubles]:
    yield classical_scaling(distances, dimensions, params.seed, device)
    draw = np.random.default_rng(params.seed)
    count = distances.shape[0]
    squared = float(array_namespace(distances).sum(distances * distances))
    size = math.sqrt(squared / (count * (count - 1)) / (2 * dimensions))
    for _ in range(1, params.starts):
        yield draw.normal(0, size, (count, dimensions))


def classical_scaling(distances: Array, dimensions: int, seed: int, device: Device = CPU) -> Doubles:
    """Classical scaling: the leading eigenvectors of the doubly centred squared distances, by block power iteration.

    Parameters
    ----------
    distances, dimensions, device : as in ``lay_out``
    seed : int

    Returns
    -------
    float64 (L, dimensions)
    """
    xp = array_namespace(distances)
    inner = distances * distances
    inner *= -0.5
    inner -= xp.mean(inner, axis=0)
    inner -= xp.mean(inner, axis=1, keepdims=True)
    width = min(inner.shape[0], dimensions + _EXTRA)
    basis = device.put(np.random.default_rng(seed).normal(size=(inner.shape[0], width)))
    for _ in range(_POWER_STEPS):
        basis, _ = xp.linalg.qr(inner @ basis)
    values, vectors = np.linalg.eigh(fetched(basis.T @ (inner @ basis)))
    order = np.argsort(values)[::-1][:dimensions]
    points = fetched(basis) @ vectors[:, order] * np.sqrt(np.maximum(values[order], 0))
    return np.pad(points, ((0, 0), (0, dimensions - points.shape[1])))


@dataclass(frozen=True)
class _Task:
    """The ``distances`` that a layout shall have, the same in float32 as ``wanted``, and the relative ``tolerance``."""

    distances: Array
    wanted: Array
    device: Device
    tolerance: float

    def judged(self, points: Array, iterations: int) -> Layout:
        """The layout with its stress."""
        xp = array_namespace(points)
        across, sizes = 0.0, 0.0
        for start, stop, squared in _squared_tiles(points, self.device.at_a_time):
            shown = xp.sqrt(xp.where(squared < 0, 0.0, squared))
            shown[:, : stop - start] = xp.triu(shown[:, : stop - start], k=1)  # each pair once
            across += float(xp.sum(self.distances[start:stop, start:] * shown))
            sizes += float(xp.sum(shown * shown))
        wanted = float(xp.sum(self.distances * self.distances)) / 2
        return Layout(fetched(points), _stress(wanted, sizes, across), iterations)

    def majorised(self, start: Array, most: int) -> tuple[Array, int]:
        """Repeat the Guttman transform, doubled in its step, which needs half as many, until stress settles.

        Returns the points and the number of iterations.
        """
        xp = array_namespace(start)
        count = start.shape[0]
        points = start - xp.mean(start, axis=0)
        total = float(xp.sum(self.distances * self.distances)) / 2
        floor = _COINCIDENT * float(xp.sum(self.distances)) / (count * (count - 1))
        before = math.inf
        for iteration in range(most):
            moved = self._guttman(points, floor)
            # with points around their mean, both sums over all pairs follow from the points
            across, size = count * float(xp.sum(points * moved)), count * float(xp.sum(points * points))
            raw = (total - 2 * across + size) / total
            if before - raw < self.tolerance * before and raw <= before:
                return points, iteration
            before = raw
            # the doubled step leaves the best scale; the last one is single
            points = moved if iteration == most - 1 else 2 * moved - points
        return points, most

    def _guttman(self, points: Array, floor: float) -> Array:
        """One Guttman transform, float64 (L, dimensions), a tile of the distances at a time and each pair once.

        Quotients of distances are single precision, everything that is added up is double. Points closer than ``floor``
        count as so far apart: closer ones would pull each other without bound.
        """
        xp = array_namespace(points)
        count, dimensions = points.shape
        weighted = xp.concat([points, xp.ones_like(points[:, :1])], axis=1)
        pull = xp.zeros_like(weighted)
        least = xp.zeros_like(self.wanted[0, 0]) + floor**2
        for start, stop, squared in _squared_tiles(points, self.device.at_a_time):
            shown = xp.sqrt(xp.maximum(xp.astype(squared, xp.float32), least))
            quotient = xp.astype(self.wanted[start:stop, start:] / shown, xp.float64)
            pull[start:stop, :] += quotient @ weighted[start:, :]
            pull[stop:, :] += quotient[:, stop - start :].T @ weighted[start:stop, :]
        return (pull[:, dimensions:] * points - pull[:, :dimensions]) / count


def _squared_tiles(points: Array, at_a_time: int) -> Iterator[tuple[int, int, Array]]:
    """Squared distances of some points to themselves and all later ones: first, last + 1, float64 (rows, L - first)."""
    xp = array_namespace(points)
    count = points.shape[0]
    sizes, ones = xp.sum(points * points, axis=1, keepdims=True), xp.ones_like(points[:, :1])
    left = xp.concat([-2 * points, sizes, ones], axis=1)
    across = xp.concat([points, ones, sizes], axis=1).T
    rows = max(1, at_a_time // count)
    for start in range(0, count, rows):
        stop = min(start + rows, count)
        yield start, stop, left[start:stop, :] @ across[:, start:]


def stress(wanted: Doubles, shown: Doubles) -> float:
    """Kruskal's stress-1 of a layout after its best scaling, in [0, 1].

    Parameters
    ----------
    wanted, shown : float64 (pairs,)
        Distances of the same pairs before and in the layout.
    """
    return _stress(float(wanted @ wanted), float(shown @ shown), float(wanted @ shown))


def _stress(wanted: float, shown: float, across: float) -> float:
    """Stress-1 from the sums over all pairs of the squares, before and in the layout, and of the products."""
    return math.sqrt(max(0.0, 1 - across**2 / (wanted * shown))) if wanted * shown > 0 else 0.0


def unit_variance(points: Doubles) -> Doubles:
    """Centre the points and scale them to a total variance of 1: the method leaves their scale undefined."""
    centred = points - points.mean(axis=0)
    total = centred.var(axis=0).sum()
    return np.asarray(centred / np.sqrt(total) if total > 0 else centred)
