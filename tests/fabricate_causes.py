"""Fabricated records of causes for fabricated runs: what capture would have left, written without torch."""

from __future__ import annotations

import numpy as np

from rnnreport.results.causes import UnitAblation
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
        ranking=ranking.astype(np.int32),
        reason="",
    )
    folder.write_unit_ablation(found)
    return found
