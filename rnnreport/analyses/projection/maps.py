"""The methods that lay states out: principal components, t-SNE, PHATE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnreport.analyses.mmphate.reference import quiet_libraries
from rnnreport.interrupts import held
from rnnreport.results.recorded import Doubles

_GRID_FROM = 5000  # points from which forces on a grid (FFT) cost less than on a tree (Barnes and Hut)
_LEAST_GAIN, _CHECKED_EVERY = 1e-3, 25  # share of the divergence that so many iterations must take off to go on
_QUIET = -3  # phate's level that prints nothing


@dataclass(frozen=True)
class Axes:
    """Principal components of some points, to place others along them.

    Attributes
    ----------
    mean : float64 (H,)
    loadings : float64 (H, at most 3), signs fixed: the largest loading of each component is positive
    shares : list of float, of the variance
    """

    mean: Doubles
    loadings: Doubles
    shares: list[float]

    def place(self, points: Doubles) -> Doubles:
        """float64 (P, 3) of points (P, H); columns beyond H are zero."""
        space = np.zeros((len(points), 3))
        space[:, : self.loadings.shape[1]] = (points - self.mean) @ self.loadings
        return space


def principal_axes(points: Doubles) -> Axes:
    """The first three principal components of points, float64 (P, H)."""
    mean = points.mean(axis=0)
    centred = points - mean
    variances, loadings = np.linalg.eigh(centred.T @ centred)
    variances, loadings = variances[::-1][:3].clip(0), loadings[:, ::-1][:, :3]
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])])
    return Axes(mean, loadings * signs, [float(share) for share in variances / (centred**2).sum()])


def principal_plane(points: Doubles) -> tuple[Doubles, list[float]]:
    """The first two principal components of points (P, H): float64 (P, 2), and their shares of the variance."""
    axes = principal_axes(points)
    return axes.place(points)[:, :2], axes.shares[:2]


def tsne(points: Doubles, plane: Doubles, perplexity: float, seed: int) -> Doubles:
    """t-SNE of points (P, H), starting from their principal plane (P, 2): float64 (P, 2)."""
    return np.asarray(fit_tsne(points, plane_start(plane, seed), perplexity, seed), dtype=np.float64)


def plane_start(plane: Doubles, seed: int) -> Doubles:
    """Where t-SNE starts, float64 (P, 2): the principal plane, shrunk."""
    # A start of exactly zero in one direction could never leave it (one unit, collinear states): a little seeded noise.
    noise = np.random.default_rng(seed).normal(0, 1e-6, plane.shape)
    return np.asarray(plane / plane[:, 0].std() * 1e-4 + noise)


def fit_tsne(points: Doubles, start: Doubles, perplexity: float, seed: int, *, settled: bool = False) -> Any:
    """Optimise t-SNE from a start.

    Parameters
    ----------
    points : float64 (P, H)
    start : float64 (P, 2)
    perplexity : float
    seed : int
    settled : bool, the start is itself a map, of another perplexity: no early exaggeration and few iterations

    Returns
    -------
    openTSNE.TSNEEmbedding
        An array (P, 2) that can place further points.
    """
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    affinities = PerplexityBasedNN(points, perplexity=perplexity, method="exact", n_jobs=1, random_state=seed)
    large = len(points) >= _GRID_FROM
    # Forces are rougher than openTSNE's defaults (an angle of 0.5, a grid of 1), for half the time. On a grid its own
    # rate, twelve times this one, costs trust.
    forces: dict[str, Any] = {"negative_gradient_method": "bh", "theta": 1.0}
    if large:
        forces = {"negative_gradient_method": "fft", "ints_in_interval": 1.4, "learning_rate": len(points) / 12}
    embedding = TSNEEmbedding(start.copy(), affinities, n_jobs=1, random_state=seed, **forces)
    until = {"callbacks": _Settled(), "callbacks_every_iters": _CHECKED_EVERY}
    if settled:
        with held():
            return embedding.optimize(200, momentum=0.8, **until)
    # Exaggeration ends in two steps: neighbours that the usual 12 has torn apart meet again before all spread out. Of
    # 10,000 states it keeps more neighbourhoods than scikit-learn's 1,000 iterations (tests/benchmarks/README.md).
    for iterations, exaggeration in ((100, 12), (100, 4)):
        with held():
            embedding = embedding.optimize(iterations, exaggeration=exaggeration, momentum=0.8)
    with held():
        return embedding.optimize(350, momentum=0.8, **until)


class _Settled:
    """Stops where the divergence hardly falls any more: a few hundred states are there after 100 iterations."""

    def __init__(self) -> None:
        self._last = np.inf

    def __call__(self, iteration: int, divergence: float, embedding: Any) -> bool:
        gain, self._last = self._last - divergence, divergence
        return bool(gain < _LEAST_GAIN * divergence)


def place_tsne(embedding: Any, points: Doubles) -> Doubles:
    """Place points (P, H) into a finished t-SNE: each near the five most similar states, then moved a little."""
    with held():
        return np.asarray(embedding.transform(points, perplexity=5, k=5, n_iter=25), dtype=np.float64)


def place_again(points: Doubles, flat: Doubles, others: Doubles, perplexity: float, seed: int) -> Doubles:
    """Place further points (Q, H) into a t-SNE (P, 2) of points (P, H) that was made before: float64 (Q, 2)."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    affinities = PerplexityBasedNN(points, perplexity=perplexity, method="exact", n_jobs=1, random_state=seed)
    return place_tsne(TSNEEmbedding(flat.copy(), affinities, n_jobs=1, random_state=seed, theta=1.0), others)


@dataclass(frozen=True)
class Phate:
    """``plane`` float64 (P, 2), ``space`` (P, 3), ``other`` (P, 2) from another seed, and the diffusion time chosen."""

    plane: Doubles
    space: Doubles
    other: Doubles
    t: int


def phate_maps(points: Doubles, landmarks: int, seed: int) -> Phate:
    """PHATE (Moon et al. 2019) of points, float64 (P, H), by the library of its authors."""
    with quiet_libraries():
        import phate

        def fitted(own_seed: int) -> Any:
            operator = phate.PHATE(n_landmark=landmarks, random_state=own_seed, n_jobs=1, verbose=_QUIET)
            return operator.fit(points)

        operator = fitted(seed)
        plane = operator.transform()
        t = int(operator.optimal_t)
        operator.set_params(n_components=3)  # keeps the diffusion potential, repeats the layout
        space = operator.transform()
        other = fitted(seed + 1).transform()
    return Phate(np.asarray(plane), np.asarray(space), np.asarray(other), t)
