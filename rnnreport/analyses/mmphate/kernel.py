"""The multislice kernel of MM-PHATE, structured and sparse.

A slice is one (epoch, step); a node is one unit in one slice, numbered ``slice * H + unit``. Two nodes are joined only
within a slice (any two units) or within a unit (any two slices), so no N x N array is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist

from rnnreport.results.recorded import Doubles

SMALLEST = 1e-4  # weaker entries are dropped
_FLOOR = float(np.finfo(np.float64).eps)  # of a bandwidth


@dataclass(frozen=True)
class KernelParams:
    """Neighbours that set the bandwidths, and the decay of the kernel within a slice."""

    intra_neighbours: int = 2
    inter_neighbours: int = 25
    alpha: float = 5.0


@dataclass(frozen=True)
class Kernel:
    """Affinities between nodes.

    Attributes
    ----------
    matrix : CSR float64 (N, N), symmetric, diagonal 1, stored entries in [1e-4, 1]
    sigma : float, bandwidth between slices
    intra_neighbours, inter_neighbours : int, as used: at most units - 1 and slices - 1
    """

    matrix: sparse.csr_matrix
    sigma: float
    intra_neighbours: int
    inter_neighbours: int


def multislice_kernel(activity: Doubles, params: KernelParams) -> Kernel:
    """Steps 1 to 5 of the method.

    Parameters
    ----------
    activity : float64 (slices, H, samples)
        At least two slices, two units; the published step 2 (PCA to 100 dimensions) is for more than 100 samples.
    params : KernelParams
    """
    scored = standardise(activity)
    slices, units, _ = scored.shape
    intra_neighbours = min(params.intra_neighbours, units - 1)
    inter_neighbours = min(params.inter_neighbours, slices - 1)
    sigma = inter_bandwidth(scored, inter_neighbours)
    within = [_intra_block(scored[s], intra_neighbours, params.alpha) for s in range(slices)]
    between = [_inter_block(scored[:, i], sigma) for i in range(units)]
    matrix = sparse.block_diag(within, format="csr") + _interleave(between, slices, units)
    return Kernel(sparse.csr_matrix(matrix), sigma, intra_neighbours, inter_neighbours)


def standardise(activity: Doubles) -> Doubles:
    """Zero mean and unit population variance over the samples of each node; a constant node becomes zero."""
    centred = activity - activity.mean(axis=-1, keepdims=True)
    constant = np.ptp(activity, axis=-1, keepdims=True) == 0
    deviation = np.where(constant, 1, centred.std(axis=-1, keepdims=True))
    return np.where(constant, 0, centred / deviation)


def inter_bandwidth(scored: Doubles, neighbours: int) -> float:
    """Mean over units of the median over slices of the distance to the n-th nearest other slice of the unit."""
    medians = []
    for unit in range(scored.shape[1]):
        distance = cdist(scored[:, unit], scored[:, unit])
        medians.append(np.median(np.partition(distance, neighbours, axis=1)[:, neighbours]))  # place 0 is the slice
    return float(np.maximum(medians, _FLOOR).mean())


def _intra_block(nodes: Doubles, neighbours: int, alpha: float) -> Doubles:
    """(H, H) affinities of the units of one slice, with a bandwidth of its own for each unit, symmetrised."""
    distance = cdist(nodes, nodes)
    bandwidth = np.maximum(np.partition(distance, neighbours, axis=1)[:, neighbours], _FLOOR)
    with np.errstate(over="ignore"):  # a distance far beyond a tiny bandwidth is infinitely far: affinity 0
        affinity = np.exp(-((distance / bandwidth[:, None]) ** alpha))
    return _cut((_cut(affinity) + _cut(affinity).T) / 2)


def _inter_block(nodes: Doubles, sigma: float) -> Doubles:
    """(slices, slices) affinities of one unit with itself at other slices; zero diagonal."""
    with np.errstate(over="ignore"):
        affinity = np.exp(-((cdist(nodes, nodes) / sigma) ** 2))
    np.fill_diagonal(affinity, 0)
    return _cut(affinity)


def _cut(affinity: Doubles) -> Doubles:
    return np.where(affinity < SMALLEST, 0, affinity)


def _interleave(blocks: list[Doubles], slices: int, units: int) -> sparse.csr_matrix:
    """Place the block of each unit on the nodes of that unit, which lie ``units`` apart."""
    rows, columns, values = [], [], []
    for unit, block in enumerate(blocks):
        row, column = np.nonzero(block)
        rows.append(row * units + unit)
        columns.append(column * units + unit)
        values.append(block[row, column])
    shape = (slices * units, slices * units)
    return sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
