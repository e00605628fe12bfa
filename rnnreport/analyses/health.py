"""State health: which units are broken, idle or redundant, whether the state collapsed, which gates are stuck."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Floats, Gates, StateKey
from rnnreport.results.schema import Health

SIGMOID_GATES = ("i", "f", "o", "r", "z")  # the others of an LSTM or GRU are candidates, by tanh
_ROUNDING = 1e-6  # beyond the bounds of a tanh
_ROWS = 2048  # steps that are centred in double precision together

_GUIDE = (
    "A unit counts once, under the first that applies. Not finite: infinite, or no number, at some step. Dead: "
    "closer to zero than {dead_below:g} at every step. Constant: it moves less than {constant_below:g} of what the "
    "median unit of its state does. Saturated: beyond ±{saturated_at:g} at more than {saturated_steps:.0%} of the "
    "steps. Duplicate: its correlation with another unit is beyond ±{duplicate_above:g}, so one of the two tells "
    "nothing new about these sequences. Directions in use: the participation ratio (Σλ)²/Σλ² of the covariance, from "
    "1 to the number of units. Training usually lowers it, because a task needs few directions; next to 1 the whole "
    "state moves along one line. A unit that is idle on these sequences may still serve others."
)


@dataclass(frozen=True)
class HealthParams:
    """Where a unit or a gate counts as faulty.

    Attributes
    ----------
    dead_below : float, largest size of a dead unit
    constant_below : float, deviation over all steps relative to that of the median unit of the state that is not dead
    saturated_at, saturated_steps : float, size beyond which a unit is saturated, and for more than which share of steps
    duplicate_above : float, size of the correlation
    closed_below, open_above : float, values of a gate
    stuck_steps : float, a gate is stuck if closed, or open, at more than this share of the steps
    fewest_steps : int, below this correlations and shares say little, and only the first three faults are looked for
    """

    dead_below: float = 1e-3
    constant_below: float = 1e-3
    saturated_at: float = 0.95
    saturated_steps: float = 0.5
    duplicate_above: float = 0.99
    closed_below: float = 0.1
    open_above: float = 0.9
    stuck_steps: float = 0.99
    fewest_steps: int = 30


def state_health(folder: RunFolder, params: HealthParams | None = None) -> Health:
    """Look at every unit of every recorded state at the last epoch.

    Parameters
    ----------
    folder : RunFolder
        With at least one recorded epoch.
    params : HealthParams, optional
    """
    params = params or HealthParams()
    keys, epochs, gates = folder.manifest().state_keys, folder.epochs(), folder.record(Gates)
    last = folder.checkpoint(epochs[-1]).states
    # Only epoch 0 is the net before training; recorded alone it is the net that is reported.
    start = folder.checkpoint(0).states if len(epochs) > 1 and epochs[0] == 0 else {}
    moved = [moments(last[key]) for key in keys]
    spectra = [spectrum(found) for found in moved]
    bounded = [StateKey.parse(key).kind == "h" and _within_bounds(last[key]) for key in keys]
    return Health(
        scopes=keys,
        widths=np.array([last[key].shape[1] for key in keys], np.int32),
        bounded=np.array(bounded, np.int32),
        steps=len(last[keys[0]]),
        faults=tuple(
            fault
            for key, found, bound in zip(keys, moved, bounded, strict=True)
            for fault in unit_faults(key, last[key], found, params, bounded=bound)
        ),
        participation=np.array(
            [
                (
                    participation_ratio(spectrum(moments(start[key]))) if key in start else np.nan,
                    participation_ratio(found),
                )
                for key, found in zip(keys, spectra, strict=True)
            ]
        ),
        directions=np.array([_directions(found) for found in spectra], np.int32),
        gates={} if gates is None else gate_shares(gates.values, params),
        params=asdict(params),
        guide=_GUIDE.format(**asdict(params)),
    )


@dataclass(frozen=True)
class Moments:
    """Of the units that are finite at every step.

    Attributes
    ----------
    units : int64 (F,), which these are
    mean : float64 (F,)
    covariance : float64 (F, F), divided by the steps
    """

    units: NDArray[np.int64]
    mean: Doubles
    covariance: Doubles


def moments(states: Floats) -> Moments:
    """Mean and covariance in double precision, of some steps at a time: all would take twice the states' memory.

    Parameters
    ----------
    states : float32 (S, H)
    """
    units = np.flatnonzero(np.isfinite(states).all(axis=0))
    blocks = [slice(start, start + _ROWS) for start in range(0, len(states), _ROWS)]
    steps = max(1, len(states))
    mean = np.zeros(units.size)
    for rows in blocks:
        mean += states[rows, units].sum(axis=0, dtype=np.float64)
    mean /= steps
    products = np.zeros((units.size, units.size))
    for rows in blocks:
        centred = states[rows, units] - mean
        products += centred.T @ centred
    return Moments(units, mean, products / steps)


def unit_faults(
    scope: str, states: Floats, moved: Moments, params: HealthParams, *, bounded: bool
) -> list[dict[str, Any]]:
    """The faulty units of one state.

    Parameters
    ----------
    scope : str, its StateKey
    states : float32 (S, H)
    moved : Moments, of these states
    params : HealthParams
    bounded : bool, whether its units can saturate

    Returns
    -------
    list of dict, as in ``Health.faults``, by unit
    """
    found: dict[int, tuple[str, float, int]] = {}
    for unit, share in _not_finite(states):
        found[unit] = ("non-finite", share, -1)
    sizes = np.abs(states)
    enough = len(states) >= params.fewest_steps
    size, deviation = sizes.max(axis=0, initial=0)[moved.units], np.sqrt(moved.covariance.diagonal())
    beyond = (sizes > params.saturated_at).mean(axis=0)[moved.units]
    alive = deviation[size >= params.dead_below]
    # "<=" counts every unit of a state that never moves at all, where the median itself is zero
    still = deviation <= params.constant_below * (np.median(alive) if alive.size else 0)
    for place, unit in enumerate(moved.units.tolist()):
        if size[place] < params.dead_below:
            found[unit] = ("dead", float(size[place]), -1)
        elif bounded and enough and beyond[place] > params.saturated_steps:
            found[unit] = ("saturated", float(beyond[place]), -1)
        elif still[place]:
            found[unit] = ("constant", float(moved.mean[place]), -1)
    if enough:
        moving = np.flatnonzero([unit not in found for unit in moved.units.tolist()])
        correlation = moved.covariance[np.ix_(moving, moving)] / np.outer(deviation[moving], deviation[moving])
        for unit, twin, value in _duplicates(correlation, params.duplicate_above):
            found[int(moved.units[moving[unit]])] = ("duplicate", value, int(moved.units[moving[twin]]))
    return [
        {"scope": scope, "unit": unit, "kind": kind, "value": value, "twin": twin}
        for unit, (kind, value, twin) in sorted(found.items())
    ]


def _not_finite(states: Floats) -> list[tuple[int, float]]:
    share = (~np.isfinite(states)).mean(axis=0)
    return [(int(unit), float(share[unit])) for unit in np.flatnonzero(share)]


def _within_bounds(states: Floats) -> bool:
    finite = states[np.isfinite(states)]
    return bool(np.abs(finite).max(initial=0) <= 1 + _ROUNDING)


def _duplicates(correlation: Doubles, above: float) -> list[tuple[int, int, float]]:
    """Place, twin and correlation of every unit that repeats an earlier one, which is no duplicate itself."""
    original = np.ones(len(correlation), bool)
    found = []
    for place in range(1, len(correlation)):
        twin = int(np.where(original[:place], np.abs(correlation[place, :place]), 0).argmax())
        if abs(correlation[place, twin]) > above:
            original[place] = False
            found.append((place, twin, float(correlation[place, twin])))
    return found


def spectrum(moved: Moments) -> Doubles:
    """Variances along the principal components, float64 (F,), largest first."""
    return np.asarray(np.maximum(np.linalg.eigvalsh(moved.covariance)[::-1], 0))


def participation_ratio(variances: Doubles) -> float:
    """(Σλ)²/Σλ²: 1 where one direction holds all variance, H where H hold it evenly; NaN without any."""
    total = float((variances**2).sum())
    return float(variances.sum() ** 2 / total) if total > 0 else float("nan")


def _directions(variances: Doubles) -> int:
    total = variances.sum()
    return int(np.searchsorted(np.cumsum(variances), 0.95 * total) + 1) if total > 0 else 0


def gate_shares(gates: dict[str, Floats], params: HealthParams) -> dict[str, Floats]:
    """For every sigmoid gate, float32 (2, H): share of the steps at which each unit's gate is closed, and open."""
    return {
        key: np.stack([(values < params.closed_below).mean(axis=0), (values > params.open_above).mean(axis=0)]).astype(
            np.float32
        )
        for key, values in gates.items()
        if StateKey.parse(key).kind in SIGMOID_GATES
    }


def stuck_gates(shares: Floats, limit: float) -> NDArray[np.bool_]:
    """bool (H,): units whose gate is closed, or open, at more than this share of the steps."""
    return np.asarray((shares > limit).any(axis=0))
