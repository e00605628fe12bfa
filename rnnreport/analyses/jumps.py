"""The largest jumps of the state over the whole probe set, and what is read there (Garcia, Munz and Weiskopf, 2021,
label single jumps of displayed sequences)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.sample import Sample, evenly
from rnnreport.analyses.scores import expected_classes
from rnnreport.analyses.sequences import distances
from rnnreport.analyses.significance import holm
from rnnreport.results.recorded import Checkpoint, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import Jumps, Unavailable

MEASURES = ("absolute", "relative", "standardised")
_MOST_SHIFTED = 4_000_000  # types looked at under all shifts of one sequence; of a longer one, evenly spaced shifts

_GUIDE = (
    "A jump is how far the state moves when a step is read, in the full state space. Relative to the larger of the two "
    "states, 1 is as far as from zero and 2 as far as to its opposite. Standardised, it is compared with all jumps at "
    "the same {type} (at least {fewest}): what is unusual for this {type}, whatever is usual for others. A {type} is "
    "over-represented among the largest 1% if as many of these would rarely fall on it (below 5%, corrected for all "
    "tested by Holm's method) when, in each sequence by itself, what is read is shifted against the jumps by any "
    "number of steps: neither sequences that jump more than others nor runs of large jumps count as evidence. It "
    "cannot tell a {type} from the place in the sequence where it always stands. A large jump says that the state "
    "changed, not that the answer did."
)


@dataclass(frozen=True)
class JumpParams:
    """Listed jumps and types, steps of context, and the bounds of the test."""

    listed: int = 40
    before: int = 5
    after: int = 3
    largest_share: float = 0.01
    fewest: int = 20  # jumps of a type to standardise by
    fewest_tested: int = 5  # jumps of a type to be tested
    level: float = 0.05
    most_types: int = 12


@dataclass(frozen=True)
class Over:
    """A type that is over-represented: its jumps among the largest, their sequences, all of its jumps, and Holm's p."""

    type: int
    among: int
    sequences: int
    all: int
    p: float


@dataclass(frozen=True)
class Ranked:
    """The jumps by one measure: the largest, int64 (J,), -1 where there are fewer, by the step they lead to; how many
    there are, how many in the largest hundredth, how many types were tested, and the over-represented ones."""

    listed: NDArray[np.int64]
    counted: int
    largest: int
    tested: int
    over: list[Over]


def largest_jumps(
    scope: str, probe: Probe, last: Checkpoint, sample: Sample, types: Ints, names: Sequence[str], params: JumpParams
) -> Jumps | Unavailable:
    """Rank the jumps of a state over all sequences.

    Parameters
    ----------
    scope : str, the StateKey
    probe : Probe
    last : Checkpoint
        Of the last epoch.
    sample : Sample
        The displayed sequences.
    types : int32 (S,), token or prototype of each step
    names : what the types are called
    params : JumpParams
    """
    measured = jump_measures(last.states[scope], probe.offsets, types, params.fewest)
    if not np.isfinite(measured[0]).any():
        return Unavailable(Jumps.analysis, "no sequence has two steps with finite states")
    ranked = [_rank(values, types, probe, params) for values in measured]
    listed = np.stack([one.listed for one in ranked])
    shown, place = np.unique(_owners(probe, listed[listed >= 0]), return_inverse=True)
    tokens, kinds, used = _compact(_context(probe, types, listed, params), [one.over for one in ranked], params)
    return Jumps(
        scope=scope,
        measures=MEASURES,
        counted=np.array([one.counted for one in ranked], np.int32),
        sequence_ids=tuple(probe.sequence_ids[n] for n in shown),
        displayed=_places(shown, sample.sequences),
        lengths=probe.lengths[shown],
        sequences=_filled(listed >= 0, place),
        steps=_filled(listed >= 0, listed[listed >= 0] - probe.offsets[shown[place]]),
        values=np.where(listed[..., None] >= 0, measured.T[listed], np.nan).astype(np.float32),
        classes=_classes(probe, last, listed),
        context=tokens,
        before=params.before,
        names=tuple(names[kind] for kind in used),
        largest=np.array([one.largest for one in ranked], np.int32),
        tested=np.array([one.tested for one in ranked], np.int32),
        types=kinds,
        type_counts=_table(ranked, params, lambda one: (one.among, one.sequences, one.all), 3).astype(np.int32),
        type_p=_table(ranked, params, lambda one: (one.p,), 1)[..., 0],
        guide=_GUIDE.format(type="prototype" if probe.continuous else "token", fewest=params.fewest),
    )


