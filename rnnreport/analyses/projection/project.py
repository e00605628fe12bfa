"""Two-dimensional maps of the displayed states, each with a measure of how far its neighbourhoods can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnreport.analyses.sample import Sample, hash_order
from rnnreport.results.recorded import Doubles, Floats, Probe
from rnnreport.results.schema import Projection, Unavailable

_GUIDE = (
    "Every dot is the state after one step; dots that lie close together are similar states, as far as the trust "
    "measures next to the map say. In t-SNE, distances between groups, their sizes and their densities mean nothing; "
    "in PCA they are real but show only two directions of the space."
)


@dataclass(frozen=True)
class ProjectionParams:
    """Perplexity at most (a third of the states where there are few), neighbours and points of the trust measures."""

    perplexity: float = 30.0
    neighbours: int = 12
    trust_points: int = 1500
    seed: int = 0


def project(
    scope: str, states: Floats, probe: Probe, sample: Sample, params: ProjectionParams
) -> Projection | Unavailable:
    """Map the displayed states by t-SNE and PCA.

    Parameters
    ----------
    scope : str, a StateKey
    states : float32 (S, H)
    probe : Probe
    sample : Sample
    params : ProjectionParams
    """
    shown = states[sample.steps].astype(np.float64)
    if not np.isfinite(shown).all():
        return Unavailable(Projection.analysis, f"the state {scope} is not finite at every displayed step")
    different = np.unique(shown, axis=0).shape[0]
    if different < 3:
        return Unavailable(Projection.analysis, f"the state {scope} takes only {different} different values: no map")
    plane, share = principal_plane(shown)
    maps: dict[str, Doubles] = {"PCA": plane}
    settings: dict[str, dict[str, Any]] = {"PCA": {"explained": share, "states": len(shown)}}
    perplexity = min(params.perplexity, (len(shown) - 1) / 3)
    if perplexity > 1:
        maps = {"t-SNE": tsne(shown, plane, perplexity, params.seed)} | maps
        settings["t-SNE"] = {
            "perplexity": perplexity,
            "initialisation": "PCA",
            "seed": params.seed,
            "states": len(shown),
            "library": "openTSNE",
        }
    judged = _trust_sample(probe, sample, params)
    return Projection(
        scope=scope,
        methods=tuple(maps),
        coordinates=np.stack(list(maps.values())).astype(np.float32),
        trust={name: trust(shown[judged], flat[judged], params.neighbours) for name, flat in maps.items()},
        params={name: settings[name] for name in maps},
        guide=_GUIDE,
    )


def principal_plane(points: Doubles) -> tuple[Doubles, list[float]]:
    """The first two principal components.

    Parameters
    ----------
    points : float64 (P, H)

    Returns
    -------
    float64 (P, 2)
        The second column is zero where H is 1. Signs are fixed: the largest loading of each component is positive.
    list of float
        Shares of the variance of the two components.
    """
    centred = points - points.mean(axis=0)
    variances, loadings = np.linalg.eigh(centred.T @ centred)
    variances, loadings = variances[::-1][:2].clip(0), loadings[:, ::-1][:, :2]
    signs = np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(loadings.shape[1])])
    plane = np.zeros((len(points), 2))
    plane[:, : loadings.shape[1]] = centred @ (loadings * signs)
    return plane, [float(share) for share in variances / (centred**2).sum()]


def tsne(points: Doubles, plane: Doubles, perplexity: float, seed: int) -> Doubles:
    """t-SNE of points (P, H), starting from their principal plane (P, 2): float64 (P, 2)."""
    from openTSNE import TSNE

    # A start of exactly zero in one direction could never leave it (one unit, collinear states): a little seeded noise.
    noise = np.random.default_rng(seed).normal(0, 1e-6, plane.shape)
    start = plane / plane[:, 0].std() * 1e-4 + noise
    model = TSNE(perplexity=perplexity, initialization=start, neighbors="exact", n_jobs=1, random_state=seed)
    return np.asarray(model.fit(points), dtype=np.float64)


def _trust_sample(probe: Probe, sample: Sample, params: ProjectionParams) -> np.ndarray:
    """int64, places of the judged points among the displayed steps, chosen by the hash of sequence and step."""
    names = [f"{probe.sequence_ids[n]} {t}" for n in sample.sequences for t in range(probe.lengths[n])]
    return np.sort(hash_order(names)[: params.trust_points])


def trust(points: Doubles, flat: Doubles, neighbours: int) -> dict[str, float]:
    """Trustworthiness and continuity of a map (Venna and Kaski, 2001), both 1 at best.

    Parameters
    ----------
    points : float64 (P, H)
    flat : float64 (P, 2)
    neighbours : int
        Lowered where the points are too few for it: the measures need fewer than half of them.
    """
    from sklearn.manifold import trustworthiness

    used = min(neighbours, (len(points) - 1) // 2)
    return {
        "trustworthiness": float(trustworthiness(points, flat, n_neighbors=used)),
        "continuity": float(trustworthiness(flat, points, n_neighbors=used)),
        "neighbours": used,
        "points": len(points),
    }
