"""From the kernel to places of all nodes: landmarks, automatic t, potential, layout, interpolation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

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
from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles

Engine = Literal["rnnreport", "phate"]

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
    diffusion = diffuse(kernel, start.labels)
    entropy = von_neumann_entropy(singular_values(diffusion.operator))
    t = max(1, knee(entropy))
    distances = potential_distances(potential(diffusion.operator, t, params.gamma))
    plane = lay_out(distances, 2, params.layout, start.plane)
    space = lay_out(distances, 3, params.layout, start.space)
    return Embedding(
        plane=unit_variance(diffusion.to_landmarks @ plane.points),
        space=unit_variance(diffusion.to_landmarks @ space.points),
        entropy=entropy,
        t=t,
        landmarks=len(distances),
        components=components(kernel),
        plane_stress=plane.stress,
        space_stress=space.stress,
        laid_out=(plane, space),
    )


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
    parts = np.empty((slices, units), np.int64)
    first = 0
    for unit in range(units):
        later, earlier, _ = kernel.of_unit(unit)
        count, found = connected_components(_graph(later, earlier, slices), directed=False)
        parts[:, unit] = first + found
        first += count
    slice_of, row, column = np.nonzero(kernel.within)
    return int(connected_components(_graph(parts[slice_of, row], parts[slice_of, column], first), directed=False)[0])


def _graph(some: NDArray[np.int64], others: NDArray[np.int64] | NDArray[np.int32], size: int) -> sparse.coo_matrix:
    return sparse.coo_matrix((np.ones(some.size, np.int8), (some, others)), shape=(size, size))