def jump_measures(states: Floats, offsets: NDArray[np.int64], types: Ints, fewest: int) -> Doubles:
    """How far the state moves when each step is read.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)
    types : int32 (S,)
    fewest : int
        Jumps of a type without which they are not standardised.

    Returns
    -------
    float64 (3, S)
        In the order of ``MEASURES``; NaN at the first step of a sequence and where a measure is not defined.
    """
    moved = distances(states, offsets)
    distance = np.append(np.nan, moved[:-1])  # by the step it leads to; NaN at first steps, as before at last ones
    size = np.sqrt((states.astype(np.float64) ** 2).sum(axis=1))
    larger = np.maximum(size, np.append(0, size[:-1]))
    relative = np.divide(distance, larger, out=np.full_like(distance, np.nan), where=larger > 0)
    return np.stack([distance, relative, _standardised(distance, types, fewest)])


def _standardised(distance: Doubles, types: Ints, fewest: int) -> Doubles:
    """Standard score among the jumps of the same type (n in the denominator); NaN where they are few or equal."""
    known = np.isfinite(distance)
    values, own = distance[known], types[known]
    counts = np.bincount(own)
    mean = np.bincount(own, weights=values) / counts.clip(min=1)
    centred = values - mean[own]
    deviation = np.sqrt(np.bincount(own, weights=centred**2) / counts.clip(min=1))
    usable = (counts >= fewest) & (deviation > 1e-9 * mean)
    score = np.full(distance.shape, np.nan)
    score[known] = np.where(usable[own], centred / np.where(usable, deviation, 1)[own], np.nan)
    return score


def over_represented(
    types: Ints, known: NDArray[np.int64], top: NDArray[np.int64], probe: Probe, params: JumpParams
) -> tuple[list[Over], int]:
    """Types that occur more often among the largest jumps than shifts within sequences allow, and how many were tested.

    Parameters
    ----------
    types : int32 (S,)
    known : int64, increasing: all jumps, by the step they lead to
    top : int64, the largest of them
    probe : Probe
    params : JumpParams
    """
    counts = np.bincount(types[known], minlength=int(types.max()) + 1)
    among = np.bincount(types[top], minlength=counts.size)
    tested = np.flatnonzero(counts >= params.fewest_tested)
    if not tested.size:
        return [], 0
    p = holm(shift_chances(types, known, top, probe.offsets)[tested])
    owners = _owners(probe, top)
    found = [
        Over(int(kind), int(among[kind]), np.unique(owners[types[top] == kind]).size, int(counts[kind]), float(value))
        for kind, value in zip(tested[p < params.level], p[p < params.level], strict=True)
    ]
    found.sort(key=lambda one: (one.p, -one.among / one.all, one.type))
    return found[: params.most_types], tested.size


