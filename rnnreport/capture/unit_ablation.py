"""Which units matter: the model answers again while units are held at their mean inside the recurrence (``held.py``).

Every unit is held alone. Where the budget does not reach so far, groups of units that move together are held, then the
units of the groups that mattered most. Sets of growing size, the most important units first, the least important ones
first and random ones to compare with, are scored on the second half of the sequences, because the ranking was found on
the first.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import a_parameter, make_batch
from rnnreport.capture.held import HeldUnits, Sets
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.losses import asked, why_unanswered
from rnnreport.capture.probe import hash_order
from rnnreport.capture.salience import weights_of_a_step
from rnnreport.errors import InputError
from rnnreport.results.causes import UnitAblation
from rnnreport.results.recorded import PER_SEQUENCE, Checkpoint, Floats, Ints, Probe

_SPLIT_FROM = 16  # sequences: fewer are not split into those that rank and those that judge


@dataclass(frozen=True)
class UnitAblationParams:
    """Sequences at most and at least, their steps, sizes and random orders of the curve, multiplications (seconds).

    Longer sequences are left out where they have one answer, otherwise only their first ``steps`` are read.
    """

    sequences: int = 400
    fewest: int = 24
    steps: int = 400
    sizes: int = 10
    orders: int = 8
    fewest_groups: int = 8
    multiplications: float = 2e10
    seed: int = 0


@dataclass(frozen=True)
class _Plan:
    """The sequences, how many of their steps are read, and how many runs over all of them the budget holds."""

    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    runs: int

    @property
    def halves(self) -> tuple[slice, slice]:
        """Those by which units are ranked, and those on which sets of them are judged."""
        half = len(self.places) // 2
        return (slice(half), slice(half, None)) if len(self.places) >= _SPLIT_FROM else (slice(None), slice(None))


@dataclass(frozen=True)
class _Runs:
    """Runs of one kind; loss and right answers float32 (A, M)."""

    kind: str
    members: Ints
    sets: Sets
    loss: Floats
    right: Floats


def read_unit_ablation(
    model: nn.Module, probe: Probe, found: Inspection, checkpoint: Checkpoint, params: UnitAblationParams | None = None
) -> UnitAblation:
    """Hold units of the model, which is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    checkpoint : Checkpoint
        Of the model as it is now.
    params : UnitAblationParams, optional
    """
    params = params or UnitAblationParams()
    reason = why_unanswered(probe) if params.multiplications else LEFT_OUT
    if reason or found.reader is None:
        return _nothing(checkpoint.epoch, reason or "the model's answers cannot be read")
    try:
        with torch.inference_mode(False), untouched(model):
            return _ablate(model, probe, found, checkpoint, params)
    except InputError as error:
        return _nothing(checkpoint.epoch, str(error))


def curve_sizes(units: int, most: int) -> NDArray[np.int64]:
    """int64, increasing: numbers of units from 1 to all, closer together towards both ends, ``most`` from either."""
    sizes = np.geomspace(1, units, most).round().astype(np.int64)
    return np.unique(np.concatenate([sizes, units - sizes[:-1]]).clip(1))


def _ablate(
    model: nn.Module, probe: Probe, found: Inspection, checkpoint: Checkpoint, params: UnitAblationParams
) -> UnitAblation:
    units = HeldUnits(model, probe, found, checkpoint)
    sizes = curve_sizes(units.count, params.sizes)
    curve = len(sizes) * (params.orders + 2)
    plan = _plan(model, probe, units.count + curve, params)
    left = plan.runs - curve
    if left < min(units.count, params.fewest_groups):
        raise InputError("the model is so large that it would take too long")
    none = np.zeros((1, units.count), bool)
    done = [_run(units, plan, "none", np.array([-1]), none), _run(units, plan, "all", np.array([-1]), ~none)]
    ranked_on, judged_on = plan.halves
    groups = np.arange(units.count, dtype=np.int32) if units.count <= left else units.groups(left // 2)
    numbers = np.arange(int(groups.max()) + 1)
    alone = numbers.size == units.count
    done.append(_run(units, plan, "unit" if alone else "group", numbers, groups == numbers[:, None]))
    rise = done[-1].loss[:, ranked_on].sum(axis=1)[groups].astype(np.float64)
    own = np.zeros(units.count)
    if not alone:
        order = np.lexsort((groups, -rise))
        first = np.sort(order[: left - numbers.size])
        done.append(_run(units, plan, "unit", first, np.arange(units.count) == first[:, None]))
        own[first] = done[-1].loss[:, ranked_on].sum(axis=1)
    ranking = np.lexsort((np.arange(units.count), -own, groups, -rise))
    generator = np.random.default_rng(params.seed)
    drawn = [generator.permutation(units.count) for _ in range(params.orders)]
    for kind, orders in {"most": [ranking], "least": [ranking[::-1]], "random": drawn}.items():
        sets = np.zeros((len(orders) * len(sizes), units.count), bool)
        for row, (order, size) in enumerate(itertools.product(orders, sizes)):
            sets[row, order[:size]] = True
        done.append(_run(units, plan, kind, np.repeat(np.arange(len(orders)), len(sizes)), sets, judged_on))
    return UnitAblation(
        epoch=checkpoint.epoch,
        scopes=tuple(str(key) for key in units.keys),
        scope=units.scope,
        unit=units.unit,
        groups=groups,
        readout=_readout(model, found, units),
        sequences=plan.places.astype(np.int32),
        items=_items(model, probe, plan),
        kinds=tuple(runs.kind for runs in done for _ in runs.members),
        sizes=np.concatenate([runs.sets.sum(axis=1) for runs in done]).astype(np.int32),
        members=np.concatenate([runs.members for runs in done]).astype(np.int32),
        loss=np.concatenate([runs.loss for runs in done]),
        right=np.concatenate([runs.right for runs in done]),
        reason="",
    )


def _plan(model: nn.Module, probe: Probe, runs: int, params: UnitAblationParams) -> _Plan:
    """As many sequences, the first by the hash of their ids, as can all be read so often; at least the fewest."""
    order = np.array(hash_order(probe.sequence_ids), np.int64)
    if probe.task in PER_SEQUENCE:
        order = order[probe.lengths[order] <= params.steps]
        if not order.size:
            raise InputError(f"every sequence has more than {params.steps} steps")
    places = order[: params.sequences]
    lengths = np.minimum(probe.lengths[places], params.steps).astype(np.int64)
    affordable = params.multiplications / weights_of_a_step(model, probe)
    within = int((np.cumsum(lengths) * runs <= affordable).sum())
    count = max(min(params.fewest, places.size), within)
    return _Plan(places[:count], lengths[:count], int(affordable / lengths[:count].sum()))


def _run(
    units: HeldUnits, plan: _Plan, kind: str, members: NDArray[np.integer], sets: Sets, chosen: slice = slice(None)
) -> _Runs:
    """NaN where a sequence is not among the chosen ones."""
    loss = np.full((len(sets), len(plan.places)), np.nan, np.float32)
    right = loss.copy()
    loss[:, chosen], right[:, chosen] = units.cost(plan.places[chosen], plan.lengths[chosen], sets)
    return _Runs(kind, members.astype(np.int32), sets, loss, right)


def _items(model: nn.Module, probe: Probe, plan: _Plan) -> Ints:
    like = a_parameter(model)
    batches = (
        make_batch(probe, np.array([place]), like, int(length))
        for place, length in zip(plan.places, plan.lengths, strict=True)
    )
    return np.array([int(asked(probe, batch).sum()) for batch in batches], np.int32)


def _readout(model: nn.Module, found: Inspection, units: HeldUnits) -> Floats:
    """Norms of the columns of the last linear module that gives the outputs and takes the states of the last layer."""
    norms = np.full(units.count, np.nan, np.float32)
    last = next(iter(found.widths))
    sides = [place for place, key in enumerate(units.keys) if (key.module, key.layer) == (last.module, last.layer)]
    sides.sort(key=lambda place: units.keys[place])  # forward first, as torch puts them side by side
    read = np.array([unit for place in sides for unit in np.flatnonzero(units.scope == place)], np.int64)
    outputs = found.reader.outputs if found.reader else 0
    for module in reversed(list(model.modules())):
        if isinstance(module, nn.Linear) and (module.in_features, module.out_features) == (read.size, outputs):
            norms[read] = module.weight.detach().float().norm(dim=0).cpu().numpy()
            break
    return norms


def _nothing(epoch: int, reason: str) -> UnitAblation:
    none, floats, table = np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    return UnitAblation(epoch, (), none, none, none, floats, none, none, (), none, none, table, table, reason)
