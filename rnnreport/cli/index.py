"""``rnnreport index``: one page over many runs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from rnnreport.cli import options, outputs
from rnnreport.errors import InputError
from rnnreport.progress import note


@click.command(context_settings=options.ENVIRONMENT)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="SITE", help="Folder that gets the index.html."
)
@options.force
def index(folder: Path, out: Path, force: bool) -> None:
    """List every rendered run below DIR on one page.

    The links are relative, so DIR and SITE have to be published together.
    """
    from rnnreport.report import IndexEntry, render_index
    from rnnreport.results.folder import RunFolder

    page = out / "index.html"
    outputs.refuse_existing(page, force=force)
    runs = _runs(folder)
    if not runs:
        raise InputError(f"{folder} holds no rendered run", "make one with `rnnreport run` or `rnnreport render`")
    entries = [IndexEntry(_href(run / "report.html", out), RunFolder.open(run).summary()) for run in runs]
    outputs.write_page(render_index(entries), page, max_size=None)
    click.echo(page)


def _runs(folder: Path) -> list[Path]:
    """Every rendered run below a folder, by name. Hidden folders, in which runs are being made, are left out."""
    found = sorted(
        manifest.parent
        for manifest in folder.rglob("run.json")
        if not any(part.startswith(".") for part in manifest.relative_to(folder).parts)
    )
    rendered = [run for run in found if (run / "report.html").is_file() and (run / "summary.json").is_file()]
    if len(rendered) < len(found):
        note(f"{len(found) - len(rendered)} of {len(found)} runs have no report yet and are left out")
    return rendered


def _href(report: Path, site: Path) -> str:
    """A relative link; quoted, because a folder's name may hold "#", "?" or a colon."""
    return quote(Path(os.path.relpath(report.absolute(), site.absolute())).as_posix())
