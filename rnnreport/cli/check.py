"""``rnnreport check``: a run against the thresholds of the settings, for a pull request."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnreport.cli import options, outputs, settings
from rnnreport.errors import InputError, ThresholdError, printable
from rnnreport.progress import note

if TYPE_CHECKING:
    from rnnreport.analyses.thresholds import Outcome
    from rnnreport.results.folder import RunFolder
    from rnnreport.results.schema import Summary


@click.command(context_settings=options.ENVIRONMENT)
@options.run_argument
@click.option("--baseline", type=click.Path(path_type=Path), metavar="RUN2", help="Run to compare with.")
@click.option(
    "--format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What is written to standard output.",
)
def check(run: Path, baseline: Path | None, format: str) -> None:
    """Hold RUN against the thresholds of the settings.

    They stand in [tool.rnnreport.thresholds] of pyproject.toml, or [thresholds] of rnnreport.toml. Without any, the
    checks of the report decide: one that fails is an error. Exit code 3 tells of an error, warnings leave it at 0.
    """
    from rnnreport.analyses.summary import of_baseline
    from rnnreport.analyses.thresholds import identity, judge, spent
    from rnnreport.results.folder import RunFolder

    policy = settings.policy()
    folder = RunFolder.open(run)
    other = RunFolder.open(baseline) if baseline else None
    with outputs.reading(*filter(None, [run, baseline])):
        summary, compared = folder.summary(), None
        if other is not None:
            compared = of_baseline(other)
            if compared is None:
                raise InputError(f"{baseline} has no summary.json", f"make it with `rnnreport analyse {baseline}`")
            summary = _against(folder, other, summary)
    outcomes = judge(summary, policy, identity(folder.manifest(), summary), compared)
    for name in spent(policy, outcomes):
        note(f"expected_change of {name} acknowledges no warning of this run: remove it, or copy the mark of this one")
    click.echo(_json(summary, outcomes) if format == "json" else _text(outcomes))
    errors = [outcome.id for outcome in outcomes if outcome.level == "error"]
    if errors:
        raise ThresholdError(f"{run}: {len(errors)} of {len(outcomes)} thresholds failed: {', '.join(errors)}")


def _against(folder: RunFolder, baseline: RunFolder, summary: Summary) -> Summary:
    """The summary with the paired difference to this baseline, where the predictions of both are at hand."""
    from rnnreport.analyses.rules.answers import not_worse_than_baseline

    if folder.manifest().probe_sha256 != baseline.manifest().probe_sha256:
        raise InputError(
            f"{folder.path} and {baseline.path} were recorded on different probe sets", "capture both on one corpus"
        )
    recorded = folder.epochs() and baseline.epochs()
    found = not_worse_than_baseline(_paired(folder, baseline) if recorded else None)
    return replace(summary, checks=(*(one for one in summary.checks if one.id != found.id), found))


def _paired(folder: RunFolder, baseline: RunFolder) -> dict[str, Any] | None:
    from rnnreport.analyses.comparison.paired import paired_difference
    from rnnreport.analyses.comparison.runs import read
    from rnnreport.analyses.performance import PerformanceParams

    params = PerformanceParams()
    return paired_difference(read(baseline, params), read(folder, params), params.bootstrap)


def _text(outcomes: list[Outcome]) -> str:
    """One line for each: level, id, what was found, and how a warning is acknowledged."""
    width = max((len(outcome.id) for outcome in outcomes), default=0)
    lines = []
    for one in outcomes:
        mark = f' (expected_change = {{ {one.id} = "{one.mark}" }} acknowledges it)' if one.level == "warn" else ""
        lines.append(printable(f"{one.level:<8}  {one.id:<{width}}  {' '.join(one.words.split())}{mark}"))
    return "\n".join(lines)


def _json(summary: Summary, outcomes: list[Outcome]) -> str:
    failed = any(outcome.level == "error" for outcome in outcomes)
    plain = {"run": summary.run, "passed": not failed, "outcomes": [asdict(outcome) for outcome in outcomes]}
    return json.dumps(plain, indent=1, allow_nan=False)
