"""The same nodes by other methods: what MM-PHATE shows that they do not, and what it keeps of the neighbourhoods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from rnnreport.analyses.mmphate.dynamics import Embedded
from rnnreport.analyses.mmphate.preservation import preservation
from rnnreport.analyses.projection import principal_plane, trust, tsne
from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles
from rnnreport.results.schema import Pictures

_GUIDE = (
    "The same points in two dimensions by several methods, all from the activity standardised over the sequences. Only "
    "MM-PHATE is told which points are the same unit or the same step; the others see the activity alone. Kept "
    "neighbours: of the nearest points of the same unit (or of the same step of the same epoch) in the activity, the "
    "share that are still the nearest in the picture. Trustworthiness falls where the picture puts points together "
    "that are apart, continuity where it tears points apart that are together. Higher is better in every column."
)


@dataclass(frozen=True)
class PicturesParams:
    """Nodes at most, neighbours that are judged, and the parameters of the other methods."""

    nodes: int = 1000
    neighbours: int = 10
    perplexity: float = 30
    isomap_neighbours: int = 15
    seed: int = 0


def other_pictures(embedded: Embedded, params: PicturesParams) -> Pictures:
    """Lay out the nodes of some epochs by PCA, t-SNE and Isomap beside MM-PHATE.

    Parameters
    ----------
    embedded : Embedded
    params : PicturesParams
    """
    epochs, steps, units, _ = embedded.activity.shape
    chosen = evenly(epochs, max(2, params.nodes // (steps * units)))
    places = np.arange(epochs * steps * units).reshape(epochs, -1)[chosen].ravel()
    nodes = embedded.nodes.reshape(epochs, steps, units, -1)[chosen].reshape(chosen.size * steps, units, -1)
    points = nodes.reshape(places.size, -1)
    plane, _ = principal_plane(points)
    pictures = {"MM-PHATE": embedded.dynamics.plane[places].astype(np.float64), "PCA": plane}
    left_out = {}
    distinct = len(np.unique(points, axis=0))
    if distinct > 3 * params.perplexity:
        pictures["t-SNE"] = tsne(points, plane, params.perplexity, params.seed)
    else:
        left_out["t-SNE"] = f"there are only {distinct} different points"
    reason, unrolled = _isomap(points, params.isomap_neighbours)
    if unrolled is None:
        left_out["Isomap"] = reason
    else:
        pictures["Isomap"] = unrolled
    return Pictures(
        scope=embedded.dynamics.scope,
        methods=tuple(pictures),
        places=places.astype(np.int32),
        coordinates=np.stack(list(pictures.values())).astype(np.float32),
        kept=tuple(_judged(nodes, picture, params) for picture in pictures.values()),
        left_out=left_out,
        params={
            "nodes": int(places.size),
            "epochs": embedded.dynamics.epochs[chosen].tolist(),
            "neighbours": params.neighbours,
            "perplexity": params.perplexity,
            "isomap_neighbours": params.isomap_neighbours,
            "seed": params.seed,
        },
        guide=_GUIDE,
    )


def _isomap(points: Doubles, neighbours: int) -> tuple[str, Doubles | None]:
    """Why there is no Isomap, or the layout: it needs a graph of neighbours in one piece."""
    from sklearn.manifold import Isomap
    from sklearn.neighbors import kneighbors_graph

    if len(points) <= neighbours:
        return f"there are only {len(points)} points", None
    parts = connected_components(kneighbors_graph(points, neighbours), directed=False)[0]
    if parts > 1:
        return f"its graph of {neighbours} neighbours falls into {parts} parts", None
    return "", np.asarray(Isomap(n_neighbors=neighbours, eigen_solver="dense").fit_transform(points))


def _judged(nodes: Doubles, picture: Doubles, params: PicturesParams) -> dict[str, Any]:
    kept = preservation(nodes, picture, params.neighbours)
    judged = trust(nodes.reshape(len(picture), -1), picture, params.neighbours)
    return {"within_unit": kept.within_unit, "within_step": kept.within_slice} | judged
