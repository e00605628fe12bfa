"""How alike the states of several runs are, layer by layer and along training, and all of them in one map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.dynamics import DynamicsParams, dynamical_distance, linear_dynamics
from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.comparison.similarity import (
    centred,
    debiased_cka,
    match_units,
    neighbour_overlap,
    padded,
    procrustes_distance,
    rotation,
)
from rnnreport.analyses.sample import SampleParams, display_sample, evenly, steps_of
from rnnreport.progress import track
from rnnreport.results.recorded import Doubles, Floats, Probe, StateKey
from rnnreport.results.schema import Likeness

_GUIDE = (
    "Linear CKA is 1 and the Procrustes angle 0 for the same geometry up to rotation and size of the whole; "
    "independent states have a CKA near 0. Kept neighbours: the share of the nearest states, in other sequences, that "
    "both runs have in common. Matched units: units paired one to one; the number is the mean size of their "
    "correlations, beside what the same search finds where one run is shifted in time. Dynamics (DSA): the angle "
    "between the linear maps that take a state to the next one best, after the best change of basis, beside that "
    "between two halves of the baseline's sequences; it takes no account of the input. Another seed of the same "
    "network differs too: without such runs beside it no value says whether a difference means anything. A different "
    "geometry is not a worse one."
)
States = Sequence[Sequence[Floats | None]]
_FEW_STEPS = 5  # times the units: below that many steps the measures say little


@dataclass(frozen=True)
class LikenessParams:
    """Most epochs and most steps compared, steps whose neighbours are compared, and how many neighbours."""

    most_epochs: int = 20
    most_steps: int = 4000
    neighbour_steps: int = 1500
    neighbours: int = 10
    shifts: int = 10
    dynamics: DynamicsParams = field(default_factory=DynamicsParams)


def likeness(runs: Sequence[Read], params: LikenessParams) -> Likeness:
    """Compare every state of the first run with its counterpart in every run.

    Parameters
    ----------
    runs : at least two, on one probe set
    params : LikenessParams
    """
    probe, keys = runs[0].probe, in_order(runs[0].manifest.state_keys)
    found = [[counterpart(key, keys, in_order(run.manifest.state_keys)) for key in keys] for run in runs]
    sample = display_sample(probe, SampleParams(params.most_steps))
    rows = sample.steps[evenly(sample.steps.size, params.most_steps)]
    few = rows[evenly(rows.size, params.neighbour_steps)]
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    common = sorted(set.intersection(*(set(run.epochs) for run in runs)))
    epochs = [common[place] for place in evenly(len(common), params.most_epochs)] if common else []
    last = [[run.last.states[key] if key else None for key in mine] for run, mine in zip(runs, found, strict=True)]

    def picked(steps: NDArray[np.int64]) -> States:
        return [[None if one is None else one[steps] for one in mine] for mine in last]

    pairs = _pairs(picked(rows))
    matched = _matched(picked(rows), params)
    dynamics = _dynamics(last, probe, sample.sequences, params.dynamics)
    plane, explained, left = _plane([mine[keys.index(runs[0].scope)] for mine in last], rows)
    return Likeness(
        states=tuple(keys),
        counterparts=tuple(tuple(mine) for mine in found),
        widths=np.array([[0 if one is None else one.shape[1] for one in mine] for mine in last], np.int32),
        steps=int(rows.size),
        few_steps=bool(rows.size < _FEW_STEPS * max(one.shape[1] for mine in last for one in mine if one is not None)),
        cka=pairs[0],
        angle=pairs[1],
        neighbours=_neighbours(picked(few), owners[few], params),
        neighbour_chance=params.neighbours / max(1, few.size - 1),
        neighbour_steps=int(few.size),
        matched=matched[0],
        matched_chance=matched[1],
        same_place=matched[2],
        change=_changes(last),
        dynamics=dynamics[0],
        dynamics_halves=dynamics[1],
        epochs=np.array(epochs, np.int32),
        cka_by_epoch=_along(runs, found, epochs, rows),
        sequences=sample.sequences,
        plane=plane,
        plane_steps=rows.astype(np.int32),
        plane_explained=explained,
        plane_left=left,
        guide=_GUIDE,
    )


def in_order(keys: Sequence[str]) -> list[str]:
    """State keys in the order in which the input passes them: modules as they were called, each layer by layer.

    The manifest names the default state, which is of the last module, before the others.
    """
    parsed = [StateKey.parse(key) for key in keys]
    shown = (parsed[0].module, parsed[0].layer)
    others = [key.module for key in parsed if (key.module, key.layer) != shown]
    modules = list(dict.fromkeys([*others, shown[0]]))
    order = sorted(range(len(keys)), key=lambda i: (modules.index(parsed[i].module), parsed[i].layer, i))
    return [keys[place] for place in order]


def counterpart(key: str, own: Sequence[str], others: Sequence[str]) -> str:
    """The state of another network to compare with one of the baseline.

    Parameters
    ----------
    key : str, a state of the baseline
    own, others : the states of the baseline and of the other network, in order

    Returns
    -------
    str
        The state of the same name; else the only one of the same layer, direction and kind; else "".
    """
    if key in others:
        return key
    wanted = StateKey.parse(key)

    def alike(names: Sequence[str]) -> list[str]:
        parsed = [(name, StateKey.parse(name)) for name in names]
        return [n for n, k in parsed if (k.layer, k.direction, k.kind) == (wanted.layer, wanted.direction, wanted.kind)]

    return alike(others)[0] if len(alike(others)) == len(alike(own)) == 1 else ""


def _pairs(states: States) -> tuple[Doubles, Doubles]:
    """Debiased CKA and Procrustes angle of all pairs of runs at the last epoch, both (R, R, L)."""
    count, layers = len(states), len(states[0])
    tables = np.full((2, count, count, layers), np.nan)
    work = [(one, two, layer) for one in range(count) for two in range(one + 1) for layer in range(layers)]
    for one, two, layer in track(iter(work), "similarity of the states", len(work)):
        first, second = states[one][layer], states[two][layer]
        if first is not None and second is not None:
            both = debiased_cka(first, second), procrustes_distance(first, second)
            tables[:, one, two, layer] = tables[:, two, one, layer] = both
    return tables[0], tables[1]


def _neighbours(states: States, owners: NDArray[np.integer], params: LikenessParams) -> Doubles:
    """float64 (R, L), with the first run."""
    table = np.full((len(states), len(states[0])), np.nan)
    for (run, layer), _ in np.ndenumerate(table):
        first, second = states[0][layer], states[run][layer]
        if first is not None and second is not None:
            table[run, layer] = neighbour_overlap(first, second, owners, params.neighbours)
    return table


def _matched(states: States, params: LikenessParams) -> tuple[Doubles, Doubles, Doubles]:
    """Strength of the matching with the first run, its chance level, share of units matched to their like number."""
    tables = np.full((3, len(states), len(states[0])), np.nan)
    for run, layer in np.ndindex(tables.shape[1:]):
        first, second = states[0][layer], states[run][layer]
        if first is None or second is None:
            continue
        pairs = match_units(first, second, params.shifts)
        there = pairs.partner >= 0
        same = float((pairs.partner == np.arange(pairs.partner.size))[there].mean()) if there.any() else np.nan
        tables[:, run, layer] = pairs.strength, pairs.chance, same
    return tables[0], tables[1], tables[2]


def _dynamics(
    states: States, probe: Probe, sequences: NDArray[np.integer], params: DynamicsParams
) -> tuple[Doubles, Doubles]:
    """Dynamical distance to the first run, float64 (R, L), and between two halves of its own sequences, (L,)."""
    table, halves = np.full((len(states), len(states[0])), np.nan), np.full(len(states[0]), np.nan)

    def fitted(found: Floats | None, chosen: NDArray[np.integer]) -> Doubles | None:
        if found is None or not chosen.size:
            return None
        offsets = np.concatenate([[0], np.cumsum(probe.lengths[chosen], dtype=np.int64)])
        return linear_dynamics(found[steps_of(probe, chosen)], offsets, params)

    for layer in range(len(halves)):
        maps = [fitted(mine[layer], sequences) for mine in states]
        table[:, layer] = [dynamical_distance(maps[0], one, params) for one in maps]
        parts = [fitted(states[0][layer], sequences[start::2]) for start in (0, 1)]
        halves[layer] = dynamical_distance(parts[0], parts[1], params)
    return table, halves


def _changes(states: States) -> Doubles:
    """float64 (R, L): size of the difference to the first run, unit by unit, in units of the size of its states.

    NaN where units do not correspond or a state is not finite.
    """
    table = np.full((len(states), len(states[0])), np.nan)
    for (run, layer), _ in np.ndenumerate(table):
        first, second = states[0][layer], states[run][layer]
        if first is None or second is None or first.shape != second.shape:
            continue
        if np.isfinite(first).all() and np.isfinite(second).all():
            size = np.linalg.norm(first.astype(np.float64))
            table[run, layer] = np.linalg.norm(second.astype(np.float64) - first) / size if size else np.nan
    return table


def _along(
    runs: Sequence[Read], found: Sequence[Sequence[str]], epochs: Sequence[int], rows: NDArray[np.int64]
) -> Doubles:
    """float64 (2, R, L, E): debiased CKA and Procrustes angle with the first run at the same epoch."""
    table = np.full((2, len(runs), len(found[0]), len(epochs)), np.nan)
    for column, epoch in enumerate(track(iter(epochs), "similarity along training", len(epochs))):
        recorded = [run.at(epoch).states for run in runs]
        for run, layer in np.ndindex(len(runs), len(found[0])):
            if found[run][layer]:
                pair = recorded[0][found[0][layer]][rows], recorded[run][found[run][layer]][rows]
                table[:, run, layer, column] = debiased_cka(*pair), procrustes_distance(*pair)
    return table


def _plane(states: Sequence[Floats | None], rows: NDArray[np.int64]) -> tuple[Floats, Doubles, Doubles]:
    """The states of all runs in the plane of the first principal components of the first run's.

    Each of the others is turned and scaled as a whole to come closest to the first (orthogonal Procrustes).

    Returns
    -------
    plane : float32 (R, P, 2), NaN where a run has no such state or one that is not finite
    explained : float64 (2,), share of the variance of the first run's states along each axis
    left : float64 (R,), share of a run's variance that is not that of the first run after turning and scaling
    """
    plane = np.full((len(states), rows.size, 2), np.nan, np.float32)
    width = max(2, *(one.shape[1] for one in states if one is not None))
    shapes = [None if one is None else padded(centred(one[rows]), width) for one in states]
    base, left = shapes[0], np.full(len(states), np.nan)
    if base is None or not base.any() or not np.isfinite(base).all():
        return plane, np.full(2, np.nan), left
    _, sizes, axes = np.linalg.svd(base, full_matrices=False)
    signs = np.where(np.abs(axes).max(axis=1) == axes.max(axis=1), 1.0, -1.0)[:2]  # the largest entry is positive
    for run, shape in enumerate(shapes):
        if shape is None or not shape.any() or not np.isfinite(shape).all():
            continue
        turned = shape @ rotation(base, shape)
        alike = float((turned * base).sum())
        plane[run] = (alike * turned if run else base) @ axes[:2].T * signs
        left[run] = max(0.0, 1 - alike**2)
    return plane, sizes[:2] ** 2 / (sizes**2).sum(), left
