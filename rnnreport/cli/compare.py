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

    They need the same probe set; RUN is the baseline. RUN@EPOCH is a run as it was at that epoch, so that two
    checkpoints of one run can be compared. Three or more runs of one configuration show how much another seed changes.
    """
    from rnnreport.analyses.comparison import as_of, side_by_side, split_epoch
    from rnnreport.report import render_comparison
    from rnnreport.results import placing
    from rnnreport.results.folder import RunFolder

    outputs.refuse_existing(out, force=force)
    wanted = [split_epoch(given) for given in (run, *others)]
    for path, _ in wanted:
        RunFolder.open(path)
    with outputs.reading(*(path for path, _ in wanted)), placing.scratch() as scratch:
        folders = []
        for number, (path, epoch) in enumerate(wanted):
            folder = RunFolder.open(path)
            folders.append(folder if epoch is None else as_of(folder, epoch, scratch / str(number)))
        with Stage("comparison"):
            found = side_by_side(folders)
            html = render_comparison(folders, found.comparison, found)
    outputs.write_page(html, out, max_size)
    if out != outputs.STDOUT:
        click.echo(out)
