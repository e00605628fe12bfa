"""How much of the neighbourhoods of the activity a layout keeps, within slices and within units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from rnnreport.results.recorded import Doubles

_BLOCK = 1000  # points whose distances to all are held at a time


@dataclass(frozen=True)
class Preservation:
    """Mean share of the k nearest neighbours that the layout keeps, in [0, 1].

    Attributes
    ----------
    neighbours : int, k
    within_slice : float or None, among the units of one step of one epoch; None where a unit has no more than k others,
        because then every layout keeps all of them
    within_unit : float or None, among the slices of one unit; likewise
    """

    neighbours: int
    within_slice: float | None
    within_unit: float | None


def preservation(nodes: Doubles, points: Doubles, neighbours: int) -> Preservation:
    """Compare neighbours in the activity with those in a layout.

    Parameters
    ----------
    nodes : float64 (slices, H, features)
    points : float64 (slices * H, dimensions)
    neighbours : int
    """
    slices, units, _ = nodes.shape
    shown = points.reshape(slices, units, -1)
    return Preservation(
        neighbours,
        _kept(nodes, shown, neighbours),
        _kept(nodes.transpose(1, 0, 2), shown.transpose(1, 0, 2), neighbours),
    )


def _kept(groups: Doubles, shown: Doubles, neighbours: int) -> float | None:
    """Mean over all members of all groups; ``groups`` (groups, members, features)."""
    members = groups.shape[1]
    if neighbours >= members - 1:
        return None
    shares = []
    for group, other in zip(groups, shown, strict=True):
        near = np.zeros((members, members), bool)
        np.put_along_axis(near, nearest(group, neighbours), True, axis=1)
        shares.append(np.take_along_axis(near, nearest(other, neighbours), axis=1).mean())
    return float(np.mean(shares))


def nearest(points: Doubles, neighbours: int) -> np.ndarray:
    """int64 (n, neighbours): the nearest other points of each, in no order."""
    found = np.empty((len(points), neighbours), np.int64)
    for first in range(0, len(points), _BLOCK):
        distance = cdist(points[first : first + _BLOCK], points)
        rows = np.arange(len(distance))
        distance[rows, first + rows] = np.inf
        found[first : first + _BLOCK] = np.argpartition(distance, neighbours - 1, axis=1)[:, :neighbours]
    return found
