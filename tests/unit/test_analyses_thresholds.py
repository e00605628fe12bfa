"""Limits and levels of the settings, on summaries made up for the purpose."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from rnnreport.analyses.rules import CHECK_IDS, RULES
from rnnreport.analyses.rules.answers import not_worse_than_baseline
from rnnreport.analyses.summary import _findings, _worst
from rnnreport.analyses.thresholds import METRICS, Outcome, Policy, judge, parse_policy, spent, with_policy
from rnnreport.errors import InputError
from rnnreport.results.recorded import Task
from rnnreport.results.schema import Check, Summary
from tests.unit.test_analyses_summary import evidence


def metric(value: float) -> dict[str, Any]:
    return {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 400, "unit": "share"}


def made(accuracy: float = 0.8, still: float = 2, verdict: str = "warn") -> Summary:
    checks = (
        Check("states-finite", "States are finite", "pass", 0, 0, 900, "health", "all are finite"),
        Check("still-units", "Every unit moves", verdict, still, 0, 64, "health", f"{still} never move"),
        Check("loss-rise", "No overfitting", "no data", None, 1.1, 0, "training", "one epoch"),
    )
    return Summary("run", "classification", verdict, {}, {"accuracy": metric(accuracy)}, checks)


def outcome(id: str, table: dict[str, Any], summary: Summary, baseline: Summary | None = None) -> Outcome:
    policy = parse_policy(table, "pyproject.toml", CHECK_IDS)
    found = judge(summary, policy, "run", None if baseline is None else (baseline, "base"))
    (one,) = [each for each in found if each.id == id]
    return one


@pytest.mark.parametrize(
    ("limit", "value", "level"),
    [
        ({"min": 0.8}, 0.8, "pass"),
        ({"min": 0.8}, 0.799, "error"),
        ({"max": 0.8}, 0.801, "error"),
        ({"min": 0.8, "level": "warn"}, 0.7, "warn"),
        ({"min": 0.8, "level": "off"}, 0.7, "off"),
        ("off", 0.7, "off"),
    ],
)
def test_absolute_limits_of_a_metric(limit: Any, value: float, level: str) -> None:
    found = outcome("accuracy", {"accuracy": limit}, made(value))
    assert found.level == level
    if level in ("error", "warn"):
        assert f"{value:.4g} (n = 400, 95% interval" in found.text and "asked: at" in found.asked


@pytest.mark.parametrize(
    ("limit", "before", "now", "level"),
    [
        ({"max_drop": 0.05}, 0.75, 0.70, "pass"),
        ({"max_drop": 0.05}, 0.75, 0.69, "error"),
        ({"max_rise": 0.05}, 0.75, 0.81, "error"),
        ({"max_drop": 0.05, "min": 0.7}, 0.6, 0.69, "error"),
        ({"max_drop": 0.05, "level": "warn"}, 0.75, 0.69, "warn"),
    ],
)
def test_limits_against_a_baseline(limit: Any, before: float, now: float, level: str) -> None:
    table = {"accuracy": limit}
    assert outcome("accuracy", table, made(now), made(before)).level == level
    if "min" not in limit:
        assert outcome("accuracy", table, made(now)).level == "no data"


@pytest.mark.parametrize(
    ("limit", "verdict", "level"),
    [
        (None, "fail", "error"),
        (None, "warn", "warn"),
        ("warn", "fail", "warn"),
        ("error", "warn", "error"),
        ("error", "pass", "pass"),
        ("off", "fail", "off"),
        ({"max": 2}, "fail", "pass"),
        ({"max": 1}, "pass", "error"),
        ({"max": 1, "level": "warn"}, "pass", "warn"),
    ],
)
def test_levels_and_limits_of_a_check(limit: Any, verdict: str, level: str) -> None:
    table = {} if limit is None else {"still-units": limit}
    assert outcome("still-units", table, made(verdict=verdict)).level == level


def test_what_has_no_value_breaks_no_limit() -> None:
    assert outcome("loss-rise", {"loss-rise": {"max": 1}}, made()).level == "no data"
    assert outcome("rmse", {"rmse": {"max": 1}}, made()).level == "no data"
    assert outcome("still-units", {"still-units": {"max_rise": 0}}, made(), made(still=1)).level == "error"


def test_errors_come_first() -> None:
    policy = parse_policy({"accuracy": {"min": 0.9}}, "", CHECK_IDS)
    assert [one.level for one in judge(made(), policy, "run")] == ["error", "warn", "pass", "no data"]


def test_a_warning_is_acknowledged_once() -> None:
    mark = outcome("still-units", {}, made()).mark
    table = {"expected_change": {"still-units": mark}}
    policy = parse_policy(table, "", CHECK_IDS)
    assert outcome("still-units", table, made()).level == "expected"
    assert spent(policy, judge(made(), policy, "run")) == []
    later = judge(made(), policy, "another training")
    assert next(one for one in later if one.id == "still-units").level == "warn"
    assert spent(policy, later) == ["still-units"]
    failing = judge(made(verdict="fail"), policy, "run")
    assert failing[0].level == "error"  # only warnings are acknowledged


def test_against_a_baseline_the_acknowledgement_lasts_until_the_baseline_moves() -> None:
    table: dict[str, Any] = {"accuracy": {"max_drop": 0.05, "level": "warn"}}
    table["expected_change"] = {"accuracy": outcome("accuracy", table, made(0.6), made(0.8)).mark}
    policy = parse_policy(table, "", CHECK_IDS)
    for run, base, level in (("run", "base", "expected"), ("again", "base", "expected"), ("run", "next", "warn")):
        found = judge(made(0.6), policy, run, (made(0.8), base))
        assert next(one for one in found if one.id == "accuracy").level == level


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"acuracy": "warn"}, ("unknown threshold 'acuracy'", "accuracy", "still-units")),
        ({"expected_change": {"nonsense": "x"}}, ("unknown threshold 'nonsense'",)),
        ({"expected_change": ["accuracy"]}, ("expected_change is not a table",)),
        ({"still-units": "loud"}, ("still-units has the level 'loud'", "off, warn, error")),
        ({"still-units": {"level": 3}}, ("has the level 3",)),
        ({"accuracy": {"minimum": 1}}, ("unknown key 'minimum'", "max_drop")),
        ({"accuracy": {"min": "0.8"}}, ("accuracy.min is '0.8'",)),
        ({"accuracy": {"min": True}}, ("accuracy.min is True",)),
        ({"accuracy": {"min": float("nan")}}, ("accuracy.min is nan",)),
        ({"accuracy": "warn"}, ("accuracy has no limit",)),
        ({"still-units": 3}, ("neither a level nor a table",)),
    ],
)
def test_what_is_refused(table: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        parse_policy(table, "pyproject.toml [tool.rnnreport.thresholds]", CHECK_IDS)
    assert str(caught.value).startswith("pyproject.toml [tool.rnnreport.thresholds]")
    assert all(word in str(caught.value) for word in words)


def test_the_summary_shows_what_the_settings_say_and_can_be_judged_again() -> None:
    table = {"accuracy": {"min": 0.9}, "still-units": "off", "states-finite": "warn", "loss-rise": {"max": 3}}
    policy = parse_policy(table, "", CHECK_IDS)
    plain = made()
    shown = with_policy(plain, judge(plain, policy, "run"), _worst)
    assert {check.id: check.verdict for check in shown.checks} == {
        "states-finite": "pass",
        "still-units": "no data",
        "loss-rise": "no data",
        "accuracy": "fail",
    }
    assert shown.verdict == "fail"
    asked = {check.id: check.asked for check in shown.checks}
    assert asked["accuracy"] == "asked: at least 0.9" and asked["still-units"] == "switched off in the settings"
    assert asked["loss-rise"] == "there is no value to hold against a limit" and asked["states-finite"] == ""
    assert all(check.words == "; ".join(filter(None, (check.text, check.asked))) for check in shown.checks)
    assert judge(shown, policy, "run") == judge(plain, policy, "run")
    assert judge(shown, Policy(), "run") == judge(plain, Policy(), "run")


def test_the_names_that_settings_may_use_are_all_there(tmp_path: Any) -> None:
    seen, metrics = {"worse-than-baseline"}, set()
    for task in get_args(Task):
        found = evidence(tmp_path / task, task)
        seen |= {rule(found).id for rule in RULES}
        metrics |= set(found.performance.metrics)
    assert seen == set(CHECK_IDS)
    assert metrics == set(METRICS)


@pytest.mark.parametrize(
    ("metric", "difference", "significant", "verdict"),
    [
        ("accuracy", -0.1, True, "warn"),
        ("accuracy", 0.1, True, "pass"),
        ("accuracy", -0.1, False, "pass"),
        ("rmse", 0.1, True, "warn"),
        ("cross_entropy", -0.1, True, "pass"),
    ],
)
def test_a_significant_change_for_the_worse(metric: str, difference: float, significant: bool, verdict: str) -> None:
    paired = {"metric": metric, "baseline": "main", "difference": difference, "low": -0.2, "high": 0.2, "n": 40}
    check = not_worse_than_baseline(paired | {"significant": significant})
    assert (check.verdict, check.value, check.n) == (verdict, difference, 40)
    interval = "-0.2 to +0.2" if metric in ("cross_entropy", "rmse") else "-20 to +20"
    assert f"against “main” (95% interval {interval}, n = 40)" in check.text
    assert not_worse_than_baseline(None).verdict == "no data"


def test_findings_begin_with_what_failed_and_name_the_baseline() -> None:
    facts = [(f"Fact {number}.", "overview") for number in range(6)]
    paired = {"metric": "accuracy", "baseline": "main", "difference": 0.1, "low": 0.05, "high": 0.2, "n": 40}
    check = not_worse_than_baseline(paired | {"significant": True})
    broken = Check(
        "states-finite", "States are finite", "fail", 3, 0, 900, "health", "h is not finite at 3 of 900 steps"
    )
    summary = Summary("run", "classification", "fail", {}, {}, (check, made().checks[1], broken))
    found = _findings(summary, facts)
    assert [one["text"].split(" (")[0] for one in found] == [
        "Check failed, “States are finite”: h is not finite at 3 of 900 steps.",
        "Fact 0.",
        "Accuracy +10 points against “main”",
        "Check in doubt, “Every unit moves”: 2 never move.",
        "Fact 1.",
    ]
    assert [one["anchor"] for one in found] == ["health", "overview", "comparison", "health", "overview"]
