"""The multislice kernel of MM-PHATE, structured and sparse.

A slice is one (epoch, step); a node is one unit in one slice, numbered ``slice * H + unit``. Two nodes are joined only
within a slice (any two units) or within a unit (any two slices), so no N x N array is ever made, and distances between
slices are held for one unit and one tile of rows at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from scipy import sparse

from rnnreport.analyses.mmphate.device import CPU, Array, Device, best_device, fetched, smallest
from rnnreport.analyses.mmphate.pairs import Close, close_slices, continued, squared_distances
from rnnreport.analyses.mmphate.threads import each
from rnnreport.progress import track
from rnnreport.results.recorded import Doubles

SMALLEST = 1e-4  # weaker entries are dropped
MOST_FEATURES = 100  # more samples than this are reduced to so many principal components

_REACH = -math.log(SMALLEST)  # squared distance, in squared bandwidths, at which an affinity between slices is dropped
_FLOOR = float(np.finfo(np.float64).eps)  # of a bandwidth
_GUESSED_FROM = 64  # slices whose neighbours tell the bandwidth roughly
_ALIKE = 1e-2  # squared distance between units, of the squared sizes, below which its digits are wanted to the last
_MARGIN = 1.15  # kept beyond the guess, so that one pass over the distances is enough


@dataclass(frozen=True)
class KernelParams:
    """Neighbours that set the bandwidths, the decay within a slice, and the rows of one tile of distances."""

    intra_neighbours: int = 2
    inter_neighbours: int = 25
    alpha: float = 5.0
    tile: int = 512


@dataclass(frozen=True)
class Kernel:
    """Affinities between nodes, in the two parts that they have; each entry between slices is kept once.

    Attributes
    ----------
    within : float64 (slices, H, H), affinities of the units of each slice, symmetric, diagonal 1
    between : tuple of H, the close slices of each unit
    sigma : float, bandwidth between slices
    reach : float, squared distance up to which ``between`` holds all pairs: at least where affinities are dropped
    intra_neighbours, inter_neighbours : int, as used: at most units - 1 and slices - 1
    nodes : float64 (slices, H, features), standardised activity that the distances are of
    device : Device, where the distances were computed, and what is computed from the kernel will be
    """

    within: Doubles
    between: tuple[Close, ...]
    sigma: float
    reach: float
    intra_neighbours: int
    inter_neighbours: int
    nodes: Doubles
    device: Device = CPU

    @property
    def size(self) -> int:
        """Number of nodes, N."""
        return int(np.prod(self.nodes.shape[:2]))

    @cached_property
    def entries(self) -> int:
        """Number of affinities above 0, the diagonal included."""
        return int((self.within > 0).sum()) + 2 * sum(close.count(self._farthest) for close in self.between)

    def of_unit(self, unit: int) -> tuple[NDArray[np.int64], NDArray[np.int32], Doubles]:
        """Later slices, earlier slices and affinities of the joined pairs of slices of a unit."""
        later, earlier, squared = self.between[unit].within(self._farthest)
        return later, earlier, np.exp(squared / -(self.sigma**2))

    def joined(self, unit: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Later and earlier slices of the joined pairs of slices of a unit."""
        return self.between[unit].within(self._farthest)[:2]

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """All of it, CSR float64 (N, N): symmetric, diagonal 1, stored entries in [1e-4, 1]."""
        units = self.nodes.shape[1]
        slice_of, row, column = np.nonzero(self.within)
        rows, columns = [slice_of * units + row], [slice_of * units + column]
        values = [self.within[slice_of, row, column]]
        for unit in range(units):
            later, earlier, affinity = self.of_unit(unit)
            one, other = later * units + unit, earlier.astype(np.int64) * units + unit
            rows += [one, other]
            columns += [other, one]
            values += [affinity, affinity]
        placed = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        matrix = sparse.csr_matrix(placed, shape=(self.size, self.size))
        matrix.sort_indices()
        return matrix

    @property
    def _farthest(self) -> float:
        """Squared distance of the weakest affinity that is kept."""
        return self.sigma**2 * _REACH


def multislice_kernel(activity: Doubles, params: KernelParams, device: Device | None = None) -> Kernel:
    """Steps 1 to 5 of the method.

    Parameters
    ----------
    activity : float64 (slices, H, samples)
        At least two slices and two units.
    params : KernelParams
    device : Device, optional
        By default the best there is.
    """
    device = device or best_device()
    nodes = principal_components(standardise(activity))
    slices, units, _ = nodes.shape
    intra_neighbours = min(params.intra_neighbours, units - 1)
    inter_neighbours = min(params.inter_neighbours, slices - 1)
    sigma, reach, between = _compared(nodes, inter_neighbours, params.tile, device)
    within = _within(nodes, intra_neighbours, params.alpha, device)
    return Kernel(within, between, sigma, reach, intra_neighbours, inter_neighbours, nodes, device)