def shift_chances(types: Ints, known: NDArray[np.int64], top: NDArray[np.int64], offsets: NDArray[np.int64]) -> Doubles:
    """The probability of each type to be met by as many of the largest jumps if chance had aligned them.

    Chance shifts the types of every sequence against its jumps, cyclically and by any number of steps, independently of
    the other sequences. That keeps how much each sequence jumps, and that large jumps, and equal types, come in runs.
    The distribution is exact: those of the sequences, convolved.

    Parameters
    ----------
    types, known, top : as of ``over_represented``
    offsets : int64 (N + 1,)

    Returns
    -------
    float64 (types.max() + 1,)
    """
    count = int(types.max()) + 1
    among = np.bincount(types[top], minlength=count)
    chances: list[Doubles] = [np.eye(1, most + 1)[0] for most in among]  # of 0, 1, ... and at least ``most``
    bounds, is_top = np.searchsorted(known, offsets), np.isin(known, top)
    for first, end in pairwise(bounds):
        here = np.flatnonzero(is_top[first:end])
        if not here.size:
            continue
        kinds, own = np.unique(types[known[first:end]], return_inverse=True)
        shifts = evenly(own.size, max(1, _MOST_SHIFTED // here.size))
        met = own[(here[:, None] + shifts) % own.size] * shifts.size + np.arange(shifts.size)
        found = np.bincount(met.ravel(), minlength=kinds.size * shifts.size).reshape(kinds.size, -1)
        for kind, hits in zip(kinds, found, strict=True):
            if among[kind]:
                chances[kind] = _added(chances[kind], np.bincount(hits) / shifts.size)
    return np.array([own[-1] for own in chances])


def _added(chances: Doubles, more: Doubles) -> Doubles:
    """The distribution of a sum, its last place all that is as large or larger."""
    found = np.convolve(chances, more)
    found[chances.size - 1] = found[chances.size - 1 :].sum()
    return found[: chances.size]


def _rank(values: Doubles, types: Ints, probe: Probe, params: JumpParams) -> Ranked:
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(-values[known], kind="stable")]
    listed = np.full(params.listed, -1, np.int64)
    listed[: order.size] = order[: params.listed]
    top = order[: int(np.ceil(params.largest_share * order.size))]
    over, tested = over_represented(types, known, top, probe, params)
    return Ranked(listed, known.size, top.size, tested, over)


def _owners(probe: Probe, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(probe.offsets, steps, side="right") - 1


def _filled(there: NDArray[np.bool_], values: NDArray[np.integer]) -> Ints:
    """int32: the values where there are any, -1 elsewhere."""
    found = np.full(there.shape, -1, np.int32)
    found[there] = values
    return found


def _places(wanted: NDArray[np.integer], among: NDArray[np.integer]) -> Ints:
    """int32: where each of the wanted stands among others, which increase; -1: it is not there."""
    places = np.searchsorted(among, wanted).clip(max=max(0, among.size - 1))
    return np.where(among[places] == wanted, places, -1).astype(np.int32)


def _classes(probe: Probe, last: Checkpoint, listed: NDArray[np.int64]) -> Ints:
    """int32 (M, J, 2): the class predicted before and after each jump; -1 where there is none."""
    chosen = expected_classes(probe, last)
    return np.where(listed[..., None] >= 0, chosen[listed[..., None] + [-1, 0]], -1).astype(np.int32)


def _context(probe: Probe, types: Ints, listed: NDArray[np.int64], params: JumpParams) -> Ints:
    """int32 (M, J, C): the types around each jump; -1 beyond its sequence."""
    steps = listed[..., None] + np.arange(-params.before, params.after + 1)
    owner = _owners(probe, listed.clip(min=0))[..., None]
    inside = (listed[..., None] >= 0) & (steps >= probe.offsets[owner]) & (steps < probe.offsets[owner + 1])
    return np.where(inside, types[np.where(inside, steps, 0)], -1).astype(np.int32)


def _compact(context: Ints, over: list[list[Over]], params: JumpParams) -> tuple[Ints, Ints, NDArray[np.int64]]:
    """Context and over-represented types, int32 (M, O), renumbered by the types that occur, which are returned too."""
    kinds = np.full((len(over), params.most_types), -1, np.int64)
    for row, found in zip(kinds, over, strict=True):
        row[: len(found)] = [one.type for one in found]
    used = np.unique(np.concatenate([context.ravel(), kinds.ravel()]))
    used = used[used >= 0]
    return _places(context, used), _places(kinds, used), used


def _table(ranked: list[Ranked], params: JumpParams, read: Callable[[Over], tuple[float, ...]], width: int) -> Doubles:
    """float64 (M, O, width): what is read of each over-represented type; 0 where there are fewer."""
    found = np.zeros((len(ranked), params.most_types, width))
    for row, one in zip(found, ranked, strict=True):
        for place, kind in enumerate(one.over):
            row[place] = read(kind)
    return found
