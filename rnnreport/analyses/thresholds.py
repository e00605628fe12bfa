"""What the settings ask of a run: limits of metrics and levels of checks, absolute and against a baseline."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rnnreport.errors import InputError
from rnnreport.results.recorded import Manifest
from rnnreport.results.schema import Check, Summary

LEVELS = ("off", "warn", "error")
LIMITS = ("min", "max", "max_drop", "max_rise")
EXPECTED = "expected_change"
METRICS = (
    "accuracy",
    "cross_entropy",
    "exact_match",
    "mae",
    "majority_share",
    "mean_rmse",
    "micro_f1",
    "perplexity",
    "r2",
    "rmse",
)
_SWITCHED_OFF = "switched off in the settings"
_EXPECTED = "a warning that the settings expect"
_OF_VERDICT = {"fail": "error", "warn": "warn", "pass": "pass", "no data": "no data"}
_TO_VERDICT = {"error": "fail", "warn": "warn", "pass": "pass", "no data": "no data", "off": "no data"}


@dataclass(frozen=True)
class Limit:
    """What is asked of one metric or check.

    Attributes
    ----------
    level : str, of ``LEVELS``; "" for "error" where there is a limit, and for what the check itself says where not
    bounds : dict, of ``LIMITS`` to float; with any of them they decide, instead of the check itself
    """

    level: str = ""
    bounds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """``[tool.rnnreport.thresholds]``.

    Attributes
    ----------
    limits : dict, name of a metric or id of a check to Limit
    expected : dict, name or id to the mark of the one warning that was expected
    """

    limits: Mapping[str, Limit] = field(default_factory=dict)
    expected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of one metric or check.

    Attributes
    ----------
    id, title : str
    level : str, "error", "warn", "expected" (a warning that was acknowledged), "pass", "no data" or "off"
    value : float or None
    n : int
    anchor : str
    text : str, what was found, in words
    asked : str, the limits in words, or what else the settings say
    mark : str, stands for this warning in ``expected_change``; "" where there is nothing to acknowledge
    """

    id: str
    title: str
    level: str
    value: float | None
    n: int
    anchor: str
    text: str
    asked: str = ""
    mark: str = ""

    @property
    def words(self) -> str:
        """What was found, and what the settings say of it."""
        return "; ".join(filter(None, (self.text, self.asked)))


def parse_policy(table: Mapping[str, Any], source: str, checks: tuple[str, ...]) -> Policy:
    """Read the table of thresholds.

    Parameters
    ----------
    table : dict, as parsed from TOML
    source : str, where it stands, for errors
    checks : tuple of str, ids of all checks

    Raises
    ------
    InputError
        If a key or value is none of those allowed.
    """
    known = (*METRICS, *checks)
    limits = {name: _limit(name, value, source) for name, value in table.items() if name != EXPECTED}
    expected = table.get(EXPECTED, {})
    if not isinstance(expected, dict) or not all(isinstance(mark, str) for mark in expected.values()):
        raise InputError(f"{source}: {EXPECTED} is not a table of texts", 'write { accuracy = "3f2a9c1d" }')
    for name in (*limits, *expected):
        if name not in known:
            raise InputError(f"{source} has the unknown threshold {name!r}", f"allowed are {', '.join(sorted(known))}")
    return Policy(limits, expected)


def _limit(name: str, value: Any, source: str) -> Limit:
    where = f"{source}: {name}"
    if isinstance(value, str):
        value = {"level": value}
    if not isinstance(value, dict):
        raise InputError(f"{where} is neither a level nor a table", 'write "warn", or { min = 0.8, level = "error" }')
    level, bounds = value.get("level", ""), {key: bound for key, bound in value.items() if key != "level"}
    if "level" in value and level not in LEVELS:
        raise InputError(f"{where} has the level {level!r}", f"allowed are {', '.join(LEVELS)}")
    for key, bound in bounds.items():
        if key not in LIMITS:
            raise InputError(f"{where} has the unknown key {key!r}", f"allowed are level, {', '.join(LIMITS)}")
        if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not math.isfinite(bound):
            raise InputError(f"{where}.{key} is {bound!r}", "write a number")
    if name in METRICS and not bounds and level != "off":
        raise InputError(f"{where} has no limit", f"give one of {', '.join(LIMITS)}")
    return Limit(level, bounds)


def identity(manifest: Manifest, summary: Summary) -> str:
    """What stands for a run in the mark of a warning: another training or another probe set has another one."""
    described = [manifest.model["weights_sha256"], manifest.probe_sha256, summary.metrics]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def judge(
    summary: Summary,
    policy: Policy,
    run: str,
    baseline: tuple[Summary, str] | None = None,
) -> list[Outcome]:
    """Hold a run against its settings.

    Parameters
    ----------
    summary : Summary
    policy : Policy
    run : str, its ``identity``
    baseline : (Summary, identity), optional
        Without it, limits against a baseline are without data.

    Returns
    -------
    list of Outcome, errors first
    """
    before, of = baseline or (None, run)
    found = [_judge_metric(name, limit, summary, before) for name, limit in policy.limits.items() if name in METRICS]
    found += [
        _judge_check(check, policy.limits.get(check.id, Limit()), before) for check in summary.checks if not _set(check)
    ]
    marked = [_acknowledged(outcome, policy, run, of) for outcome in found]
    order = ("error", "warn", "expected", "pass", "no data", "off")
    return sorted(marked, key=lambda outcome: order.index(outcome.level))


