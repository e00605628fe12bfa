"""The head of the report: checks by declared rules, the verdict, and a few findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rnnreport.analyses.findings import FINDERS, MOST_FINDINGS
from rnnreport.analyses.rules import RULES
from rnnreport.analyses.rules.answers import not_worse_than_baseline
from rnnreport.analyses.rules.evidence import Evidence, Thresholds
from rnnreport.analyses.thresholds import Policy, identity, judge, with_policy
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import (
    Check,
    Comparison,
    Decisions,
    FixedPoints,
    GradientReach,
    Health,
    Lyapunov,
    Machine,
    Performance,
    Summary,
    Unavailable,
    UnitImportance,
    Units,
    Words,
)

Result = TypeVar("Result")
_MOST_DOUBTS = 2  # among the findings; the table of checks has all
_SEVERITY = ("pass", "warn", "fail")


@dataclass(frozen=True)
class SummaryParams:
    """Thresholds of the rules, and what the settings ask besides them."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    policy: Policy = field(default_factory=Policy)


def summarise(folder: RunFolder, params: SummaryParams | None = None, baseline: RunFolder | None = None) -> Summary:
    """Judge a run by its stored results.

    Parameters
    ----------
    folder : RunFolder
        Analysed: with Performance, Words, Health, Decisions, Machine, and Units for every state.
    params : SummaryParams, optional
    baseline : RunFolder, optional
        Analysed, for the limits against a baseline.

    Returns
    -------
    Summary
        Its verdict is that of the worst check; a check without data does not count. Its findings are what failed, how
        good the model is, what is doubtful, and then what else there is to know.

    Raises
    ------
    InputError
        If a result is missing.
    """
    params = params or SummaryParams()
    evidence = _gather(folder, params)
    checks = [rule(evidence) for rule in RULES]
    if folder.has_result(Comparison):
        checks.append(not_worse_than_baseline(next(iter(_known(folder.result(Comparison)).paired), None)))
    summary = Summary(
        run=evidence.manifest.name,
        task=evidence.probe.task,
        verdict=_worst(checks),
        model=evidence.manifest.model,
        metrics=evidence.performance.metrics,
        checks=tuple(checks),
    )
    if params.policy.limits:
        outcomes = judge(summary, params.policy, identity(evidence.manifest, summary), of_baseline(baseline))
        summary = with_policy(summary, outcomes, _worst)
    facts = [finding for finding in (find(evidence) for find in FINDERS) if finding is not None]
    return replace(summary, findings=_findings(summary, facts))


def of_baseline(baseline: RunFolder | None) -> tuple[Summary, str] | None:
    """Summary and identity of a baseline that was analysed; otherwise None."""
    if baseline is None or not (baseline.path / "summary.json").is_file():
        return None
    summary = baseline.summary()
    return summary, identity(baseline.manifest(), summary)


def _worst(checks: Sequence[Check]) -> str:
    known = [check.verdict for check in checks if check.verdict in _SEVERITY]
    return max(known, key=_SEVERITY.index, default="no data")


def _findings(summary: Summary, facts: list[tuple[str, str]]) -> tuple[dict[str, str], ...]:
    """What failed, the first fact, the change against a baseline, at most two doubts, and the other facts."""

    def unmet(verdict: str) -> list[tuple[str, str]]:
        return [(_sentence(check), check.anchor) for check in summary.checks if check.verdict == verdict]

    change = [
        (f"{check.text[0].upper()}{check.text[1:]}.", check.anchor)
        for check in summary.checks
        if check.id == "worse-than-baseline" and check.verdict == "pass"
    ]
    ordered = [*unmet("fail"), *facts[:1], *change, *unmet("warn")[:_MOST_DOUBTS], *facts[1:]]
    return tuple({"text": text, "anchor": anchor} for text, anchor in ordered[:MOST_FINDINGS])


def _sentence(check: Check) -> str:
    lead = "Check failed" if check.verdict == "fail" else "Check in doubt"
    return f"{lead}, “{check.title}”: {check.words}."


def _gather(folder: RunFolder, params: SummaryParams) -> Evidence:
    manifest = folder.manifest()
    return Evidence(
        manifest=manifest,
        probe=folder.probe(),
        last=folder.checkpoint(folder.epochs()[-1]),
        performance=_known(folder.result(Performance)),
        words=folder.result(Words),
        units={key: folder.result(Units, scope=number) for number, key in enumerate(manifest.state_keys)},
        thresholds=params.thresholds,
        health=_known(folder.result(Health)),
        decisions=folder.result(Decisions),
        fixed_points=folder.result(FixedPoints),
        lyapunov=folder.result(Lyapunov),
        machine=folder.result(Machine),
        importance=folder.result(UnitImportance),
        reach=folder.result(GradientReach),
    )


def _known(result: Result | Unavailable) -> Result:
    """The result of an analysis without preconditions."""
    if isinstance(result, Unavailable):
        raise TypeError(f"{result.analysis} is never unavailable")
    return result
