"""Spectral co-clustering of words and units (Dhillon, KDD 2001; the weightings of RNNVis, Ming et al., VAST 2017).

The edge between a word and a unit is made from the unit's response in one of several modes. One singular value
decomposition of a mode's normalised matrix serves every number of clusters and every seed; only k-means is repeated.
The mathematics is that of scikit-learn's ``SpectralCoclustering``, which decomposes again for each fit.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles, Floats, Ints
from rnnreport.results.schema import WEIGHTINGS

UNASSIGNED = -1
_SILENT = 1e-8  # a row or column whose responses are all smaller has no say
_NO_DIRECTION = 1e-6  # a singular value this small (the first one is 1) has an arbitrary vector
_SMALL = 64  # a matrix with a side this short is decomposed in full


@dataclass(frozen=True)
class CoclusterParams:
    """Weightings, numbers of clusters tried, seeds of k-means, and its starts per seed.

    The shown solution is the one of the seed with the lowest normalised cut. The default is the most stable solution of
    at least ``smallest_default`` clusters that leaves out at most a share of ``most_unassigned`` of the words and units
    that answer at all. Stabilities that agree to two decimals count as equal; then the larger k, then the earlier mode.
    """

    modes: tuple[str, ...] = tuple(WEIGHTINGS)
    ks: tuple[int, ...] = (2, 3, 5, 8, 10, 15, 20)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    starts: int = 3
    smallest_default: int = 3
    most_unassigned: float = 0.05


@dataclass(frozen=True)
class Coclusters:
    """Words and units that belong together, for every mode (M of them) and several numbers of clusters.

    Attributes
    ----------
    modes : tuple of str, length M
    ks : int32 (k,), those that at least one mode can be divided into
    row_labels : int32 (M, k, W), -1 unassigned
    column_labels : int32 (M, k, H), -1 unassigned; clusters are numbered by their number of columns, ascending
    stability : float32 (M, k), mean adjusted Rand index between pairs of seeds, rows and columns together; NaN where
        the mode cannot be divided into that many
    cut : float32 (M, k), normalised cut of the shown solution divided by k; NaN likewise
    default_mode : str
    default_k : int
    """

    modes: tuple[str, ...]
    ks: Ints
    row_labels: Ints
    column_labels: Ints
    stability: Floats
    cut: Floats
    default_mode: str
    default_k: int


@dataclass(frozen=True)
class _Solution:
    """Labels of all rows (W,) and columns (H,), -1 unassigned."""

    k: int
    rows: Ints
    columns: Ints
    stability: float
    cut: float


def cocluster(response: NDArray[np.floating], params: CoclusterParams) -> Coclusters:
    """Co-cluster the rows and columns of a signed matrix in every mode.

    Parameters
    ----------
    response : floating (W, H), finite
    params : CoclusterParams

    Returns
    -------
    Coclusters
        Those ``ks`` that the matrix is large enough for; a single cluster of everything (k = 1) where none fits.
    """
    found = {mode: _solutions(mode, response.astype(np.float64), params) for mode in params.modes}
    if not any(found.values()):
        found = {mode: {1: _everything(response)} for mode in params.modes}
    ks = sorted({k for solutions in found.values() for k in solutions})
    missing = _Solution(
        0, np.full(response.shape[0], UNASSIGNED), np.full(response.shape[1], UNASSIGNED), np.nan, np.nan
    )
    table = [[solutions.get(k, missing) for k in ks] for solutions in found.values()]
    mode, default_k = _default(found, _everything(response), params)
    return Coclusters(
        modes=params.modes,
        ks=np.array(ks, np.int32),
        row_labels=np.array([[one.rows for one in line] for line in table], np.int32),
        column_labels=np.array([[one.columns for one in line] for line in table], np.int32),
        stability=np.array([[one.stability for one in line] for line in table], np.float32),
        cut=np.array([[one.cut for one in line] for line in table], np.float32),
        default_mode=mode,
        default_k=default_k,
    )


def edge_weights(mode: str, response: Doubles) -> Doubles:
    """Edge weights of the bipartite graph.

    Parameters
    ----------
    mode : one of ``schema.WEIGHTINGS``
    response : float64 (W, H), signed

    Returns
    -------
    float64 (W, H), not negative; (W, 2 H) for "split", rises on the left and falls on the right
    """
    if mode == "positive":
        return np.maximum(response, 0)
    if mode == "negative":
        return np.maximum(-response, 0)
    if mode == "abs":
        return np.abs(response)
    if mode == "split":
        return np.hstack([np.maximum(response, 0), np.maximum(-response, 0)])
    if mode == "scaled":
        deviation = response.std(axis=0)
        response = response / np.where(deviation > 0, deviation, 1)
    return np.asarray(response - min(0.0, response.min(initial=0.0)))


@dataclass(frozen=True)
class _Spectrum:
    """Singular vectors of D_r^-1/2 A D_c^-1/2, each side scaled once more by its D^-1/2, rows above columns."""

    vectors: Doubles
    values: Doubles
    row_count: int

    @classmethod
    def of(cls, weights: Doubles, most: int) -> _Spectrum:
        """Decompose; of a large matrix only the ``most`` leading directions."""
        row_scale, column_scale = weights.sum(axis=1) ** -0.5, weights.sum(axis=0) ** -0.5
        normalised = row_scale[:, None] * weights * column_scale
        left, values, right = _leading(normalised, most)
        stacked = np.vstack([row_scale[:, None] * left, column_scale[:, None] * right.T])
        return cls(stacked, values, weights.shape[0])

    def embedding(self, k: int) -> Doubles:
        """The 1 + ceil(log2 k) leading vectors without the first, which carries no partition."""
        return np.ascontiguousarray(self.vectors[:, 1 : _directions(k)])

    def separates(self, k: int) -> bool:
        """Whether the matrix has as many directions as k clusters are read from, and as many different points."""
        if _directions(k) > self.values.size or self.values[_directions(k) - 1] < _NO_DIRECTION:
            return False
        return int(np.unique(self.embedding(k).round(12), axis=0).shape[0]) >= k


def _directions(k: int) -> int:
    return 1 + math.ceil(math.log2(k))


def _leading(matrix: Doubles, most: int) -> tuple[Doubles, Doubles, Doubles]:
    if min(matrix.shape) <= max(_SMALL, 2 * most):
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        return left, values, right
    from scipy.sparse.linalg import svds

    start = np.full(min(matrix.shape), min(matrix.shape) ** -0.5)  # a fixed one: the result is the same every time
    left, values, right = (np.asarray(part, np.float64) for part in svds(matrix, most, v0=start))
    return left[:, ::-1], values[::-1], right[::-1]


def _solutions(mode: str, response: Doubles, params: CoclusterParams) -> dict[int, _Solution]:
    """One solution for every k that both sides are large enough for and the spectrum can separate."""
    weights = edge_weights(mode, response)
    loud = np.abs(response) > _SILENT
    rows = np.flatnonzero(loud.any(axis=1) & (weights.sum(axis=1) > _SILENT))
    halves = weights.shape[1] // max(1, response.shape[1])
    columns = np.flatnonzero(np.tile(loud.any(axis=0), halves) & (weights.sum(axis=0) > _SILENT))
    kept = weights[np.ix_(rows, columns)]
    if min(kept.shape) < 2:
        return {}
    spectrum = _Spectrum.of(kept, _directions(max(params.ks)))
    stronger = weights.sum(axis=0).reshape(halves, -1).argmax(axis=0)  # "split": a unit goes with its larger half
    found = {}
    for k in params.ks:
        if k > min(kept.shape) or not spectrum.separates(k):
            continue
        row_labels, column_labels, stability, cut = _best_of_seeds(spectrum, kept, k, params)
        of_halves = _spread(column_labels, columns, weights.shape[1]).reshape(halves, -1)
        found[k] = _Solution(
            k,
            *_renumber(_spread(row_labels, rows, len(response)), np.choose(stronger, of_halves), k),
            stability,
            cut,
        )
    return found


def _best_of_seeds(
    spectrum: _Spectrum, weights: Doubles, k: int, params: CoclusterParams
) -> tuple[Ints, Ints, float, float]:
    """Row labels, column labels, stability and cut of the seed with the lowest cut."""
    from sklearn.cluster import KMeans

    points = spectrum.embedding(k)
    fits = [KMeans(k, n_init=params.starts, random_state=seed).fit(points).labels_ for seed in params.seeds]
    pairs = [adjusted_rand(a, b) for a, b in itertools.combinations(fits, 2)]
    sides = [(fit[: spectrum.row_count], fit[spectrum.row_count :]) for fit in fits]
    sums = weights.sum(axis=1), weights.sum(axis=0)
    cuts = [normalised_cut(weights, sums, *labels, k) for labels in sides]
    best = int(np.argmin(cuts))
    return *sides[best], float(np.mean(pairs)) if pairs else 1.0, cuts[best]


def normalised_cut(weights: Doubles, sums: tuple[Doubles, Doubles], rows: Ints, columns: Ints, k: int) -> float:
    """Mean over the clusters of the share of a cluster's edge weight that leaves it.

    Parameters
    ----------
    weights : float64 (W, H), not negative
    sums : float64 (W,) and (H,), of its rows and of its columns
    rows, columns : int (W,), (H,), labels 0 ... k - 1
    k : int
    """
    members = [(np.flatnonzero(rows == label), np.flatnonzero(columns == label)) for label in range(k)]
    inside = np.array([2 * weights[np.ix_(*sides)].sum() for sides in members])
    volume = np.bincount(rows, sums[0], k) + np.bincount(columns, sums[1], k)
    leaving = np.divide(volume - inside, volume, out=np.zeros(k), where=volume > 0)
    return float(leaving.mean())


def adjusted_rand(one: Ints, other: Ints) -> float:
    """Adjusted Rand index of two labellings; scikit-learn's checks its input for longer than the sum takes."""

    def pairs(counts: NDArray[np.int64]) -> float:
        return float((counts * (counts - 1.0)).sum()) / 2

    table = np.bincount(one.astype(np.int64) * (int(other.max()) + 1) + other)
    same_one, same_other, all_pairs = pairs(np.bincount(one)), pairs(np.bincount(other)), pairs(np.array([one.size]))
    expected = same_one * same_other / all_pairs
    highest = (same_one + same_other) / 2
    return 1.0 if highest == expected else (pairs(table) - expected) / (highest - expected)


