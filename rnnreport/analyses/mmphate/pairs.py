"""Distances between the slices of one unit: which are close, and how far the nearest ones are.

Distances are symmetric, so only those to earlier slices are kept. A row of them needs nothing of later slices, so
that a course that goes on only adds rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray
from scipy import sparse

from rnnreport.analyses.mmphate.device import Array, fetched
from rnnreport.results.recorded import Doubles

_CANCELLED = 1e-9  # of the squared sizes: below it the product form of a squared distance has lost its digits
_ANEW = 2**16  # distances computed by differences at a time


@dataclass(frozen=True)
class Rows:
    """Some consecutive slices of one unit, each with the earlier slices that are close to it.

    Attributes
    ----------
    first : int, the first of these slices
    counts : int64 (rows,), how many earlier slices are close to each
    columns : int32 (pairs,), which ones, increasing in each row
    squared : float64 (pairs,), squared distances
    """

    first: int
    counts: NDArray[np.int64]
    columns: NDArray[np.int32]
    squared: Doubles

    def before(self, slices: int) -> Rows:
        """The rows of the first ``slices`` slices."""
        counts = self.counts[: max(0, slices - self.first)]
        kept = int(counts.sum())
        return Rows(self.first, counts, self.columns[:kept], self.squared[:kept])


@dataclass(frozen=True)
class Close:
    """The slices of one unit: ``rows``, and ``nearest`` float64 (slices, k), squared distances of the k nearest."""

    rows: tuple[Rows, ...]
    nearest: Doubles

    def radius(self) -> Doubles:
        """Distance of every slice to its k-th nearest other one, float64 (slices,)."""
        return np.asarray(np.sqrt(self.nearest.max(axis=1)))

    def within(self, most: float) -> tuple[NDArray[np.int64], NDArray[np.int32], Doubles]:
        """Later slices, earlier slices and squared distances of the pairs whose squared distance is at most that."""
        later = np.concatenate(
            [np.repeat(np.arange(one.first, one.first + one.counts.size), one.counts) for one in self.rows]
        )
        earlier = np.concatenate([one.columns for one in self.rows])
        squared = np.concatenate([one.squared for one in self.rows])
        kept = np.flatnonzero(squared <= most)
        return later[kept], earlier[kept], squared[kept]

    def count(self, most: float) -> int:
        """Number of pairs whose squared distance is at most that."""
        return sum(int((one.squared <= most).sum()) for one in self.rows)


def close_slices(points: Array, neighbours: int, tile: int, reach: float) -> Close:
    """Compare every slice with every other one.

    Parameters
    ----------
    points : float64 (slices, features), of one unit, an array of any device
    neighbours : int, k
    tile : int, slices whose distances are held at a time
    reach : float, squared distance up to which pairs are kept
    """
    rows = tuple(
        _close(start, squared_distances(points[start : start + tile, :], points[: start + tile, :]), reach)
        for start in range(0, len(points), tile)
    )
    return Close(rows, _nearest(points, rows, neighbours, tile))


def continued(close: Close, points: Array, same: int, tile: int, reach: float) -> Close:
    """The result of ``close_slices`` for slices of which the first ``same`` were compared before.

    Parameters
    ----------
    close : Close, of the first ``same`` slices, or of these and others that are no longer wanted
    points, tile, reach : as in ``close_slices``; ``reach`` the same as before
    same : int
    """
    neighbours = close.nearest.shape[1]
    kept = tuple(one.before(same) for one in close.rows if one.first < same)
    nearest = close.nearest if same == len(close.nearest) else _nearest(points[:same, :], kept, neighbours, tile)
    if same == points.shape[0]:
        return Close(kept, nearest)
    squared = fetched(squared_distances(points[same:, :], points))
    own = np.arange(len(squared))
    squared[own, same + own] = np.inf
    added = np.partition(squared, neighbours - 1, axis=1)[:, :neighbours]
    nearest = nearest.copy()
    # most slices have no new one among their nearest
    closer = np.flatnonzero(squared[:, :same].min(axis=0) < nearest.max(axis=1))
    merged = np.hstack([nearest[closer], squared[:, closer].T])
    nearest[closer] = np.partition(merged, neighbours - 1, axis=1)[:, :neighbours]
    return Close((*kept, _close(same, squared, reach)), np.vstack([nearest, added]))


def _close(first: int, squared: Array, reach: float) -> Rows:
    """The close pairs of a tile, float64 (rows, at least first + rows); overwrites the tile at later slices."""
    xp = array_namespace(squared)
    count, width = squared.shape
    itself_and_later = xp.triu(xp.ones((count, width - first), dtype=xp.bool, device=device(squared)))
    squared[:, first:][itself_and_later] = xp.inf
    found = xp.nonzero(xp.reshape(squared <= reach, (-1,)))[0]
    values, places = fetched(xp.reshape(squared, (-1,))[found]), fetched(found)
    rows = places // width
    columns = (places - rows * width).astype(np.int32)
    return Rows(first, np.bincount(rows, minlength=count), columns, values)


def _nearest(points: Array, rows: tuple[Rows, ...], neighbours: int, tile: int) -> Doubles:
    """Squared distances of the nearest other slices: among the kept pairs where there are enough, else among all."""
    count = points.shape[0]
    counts = np.concatenate([one.counts for one in rows])
    starts = np.concatenate([[0], np.cumsum(counts)])
    shape = (count, count)
    lower = sparse.csr_matrix(
        (np.concatenate([one.squared for one in rows]), np.concatenate([one.columns for one in rows]), starts), shape
    )
    nearest = np.empty((count, neighbours))
    for start, table in _padded((lower, lower.tocsc()), neighbours, tile):
        nearest[start : start + len(table)] = np.partition(table, neighbours - 1, axis=1)[:, :neighbours]
    short = np.flatnonzero(np.isinf(nearest.max(axis=1)))
    for start in range(0, short.size, tile):
        chosen = short[start : start + tile]
        squared = fetched(
            squared_distances(array_namespace(points).take(points, _beside(points, chosen), axis=0), points)
        )
        squared[np.arange(chosen.size), chosen] = np.inf
        nearest[chosen] = np.partition(squared, neighbours - 1, axis=1)[:, :neighbours]
    return nearest


def _padded(parts: tuple[sparse.csr_matrix, sparse.csc_matrix], least: int, tile: int) -> Iterator[tuple[int, Doubles]]:
    """The entries of the rows of one part beside those of the columns of the other, filled up by infinities."""
    counts = [np.diff(part.indptr) for part in parts]
    for start in range(0, counts[0].size, tile):
        stop = min(start + tile, counts[0].size)
        table = np.full((stop - start, max(least, int((counts[0] + counts[1])[start:stop].max()))), np.inf)
        filled = np.zeros(stop - start, np.int64)
        for part, many in zip(parts, counts, strict=True):
            own = many[start:stop]
            values = part.data[part.indptr[start] : part.indptr[stop]]
            place = np.arange(len(values)) + np.repeat(filled - np.cumsum(own) + own, own)
            table[np.repeat(np.arange(stop - start), own), place] = values
            filled = filled + own
        yield start, table


def squared_distances(some: Array, points: Array, cancelled: float = _CANCELLED) -> Array:
    """Squared Euclidean distances by one matrix product; those that cancelled are computed anew by differences.

    Parameters
    ----------
    some : float64 (..., rows, features)
    points : float64 (..., columns, features), of the same device
    cancelled : float, of the largest squared size: distances up to it are computed anew

    Returns
    -------
    float64 (..., rows, columns), of the same device
    """
    xp = array_namespace(some, points)
    sizes, all_sizes = xp.sum(some * some, axis=-1), xp.sum(points * points, axis=-1)
    squared = some @ xp.matrix_transpose(-2 * points)
    squared += sizes[..., :, None]
    squared += all_sizes[..., None, :]
    least = cancelled * max(float(xp.max(sizes)), float(xp.max(all_sizes)))
    every = xp.reshape(squared, (-1,))
    places = xp.nonzero(every <= least)[0]
    (count, features), width = some.shape[-2:], points.shape[-2]
    left, right = xp.reshape(some, (-1, features)), xp.reshape(points, (-1, features))
    for start in range(0, places.shape[0], _ANEW):
        place = places[start : start + _ANEW]
        rows = place // width  # counted through all blocks, as the columns are below
        columns = rows // count * width + place % width
        difference = xp.take(left, rows, axis=0) - xp.take(right, columns, axis=0)
        every[place] = xp.sum(difference * difference, axis=1)
    return squared


def _beside(like: Array, places: NDArray[np.int64]) -> Array:
    """Places as an array of the same device."""
    return array_namespace(like).asarray(places, device=device(like))
