"""The multislice kernel of MM-PHATE, structured and sparse.

A slice is one (epoch, step); a node is one unit in one slice, numbered ``slice * H + unit``. Two nodes are joined only
within a slice (any two units) or within a unit (any two slices), so no N x N array is ever made, and distances between
slices are held for one unit and one tile of rows at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.distance import cdist

from rnnreport.progress import track
from rnnreport.results.recorded import Doubles

SMALLEST = 1e-4  # weaker entries are dropped
MOST_FEATURES = 100  # more samples than this are reduced to so many principal components

_REACH = -math.log(SMALLEST)  # squared distance, in squared bandwidths, at which an affinity between slices is dropped
_FLOOR = float(np.finfo(np.float64).eps)  # of a bandwidth
_GUESSED_FROM = 128  # slices whose neighbours tell the bandwidth roughly
_MARGIN = 1.15  # kept beyond the guess, so that one pass over the distances is enough
_CANCELLED = 1e-9  # of the squared sizes: below it the product form of a squared distance has lost its digits


@dataclass(frozen=True)
class KernelParams:
    """Neighbours that set the bandwidths, the decay within a slice, and the rows of one tile of distances."""

    intra_neighbours: int = 2
    inter_neighbours: int = 25
    alpha: float = 5.0
    tile: int = 512


@dataclass(frozen=True)
class Kernel:
    """Affinities between nodes.

    Attributes
    ----------
    matrix : CSR float64 (N, N), symmetric, diagonal 1, stored entries in [1e-4, 1]
    sigma : float, bandwidth between slices
    intra_neighbours, inter_neighbours : int, as used: at most units - 1 and slices - 1
    nodes : float64 (slices, H, features), standardised activity that the distances are of
    """

    matrix: sparse.csr_matrix
    sigma: float
    intra_neighbours: int
    inter_neighbours: int
    nodes: Doubles


@dataclass(frozen=True)
class _Pairs:
    """Close pairs of slices of one unit, row by row: squared distance, column, and number of pairs per row."""

    squared: Doubles
    columns: NDArray[np.int32]
    counts: NDArray[np.int64]


def multislice_kernel(activity: Doubles, params: KernelParams) -> Kernel:
    """Steps 1 to 5 of the method.

    Parameters
    ----------
    activity : float64 (slices, H, samples)
        At least two slices and two units.
    params : KernelParams
    """
    nodes = principal_components(standardise(activity))
    slices, units, _ = nodes.shape
    intra_neighbours = min(params.intra_neighbours, units - 1)
    inter_neighbours = min(params.inter_neighbours, slices - 1)
    within = np.stack([_intra_block(block, intra_neighbours, params.alpha) for block in nodes])
    sigma, between = _inter_pairs(nodes, inter_neighbours, params.tile)
    return Kernel(_assembled(within, between, sigma), sigma, intra_neighbours, inter_neighbours, nodes)


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


def _intra_block(nodes: Doubles, neighbours: int, alpha: float) -> Doubles:
    """(H, H) affinities of the units of one slice, with a bandwidth of its own for each unit, symmetrised."""
    distance = cdist(nodes, nodes)
    bandwidth = np.maximum(np.partition(distance, neighbours, axis=1)[:, neighbours], _FLOOR)
    with np.errstate(over="ignore"):  # a distance far beyond a tiny bandwidth is infinitely far: affinity 0
        affinity = np.exp(-((distance / bandwidth[:, None]) ** alpha))
    return _cut((_cut(affinity) + _cut(affinity).T) / 2)


def _cut(affinity: Doubles) -> Doubles:
    return np.where(affinity < SMALLEST, 0, affinity)


def _inter_pairs(nodes: Doubles, neighbours: int, tile: int) -> tuple[float, list[_Pairs]]:
    """The bandwidth between slices, and for every unit at least the pairs that it keeps.

    One pass: the bandwidth is guessed from some slices, and pairs are kept a little beyond. Where the guess was too
    short the pass is repeated with the bandwidth that was found, which is exact.
    """
    units = nodes.shape[1]
    guess = _guess(nodes, neighbours)
    while True:
        reach = (_MARGIN * guess) ** 2 * _REACH
        medians, pairs = [], []
        for unit in track(range(units), "MM-PHATE, distances of each unit", units):
            radius, close = _close_pairs(np.ascontiguousarray(nodes[:, unit]), neighbours, tile, reach)
            medians.append(np.median(radius))
            pairs.append(close)
        sigma = float(np.maximum(medians, _FLOOR).mean())
        if sigma**2 * _REACH <= reach:
            return sigma, pairs
        guess = sigma


def _guess(nodes: Doubles, neighbours: int) -> float:
    rows = np.unique(np.linspace(0, nodes.shape[0] - 1, _GUESSED_FROM).astype(np.int64))
    medians = []
    for unit in range(nodes.shape[1]):
        squared = _squared(nodes[rows, unit], nodes[:, unit])
        medians.append(np.median(np.sqrt(np.partition(squared, neighbours, axis=1)[:, neighbours])))
    return float(np.maximum(medians, _FLOOR).mean())


def _close_pairs(points: Doubles, neighbours: int, tile: int, reach: float) -> tuple[Doubles, _Pairs]:
    """Distance of every slice to its n-th nearest other one, and the pairs within ``reach`` (squared)."""
    count = len(points)
    radius = np.empty(count)
    squared, columns, counts = [], [], []
    for start in range(0, count, tile):
        distances = _squared(points[start : start + tile], points)
        own = np.arange(len(distances))
        distances[own, start + own] = np.inf
        close = np.flatnonzero(distances <= reach)
        rows, places = np.divmod(close, count)
        kept = np.bincount(rows, minlength=len(distances))
        values = distances.ravel()[close]
        radius[start : start + tile] = np.sqrt(_nth(distances, values, rows, kept, neighbours))
        squared.append(values)
        columns.append(places.astype(np.int32))
        counts.append(kept)
    return radius, _Pairs(np.concatenate(squared), np.concatenate(columns), np.concatenate(counts))


def _nth(
    distances: Doubles, values: Doubles, rows: NDArray[np.int64], kept: NDArray[np.int64], neighbours: int
) -> Doubles:
    """The n-th smallest of each row: among the kept values where there are enough, else among all."""
    width = max(int(kept.max(initial=0)), neighbours)
    table = np.full((len(distances), width), np.inf)
    first = np.cumsum(kept) - kept
    table[rows, np.arange(len(values)) - first[rows]] = values
    nth = np.partition(table, neighbours - 1, axis=1)[:, neighbours - 1]
    short = np.flatnonzero(np.isinf(nth))
    if short.size:
        nth[short] = np.partition(distances[short], neighbours - 1, axis=1)[:, neighbours - 1]
    return np.asarray(nth)


def _squared(some: Doubles, points: Doubles) -> Doubles:
    """Squared Euclidean distances by one matrix product; those that cancelled are computed anew by differences."""
    sizes, all_sizes = np.einsum("ij,ij->i", some, some), np.einsum("ij,ij->i", points, points)
    squared = some @ (-2 * points).T
    squared += sizes[:, None] + all_sizes  # in this order the sum is the same for both places of a pair
    rows, columns = np.nonzero(squared <= _CANCELLED * max(float(sizes.max()), float(all_sizes.max())))
    for start in range(0, len(rows), 2**16):
        chosen = slice(start, start + 2**16)
        difference = some[rows[chosen]] - points[columns[chosen]]
        squared[rows[chosen], columns[chosen]] = np.einsum("ij,ij->i", difference, difference)
    return squared


def _assembled(within: Doubles, between: list[_Pairs], sigma: float) -> sparse.csr_matrix:
    """Both parts in one matrix; the list of pairs is emptied on the way, because together they fill the memory."""
    slices, units, _ = within.shape
    present = within > 0
    close = np.stack([_kept_counts(pairs, sigma) for pairs in between], axis=1).ravel()
    ends = np.cumsum(present.sum(axis=2).ravel() + close)
    size = int(ends[-1])
    starts: NDArray[np.int64] = np.concatenate([[0], ends])
    columns, values = np.empty(size, np.int32), np.empty(size)
    slice_of, row, column = np.nonzero(present)
    node = slice_of * units + row
    first = starts[:-1].copy()
    place = first[node] + _within_groups(node)
    columns[place], values[place] = slice_of * units + column, within[present]
    first += present.sum(axis=2).ravel()
    for unit in range(units):
        pairs, between[unit] = between[unit], _Pairs(np.zeros(0), np.zeros(0, np.int32), np.zeros(0, np.int64))
        kept = pairs.squared <= sigma**2 * _REACH
        rows = np.repeat(np.arange(slices), pairs.counts)[kept]
        place = first[rows * units + unit] + _within_groups(rows)
        columns[place] = pairs.columns[kept] * units + unit
        values[place] = np.exp(-pairs.squared[kept] / sigma**2)
    matrix = sparse.csr_matrix((values, columns, starts), shape=(slices * units, slices * units))
    matrix.sort_indices()
    return matrix


def _kept_counts(pairs: _Pairs, sigma: float) -> NDArray[np.int64]:
    rows = np.repeat(np.arange(len(pairs.counts)), pairs.counts)
    return np.bincount(rows[pairs.squared <= sigma**2 * _REACH], minlength=len(pairs.counts))


def _within_groups(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2, ... within each run of equal numbers of an increasing sequence."""
    counts = np.bincount(groups)
    return np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
