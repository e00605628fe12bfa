"""A map of the units of one state: each unit is described by what it does at sampled steps (RNNVis's "signature")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnreport.analyses.projection import trust, tsne
from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles, Floats
from rnnreport.results.schema import Unavailable, UnitMap

_FEWEST = 8  # with fewer units there are no neighbourhoods to speak of
_GUIDE = (
    "Every dot is a unit; dots that lie close together rise and fall at the same steps, as far as the trust measures "
    "say. Units that do the opposite of each other lie apart. Distances between groups, their sizes and densities mean "
    "nothing."
)


@dataclass(frozen=True)
class UnitMapParams:
    """Sampled steps, principal components kept, perplexity at most, neighbours of the trust measures, seed."""

    steps: int = 5000
    components: int = 50
    perplexity: float = 40.0
    neighbours: int = 12
    seed: int = 0


def map_units(scope: str, states: Floats, params: UnitMapParams) -> UnitMap | Unavailable:
    """Place the units by t-SNE of their standardised activity.

    Parameters
    ----------
    scope : str, a StateKey
    states : float32 (S, H)
    params : UnitMapParams
    """
    if not np.isfinite(states).all():
        return Unavailable(UnitMap.analysis, f"the state {scope} is not finite at every step")
    signatures = _signatures(states, params)
    different = len(np.unique(signatures, axis=0))
    if different < _FEWEST:
        return Unavailable(UnitMap.analysis, f"only {different} units of {scope} behave differently: too few for a map")
    components = _components(signatures, params.components)
    perplexity = min(params.perplexity, (len(signatures) - 1) / 3)
    flat = tsne(components, components[:, :2], perplexity, params.seed)
    return UnitMap(
        scope=scope,
        coordinates=flat.astype(np.float32),
        trust=trust(signatures, flat, params.neighbours),
        params={
            "steps": signatures.shape[1],
            "components": components.shape[1],
            "perplexity": perplexity,
            "seed": params.seed,
            "library": "openTSNE",
        },
        guide=_GUIDE,
    )


def _signatures(states: Floats, params: UnitMapParams) -> Doubles:
    """float64 (H, steps): standardised activity of each unit at evenly spaced steps; a constant unit is all zero."""
    taken = states[evenly(len(states), params.steps)].astype(np.float64).T
    deviation = taken.std(axis=1, keepdims=True)
    return np.asarray((taken - taken.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1))


def _components(signatures: Doubles, most: int) -> Doubles:
    """float64 (H, at least 2): principal components of the units; signs are fixed by the largest entry of each."""
    centred = signatures - signatures.mean(axis=0)
    variances, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.arange(len(variances))[::-1][: min(most, len(variances))]
    scores = vectors[:, order] * np.sqrt(variances[order].clip(0))
    return np.asarray(scores * np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(order.size)]))
