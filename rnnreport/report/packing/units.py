"""What of words and units travels to the browser (``templates/assets/units.js`` and its neighbours read it)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.figures.maps import to_square
from rnnreport.report.packing.map import PLACE_BITS
from rnnreport.report.payload import Payload
from rnnreport.results.recorded import Floats, Ints
from rnnreport.results.schema import WEIGHTINGS, Unavailable, UnitMap, Units, Words

_MOST_STATES, _FEWEST_STEPS = 100_000, 300  # states that a page carries, in numbers; of a wide layer, in steps
_LINK_BITS = 11  # of links as shares of the strongest: a fiftieth of a pixel where that is 40 pixels wide
_MOST_GATES, _MOST_SPREAD = 16_000, 16_000  # values of all gates together, and mean responses that have their spread


def pack_words(words: Words, payload: Payload, given: Ints) -> dict[str, Any]:
    """Names, counts and shapes of the words; ``given``: the words of the steps of sentences given by hand."""
    payload.add_integers("words.counts", words.counts)
    payload.add_integers("words.steps", np.concatenate([words.step_words, given]))
    payload.add_integers("words.tags", words.tags)
    payload.add_reals("words.tagShare", words.tag_share, bits=8)
    payload.add_columns("words.shapes", words.shapes, bits=8)
    return {
        "names": list(words.names),
        "prototypes": bool(words.shapes.size),
        "unseen": words.unseen,
        "tagNames": list(words.tag_names),
    }


def pack_units(
    prefix: str,
    units: Units,
    unit_map: UnitMap | Unavailable,
    lengths: Ints,
    payload: Payload,
    *,
    gates: int,
    given: Floats,
) -> dict[str, Any]:
    """Responses, co-clusters and states of one recorded state, or of a gate, with less beside it.

    Parameters
    ----------
    prefix : str, of the names in the payload
    units : Units
    unit_map : UnitMap | Unavailable, of the same state
    lengths : int32 (Q,), of the displayed sequences
    gates : int, 0 for a state; of a gate, how many of them the page carries
    given : float32 (P, H), states after the steps of sentences given by hand; (P, 0) where there are none
    payload : Payload
        Mode and k share an axis: place ``mode * len(ks) + k``.
    """
    words, width = units.response.shape
    drawn = to_square(unit_map.coordinates) if isinstance(unit_map, UnitMap) else np.zeros((0, 2), np.float32)
    payload.add_reals(f"{prefix}.map", drawn, bits=PLACE_BITS)
    kept = units.kept_by_cluster.reshape(-1, units.kept_by_cluster.shape[2])
    payload.add_columns(f"{prefix}.response", units.response, bits=12)
    spread = gates * units.response.size <= _MOST_SPREAD
    none = np.zeros((0, 0), np.float32)
    payload.add_columns(f"{prefix}.bands", units.bands - units.response if spread else none, bits=6)
    payload.add_columns(f"{prefix}.standardError", units.standard_error if spread else none, bits=6)
    earlier = units.response_by_epoch[:-1]  # the last is "response"
    payload.add_reals(f"{prefix}.responseByEpoch", earlier, bits=6, changes=True)
    payload.add_integers(f"{prefix}.wordLabels", units.word_labels.reshape(-1, words))
    payload.add_integers(f"{prefix}.unitLabels", units.unit_labels.reshape(-1, width))
    links = units.links.reshape(-1, *units.links.shape[2:])
    strongest = np.nanmax(np.abs(links), axis=(1, 2), keepdims=True, initial=0)
    payload.add_reals(f"{prefix}.links", links / np.where(strongest > 0, strongest, 1), bits=_LINK_BITS)
    payload.add_reals(f"{prefix}.association", units.association.reshape(-1, words), bits=8)
    payload.add_reals(f"{prefix}.keptByCluster", kept, bits=8)
    payload.add_reals(f"{prefix}.explained", units.explained, bits=8)
    most = _MOST_GATES // (gates * width) if gates else max(_FEWEST_STEPS, _MOST_STATES // width)
    rows = _kept_steps(lengths, most)
    states = units.activation[np.flatnonzero(rows >= 0)]
    payload.add_integers(f"{prefix}.stateRows", np.append(rows, _rows_after(len(states), given)))
    carried = np.concatenate([states, given]) if given.size else states
    payload.add_columns(f"{prefix}.states", carried, bits=6 if gates else 8, related=True)
    return {
        "prefix": prefix,
        "modes": [WEIGHTINGS[mode] for mode in units.modes],
        "ks": units.ks.tolist(),
        "stability": [_rounded(value) for value in units.stability.ravel().tolist()],
        "cut": [_rounded(value) for value in units.cut.ravel().tolist()],
        "defaultMode": units.modes.index(units.default_mode),
        "defaultK": units.ks.tolist().index(units.default_k),
        "gate": gates > 0,
        "mapNote": _map_note(unit_map),
        "resamples": units.params["resamples"],
        "epochs": units.epochs.tolist(),
        "clip": _full_colour(units.response),
        "activationClip": _full_colour(units.activation),
    }


def _rows_after(first: int, given: Floats) -> Ints:
    """int32 (P,): the rows of further states, -1 where there are none."""
    return first + np.arange(len(given), dtype=np.int32) if given.size else np.full(len(given), -1, np.int32)


def _kept_steps(lengths: Ints, most: int) -> Ints:
    """int32 (P,): the row of each displayed step among those whose states travel, -1 for the others.

    Whole sequences, evenly spaced among the displayed ones, as many as hold at most ``most`` steps, but at least one.
    """
    chosen = np.zeros(0, np.int64)  # where no sequences are displayed
    for count in range(lengths.size, 0, -1):
        chosen = np.unique(np.linspace(0, lengths.size - 1, count).round().astype(np.int64))
        if count == 1 or lengths[chosen].sum() <= most:
            break
    kept = np.repeat(np.isin(np.arange(lengths.size), chosen), lengths)
    return np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)


def _map_note(unit_map: UnitMap | Unavailable) -> str:
    if isinstance(unit_map, Unavailable):
        return unit_map.reason
    trust, units, steps = unit_map.trust, len(unit_map.coordinates), unit_map.params["steps"]
    quality = f"trustworthiness {trust['trustworthiness']:.2f}, continuity {trust['continuity']:.2f}"
    return f"t-SNE of {units} units over {steps:,} steps; {quality} at {trust['neighbours']} neighbours"


def _full_colour(values: Floats) -> float | None:
    """The magnitude that is drawn in full colour: beyond it lie 2% of the values that are numbers."""
    known = np.abs(values[np.isfinite(values)])
    return _rounded(float(np.quantile(known, 0.98))) if known.size else 1.0


def _rounded(value: float) -> float | None:
    """Six significant digits; None for what is not a number."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
