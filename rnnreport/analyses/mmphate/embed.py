"""From the kernel to places of all nodes: landmarks, automatic t, potential, layout, interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from rnnreport.analyses.mmphate.diffusion import (
    diffuse,
    knee,
    landmark_labels,
    potential,
    potential_distances,
    singular_values,
    von_neumann_entropy,
)
from rnnreport.analyses.mmphate.kernel import Kernel
from rnnreport.analyses.mmphate.layout import Layout, LayoutParams, lay_out, stress, unit_variance
from rnnreport.analyses.mmphate.threads import each
from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles

Engine = Literal["rnnreport", "phate"]
One = TypeVar("One")
Other = TypeVar("Other")

_JUDGED = 1000  # nodes whose pairs measure the stress of the reference path


@dataclass(frozen=True)
class EmbedParams:
    """Landmarks at most, gamma of the potential, the seed of landmarks and layout, and who computes it."""

    landmarks: int = 2000
    gamma: float = 0
    seed: int = 0
    engine: Engine = "rnnreport"
    layout: LayoutParams = field(default_factory=LayoutParams)


@dataclass(frozen=True)
class Start:
    """``labels`` int64 (N,), the landmark of every node; ``plane`` float64 (L, 2), ``space`` (L, 3), places, if any."""

    labels: NDArray[np.int64]
    plane: Doubles | None = None
    space: Doubles | None = None


@dataclass(frozen=True)
class Embedding:
    """The layout of all nodes.

    Attributes
    ----------
    plane : float64 (N, 2), a solution of its own
    space : float64 (N, 3)
    entropy : float64 (100,), von Neumann entropy of the diffusion operator at t = 1 ... 100
    t : int, the power used
    landmarks : int
    components : int, connected components of the kernel; their places relative to each other mean nothing
    plane_stress, space_stress : float, share of the distances between potentials that the layout cannot show
    laid_out : layouts of the landmarks in two and in three dimensions; None by phate
    """

    plane: Doubles
    space: Doubles
    entropy: Doubles
    t: int
    landmarks: int
    components: int
    plane_stress: float
    space_stress: float
    laid_out: tuple[Layout, Layout] | None = None


def embed(kernel: Kernel, params: EmbedParams, start: Start | None = None) -> Embedding:
    """Lay out the nodes of a kernel in two and in three dimensions.

    Parameters
    ----------
    kernel : Kernel
    params : EmbedParams
    start : Start, optional
        Landmarks and places to go on from, of our own engine; otherwise both are found.
    """
    if params.engine == "phate":
        return _embed_by_phate(kernel, params)
    start = start or Start(landmark_labels(kernel.nodes, params.landmarks, params.seed))
    diffusion, device = diffuse(kernel, start.labels), kernel.device
    operator = device.put(diffusion.operator)
    parts, singular = _at_once(lambda: components(kernel), lambda: singular_values(operator))
    entropy = von_neumann_entropy(singular)
    t = max(1, knee(entropy))
    with device.full_precision():
        distances = potential_distances(potential(operator, t, params.gamma))
    space, plane = _at_once(
        lambda: lay_out(distances, 3, params.layout, start.space, device),
        lambda: lay_out(distances, 2, params.layout, start.plane, device),
    )
    return Embedding(
        plane=unit_variance(diffusion.to_landmarks @ plane.points),
        space=unit_variance(diffusion.to_landmarks @ space.points),
        entropy=entropy,
        t=t,
        landmarks=distances.shape[0],
        components=parts,
        plane_stress=plane.stress,
        space_stress=space.stress,
        laid_out=(plane, space),
    )


def _at_once(one: Callable[[], One], other: Callable[[], Other]) -> tuple[One, Other]:
    """The results of two functions, on two threads where there are two."""
    functions: tuple[Callable[[], Any], ...] = (one, other)
    first, second = each(lambda function: function(), functions)
    return first, second


def _embed_by_phate(kernel: Kernel, params: EmbedParams) -> Embedding:
    """The reference path: phate's own landmarks, power and layout of the same kernel."""
    from rnnreport.analyses.mmphate.reference import phate_embedding

    found = phate_embedding(kernel.matrix, params.landmarks, params.gamma, params.seed)
    judged = evenly(kernel.size, _JUDGED)
    apart = pdist(found.potential[judged])
    return Embedding(
        plane=unit_variance(found.plane),
        space=unit_variance(found.space),
        entropy=found.entropy,
        t=found.t,
        landmarks=found.landmarks,
        components=components(kernel),
        plane_stress=stress(apart, pdist(found.plane[judged])),
        space_stress=stress(apart, pdist(found.space[judged])),
    )


def components(kernel: Kernel) -> int:
    """Connected components of a kernel: those of each unit, joined by the slices."""
    slices, units, _ = kernel.nodes.shape
    parts = np.stack([_parts(*kernel.joined(unit), slices) for unit in range(units)], axis=1)
    parts += np.arange(units) * slices
    slice_of, row, column = np.nonzero(kernel.within)
    names, found = np.unique(parts, return_inverse=True)
    found = found.reshape(parts.shape)
    return _components(found[slice_of, row], found[slice_of, column], names.size)[0]


def _parts(later: NDArray[np.int64], earlier: NDArray[np.int32], slices: int) -> NDArray[np.int64]:
    """For every slice of a unit the first one of its component, int64 (slices,).

    Most slices are joined to an earlier one, which leads to few first ones; only pairs that join these are searched.
    """
    first = np.arange(slices)
    first[later] = earlier  # any of them
    while (first[first] != first).any():
        first = first[first]
    different = np.flatnonzero(first[later] != first[earlier])
    _, of_first = _components(first[later[different]], first[earlier[different]], slices)
    return np.asarray(of_first[first], dtype=np.int64)


def _components(some: NDArray[np.int64], others: NDArray[np.int64], size: int) -> tuple[int, NDArray[np.int32]]:
    """How many components a graph of so many nodes has, and the number of the one that each node is in."""
    graph = sparse.coo_matrix((np.ones(some.size, np.int8), (some, others)), shape=(size, size))
    count, found = connected_components(graph, directed=False)
    return int(count), found
