"""``rnnreport analyse`` and ``rnnreport render``: the stages after capture, alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnreport.cli import options, outputs, provenance, settings
from rnnreport.progress import stage_seconds

if TYPE_CHECKING:
    from rnnreport.analyses.mmphate.embed import Engine


@click.command(context_settings=options.ENVIRONMENT)
@options.run_argument
@click.option("--baseline", type=click.Path(path_type=Path), metavar="RUN2", help="Run to compare with.")
@options.mmphate_engine
@options.mmphate_nodes
@options.scheduler
@options.force
def analyse(
    run: Path,
    baseline: Path | None,
    mmphate_engine: Engine,
    mmphate_nodes: int | None,
    scheduler: str | None,
    force: bool,
) -> None:
    """Analyse the recorded states of RUN."""
    from rnnreport.analyses import AnalysisParams, SummaryParams
    from rnnreport.analyses import analyse as analyse_run
    from rnnreport.parallel import spreading
    from rnnreport.results.folder import RunFolder

    folder = RunFolder.open(run)
    compared = RunFolder.open(baseline) if baseline else None
    params = AnalysisParams.of_mmphate(mmphate_engine, mmphate_nodes)
    params = replace(params, summary=SummaryParams(policy=settings.policy()))
    with outputs.writing(run), outputs.reading(*filter(None, [baseline])), spreading(scheduler) as spread:
        outputs.refuse_existing(run / "results", run / "summary.json", force=force)
        stage_seconds()  # those of an earlier command in this process are not ours
        analyse_run(folder, compared, params, card=partial(provenance.card, threads=1), spread=spread)
    click.echo(run / "results")


@click.command(context_settings=options.ENVIRONMENT)
@options.run_argument
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PAGE", help="Instead of RUN/report.html; - is standard output."
)
@options.max_size
@options.force
def render(run: Path, out: Path | None, max_size: float | None, force: bool) -> None:
    """Render the page of RUN from its results."""
    from rnnreport.report import render_report, render_summary_markdown
    from rnnreport.results import store
    from rnnreport.results.folder import RunFolder

    folder = RunFolder.open(run)
    page = out or run / "report.html"
    with outputs.reading(run) if out else outputs.writing(run):
        outputs.refuse_existing(page, force=force)
        html = render_report(folder)
        if out is None:
            store.write_text(run / "summary.md", render_summary_markdown(folder))
        outputs.write_page(html, page, max_size)
    if page != outputs.STDOUT:
        click.echo(page)
