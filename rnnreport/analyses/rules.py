"""The declared rules of the verdict: each looks at the evidence and returns one check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnreport.analyses.health import stuck_gates
from rnnreport.analyses.scores import Errors, score
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Checkpoint, Manifest, Probe, StateKey
from rnnreport.results.schema import (
    Check,
    Decisions,
    FixedPoints,
    GradientReach,
    Health,
    Lyapunov,
    Machine,
    Performance,
    Unavailable,
    UnitImportance,
    Units,
    Words,
)

# The last two are what capture itself measures on the corpus it is given.
TEST_LOSSES = ("test_loss", "val_loss", "valid_loss", "validation_loss", "eval_loss", "cross_entropy", "rmse")
_HIGHER_IS_BETTER = ("accuracy", "exact_match")
_MOST_NAMED = 5  # units in one sentence
TOLERANCE = 1e-5  # of a probability, or of a quantity relative to the largest one


@dataclass(frozen=True)
class Thresholds:
    """Where the rules draw their lines."""

    rise_of_loss: float = 1.1  # loss of the last epoch over the lowest one
    class_ratio: float = 2.0  # sequences of the most frequent class over those of the rarest
    still_units: int = 0  # that never move
    duplicate_units: int = 0  # that repeat another one
    saturated_share: float = 0.10  # of the units of a bounded state
    stuck_share: float = 0.5  # of the units of a gate
    followed_steps: int = 20  # of a sequence, fewest for a Lyapunov exponent
    remaining_directions: float = 0.05  # participation ratio above 1, relative to that before training


@dataclass(frozen=True)
class Evidence:
    """Everything a rule or a finding may look at."""

    manifest: Manifest
    probe: Probe
    last: Checkpoint
    performance: Performance
    words: Words | Unavailable
    units: dict[str, Units | Unavailable]
    thresholds: Thresholds
    health: Health
    decisions: Decisions | Unavailable
    machine: Machine | Unavailable = field(default_factory=lambda: Unavailable(Machine.analysis, "not asked for"))
    fixed_points: FixedPoints | Unavailable = field(
        default_factory=lambda: Unavailable(FixedPoints.analysis, "not asked for")
    )
    lyapunov: Lyapunov | Unavailable = field(default_factory=lambda: Unavailable(Lyapunov.analysis, "not asked for"))
    importance: UnitImportance | Unavailable = field(
        default_factory=lambda: Unavailable(UnitImportance.analysis, "not asked for")
    )
    reach: GradientReach | Unavailable = field(
        default_factory=lambda: Unavailable(GradientReach.analysis, "not asked for")
    )


def states_are_finite(evidence: Evidence) -> Check:
    """Fail where a recorded state holds NaN or an infinity."""
    states = evidence.last.states
    damaged = {key: int((~np.isfinite(values)).any(axis=1).sum()) for key, values in states.items()}
    steps = int(evidence.probe.lengths.sum())
    worst = max(damaged, key=lambda key: damaged[key])
    bad = damaged[worst]
    text = (
        f"{worst} is not finite at {bad:,} of {steps:,} steps" if bad else f"all states of {steps:,} steps are finite"
    )
    return Check("states-finite", "States are finite", "fail" if bad else "pass", bad, 0, steps, "health", text)


def prediction_is_verified(evidence: Evidence) -> Check:
    """Warn unless the expected prediction of the last step equals the model's own output, wherever there is one."""
    last, probe = evidence.last, evidence.probe
    id, title, anchor = "prediction-verified", "Expected predictions are the model's own", "sequences"
    count = probe.lengths.size
    if probe.task == "unlabelled":
        return Check(id, title, "no data", None, None, 0, anchor, evidence.manifest.head)
    if probe.task not in PER_SEQUENCE:
        known = last.step_output.size or last.surprisal.size
        verdict, text = (
            ("pass", "they come from the model itself, step by step") if known else ("warn", evidence.manifest.head)
        )
        return Check(id, title, verdict, None, None, int(probe.lengths.sum()), anchor, text)
    size = float(np.nanmax(np.abs(last.model_output), initial=0.0)) if probe.task in NUMERIC else 1.0
    limit = TOLERANCE * size
    if not last.step_output.size or not last.model_output.size:
        return Check(id, title, "warn", None, limit, count, anchor, evidence.manifest.head)
    ends = last.step_output[probe.offsets[1:] - 1]
    expected = np.isfinite(ends).all(axis=1)  # the others were not sampled for it
    if not expected.any():
        return Check(id, title, "warn", None, limit, 0, anchor, "no sequence has a finite expected prediction")
    difference = float(np.abs(ends[expected] - last.model_output[expected]).max())
    compared = int(expected.sum())
    of = "" if compared == count else f" of {count:,}"
    text = f"at the last step of {compared:,}{of} sequences they differ by {difference:.1e} at most"
    verdict = "pass" if difference <= limit else "warn"  # a difference of NaN is no agreement
    return Check(id, title, verdict, difference, limit, compared, anchor, text)


