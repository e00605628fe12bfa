"""How much of the neighbourhoods of the activity a layout keeps, within slices and within units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from rnnreport.results.recorded import Doubles


@dataclass(frozen=True)
class Preservation:
    """Mean share of the k nearest neighbours that the layout keeps, in [0, 1].

    Attributes
    ----------
    within_slice : float or None, among the units of one step of one epoch; None where a unit has no more than k others,
        because then every layout keeps all of them
    within_unit : float or None, among the slices of one unit; likewise
    """

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
    found = np.asarray(KDTree(points).query(points, neighbours + 1)[1])
    other = found != np.arange(len(points))[:, None]
    other[other.all(axis=1), -1] = False  # a point with so many others at its place is not among its own nearest
    return np.asarray(found[other].reshape(len(points), neighbours))
