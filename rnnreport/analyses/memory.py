"""How long the network remembers: four independent estimates, in steps, with intervals over sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.sample import evenly
from rnnreport.progress import track
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Floats, Gates, Perturbation, Probe, Salience, StateKey
from rnnreport.results.schema import Memory, Unavailable

_KEEPING = ("f", "z")  # gates that keep the old state: of an LSTM, and of torch's GRU
_LEFT = 1 / math.e

_GUIDE = (
    "Steps are counted back from where memory is asked for. Lines: what is left of the effect of one input so many "
    "steps later, as a share of the largest effect; on the last state and on the prediction when that input is "
    "replaced by another one, and on a state when it changes by very little (gradient). The horizon is the longest "
    "time after which 1/e (37%) is left. Dots: one per unit. Gate: the time after which 1/e of the unit's old state is "
    "left if its gate always stood at its mean, -1/ln(mean). Decay: the time after which the unit's autocorrelation is "
    "below 1/e; a unit that follows a slow input decays slowly without remembering anything. Intervals (95%) resample "
    "sequences. The estimates answer different questions and need not agree. A horizon shorter than the sequences is "
    "a fault only where the task needs what lies further back. Long times are seen in long sequences only."
)


@dataclass(frozen=True)
class MemoryParams:
    """Sequences and steps back that autocorrelation is computed of, and the fewest sequences and pairs it needs."""

    most_sequences: int = 400
    longest: int = 200
    fewest_sequences: int = 10
    fewest_pairs: int = 30
    bootstrap: BootstrapParams = field(default_factory=lambda: BootstrapParams(resamples=200))


def memory_horizon(folder: RunFolder, probe: Probe, params: MemoryParams | None = None) -> Memory | Unavailable:
    """Everything that tells how long the network remembers, at the last recorded epoch.

    Parameters
    ----------
    folder : RunFolder
        With at least one recorded epoch.
    probe : Probe
    params : MemoryParams, optional
    """
    params = params or MemoryParams()
    if probe.lengths.max(initial=0) < 2:
        return Unavailable(Memory.analysis, "no sequence has two steps")
    manifest = folder.manifest()
    states = folder.checkpoint(folder.epochs()[-1]).states
    curves, horizons = {}, {}
    for name, effects in _effects(folder.record(Perturbation), folder.salience()).items():
        found = effect_curve(*effects, params)
        if found is not None:
            curves[name], horizons[name] = found
    gates = folder.record(Gates)
    gate_times, gate_medians = {}, {}
    for name, values in (gates.values if gates else {}).items():
        if StateKey.parse(name).kind in _KEEPING:
            hidden = name[: -len(StateKey.parse(name).kind)] + "h"
            gate_times[hidden], gate_medians[hidden] = gate_constants(values, probe.offsets, params)
    decay_times, decay_medians = {}, {}
    for key in track(manifest.state_keys, "how slowly units change", len(manifest.state_keys)):
        decay_times[key], decay_medians[key] = decay(states[key], probe.offsets, params)
    lengths = np.percentile(probe.lengths, [10, 50, 90])
    return Memory(
        scope=manifest.state_keys[0],
        curves=curves,
        horizons=horizons,
        gate_times=gate_times,
        gate_medians=gate_medians,
        decay_times=decay_times,
        decay_medians=decay_medians,
        longest=int(min(params.longest, probe.lengths.max() - 1)),
        lengths=lengths,
        finding=_finding(curves, horizons, float(lengths[1])),
        guide=_GUIDE,
    )


def _effects(felt: Perturbation | None, salience: Salience | None) -> dict[str, tuple[NDArray[np.int64], Doubles]]:
    """By name, steps back int64 (J,) and the effect on each sequence, float64 (M, J), NaN where it is too short."""
    found = {}
    if felt is not None and not felt.reason:
        lags = felt.lags.astype(np.int64)
        found["state"] = lags, felt.state.astype(np.float64)
        if felt.output.size:
            found["output"] = lags, felt.output.astype(np.float64)
    if salience is not None and not salience.reason and salience.lengths.size:
        found["gradient"] = gradient_effects(salience)
    return found


def gradient_effects(salience: Salience) -> tuple[NDArray[np.int64], Doubles]:
    """The mean size of the derivative of a state by the input so many steps before, of each sequence.

    Returns
    -------
    int64 (J,), all steps back from 0
    float64 (M, J), NaN where a sequence has no such pair
    """
    lengths = salience.lengths.astype(np.int64)
    effects = np.full((lengths.size, int(lengths.max())), np.nan)
    starts = np.cumsum(np.append(0, lengths**2))
    for row, (start, length) in enumerate(zip(starts[:-1], lengths, strict=True)):
        norms = salience.norms[start : start + length**2].reshape(length, length).astype(np.float64)
        effects[row, :length] = [np.diagonal(norms, -back).mean() for back in range(length)]
    return np.arange(effects.shape[1]), effects


def effect_curve(lags: NDArray[np.int64], effects: Doubles, params: MemoryParams) -> tuple[Doubles, Doubles] | None:
    """The mean effect by steps back as a share of the largest, and the horizon, both with intervals.

    Parameters
    ----------
    lags : int64 (J,), increasing
    effects : float64 (M, J), of each sequence, NaN where it is too short
    params : MemoryParams

    Returns
    -------
    curve : float64 (J', 5) and horizon, float64 (3,), as in ``Memory``; None where no effect is seen at all
    """
    known = np.isfinite(effects)
    counts = known.sum(axis=0)
    kept = counts >= min(params.fewest_sequences, max(1, len(effects)))
    lags, effects, known, counts = lags[kept], np.where(known, effects, 0)[:, kept], known[:, kept], counts[kept]
    weights = _weights(len(effects), params.bootstrap)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (weights @ effects) / (weights @ known)
        drawn /= np.nanmax(drawn, axis=1, initial=0, keepdims=True)
    if not lags.size or not np.isfinite(drawn[0]).all():
        return None
    far = np.where(drawn >= _LEFT, lags, 0).max(axis=1)
    low, high = _bounds(drawn[1:], params.bootstrap)
    horizon = np.array([far[0], *_bounds(far[1:], params.bootstrap)], np.float64)
    return np.column_stack([lags, drawn[0], low, high, counts]).astype(np.float64), horizon


def gate_constants(gate: Floats, offsets: NDArray[np.int64], params: MemoryParams) -> tuple[Floats, Doubles]:
    """Time constants of the units from the gate that keeps their old state.

    Parameters
    ----------
    gate : float32 (S, H)
    offsets : int64 (N + 1,)
    params : MemoryParams

    Returns
    -------
    float32 (H,), in steps
    float64 (3,), their median, low, high
    """
    sums = np.add.reduceat(gate.astype(np.float64), offsets[:-1], axis=0)
    weights = _weights(len(sums), params.bootstrap)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = -1 / np.log((weights @ sums) / (weights @ np.diff(offsets))[:, None])
    return times[0].astype(np.float32), _median(times, params)


def decay(states: Floats, offsets: NDArray[np.int64], params: MemoryParams) -> tuple[Floats, Doubles]:
    """Steps after which the autocorrelation of each unit is below 1/e, by linear interpolation between steps.

    Products of deviations from the mean over all steps, summed over all pairs of steps within a sequence.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)
    params : MemoryParams

    Returns
    -------
    float32 (H,), infinite where it stays above, NaN for a constant unit
    float64 (3,), their median, low, high
    """
    chosen = evenly(len(offsets) - 1, params.most_sequences)
    lengths = np.diff(offsets)[chosen]
    rows = np.concatenate([np.arange(offsets[place], offsets[place + 1]) for place in chosen])
    apart = states[rows].astype(np.float64)
    apart -= apart.mean(axis=0)
    starts = np.cumsum(np.append(0, lengths))
    weights = _weights(len(chosen), params.bootstrap)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = (weights @ np.add.reduceat(apart**2, starts[:-1], axis=0)) / (weights @ lengths)[:, None]
        times = np.where(power > 0, np.inf, np.nan)
        before = np.ones_like(power)
        for lag in range(1, min(params.longest, int(lengths.max()) - 1) + 1):
            long = np.flatnonzero(lengths > lag)
            pairs = lengths[long] - lag
            if pairs.sum() < params.fewest_pairs or not np.isinf(times).any():
                break
            products = np.array([_product(apart[starts[n] : starts[n + 1]], lag) for n in long])
            now = (weights[:, long] @ products) / (weights[:, long] @ pairs)[:, None] / power
            crossed = np.isinf(times) & (now < _LEFT)
            times[crossed] = (lag - 1 + (before - _LEFT) / (before - now))[crossed]
            before = now
    return times[0].astype(np.float32), _median(times, params)


def _product(apart: Doubles, lag: int) -> Doubles:
    """float64 (H,): sum over the pairs of steps of one sequence."""
    return np.asarray((apart[lag:] * apart[:-lag]).sum(axis=0))


def _weights(sequences: int, params: BootstrapParams) -> Doubles:
    """float64 (1 + R, N): how often each sequence is drawn; the first row is every one once."""
    generator = np.random.default_rng(params.seed)
    resamples = params.resamples if sequences > 1 else 0
    drawn = generator.integers(0, sequences, (resamples, sequences))
    counted = [np.bincount(row, minlength=sequences) for row in drawn]
    return np.array([np.ones(sequences), *counted], np.float64)


def _bounds(drawn: Doubles, params: BootstrapParams) -> Doubles:
    """float64 (2, ...): values that occur, infinite ones too; NaN where nothing was resampled."""
    tail = (1 - params.coverage) / 2
    if not len(drawn):
        return np.full((2, *drawn.shape[1:]), np.nan)
    return np.asarray(np.quantile(drawn, [tail, 1 - tail], axis=0, method="nearest"), np.float64)


def _median(times: Doubles, params: MemoryParams) -> Doubles:
    """float64 (3,): lower median over the units that are defined, low, high."""
    defined = times[:, np.isfinite(times[0]) | np.isinf(times[0])]
    if not defined.shape[1]:
        return np.full(3, np.nan)
    medians = np.quantile(defined, 0.5, axis=1, method="lower")
    return np.array([medians[0], *_bounds(medians[1:], params.bootstrap)])


def _finding(curves: dict[str, Doubles], horizons: dict[str, Doubles], middle: float) -> str:
    """What the horizons say of the sequences; "" without any."""
    names = {"output": "the prediction", "state": "the state"}
    said = []
    for name in ("output", "state"):
        if name not in horizons:
            continue
        value, low, high = horizons[name]
        beyond = value == curves[name][-1, 0]
        sequences = f"n = {curves[name][0, 4]:,.0f} sequences"
        interval = f"95% interval {low:.0f} to {high:.0f}, {sequences}" if np.isfinite(low) else sequences
        said.append(f"{names[name]} {'at least ' if beyond else ''}{value:,.0f} steps later ({interval})")
    if not said:
        return ""
    return (
        f"A changed input is felt in {' and in '.join(said)}; half of the sequences have {middle:,.0f} steps or more."
    )
