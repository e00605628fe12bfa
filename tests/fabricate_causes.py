"""Fabricated records of causes for fabricated runs: what capture would have left, written without torch."""

from __future__ import annotations

import numpy as np

from rnnreport.results.causes import Attribution, GradientFlow, UnitAblation
from rnnreport.results.folder import RunFolder


def write_unit_ablation(folder: RunFolder) -> UnitAblation:
    """Unit u of the hidden state costs (u + 1) / 4 nats, from 4 units held on no answer is right."""
    epoch, probe = folder.epochs()[-1], folder.probe()
    key = next(key for key in folder.manifest().state_keys if key.endswith(".h"))
    units, count = folder.checkpoint(epoch).states[key].shape[1], probe.lengths.size
    noise = np.random.default_rng(0).normal(0, 0.05, count)
    ranking = np.arange(units)[::-1]
    draw = np.random.default_rng(1)
    orders = [("most", ranking), ("least", ranking[::-1]), *(("random", draw.permutation(units)) for _ in range(2))]
    sets = [("none", 0, []), ("all", 0, list(range(units))), *(("unit", unit, [unit]) for unit in range(units))]
    sets += [
        (kind, max(0, n - 2), list(order[:size]))
        for n, (kind, order) in enumerate(orders)
        for size in range(1, units + 1)
    ]
    cost = np.array([sum(unit + 1 for unit in held) / 4 for _, _, held in sets])
    loss = (0.3 + cost[:, None] * (1 + noise)).astype(np.float32)
    right = (cost[:, None] + 5 * noise < 3).astype(np.float32)
    judged = np.arange(count) >= count // 2
    for row, (kind, _, _) in enumerate(sets):
        if kind in ("most", "least", "random"):
            loss[row, ~judged] = right[row, ~judged] = np.nan
    found = UnitAblation(
        epoch=epoch,
        scopes=(key,),
        scope=np.zeros(units, np.int32),
        unit=np.arange(units, dtype=np.int32),
        groups=np.arange(units, dtype=np.int32),
        readout=np.linspace(0.1, 2, units).astype(np.float32),
        sequences=np.arange(count, dtype=np.int32),
        items=np.ones(count, np.int32),
        kinds=tuple(kind for kind, _, _ in sets),
        sizes=np.array([len(held) for _, _, held in sets], np.int32),
        members=np.array([member for _, member, _ in sets], np.int32),
        loss=loss,
        right=right,
        reason="",
    )
    folder.write_record(found)
    return found


def write_attribution(folder: RunFolder, broken: int = 1) -> Attribution:
    """Token w adds (w + 1) / 10 by either method, in sequences of which the first ``broken`` do not add up."""
    epoch, probe = folder.epochs()[-1], folder.probe()
    count = probe.lengths.size
    adds = ((probe.tokens + 1) / 10).astype(np.float32)
    sums = np.add.reduceat(adds, probe.offsets[:-1])
    value = np.where(np.arange(count) < broken, 2 * sums, sums).astype(np.float32)
    found = Attribution(
        epoch=epoch,
        sequences=np.arange(count, dtype=np.int32),
        lengths=probe.lengths,
        answers=(np.arange(count) % 2).astype(np.int32),
        steps=probe.lengths - 1,
        value=value - np.float32(1),
        baseline=np.full(count, -1, np.float32),
        points=np.full(count, 16, np.int32),
        gradients=adds,
        occlusion=adds**3,
        skipped=2,
        reason="",
    )
    folder.write_record(found)
    return found


def write_gradient_flow(folder: RunFolder, factor: float) -> GradientFlow:
    """Every step back multiplies the derivative of the loss at the end by the factor, and by a little noise."""
    epoch, probe = folder.epochs()[-1], folder.probe()
    keys = tuple(key for key in folder.manifest().state_keys if key.endswith(".h"))
    noise = np.random.default_rng(0)
    rows = [factor ** np.arange(length)[::-1] * np.exp(noise.normal(0, 0.01, length)) for length in probe.lengths]
    found = GradientFlow(
        epoch=epoch,
        scopes=keys,
        sequences=np.arange(probe.lengths.size, dtype=np.int32),
        lengths=probe.lengths,
        counts=np.ones(probe.lengths.size, np.int32),
        steps=probe.lengths - 1,
        norms={key: np.concatenate(rows).astype(np.float32) for key in keys},
        reason="",
    )
    folder.write_record(found)
    return found