def beats_the_majority(evidence: Evidence) -> Check:
    """The model against the best answer that looks at no input: a class, a set of labels, a mean, an even guess."""
    task = evidence.probe.task
    if task == "language-model":
        return _beats_even_guess(evidence)
    if task in NUMERIC:
        return _beats_the_mean(evidence)
    several = task == "multi-label"
    name, what = ("exact_match", "exact matches") if several else ("accuracy", "accuracy")
    title = "Better than the most frequent set of labels" if several else "Better than the most frequent class"
    anchor, metrics = "overview", evidence.performance.metrics
    found, majority = metrics.get(name), metrics.get("majority_share")
    if not found or not majority:
        return Check("beats-majority", title, "no data", None, None, 0, anchor, "there are no labels to score against")
    share, low, high = majority["value"], found["low"], found["high"]
    n = found["n"]
    if low is None:
        text = "one sequence is not enough for an interval"
        return Check("beats-majority", title, "no data", found["value"], share, n, anchor, text)
    text = (
        f"{what} {found['value']:.1%} (95% interval {low:.1%} to {high:.1%}, n = {n:,}) against a majority share of "
        f"{share:.1%}"
    )
    return Check("beats-majority", title, _verdict(low, high, share), found["value"], share, n, anchor, text)


def _beats_the_mean(evidence: Evidence) -> Check:
    id, title, anchor = "beats-mean", "Better than always predicting the mean", "overview"
    errors = score(evidence.probe, evidence.last)
    if not isinstance(errors, Errors):
        return Check(id, title, "no data", None, 0, 0, anchor, "there are no targets to score against")
    n, wrong = len(errors.error), int((~np.isfinite(errors.error)).any(axis=1).sum())
    if wrong:
        text = f"{wrong:,} of {n:,} predictions are not finite"
        return Check(id, title, "fail", None, 0, n, anchor, text)
    metrics = evidence.performance.metrics
    found = metrics.get("r2")
    if found is None:
        return Check(id, title, "no data", None, 0, n, anchor, "the targets are all the same")
    value, low, high = found["value"], found["low"], found["high"]
    if low is None:
        return Check(id, title, "no data", value, 0, n, anchor, "too few sequences for an interval")
    text = (
        f"R² {value:.3f} (95% interval {low:.3f} to {high:.3f}, n = {n:,}); the root mean square error is "
        f"{metrics['rmse']['value']:.4g}, that of the mean {metrics['mean_rmse']['value']:.4g}"
    )
    return Check(id, title, _verdict(low, high, 0), value, 0, n, anchor, text)


def _verdict(low: float, high: float, bar: float) -> str:
    """Where an interval lies: above the bar, below it, or across."""
    return "pass" if low > bar else "fail" if high < bar else "warn"


def _beats_even_guess(evidence: Evidence) -> Check:
    title, anchor = "Better than an even guess", "overview"
    perplexity = evidence.performance.metrics.get("perplexity")
    size = len(evidence.probe.vocabulary)
    if not perplexity:
        return Check("beats-even-guess", title, "no data", None, size, 0, anchor, "no next token could be scored")
    value, n = perplexity["value"], perplexity["n"]
    text = f"perplexity {value:,.1f} over {n:,} tokens, with a vocabulary of {size:,}"
    return Check("beats-even-guess", title, "pass" if value < size else "fail", value, size, n, anchor, text)