def grown_kernel(kernel: Kernel, activity: Doubles, params: KernelParams) -> Kernel:
    """The kernel of an activity of which an earlier kernel is known; distances of slices that stayed are kept.

    Parameters
    ----------
    kernel : Kernel
        Of activity that began alike. Where less than half of the slices are known, or the distances kept do not
        suffice, the kernel is made anew.
    activity, params : as in ``multislice_kernel``
    """
    nodes = principal_components(standardise(activity))
    same = _alike(kernel.nodes, nodes)
    if 2 * same < len(nodes) or kernel.inter_neighbours != min(params.inter_neighbours, len(nodes) - 1):
        return multislice_kernel(activity, params, kernel.device)
    between = tuple(
        continued(close, kernel.device.put(np.ascontiguousarray(nodes[:, unit])), same, params.tile, kernel.reach)
        for unit, close in enumerate(kernel.between)
    )
    sigma = _bandwidth(between)
    if sigma**2 * _REACH > kernel.reach:
        return multislice_kernel(activity, params, kernel.device)
    added = _within(nodes[same:], kernel.intra_neighbours, params.alpha, kernel.device)
    within = np.concatenate([kernel.within[:same], added])
    return replace(kernel, within=within, between=between, sigma=sigma, nodes=nodes)


def _alike(some: Doubles, others: Doubles) -> int:
    """How many slices both begin with."""
    if some.shape[1:] != others.shape[1:]:
        return 0
    shared = min(len(some), len(others))
    differs = (some[:shared] != others[:shared]).reshape(shared, -1).any(axis=1)
    return int(differs.argmax()) if differs.any() else shared


def standardise(activity: Doubles) -> Doubles:
    """Zero mean and unit population variance over the samples of each node; a constant node becomes zero."""
    centred = activity - activity.mean(axis=-1, keepdims=True)
    constant = np.ptp(activity, axis=-1, keepdims=True) == 0
    deviation = np.where(constant, 1, centred.std(axis=-1, keepdims=True))
    return np.where(constant, 0, centred / deviation)


def principal_components(scored: Doubles) -> Doubles:
    """At most ``MOST_FEATURES`` principal components over all nodes, by the eigenvectors of the covariance."""
    samples = scored.shape[2]
    if samples <= MOST_FEATURES:
        return scored
    flat = scored.reshape(-1, samples)
    centred = flat - flat.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    reduced = centred @ vectors[:, ::-1][:, :MOST_FEATURES]
    return np.ascontiguousarray(reduced).reshape(*scored.shape[:2], MOST_FEATURES)


def _within(nodes: Doubles, neighbours: int, alpha: float, device: Device) -> Doubles:
    """(slices, H, H) affinities of the units of each slice, some slices at a time."""
    slices, units, _ = nodes.shape
    within = np.empty((slices, units, units))
    many = max(1, device.at_a_time // units**2)

    def fill(start: int) -> None:
        blocks = device.put(np.ascontiguousarray(nodes[start : start + many]))
        within[start : start + many] = fetched(_intra_blocks(blocks, neighbours, alpha))

    for _ in each(fill, range(0, slices, many)):
        pass
    return within


def _intra_blocks(nodes: Array, neighbours: int, alpha: float) -> Array:
    """(slices, H, H) affinities of the units of slices, with a bandwidth of its own for each node, symmetrised."""
    xp = array_namespace(nodes)
    distance = xp.sqrt(squared_distances(nodes, nodes, _ALIKE))
    bandwidth = smallest(distance, neighbours)[..., None]
    bandwidth = xp.where(bandwidth < _FLOOR, _FLOOR, bandwidth)
    with np.errstate(over="ignore"):  # a distance far beyond a tiny bandwidth is infinitely far: affinity 0
        affinity = _cut(xp.exp(-((distance / bandwidth) ** alpha)))
    return _cut((affinity + xp.matrix_transpose(affinity)) / 2)


def _cut(affinity: Array) -> Array:
    return array_namespace(affinity).where(affinity < SMALLEST, 0.0, affinity)


def _compared(nodes: Doubles, neighbours: int, tile: int, device: Device) -> tuple[float, float, tuple[Close, ...]]:
    """The bandwidth between slices, and for every unit the pairs within a reach that suffices for it.

    One pass: the bandwidth is guessed from some slices, and pairs are kept a little beyond. Where the guess was too
    short the pass is repeated with the bandwidth that was found, which is exact.
    """
    units = nodes.shape[1]
    guess = _guess(nodes, neighbours)
    while True:
        reach = (_MARGIN * guess) ** 2 * _REACH

        def compared(unit: int, reach: float = reach) -> Close:
            return close_slices(device.put(np.ascontiguousarray(nodes[:, unit])), neighbours, tile, reach)

        between = tuple(track(each(compared, range(units)), "MM-PHATE, distances of each unit", units))
        sigma = _bandwidth(between)
        if sigma**2 * _REACH <= reach:
            return sigma, reach, between
        guess = sigma


def _bandwidth(between: tuple[Close, ...]) -> float:
    return float(np.mean([max(float(np.median(close.radius())), _FLOOR) for close in between]))


def _guess(nodes: Doubles, neighbours: int) -> float:
    rows = np.unique(np.linspace(0, nodes.shape[0] - 1, _GUESSED_FROM).astype(np.int64))
    medians = []
    for unit in range(nodes.shape[1]):
        points = np.ascontiguousarray(nodes[:, unit])
        squared = squared_distances(points[rows], points)
        medians.append(np.median(np.sqrt(smallest(squared, neighbours))))  # the nearest is the slice itself
    return float(np.maximum(medians, _FLOOR).mean())
