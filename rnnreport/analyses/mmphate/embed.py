"""Diffusion and layout of the kernel by phate: landmarks, automatic t, potential with gamma 0, metric MDS.

phate and graphtools are GPL-2.0 by their metadata; they are imported only when this analysis runs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import svdvals
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles

_POWERS = 100
_SILENT = -3  # the library's level that prints nothing; at 0 it still prints
_JUDGED = 1000  # nodes whose pairs measure the stress


@dataclass(frozen=True)
class EmbedParams:
    """Landmarks at most, and the seed of landmarks and layout."""

    landmarks: int = 2000
    gamma: int = 0
    seed: int = 0


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
    """

    plane: Doubles
    space: Doubles
    entropy: Doubles
    t: int
    landmarks: int
    components: int
    plane_stress: float
    space_stress: float


def embed(kernel: sparse.csr_matrix, params: EmbedParams) -> Embedding:
    """Lay out the nodes of a kernel in two and in three dimensions.

    Parameters
    ----------
    kernel : CSR float64 (N, N)
    params : EmbedParams
    """
    with _quiet_libraries():
        import phate

        operator = phate.PHATE(
            knn_dist="precomputed_affinity",
            n_components=3,
            n_landmark=params.landmarks,
            gamma=params.gamma,
            random_state=params.seed,
            n_jobs=1,
            verbose=_SILENT,
        )
        operator.fit(kernel)
        entropy = von_neumann_entropy(svdvals(operator.diff_op))
        t = max(1, int(phate.vne.find_knee_point(entropy)))
        operator.set_params(t=t)
        space = operator.transform()
        operator.set_params(n_components=2)  # keeps the diffusion potential, repeats the layout
        plane = operator.transform()
        judged = evenly(kernel.shape[0], _JUDGED)
        apart = pdist(operator.diff_potential[judged])
    return Embedding(
        plane=unit_variance(plane),
        space=unit_variance(space),
        entropy=entropy,
        t=t,
        landmarks=operator.diff_op.shape[0],
        components=int(connected_components(kernel, directed=False)[0]),
        plane_stress=stress(apart, pdist(plane[judged])),
        space_stress=stress(apart, pdist(space[judged])),
    )


def stress(wanted: Doubles, shown: Doubles) -> float:
    """Kruskal's stress-1 of a layout after its best scaling, in [0, 1].

    Parameters
    ----------
    wanted, shown : float64 (pairs,)
        Distances of the same pairs before and in the layout.
    """
    sizes = float((wanted @ wanted) * (shown @ shown))
    return math.sqrt(max(0.0, 1 - float(wanted @ shown) ** 2 / sizes)) if sizes > 0 else 0.0


def von_neumann_entropy(singular_values: Doubles) -> Doubles:
    """Spectral entropy of the powers 1 ... 100 of an operator.

    Parameters
    ----------
    singular_values : float64 (L,)

    Returns
    -------
    float64 (100,), nats
    """
    scaled = singular_values / singular_values.max()  # powers of a value above 1 would overflow
    entropy = np.empty(_POWERS)
    power = scaled.copy()
    for place in range(_POWERS):
        share = power / power.sum() + np.finfo(np.float64).eps
        entropy[place] = -(share * np.log(share)).sum()
        power = power * scaled
    return entropy


def unit_variance(points: Doubles) -> Doubles:
    """Centre the points and scale them to a total variance of 1: the method leaves their scale undefined."""
    centred = points - points.mean(axis=0)
    total = centred.var(axis=0).sum()
    return np.asarray(centred / np.sqrt(total) if total > 0 else centred)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep stdout for what was asked for: graphtools' logger prints there, even when told to be quiet.

    Its warnings about a disconnected graph and slow convergence are replaced by numbers: components and stress.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import graphtools  # noqa: F401  # makes the logger

        logger = logging.getLogger("graphtools")
        streams = [
            (handler, handler.stream) for handler in logger.handlers if isinstance(handler, logging.StreamHandler)
        ]
        for handler, _ in streams:
            handler.setStream(sys.stderr)
        try:
            yield
        finally:
            for handler, stream in streams:
                handler.setStream(stream)
