"""The same kernel laid out by phate, to check our own engine against.

phate and graphtools are GPL-2.0 by their metadata; they are imported only where this path is chosen.
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

from rnnreport.analyses.mmphate.diffusion import von_neumann_entropy
from rnnreport.results.recorded import Doubles

_SILENT = -3  # the library's level that prints nothing; at 0 it still prints


@dataclass(frozen=True)
class PhateEmbedding:
    """``plane`` (N, 2), ``space`` (N, 3), ``potential`` (N, landmarks), ``entropy`` (100,), all float64."""

    plane: Doubles
    space: Doubles
    potential: Doubles
    entropy: Doubles
    t: int
    landmarks: int


def phate_embedding(matrix: sparse.csr_matrix, landmarks: int, gamma: float, seed: int) -> PhateEmbedding:
    """Embed a kernel with phate.

    Parameters
    ----------
    matrix : CSR float64 (N, N)
    landmarks : int
    gamma : float
    seed : int
    """
    with quiet_libraries():
        import phate

        operator = phate.PHATE(
            knn_dist="precomputed_affinity",
            n_components=3,
            n_landmark=landmarks,
            gamma=gamma,
            random_state=seed,
            n_jobs=1,
            verbose=_SILENT,
        )
        operator.fit(matrix)
        entropy = von_neumann_entropy(svdvals(operator.diff_op))
        t = max(1, int(phate.vne.find_knee_point(entropy)))
        operator.set_params(t=t)
        space = operator.transform()
        operator.set_params(n_components=2)  # keeps the diffusion potential, repeats the layout
        plane = operator.transform()
        return PhateEmbedding(plane, space, np.asarray(operator.diff_potential), entropy, t, operator.diff_op.shape[0])


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
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
        for handler, _ in streams:  # not by setStream, which flushes the stream before, and that may be closed
            handler.stream = sys.stderr
        try:
            yield
        finally:
            for handler, stream in streams:
                handler.stream = stream
