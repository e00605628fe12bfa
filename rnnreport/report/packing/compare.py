"""What of a comparison travels to the browser besides the displayed sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.figures.maps import Square
from rnnreport.report.gather import available, noun
from rnnreport.report.payload import Payload
from rnnreport.results.recorded import Ints
from rnnreport.results.schema import WEIGHTINGS, Likeness, MatchedClusters, Sequences, SideBySide

_SHOWN_WORDS = 12  # of a cluster, most strongly associated first


def pack_side_by_side(details: SideBySide | None, shown: Sequences, payload: Payload) -> dict[str, Any] | None:
    """Pack the common map and the matched clusters.

    Parameters
    ----------
    details : SideBySide, optional
    shown : the displayed sequences
    payload : Payload
    """
    if details is None:
        return None
    alike, clusters = available(details.likeness), available(details.clusters)
    return {
        "plane": alike and _pack_plane(alike, shown, payload),
        "clusters": clusters and _pack_clusters(clusters, shown, payload),
    }


def _pack_plane(alike: Likeness, shown: Sequences, payload: Payload) -> dict[str, Any]:
    """Points of all runs in one square, and the displayed step of each point."""
    finite = alike.plane.reshape(-1, 2)
    payload.add_reals("plane", Square.around(finite).place(alike.plane), bits=10)
    payload.add_integers("plane.rows", _displayed_rows(alike, shown))
    return {
        "explained": [round(float(share), 3) for share in np.nan_to_num(alike.plane_explained)],
        "left": [round(float(share), 3) if np.isfinite(share) else None for share in alike.plane_left],
    }


def _displayed_rows(alike: Likeness, shown: Sequences) -> Ints:
    """int32 (P,): the displayed step of each point of the map, -1 where that step is not displayed.

    Both are whole sequences in the order of the probe set.
    """
    compared = alike.sequences
    same = compared.size == shown.probe_index.size and bool((compared == shown.probe_index).all())
    displayed = int(shown.lengths.sum())
    if same and alike.plane_steps.size == displayed:
        return np.arange(displayed, dtype=np.int32)
    return np.full(alike.plane_steps.size, -1, np.int32)


def _pack_clusters(clusters: MatchedClusters, shown: Sequences, payload: Payload) -> dict[str, Any]:
    """Clusters of words and units, and the responses in one scale for all runs."""
    payload.add_integers("clusters.words", clusters.word_labels)
    payload.add_integers("clusters.partner", clusters.partner)
    payload.add_reals("clusters.overlap", clusters.overlap, bits=8)
    payload.add_reals("clusters.association", clusters.association, bits=8)
    payload.add_integers("clusters.counts", clusters.counts)
    for run, found in clusters.response.items():
        payload.add_reals(f"clusters.response.{run}", found, bits=8)
        payload.add_integers(f"clusters.units.{run}", clusters.unit_labels[run])
    values = np.concatenate([np.abs(found[np.isfinite(found)]) for found in clusters.response.values()])
    return {
        "words": list(clusters.words),
        "noun": noun(shown),
        "ks": clusters.ks.tolist(),
        "mode": WEIGHTINGS[clusters.mode],
        "clip": float(f"{np.quantile(values, 0.98) if values.size else 1.0:.4g}"),
        "largest": float(f"{values.max() if values.size else 1.0:.4g}"),
        "shown": _SHOWN_WORDS,
    }