def loss_did_not_rise(evidence: Evidence) -> Check:
    """Warn where the test loss of the epoch reported is clearly above its lowest value up to there."""
    title, anchor, limit = "No overfitting in the test loss", "training", evidence.thresholds.rise_of_loss
    curve = loss_curve(evidence.performance, evidence.last.epoch)
    if curve is None:
        text = "fewer than two epochs report a test loss"
        return Check("loss-rise", title, "no data", None, limit, 0, anchor, text)
    name, epochs, losses = curve
    best = int(losses.argmin())
    ratio = float(losses[-1] / losses[best]) if losses[best] > 0 else 1.0
    text = f"{name} ends at {losses[-1]:.3g}; its lowest is {losses[best]:.3g} at epoch {epochs[best]}"
    return Check("loss-rise", title, "warn" if ratio > limit else "pass", ratio, limit, losses.size, anchor, text)


def loss_curve(result: Performance, until: int | None = None) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Name, epochs and values of the reported test loss up to an epoch, where at least two epochs have one."""
    name = next((name for name in TEST_LOSSES if name in result.history_names), None)
    if name is None:
        return None
    values = result.history[result.history_names.index(name)]
    known = np.isfinite(values) & (until is None or result.history_epochs <= until)
    return (name, result.history_epochs[known], values[known]) if known.sum() > 1 else None


def units_move(evidence: Evidence) -> Check:
    """Warn where a unit never moves: dead, constant, or at its bound at every step."""
    found = [fault for fault in evidence.health.faults if _is_still(fault)]
    return _count_check(evidence, "still-units", "Every unit moves", found, "never move", "still_units")


def _is_still(fault: dict[str, Any]) -> bool:
    return fault["kind"] in ("dead", "constant") or (fault["kind"] == "saturated" and fault["value"] == 1)


def units_differ(evidence: Evidence) -> Check:
    """Warn where a unit repeats another one."""
    found = [fault for fault in evidence.health.faults if fault["kind"] == "duplicate"]
    if evidence.health.steps < evidence.health.params["fewest_steps"]:
        return _too_few_steps(
            evidence, "duplicate-units", "No unit repeats another", evidence.thresholds.duplicate_units
        )
    return _count_check(
        evidence, "duplicate-units", "No unit repeats another", found, "repeat another one", "duplicate_units"
    )


def _count_check(
    evidence: Evidence, id: str, title: str, found: list[dict[str, Any]], what: str, threshold: str
) -> Check:
    total, limit = int(evidence.health.widths.sum()), getattr(evidence.thresholds, threshold)
    text = f"{len(found)} of {total:,} units {what}" + (f": {_named(found)}" if found else "")
    return Check(id, title, "warn" if len(found) > limit else "pass", len(found), limit, total, "health", text)


def _named(faults: list[dict[str, Any]]) -> str:
    """The first few units by state: "rnn, layer 1, hidden state h, unit 3 (dead), 7 (dead)"."""
    parts = []
    for scope in dict.fromkeys(fault["scope"] for fault in faults[:_MOST_NAMED]):
        units = (f"{fault['unit']} ({fault['kind']})" for fault in faults[:_MOST_NAMED] if fault["scope"] == scope)
        parts.append(f"{StateKey.parse(scope).title}, unit {', '.join(units)}")
    more = f" and {len(faults) - _MOST_NAMED:,} more" if len(faults) > _MOST_NAMED else ""
    return "; ".join(parts) + more


def units_are_free(evidence: Evidence) -> Check:
    """Warn where many units sit at the bounds of their activation."""
    health, limit = evidence.health, evidence.thresholds.saturated_share
    id, title = "saturated-units", "Few units are saturated"
    total = int(health.widths[health.bounded == 1].sum())
    if total == 0:
        return Check(id, title, "no data", None, limit, 0, "health", "no hidden state stays within -1 and 1")
    if health.steps < health.params["fewest_steps"]:
        return _too_few_steps(evidence, id, title, limit)
    found = [fault for fault in health.faults if fault["kind"] == "saturated"]
    share = len(found) / total
    text = f"{len(found)} of {total:,} units are beyond ±{health.params['saturated_at']:g} at most steps"
    verdict = "warn" if share > limit else "pass"
    return Check(id, title, verdict, share, limit, total, "health", text)


def _too_few_steps(evidence: Evidence, id: str, title: str, limit: float) -> Check:
    steps = evidence.health.steps
    return Check(id, title, "no data", None, limit, steps, "health", f"{steps} recorded steps say too little")


def gates_move(evidence: Evidence) -> Check:
    """Warn where many units of one gate are always closed, or always open."""
    health, limit = evidence.health, evidence.thresholds.stuck_share
    id, title = "stuck-gates", "Gates open and close"
    if not health.gates:
        return Check(id, title, "no data", None, limit, 0, "health", "no gates were recorded")
    at = health.params["stuck_steps"]
    shares = {key: float(stuck_gates(found, at).mean()) for key, found in health.gates.items()}
    worst = max(shares, key=lambda key: shares[key])
    closed, opened = (int((row > at).sum()) for row in health.gates[worst])
    units = health.gates[worst].shape[1]
    text = (
        f"most in {StateKey.parse(worst).title}: of {units:,} units {closed:,} are closed and {opened:,} open at more "
        f"than {at:.0%} of {health.steps:,} steps"
    )
    verdict = "warn" if shares[worst] > limit else "pass"
    return Check(id, title, verdict, shares[worst], limit, units, "health", text)


def state_keeps_its_directions(evidence: Evidence) -> Check:
    """Warn where a state that had room before training ended next to a single direction."""
    health, limit = evidence.health, evidence.thresholds.remaining_directions
    id, title = "collapsed-state", "The state did not collapse"
    before, after = health.participation.T - 1  # a single direction has a participation ratio of 1
    known = np.flatnonzero(np.isfinite(before) & (before > 0))
    if not known.size:
        text = "the net before training (epoch 0) was not recorded"
        return Check(id, title, "no data", None, limit, 0, "health", text)
    # a state in which nothing moves any more has no direction left
    kept = np.nan_to_num(after[known], nan=0.0) / before[known]
    worst = int(known[kept.argmin()])
    start, end = health.participation[worst]
    now = f"{end:.2f}" if np.isfinite(end) else "none, because no unit moves"
    text = (
        f"{StateKey.parse(health.scopes[worst]).title} uses {now} of {health.widths[worst]:,} directions "
        f"(participation ratio), before training {start:.2f}"
    )
    verdict = "warn" if kept.min() < limit else "pass"
    return Check(id, title, verdict, float(kept.min()), limit, health.steps, "health", text)


def state_is_used(evidence: Evidence) -> Check:
    """Warn where the answers are no worse when every unit of the recurrent layers is held at its mean."""
    id, title, anchor, found = "state-used", "Answers come from the recurrent state", "causes", evidence.importance
    if isinstance(found, Unavailable):
        return Check(id, title, "no data", None, 0, 0, anchor, found.reason)
    brought = float(found.whole[0] - found.constant[0]) * (-1 if found.metric == "loss" else 1)
    verdict = "pass" if np.isfinite(found.enough[0]) else "warn"
    text = f"{found.finding[0].lower()}{found.finding[1:].rstrip('.')}"
    return Check(id, title, verdict, brought, 0, found.judged, anchor, text)


def gradients_reach(evidence: Evidence) -> Check:
    """Warn where the derivative of the loss explodes on the way back, or vanishes though the answer is of it all.

    Where there is an answer at each step it is not known how far back they should reach, so vanishing is no warning.
    """
    id, title, anchor, found = "gradient-reach", "Gradients reach back without exploding", "memory", evidence.reach
    if isinstance(found, Unavailable):
        return Check(id, title, "no data", None, None, 0, anchor, found.reason)
    bad = ("exploding",) if found.per_step else ("exploding", "vanishing")
    wrong = [place for place, verdict in enumerate(found.verdicts) if verdict in bad]
    place = wrong[0] if wrong else 0
    left, limit = found.remaining[place], found.exploding if found.verdicts[place] == "exploding" else found.vanishing
    interval = f" (95% interval {left[1]:.2g} to {left[2]:.2g})" if np.isfinite(left[1]) else ""
    text = (
        f"{left[0]:.2g}{interval} of the derivative by {StateKey.parse(found.scopes[place]).title} is left after "
        f"{found.span:,} steps (n = {found.sequences:,}): {found.verdicts[place]}"
    )
    return Check(id, title, "warn" if wrong else "pass", float(left[0]), limit, found.sequences, anchor, text)


def differences_do_not_grow(evidence: Evidence) -> Check:
    """Warn where small differences between states surely grow along long sequences: the far past is then noise."""
    id, title, limit = "growing-differences", "Small differences between states do not grow", 0
    found, fewest = evidence.lyapunov, evidence.thresholds.followed_steps
    if isinstance(found, Unavailable):
        return Check(id, title, "no data", None, limit, 0, "machine", found.reason)
    value, low, high = found.exponents[0]
    n = found.sequences
    if found.steps < fewest * n or not np.isfinite(low):
        text = f"{found.steps / n:.0f} steps of a sequence show the beginning only (n = {n:,}; {fewest} are needed)"
        return Check(id, title, "no data", float(value), limit, n, "machine", text)
    text = (
        f"the largest Lyapunov exponent is {value:+.3f} per step (95% interval {low:+.3f} to {high:+.3f}, n = {n:,} "
        "sequences)"
    )
    return Check(id, title, "warn" if low > limit else "pass", float(value), limit, n, "machine", text)


def classes_are_balanced(evidence: Evidence) -> Check:
    """Warn where one class is much more frequent than another: its answer may be preferred, its words better known."""
    title, anchor, probe = "Classes are about as frequent", "overview", evidence.probe
    limit = evidence.thresholds.class_ratio
    if probe.task != "classification" or len(probe.class_names) < 2:
        return Check("class-balance", title, "no data", None, limit, 0, anchor, "there are no classes of sequences")
    counts = np.bincount(probe.labels, minlength=len(probe.class_names))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    ratio = float(counts[most] / counts[fewest]) if counts[fewest] else None
    shares = f"“{probe.class_names[most]}” {counts[most]:,}, “{probe.class_names[fewest]}” {counts[fewest]:,}"
    text = f"{shares} of {counts.sum():,} sequences" + (f": {ratio:.1f} to 1" if ratio is not None else "")
    verdict = "pass" if ratio is not None and ratio <= limit else "warn"
    return Check("class-balance", title, verdict, ratio, limit, int(counts.sum()), anchor, text)


def not_worse_than_baseline(paired: dict[str, Any] | None) -> Check:
    """Warn where the run is significantly worse than its baseline on the same sequences.

    A warning and no failure, because another seed of the same configuration may differ as much.

    Parameters
    ----------
    paired : dict, as in ``Comparison.paired``; None where the two could not be compared
    """
    id, title, anchor = "worse-than-baseline", "Not worse than the baseline", "comparison"
    if paired is None:
        return Check(id, title, "no data", None, 0, 0, anchor, "there is nothing that both runs could be scored by")
    change, low, high, n = (paired[part] for part in ("difference", "low", "high", "n"))
    worse = paired["significant"] and (change < 0) == (paired["metric"] in _HIGHER_IS_BETTER)
    how = "no significant change"
    if paired["significant"]:
        how = f"significantly {'worse' if worse else 'better'}"
    interval = f"95% interval {low:+.4g} to {high:+.4g}, n = {n:,}"
    text = f"{paired['metric'].replace('_', ' ')} {change:+.4g} against “{paired['baseline']}” ({interval}): {how}"
    return Check(id, title, "warn" if worse else "pass", change, 0, n, anchor, text)


RULES: tuple[Callable[[Evidence], Check], ...] = (
    states_are_finite,
    prediction_is_verified,
    beats_the_majority,
    classes_are_balanced,
    loss_did_not_rise,
    units_move,
    units_differ,
    units_are_free,
    gates_move,
    state_keeps_its_directions,
    state_is_used,
    gradients_reach,
    differences_do_not_grow,
)

CHECK_IDS = (
    "states-finite",
    "prediction-verified",
    "beats-majority",
    "beats-mean",
    "beats-even-guess",
    "class-balance",
    "loss-rise",
    "still-units",
    "duplicate-units",
    "saturated-units",
    "stuck-gates",
    "collapsed-state",
    "state-used",
    "gradient-reach",
    "growing-differences",
    "worse-than-baseline",
)
