"""The head of the report: checks by declared rules, the verdict, and a few findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from rnnreport.analyses.findings import FINDERS, MOST_FINDINGS
from rnnreport.analyses.rules import RULES, Evidence, Thresholds
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Decisions, Health, Performance, Summary, Unavailable, Units, Words

Result = TypeVar("Result")
_SEVERITY = ("pass", "warn", "fail")


@dataclass(frozen=True)
class SummaryParams:
    """Thresholds of the rules."""

    thresholds: Thresholds = field(default_factory=Thresholds)


def summarise(folder: RunFolder, params: SummaryParams | None = None) -> Summary:
    """Judge a run by its stored results.

    Parameters
    ----------
    folder : RunFolder
        Analysed: with Performance, Words, Health, Decisions, and Units for every state.
    params : SummaryParams, optional

    Returns
    -------
    Summary
        Its verdict is that of the worst check; a check without data does not count.

    Raises
    ------
    InputError
        If a result is missing.
    """
    evidence = _gather(folder, params or SummaryParams())
    checks = tuple(rule(evidence) for rule in RULES)
    found = [finding for finding in (find(evidence) for find in FINDERS) if finding is not None]
    known = [check.verdict for check in checks if check.verdict in _SEVERITY]
    return Summary(
        run=evidence.manifest.name,
        task=evidence.probe.task,
        verdict=max(known, key=_SEVERITY.index),
        model=evidence.manifest.model,
        metrics=evidence.performance.metrics,
        checks=checks,
        findings=tuple({"text": text, "anchor": anchor} for text, anchor in found[:MOST_FINDINGS]),
    )


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
    )


def _known(result: Result | Unavailable) -> Result:
    """The result of an analysis without preconditions."""
    if isinstance(result, Unavailable):
        raise TypeError(f"{result.analysis} is never unavailable")
    return result
