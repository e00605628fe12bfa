"""Spectral co-clustering of words and units (Dhillon, KDD 2001; the weighting of RNNVis, Ming et al., VAST 2017).

One singular value decomposition of the normalised matrix serves every number of clusters and every seed; only k-means
is repeated. The mathematics is that of scikit-learn's ``SpectralCoclustering``, which decomposes again for each fit.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles, Floats, Ints

UNASSIGNED = -1
_SILENT = 1e-8  # a row or column whose responses are all smaller has no say
_NO_DIRECTION = 1e-9  # a singular value this small (the first one is 1) has an arbitrary vector


@dataclass(frozen=True)
class CoclusterParams:
    """Numbers of clusters tried, seeds of k-means, and its starts per seed.

    The shown solution is the one of the seed with the lowest normalised cut. The default k is the most stable one of at
    least ``smallest_default``, the larger one where two are equally stable.
    """

    ks: tuple[int, ...] = (2, 3, 5, 8, 10, 15, 20)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    starts: int = 10
    smallest_default: int = 3


@dataclass(frozen=True)
class Coclusters:
    """Words and units that belong together, for several numbers of clusters.

    Attributes
    ----------
    ks : int32 (k,)
    row_labels : int32 (k, W), -1 unassigned
    column_labels : int32 (k, H), -1 unassigned; clusters are numbered by their number of columns, ascending
    stability : float32 (k,), mean adjusted Rand index between pairs of seeds, rows and columns together
    cut : float32 (k,), normalised cut of the shown solution divided by k
    default_k : int
    """

    ks: Ints
    row_labels: Ints
    column_labels: Ints
    stability: Floats
    cut: Floats
    default_k: int


def cocluster(matrix: NDArray[np.floating], params: CoclusterParams) -> Coclusters:
    """Co-cluster the rows and columns of a signed matrix ("raw" mode: shifted by its minimum where that is negative).

    Parameters
    ----------
    matrix : floating (W, H), finite
    params : CoclusterParams

    Returns
    -------
    Coclusters
        Those ``ks`` that the matrix is large enough for; a single cluster of everything (k = 1) where none fits.
    """
    rows, columns = _loud(matrix, axis=1), _loud(matrix, axis=0)
    weights = matrix[np.ix_(rows, columns)].astype(np.float64)
    if weights.size and weights.min() < 0:
        weights = weights - weights.min()
    kept_rows, kept_columns = weights.sum(axis=1) > 0, weights.sum(axis=0) > 0
    weights = weights[np.ix_(kept_rows, kept_columns)]
    rows, columns = rows[kept_rows], columns[kept_columns]
    found = _solutions(weights, params) or [
        _Solution(1, np.zeros(rows.size, np.int32), np.zeros(columns.size, np.int32), 1.0, 0.0)
    ]
    return Coclusters(
        ks=np.array([one.k for one in found], dtype=np.int32),
        row_labels=np.stack([_spread(one.rows, rows, matrix.shape[0]) for one in found]),
        column_labels=np.stack([_spread(one.columns, columns, matrix.shape[1]) for one in found]),
        stability=np.array([one.stability for one in found], dtype=np.float32),
        cut=np.array([one.cut for one in found], dtype=np.float32),
        default_k=_default_k(found, params),
    )


@dataclass(frozen=True)
class _Solution:
    k: int
    rows: Ints
    columns: Ints
    stability: float
    cut: float


@dataclass(frozen=True)
class _Spectrum:
    """Singular vectors of D_r^-1/2 A D_c^-1/2, each side scaled once more by its D^-1/2, rows above columns."""

    vectors: Doubles
    values: Doubles
    row_count: int

    @classmethod
    def of(cls, weights: Doubles) -> _Spectrum:
        row_scale, column_scale = weights.sum(axis=1) ** -0.5, weights.sum(axis=0) ** -0.5
        left, values, right = np.linalg.svd(row_scale[:, None] * weights * column_scale, full_matrices=False)
        stacked = np.vstack([row_scale[:, None] * left, column_scale[:, None] * right.T])
        return cls(stacked, values, weights.shape[0])

    def embedding(self, k: int) -> Doubles:
        """The 1 + ceil(log2 k) leading vectors without the first, which carries no partition."""
        return np.ascontiguousarray(self.vectors[:, 1 : 1 + math.ceil(math.log2(k))])

    def separates(self, k: int) -> bool:
        """Whether the matrix has as many directions as k clusters are read from, and as many different points."""
        directions = 1 + math.ceil(math.log2(k))
        if directions > self.values.size or self.values[directions - 1] < _NO_DIRECTION:
            return False
        return int(np.unique(self.embedding(k).round(12), axis=0).shape[0]) >= k


def _solutions(weights: Doubles, params: CoclusterParams) -> list[_Solution]:
    """One solution for every k that both sides are large enough for and the spectrum can separate."""
    if min(weights.shape) < 2:
        return []
    spectrum = _Spectrum.of(weights)
    fitting = [k for k in params.ks if k <= min(weights.shape) and spectrum.separates(k)]
    return [_best_of_seeds(spectrum, weights, k, params) for k in fitting]


def _best_of_seeds(spectrum: _Spectrum, weights: Doubles, k: int, params: CoclusterParams) -> _Solution:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    points = spectrum.embedding(k)
    fits = [KMeans(k, n_init=params.starts, random_state=seed).fit(points).labels_ for seed in params.seeds]
    pairs = [adjusted_rand_score(a, b) for a, b in itertools.combinations(fits, 2)]
    sides = [(fit[: spectrum.row_count], fit[spectrum.row_count :]) for fit in fits]
    cuts = [normalised_cut(weights, rows, columns, k) for rows, columns in sides]
    best = int(np.argmin(cuts))
    rows, columns = _renumber(*sides[best], k)
    return _Solution(k, rows, columns, float(np.mean(pairs)) if pairs else 1.0, cuts[best])


def normalised_cut(weights: Doubles, rows: Ints, columns: Ints, k: int) -> float:
    """Mean over the clusters of the share of a cluster's edge weight that leaves it.

    Parameters
    ----------
    weights : float64 (W, H), not negative
    rows, columns : int (W,), (H,), labels 0 ... k - 1
    k : int
    """
    row_of, column_of = np.eye(k)[rows], np.eye(k)[columns]
    inside = 2 * np.einsum("wk,wk->k", row_of, weights @ column_of)
    volume = row_of.T @ weights.sum(axis=1) + column_of.T @ weights.sum(axis=0)
    leaving = np.divide(volume - inside, volume, out=np.zeros(k), where=volume > 0)
    return float(leaving.mean())


def _renumber(rows: Ints, columns: Ints, k: int) -> tuple[Ints, Ints]:
    """Number the clusters by their number of columns, then of rows, ascending; then by their first column."""
    first = np.full(k, columns.size)
    np.minimum.at(first, columns, np.arange(columns.size))
    order = np.lexsort((first, np.bincount(rows, minlength=k), np.bincount(columns, minlength=k)))
    place = np.argsort(order).astype(np.int32)
    return place[rows], place[columns]


def _loud(matrix: NDArray[np.floating], axis: int) -> NDArray[np.int64]:
    return np.flatnonzero((np.abs(matrix) > _SILENT).any(axis=axis))


def _spread(labels: Ints, places: NDArray[np.int64], count: int) -> Ints:
    spread = np.full(count, UNASSIGNED, np.int32)
    spread[places] = labels
    return spread


def _default_k(found: list[_Solution], params: CoclusterParams) -> int:
    eligible = [one for one in found if one.k >= params.smallest_default] or found
    return max(eligible, key=lambda one: (round(one.stability, 6), one.k)).k
