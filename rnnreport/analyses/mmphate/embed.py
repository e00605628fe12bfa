"""Diffusion and layout of the kernel by phate: landmarks, automatic t, potential with gamma 0, metric MDS.

phate and graphtools are GPL-2.0 by their metadata; they are imported only when this analysis runs.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import svdvals

from rnnreport.results.schema import Doubles

_POWERS = 100


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
    """

    plane: Doubles
    space: Doubles
    entropy: Doubles
    t: int
    landmarks: int


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
            verbose=0,
        )
        operator.fit(kernel)
        entropy = von_neumann_entropy(svdvals(operator.diff_op))
        t = max(1, int(phate.vne.find_knee_point(entropy)))
        operator.set_params(t=t)
        space = operator.transform()
        operator.set_params(n_components=2)  # keeps the diffusion potential, repeats the layout
        plane = operator.transform()
    return Embedding(unit_variance(plane), unit_variance(space), entropy, t, operator.diff_op.shape[0])


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

    Warnings about disconnected graphs and slow convergence are silenced; the report shows t, landmarks and entropy.
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
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)
            for handler, stream in streams:
                handler.setStream(stream)
