"""Rules about the states inside: finite, moving, different, free, used, and what reaches back through them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.analyses.health import stuck_gates
from rnnreport.analyses.rules.evidence import Evidence
from rnnreport.results.recorded import StateKey
from rnnreport.results.schema import Check, Unavailable

_MOST_NAMED = 5  # units in one sentence


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
