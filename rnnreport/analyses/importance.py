"""Which units matter: what answers cost when units are held at their mean, one at a time and in growing sets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.significance import clustered_means, holm
from rnnreport.results.causes import UnitAblation
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import NUMERIC, Doubles, Probe, Task
from rnnreport.results.schema import Unavailable, UnitImportance

KEPT = 0.9  # share of what the units bring
_GUIDE = (
    "The network reads the same sequences again while a unit is held at its mean over the probe set at every step, "
    "inside the recurrence. Bars: by how much the loss rises, with the 95% interval over sequences. Curve: the score "
    "with more and more units held, the most important first, the least important first, and random sets of the same "
    "size, with the 95% interval of the change; where the first falls no faster than the random ones, no unit stands "
    "out. The ranking was found on other sequences than the curve. A unit that costs nothing may still be a copy of "
    "another one: two that say the same can each be missed, not both. Holding a unit also drives the network into "
    "states it never had, so a large cost says that the unit is used, not that it alone holds what is lost."
)


@dataclass(frozen=True)
class ImportanceParams:
    """How intervals are drawn."""

    bootstrap: BootstrapParams = field(default_factory=lambda: BootstrapParams(resamples=400))


def unit_importance(
    folder: RunFolder, probe: Probe, params: ImportanceParams | None = None
) -> UnitImportance | Unavailable:
    """Rank the units of the last recorded epoch by what holding them costs.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    params : ImportanceParams, optional
    """
    found = folder.record(UnitAblation)
    if found is None:
        return Unavailable(
            UnitImportance.analysis, "it was not recorded: rnnreport run and rnnreport capture record it"
        )
    if found.reason or not found.items.any():
        return Unavailable(UnitImportance.analysis, found.reason or "no answer of these sequences can be scored")
    if not (np.isfinite(found.loss[0]).all() and found.items[_judged(found)].any()):
        return Unavailable(UnitImportance.analysis, "the loss of some sequences is not finite")
    return rank_units(found, probe.task, params or ImportanceParams())


def rank_units(found: UnitAblation, task: Task, params: ImportanceParams) -> UnitImportance:
    """Likewise from what was recorded.

    Parameters
    ----------
    found : UnitAblation
        With at least one scored item.
    task : Task
    params : ImportanceParams
    """
    kinds = np.array(found.kinds)
    parts = "group" if "group" in found.kinds else "unit"
    held = np.flatnonzero(kinds == parts)
    items = found.items.astype(np.float64)
    added = found.loss[held].astype(np.float64) - found.loss[0]
    means, low, high, p_values = clustered_means(added.T, items[:, None])
    own = np.flatnonzero(kinds == "unit")
    judged = _judged(found)
    metric, worth = _worth(found, task)
    weights = _weights(int(judged.sum()), params.bootstrap)
    drawn = (weights @ worth[:, judged].T) / (weights @ items[judged])[:, None]  # (1 + R, A)
    sizes = found.sizes[kinds == "most"]
    least, most, whole, constant = (drawn[:, kinds == kind] for kind in ("least", "most", "none", "all"))
    enough, needed = (
        _with_interval(column[:, None], params.bootstrap)[0] for column in _carried(least, most, whole, constant, sizes)
    )
    sign = -1 if metric == "loss" else 1

    random = sign * drawn[0, kinds == "random"].reshape(-1, sizes.size)

    def scored(kind: str) -> Doubles:
        return _with_interval(sign * drawn[:, kinds == kind], params.bootstrap)

    def changed(kind: str) -> Doubles:
        """From the score with no unit held: the interval is that of the change, as the sequences are the same."""
        return _with_interval(sign * (drawn[:, kinds == kind] - whole + whole[0]), params.bootstrap)

    return UnitImportance(
        scopes=found.scopes,
        scope=found.scope,
        unit=found.unit,
        parts=f"{parts}s",
        groups=found.groups,
        rise=np.stack([means, low, high], axis=1),
        p_values=holm(p_values),
        lost=(worth[kinds == "none"].sum() - worth[held].sum(axis=1)) / items.sum(),
        metric=metric,
        whole=(with_all := scored("none")[0]),
        constant=(without := scored("all")[0]),
        sizes=sizes,
        most=changed("most"),
        least=changed("least"),
        random=np.stack([random.mean(axis=0), random.min(axis=0), random.max(axis=0)], axis=1),
        enough=enough,
        needed=needed,
        readout=found.readout,
        agreement=_agreement(found, own, params),
        sequences=found.sequences.size,
        judged=int(judged.sum()),
        finding=_finding(enough, needed, found.unit.size, metric, with_all, without, int(judged.sum())),
        guide=_GUIDE,
    )


def _judged(found: UnitAblation) -> NDArray[np.bool_]:
    """bool (M,): the sequences that the ranking was not found by, whose losses are known."""
    return np.asarray(np.isfinite(found.loss[np.array(found.kinds) == "most"]).all(axis=0))


def _worth(found: UnitAblation, task: Task) -> tuple[str, Doubles]:
    """The name of the score, and what each sequence adds to it, float64 (A, M); the higher the better."""
    loss = found.loss.astype(np.float64)
    if task in NUMERIC:
        return "R²", found.items - loss
    if task == "language-model":
        return "loss", -loss
    return ("exact match" if task == "multi-label" else "accuracy"), found.right.astype(np.float64)


def _carried(
    least: Doubles, most: Doubles, whole: Doubles, constant: Doubles, sizes: NDArray[np.int32]
) -> tuple[Doubles, Doubles]:
    """Units that are enough and units that are needed, float64 (1 + R,) each; NaN where all of them bring nothing."""
    brought = whole - constant
    if len(brought) < 2 or brought[0, 0] <= 0 or np.quantile(brought[1:], 0.025) <= 0:  # nothing drawn: one sequence
        return np.full(len(brought), np.nan), np.full(len(brought), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        kept_least, kept_most = ((curve - constant) / brought for curve in (least, most))
    before = np.append(0, sizes)
    still = before[_first(kept_least < KEPT)]
    gone = np.append(sizes, sizes[-1])[_first(kept_most <= 1 - KEPT)]
    return (sizes[-1] - still).astype(np.float64), gone.astype(np.float64)


def _first(where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 (R,): the first column of each row; the number of columns where there is none."""
    return np.asarray(np.where(where.any(axis=1), where.argmax(axis=1), where.shape[1]))