def spent(policy: Policy, outcomes: list[Outcome]) -> list[str]:
    """Names in ``expected_change`` that acknowledge no warning any more."""
    used = {outcome.id for outcome in outcomes if outcome.level == "expected"}
    return [name for name in policy.expected if name not in used]


def with_policy(summary: Summary, outcomes: list[Outcome], verdict: Callable[[tuple[Check, ...]], str]) -> Summary:
    """The summary as the settings see it: limits of metrics are checks of their own, levels change verdicts.

    What a check itself says is kept in ``Check.rule``.
    """
    judged = {outcome.id: outcome for outcome in outcomes}
    checks = [
        replace(check, verdict=_verdict(found), rule=check.verdict, asked=found.asked)
        for check, found in ((check, judged[check.id]) for check in summary.checks)
    ]
    checks += [
        Check(one.id, one.title, _verdict(one), one.value, None, one.n, one.anchor, one.text, "set", one.asked)
        for one in outcomes
        if one.id in METRICS
    ]
    return replace(summary, checks=tuple(checks), verdict=verdict(tuple(checks)))


def _verdict(outcome: Outcome) -> str:
    return "pass" if outcome.level == "expected" else _TO_VERDICT[outcome.level]


def _set(check: Check) -> bool:
    """Whether a check is the limit of a metric, which is judged anew."""
    return check.rule == "set"


def _judge_metric(name: str, limit: Limit, summary: Summary, baseline: Summary | None) -> Outcome:
    title, metric = name.replace("_", " ").capitalize(), summary.metrics.get(name)
    if limit.level == "off":
        return Outcome(name, title, "off", None, 0, "overview", "not looked at", _SWITCHED_OFF)
    if metric is None:
        return Outcome(name, title, "no data", None, 0, "overview", "the run has no such metric")
    before = None if baseline is None else baseline.metrics.get(name, {}).get("value")
    level, asked = _bounded(metric["value"], before, limit)
    interval = "" if metric["low"] is None else f", 95% interval {metric['low']:.4g} to {metric['high']:.4g}"
    text = f"{_number(metric['value'])} (n = {metric['n']:,}{interval})"
    return Outcome(name, title, level, metric["value"], metric["n"], "overview", text, asked)


def _judge_check(check: Check, limit: Limit, baseline: Summary | None) -> Outcome:
    made = Outcome(check.id, check.title, "off", check.value, check.n, check.anchor, check.text)
    if limit.level == "off":
        return replace(made, asked=_SWITCHED_OFF)
    if limit.bounds:
        former = {} if baseline is None else {one.id: one.value for one in baseline.checks}
        level, asked = _bounded(check.value, former.get(check.id), limit)
        return replace(made, level=level, asked=asked)
    level = _OF_VERDICT[check.rule or check.verdict]
    return replace(made, level=limit.level if limit.level and level in ("warn", "error") else level)


def _bounded(value: float | None, before: float | None, limit: Limit) -> tuple[str, str]:
    """Level, and in words the limits that are broken, or else all of them."""
    if value is None:
        return "no data", "there is no value to hold against a limit"
    tests = [_test(key, bound, value, before) for key, bound in limit.bounds.items()]
    broken = [text for wrong, text in tests if wrong]
    if broken:
        return limit.level or "error", "; ".join(broken)
    known = [text for wrong, text in tests if wrong is not None]
    return ("pass" if known else "no data"), "; ".join(known or [text for _, text in tests])


def _test(key: str, bound: float, value: float, before: float | None) -> tuple[bool | None, str]:
    """Whether a limit is broken, None where that cannot be known, and the limit in words."""
    if key == "min":
        return value < bound, f"asked: at least {bound:g}"
    if key == "max":
        return value > bound, f"asked: at most {bound:g}"
    if before is None:
        return None, "the baseline has no value"
    change, way = (before - value, "fall") if key == "max_drop" else (value - before, "rise")
    rounding = 1e-9 * max(abs(value), abs(before))  # a fall from 0.75 to 0.70 is one by 0.05
    return change > bound + rounding, f"may {way} by {bound:g}, from {_number(before)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _acknowledged(outcome: Outcome, policy: Policy, run: str, baseline: str) -> Outcome:
    """A warning is acknowledged once: for this run, or for this baseline, and for no later one."""
    if outcome.level != "warn":
        return outcome
    limit = policy.limits.get(outcome.id, Limit())
    relative = outcome.id == "worse-than-baseline" or bool({"max_drop", "max_rise"} & set(limit.bounds))
    mark = hashlib.sha256(f"{outcome.id} {baseline if relative else run}".encode()).hexdigest()[:8]
    if policy.expected.get(outcome.id) != mark:
        return replace(outcome, mark=mark)
    return replace(outcome, level="expected", asked="; ".join(filter(None, (outcome.asked, _EXPECTED))), mark=mark)
