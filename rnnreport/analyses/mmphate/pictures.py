"""The same nodes by other methods: what MM-PHATE shows that they do not, and what it keeps of the neighbourhoods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from rnnreport.analyses.mmphate.dynamics import Embedded
from rnnreport.analyses.mmphate.preservation import preservation
from rnnreport.analyses.projection import principal_plane, trust, tsne
from rnnreport.analyses.sample import evenly
from rnnreport.progress import Stage
from rnnreport.results.recorded import Doubles
from rnnreport.results.schema import Pictures, RawPictures

_GUIDE = (
    "The same points in two dimensions by several methods, from the activity standardised over the sequences or, if "
    "you choose so, as it is, where loud units lie far out. MM-PHATE always standardises. Only MM-PHATE is told "
    "which points are the same unit or the same step; the others see the activity alone. Kept neighbours: of the "
    "nearest points of the same unit (or of the same step of the same epoch) in the standardised activity, the share "
    "that are still the nearest in the picture. Trustworthiness falls where the picture puts points together that are "
    "apart in what the method was given, continuity where it tears points apart that are together. Higher is better. "
    "Work counts the multiplications of the largest steps from the sizes and is the same on every machine. The seconds "
    "that each method took stand at the end of the page, where it says how it was made, if a command made it."
)
_TSNE_ROUNDS = 500  # as in projection/maps.py, below the size from which it works on a grid


@dataclass(frozen=True)
class PicturesParams:
    """Nodes at most, neighbours that are judged, and the parameters of the other methods."""

    nodes: int = 1000
    neighbours: int = 10
    perplexity: float = 30
    isomap_neighbours: int = 15
    seed: int = 0


@dataclass(frozen=True)
class _Part:
    """The nodes of some epochs: ``epochs`` int64, ``places`` int64 (n,), ``nodes`` float64 (slices, H, features)."""

    epochs: NDArray[np.int64]
    places: NDArray[np.int64]
    nodes: Doubles


def other_pictures(embedded: Embedded, params: PicturesParams) -> Pictures:
    """Lay out the nodes of some epochs by PCA, t-SNE and Isomap beside MM-PHATE.

    Parameters
    ----------
    embedded : Embedded
    params : PicturesParams
    """
    part = _part(embedded, params)
    points = part.nodes.reshape(part.places.size, -1)
    found, left_out = _laid_out(points, params, "standardised")
    pictures = {"MM-PHATE": embedded.dynamics.plane[part.places].astype(np.float64)} | found
    return Pictures(
        **_common(embedded, part, pictures, left_out, params),
        kept=tuple(
            _judged(part.nodes, points, picture, params)
            | {"work": float(f"{_work(name, embedded, points.shape, params):.2g}")}
            for name, picture in pictures.items()
        ),
    )


def raw_pictures(embedded: Embedded, params: PicturesParams) -> RawPictures:
    """Lay out the same nodes by the same methods, from the activity that was not standardised.

    Parameters
    ----------
    embedded : Embedded
    params : PicturesParams
    """
    part = _part(embedded, params)
    points = embedded.activity.reshape(-1, embedded.activity.shape[3])[part.places]
    pictures, left_out = _laid_out(points, params, "raw")
    return RawPictures(
        **_common(embedded, part, pictures, left_out, params),
        kept=tuple(
            _judged(part.nodes, points, picture, params)
            | {"work": float(f"{_work(name, embedded, points.shape, params):.2g}")}
            for name, picture in pictures.items()
        ),
    )


def _part(embedded: Embedded, params: PicturesParams) -> _Part:
    epochs, steps, units, _ = embedded.activity.shape
    chosen = evenly(epochs, max(2, params.nodes // (steps * units)))
    places = np.arange(epochs * steps * units).reshape(epochs, -1)[chosen].ravel()
    nodes = embedded.nodes.reshape(epochs, steps, units, -1)[chosen].reshape(chosen.size * steps, units, -1)
    return _Part(chosen, places, nodes)


def _laid_out(points: Doubles, params: PicturesParams, which: str) -> tuple[dict[str, Doubles], dict[str, str]]:
    """Method to float64 (n, 2), and method to the reason why there is none."""
    pictures, left_out = {}, {}
    with Stage(f"PCA of the {which} activity"):
        plane, _ = principal_plane(points)
    pictures["PCA"] = plane
    distinct = len(np.unique(points, axis=0))
    if distinct > 3 * params.perplexity:
        with Stage(f"t-SNE of the {which} activity"):
            placed = tsne(points, plane, params.perplexity, params.seed)
        if np.isfinite(placed).all():
            pictures["t-SNE"] = placed
        else:
            left_out["t-SNE"] = "distances this large have no similarities"
    else:
        left_out["t-SNE"] = f"there are only {distinct} different points"
    with Stage(f"Isomap of the {which} activity"):
        reason, unrolled = _isomap(points, params.isomap_neighbours)
    if unrolled is None:
        left_out["Isomap"] = reason
    else:
        pictures["Isomap"] = unrolled
    return pictures, left_out


def _common(
    embedded: Embedded, part: _Part, pictures: dict[str, Doubles], left_out: dict[str, str], params: PicturesParams
) -> dict[str, Any]:
    """What both records say of the nodes and of the methods."""
    return {
        "scope": embedded.dynamics.scope,
        "methods": tuple(pictures),
        "places": part.places.astype(np.int32),
        "coordinates": np.stack(list(pictures.values())).astype(np.float32),
        "left_out": left_out,
        "params": {
            "nodes": int(part.places.size),
            "epochs": embedded.dynamics.epochs[part.epochs].tolist(),
            "neighbours": params.neighbours,
            "perplexity": params.perplexity,
            "isomap_neighbours": params.isomap_neighbours,
            "seed": params.seed,
        },
        "guide": _GUIDE,
    }


def _work(method: str, embedded: Embedded, shape: tuple[int, ...], params: PicturesParams) -> float:
    """Multiplications of the largest steps of a method; MM-PHATE lays out the nodes of all epochs."""
    points, features = shape
    if method == "PCA":
        return float(points * features**2 + features**3)
    if method == "t-SNE":  # neighbours; then attraction along the neighbours and repulsion through a tree
        pairs = points * (3 * params.perplexity + 10 * math.log2(points))
        return float(points**2 * features + _TSNE_ROUNDS * 2 * pairs)
    if method == "Isomap":  # neighbours, paths along them, eigenvectors
        return float(points**2 * (features + params.isomap_neighbours + math.log2(points)) + points**3)
    slices, units, depth = embedded.nodes.shape
    found = embedded.dynamics.outcome
    squarings = math.ceil(math.log2(found["t"] + 1))
    return float(slices * units * (slices + units) * depth + (4 + squarings) * found["landmarks"] ** 3)


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


def _judged(nodes: Doubles, points: Doubles, picture: Doubles, params: PicturesParams) -> dict[str, Any]:
    """Neighbours kept of the standardised activity ``nodes``, and trust against ``points``, which the method saw."""
    kept = preservation(nodes, picture, params.neighbours)
    judged = trust(points, picture, params.neighbours)
    return {"within_unit": kept.within_unit, "within_step": kept.within_slice} | judged