def _agreement(found: UnitAblation, own: NDArray[np.int64], params: ImportanceParams) -> Doubles:
    """Spearman's rank correlation between the rise of the loss and the size of the readout, with its interval."""
    from scipy.stats import rankdata

    units = found.members[own]
    read = np.isfinite(found.readout[units])
    if read.sum() < 3:
        return np.array([np.nan, np.nan, np.nan, read.sum()])
    added = found.loss[own[read]].astype(np.float64) - found.loss[0]
    weights = _weights(added.shape[1], params.bootstrap)
    ranks = rankdata(weights @ added.T, axis=1)
    readout = rankdata(found.readout[units[read]])
    ranks, readout = ranks - ranks.mean(axis=1, keepdims=True), readout - readout.mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (ranks @ readout) / np.sqrt((ranks**2).sum(axis=1) * (readout**2).sum())
    return np.append(_with_interval(drawn[:, None], params.bootstrap)[0], read.sum())


def _weights(sequences: int, params: BootstrapParams) -> Doubles:
    """float64 (1 + R, M): how often each sequence is drawn; the first row is every one once."""
    generator = np.random.default_rng(params.seed)
    drawn = generator.integers(0, sequences, (params.resamples if sequences > 1 else 0, sequences))
    return np.array([np.ones(sequences), *(np.bincount(row, minlength=sequences) for row in drawn)])


def _with_interval(drawn: Doubles, params: BootstrapParams) -> Doubles:
    """float64 (C, 3) of (1 + R, C): value, low, high; NaN where nothing was resampled."""
    tail = (1 - params.coverage) / 2
    bounds = np.full((2, drawn.shape[1]), np.nan)
    known = np.isfinite(drawn).all(axis=0) & (len(drawn) > 1)
    if known.any():
        bounds[:, known] = np.quantile(drawn[1:, known], [tail, 1 - tail], axis=0)
    return np.stack([drawn[0], *bounds], axis=1)


def _finding(
    enough: Doubles, needed: Doubles, units: int, metric: str, whole: Doubles, constant: Doubles, sequences: int
) -> str:
    if np.isnan(enough[0]):
        return (
            f"The {metric} is {_written(whole[0], metric)} as it is and {_written(constant[0], metric)} with all "
            f"{units:,} units held at their mean (n = {sequences:,} sequences): no difference beyond doubt."
        )
    interval = f" (95% interval {enough[1]:.0f} to {enough[2]:.0f})" if np.isfinite(enough[1]) else ""
    return (
        f"{enough[0]:.0f} of {units:,} units{interval} keep {KEPT:.0%} of what all of them bring: {metric} "
        f"{_written(whole[0], metric)}, where it is {_written(constant[0], metric)} with all held at their mean "
        f"(n = {sequences:,} sequences). Without the {needed[0]:.0f} most important ones {KEPT:.0%} of that is lost."
    )


def _written(value: float, metric: str) -> str:
    return f"{value:.1%}" if metric in ("accuracy", "exact match") else f"{value:.3g}"
