"""What can be read from which state, when: linear probes over layers and relative times, with control tasks.

The control is Hewitt and Liang's (2019) idea for sequences: the same probe on labels that belong to other sequences.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, resampled_sums
from rnnreport.analyses.probing import Labels, probe_predictions
from rnnreport.analyses.properties import properties
from rnnreport.analyses.sample import evenly, hash_order
from rnnreport.progress import track
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Ints, Probe, StateKey
from rnnreport.results.schema import Readable, Unavailable

_GUIDE = (
    "A linear probe (ridge regression) is fitted to the states of some sequences and asked for a property in others; "
    "no sequence is in both. Each cell is the share of steps it reads rightly: first anywhere in the sequences, then "
    "in each stretch of them. The colour is what remains after taking off the control, the same probe with the labels "
    "of other sequences: what the control reaches comes from frequent classes and from the probe's own freedom. Grey "
    "cells are those whose difference is not certain (95% interval over sequences). That a property can be read does "
    "not say that the model uses it, and what is not linear, or lies in small directions, may be missed. Tokens "
    "beyond the most frequent ones count as one class, numbers are divided into fifths."
)


@dataclass(frozen=True)
class ReadableParams:
    """Sequences, states and times looked at, the probe and its controls.

    Attributes
    ----------
    sequences, fewest, states, times : int, at most, at least, at most, and number of stretches
    steps_each : int, steps of a sequence in each stretch at most
    back : tuple of int, steps back at which the input is asked for
    dimensions : int, leading principal components of wider states
    folds, ridge, shuffles : the probe and its controls
    """

    sequences: int = 300
    fewest: int = 20
    states: int = 4
    times: int = 5
    steps_each: int = 3
    back: tuple[int, ...] = (1, 2, 4)
    dimensions: int = 128
    folds: int = 5
    ridge: float = 0.01
    shuffles: int = 5
    seed: int = 0
    bootstrap: BootstrapParams = field(default_factory=lambda: BootstrapParams(resamples=500))


def readable_properties(
    folder: RunFolder, probe: Probe, step_words: Ints | None, params: ReadableParams | None = None
) -> Readable | Unavailable:
    """Probe the states of the last epoch.

    Parameters
    ----------
    folder : RunFolder
        With at least one recorded epoch.
    probe : Probe
    step_words : int32 (S,), prototypes of a continuous input; not looked at for tokens
    params : ReadableParams, optional

    Returns
    -------
    Readable or Unavailable
        Unavailable with too few sequences of two steps, or where no property takes two values.
    """
    params = params or ReadableParams()
    long = np.flatnonzero(probe.lengths >= 2)
    order = hash_order([probe.sequence_ids[n] for n in long])[: params.sequences]
    chosen = long[order]  # in the order of their hashes, by which folds are drawn
    if chosen.size < params.fewest:
        reason = f"probes need {params.fewest} sequences of two steps or more, here are {chosen.size}"
        return Unavailable(Readable.analysis, reason)
    asked = properties(probe, step_words, folder.parts_of_speech(), params.back)
    if not asked:
        return Unavailable(Readable.analysis, "nothing that could be read takes two values")
    keys = folder.manifest().state_keys
    keys = tuple(keys[place] for place in evenly(len(keys), params.states)) if len(keys) > 1 else keys
    last = folder.checkpoint(folder.epochs()[-1])
    places = stretches(probe, chosen, params)
    shape = len(keys), len(asked), len(places)
    found = {name: np.full(shape, np.nan, np.float32) for name in ("accuracy", "control", "low", "high")}
    facts = np.zeros((3, *shape[1:]))
    for layer, key in enumerate(track(keys, "linear probes", len(keys))):
        states = last.states[key]
        for time, steps in enumerate(places):
            vectors = _vectors(states[steps.ravel()].astype(np.float64), params.dimensions)
            for which, one in enumerate(asked):
                if time and not one.over_time:
                    continue
                read = _read(vectors, one.labels[steps], params)
                if read is None:
                    continue
                for name, value in zip(found, read[:4], strict=True):
                    found[name][layer, which, time] = value
                facts[:, which, time] = read[4:]
    result = Readable(
        states=keys,
        properties=tuple(one.name for one in asked),
        classes=np.array([one.labels.max() + 1 for one in asked], np.int32),
        times=(np.arange(params.times) + 0.5) / params.times,
        **found,
        frequent=facts[0].astype(np.float32),
        steps=facts[1].astype(np.int32),
        sequences=facts[2].astype(np.int32),
        finding="",
        params={
            "folds": params.folds,
            "ridge": params.ridge,
            "shuffles": params.shuffles,
            "dimensions": params.dimensions,
            "steps_each": params.steps_each,
        },
        guide=_GUIDE,
    )
    return replace(result, finding=_finding(result))


def stretches(probe: Probe, chosen: Labels, params: ReadableParams) -> list[Labels]:
    """The steps that are looked at, int64 (N, m) each: first anywhere in the sequences, then stretch by stretch.

    Every sequence has equally many, so that its labels can be handed to another one; a short one has some twice.
    """
    lengths, starts = probe.lengths[chosen].astype(np.int64), probe.offsets[chosen]
    each = int(np.clip(np.median(lengths) // params.times, 1, params.steps_each))

    def within(low: float, high: float) -> Labels:
        shares = low + (high - low) * (np.arange(each) + 0.5) / each
        return np.asarray(starts[:, None] + np.floor(lengths[:, None] * shares).astype(np.int64))

    drawn = np.random.default_rng(params.seed).random((chosen.size, each))
    anywhere = starts[:, None] + np.floor(lengths[:, None] * drawn).astype(np.int64)
    edges = np.linspace(0, 1, params.times + 1)
    return [anywhere, *(within(low, high) for low, high in itertools.pairwise(edges))]


def sequence_folds(sequences: int, each: int, folds: int) -> Labels:
    """int64 (sequences * each,): the fold of every row; the rows of one sequence are in one fold."""
    return np.repeat(np.arange(sequences) % folds, each)


def _vectors(states: Doubles, dimensions: int) -> Doubles:
    """Finite numbers, and of wide states the leading principal components."""
    clean = np.where(np.isfinite(states), states, 0)
    if clean.shape[1] <= dimensions:
        return clean
    centred = clean - clean.mean(axis=0)
    vectors = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :dimensions]
    return np.asarray(centred @ vectors)


def _read(
    vectors: Doubles, labels: Labels, params: ReadableParams
) -> tuple[float, float, float, float, float, int, int] | None:
    """Accuracy, control, low and high of their difference, share of the most frequent class, steps and sequences.

    ``vectors`` float64 (N * m, H), ``labels`` int64 (N, m), -1 where there is none: then the sequence is left out.
    """
    whole = np.flatnonzero((labels >= 0).all(axis=1))
    own = labels[whole]
    if whole.size < params.fewest or np.unique(own).size < 2:
        return None
    count, each = own.shape
    rows = (whole[:, None] * labels.shape[1] + np.arange(each)).ravel()
    draw = np.random.default_rng(params.seed)
    orders = [np.arange(count), *(draw.permutation(count) for _ in range(params.shuffles))]
    drawn = np.stack([own[order].ravel() for order in orders])
    named = probe_predictions(vectors[rows], drawn, sequence_folds(count, each, params.folds), params.ridge)
    right: NDArray[np.float64] = (named == drawn).reshape(len(orders), count, each).mean(axis=2)
    gain = right[0] - right[1:].mean(axis=0)
    low, high = percentile_interval(resampled_sums([gain], params.bootstrap)[0] / count, params.bootstrap)
    frequent = float(np.bincount(own.ravel()).max() / own.size)
    return float(right[0].mean()), float(right[1:].mean()), low, high, frequent, own.size, count


def _finding(found: Readable) -> str:
    """Where and when the first property is read best, and how far back the input is."""
    what = found.properties[0]
    gain = found.accuracy[:, 0] - found.control[:, 0]
    if not np.isfinite(gain).any():
        return ""
    layer, time = np.unravel_index(np.nanargmax(gain), gain.shape)
    text = (
        f"The {what} is read best from {StateKey.parse(found.states[layer]).title} {_when(found, int(time))}: a linear "
        f"probe is right in {found.accuracy[layer, 0, time]:.1%}, with the labels of other sequences in "
        f"{found.control[layer, 0, time]:.1%} (n = {found.steps[0, time]:,} steps of {found.sequences[0, time]:,} "
        "sequences)."
    )
    return f"{text} {_kept(found)}".strip()


def _when(found: Readable, time: int) -> str:
    return "anywhere" if time == 0 else f"at {found.times[time - 1]:.0%} of the sequence"


def _kept(found: Readable) -> str:
    """The farthest input that is still read with certainty, anywhere in the sequences."""
    back = [place for place, name in enumerate(found.properties) if name.endswith("back")]
    certain = [place for place in back if (found.low[:, place, 0] > 0).any()]
    if not back:
        return ""
    if not certain:
        return "No earlier input can be read from a state."
    place = certain[-1]
    layer = int(np.nanargmax(found.accuracy[:, place, 0]))
    return (
        f"The {found.properties[place]} is still read in {found.accuracy[layer, place, 0]:.1%} (control "
        f"{found.control[layer, place, 0]:.1%})."
    )
