"""``rnnreport demo``: train, record, analyse and compare three small nets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rnnreport.cli import options, outputs

if TYPE_CHECKING:
    from rnnreport.train.tasks import TaskName


@click.command(context_settings=options.ENVIRONMENT)
@click.option(
    "--task",
    type=click.Choice(["digits", "sentiment", "source"]),
    default="digits",
    show_default=True,
    help="digits: pixel rows of handwritten digits; sentiment: sentences with negation and contrast; "
    "source: characters of Python's standard library.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="rnnreport-demo",
    show_default=True,
    metavar="DIR",
    help="Folder to make.",
)
@options.force
def demo(task: TaskName, out: Path, force: bool) -> None:
    """Train three small nets on embedded data; report on them."""
    from rnnreport.train.demo import run_demo

    with outputs.new_folder(out, force, marker="index.html") as building:
        pages = run_demo(task, building)
    for page in pages:
        click.echo(out / page)