def _renumber(rows: Ints, columns: Ints, k: int) -> tuple[Ints, Ints]:
    """Number the clusters by their number of columns, then of rows, ascending; then by their first column."""
    first = np.full(k, columns.size)
    assigned = np.flatnonzero(columns != UNASSIGNED)
    np.minimum.at(first, columns[assigned], assigned)
    row_counts, column_counts = (np.bincount(side[side != UNASSIGNED], minlength=k) for side in (rows, columns))
    place = np.full(k + 1, UNASSIGNED, np.int32)  # the last entry is what -1 looks up
    place[np.lexsort((first, row_counts, column_counts))] = np.arange(k)
    return place[rows], place[columns]


def _spread(labels: Ints, places: NDArray[np.int64], count: int) -> Ints:
    spread = np.full(count, UNASSIGNED, np.int32)
    spread[places] = labels
    return spread


def _everything(response: NDArray[np.floating]) -> _Solution:
    """All rows and columns that answer at all, as one cluster."""
    loud = np.abs(response) > _SILENT
    rows, columns = (np.where(loud.any(axis=axis), 0, UNASSIGNED).astype(np.int32) for axis in (1, 0))
    return _Solution(1, rows, columns, 1.0, 0.0)


def _default(found: dict[str, dict[int, _Solution]], all_in: _Solution, params: CoclusterParams) -> tuple[str, int]:
    """Mode and k of the most stable solution; see ``CoclusterParams``."""

    def assigned(one: _Solution) -> int:
        return int((one.rows != UNASSIGNED).sum() + (one.columns != UNASSIGNED).sum())

    everyone = [(mode, one) for mode, solutions in found.items() for one in solutions.values()]
    whole = [
        (mode, one) for mode, one in everyone if assigned(one) >= (1 - params.most_unassigned) * assigned(all_in)
    ] or everyone
    large = [(mode, one) for mode, one in whole if one.k >= params.smallest_default] or whole
    mode, best = max(large, key=lambda pair: (round(pair[1].stability, 2), pair[1].k, -params.modes.index(pair[0])))
    return mode, best.k
