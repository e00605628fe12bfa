"""``rnnreport compare``: two or more runs on the same probe set, on one page."""

from __future__ import annotations

from pathlib import Path

import click

from rnnreport.cli import options, outputs
from rnnreport.progress import Stage


@click.command(context_settings=options.ENVIRONMENT)
@options.run_argument
@click.argument("others", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN2 ...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="PAGE", help="The page; - is standard output."
)
@options.max_size
@options.force
def compare(run: Path, others: tuple[Path, ...], out: Path, max_size: float | None, force: bool) -> None:
    """Compare two or more runs on one page.

    They need the same probe set; RUN is the baseline.
    """
    from rnnreport.analyses import compare as compare_runs
    from rnnreport.report import render_comparison
    from rnnreport.results.folder import RunFolder

    outputs.refuse_existing(out, force=force)
    folders = [RunFolder.open(path) for path in (run, *others)]
    with Stage("comparison"):
        html = render_comparison(folders, compare_runs(folders))
    outputs.write_page(html, out, max_size)
    if out != outputs.STDOUT:
        click.echo(out)
