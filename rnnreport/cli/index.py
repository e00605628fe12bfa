"""``rnnreport index``: one page over many runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from rnnreport.cli import options, outputs
from rnnreport.errors import InputError
from rnnreport.progress import note, track

if TYPE_CHECKING:
    from rnnreport.results.schema import Summary

    Light = tuple[str, dict[str, bytes]]  # see make_light


@click.command(context_settings=options.ENVIRONMENT)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="SITE", help="Folder that gets the index.html."
)
@click.option(
    "--light",
    is_flag=True,
    help="Copy the reports into SITE, small, with the file of scripts that they share. They need a web server.",
)
@options.scheduler
@options.force
def index(folder: Path, out: Path, light: bool, scheduler: str | None, force: bool) -> None:
    """List every rendered run below DIR on one page.

    The links are relative, so DIR and SITE have to be published together; with --light SITE alone.
    """
    from rnnreport.parallel import spreading
    from rnnreport.report import IndexEntry, render_index
    from rnnreport.report.index import in_order

    page = out / "index.html"
    outputs.refuse_existing(page, force=force)
    runs = sorted(_runs(folder), key=lambda run: in_order(str(run.relative_to(folder))))
    places = [Path("reports", run.relative_to(folder), "report.html") for run in runs]
    listed = []
    with spreading(scheduler) as spread:
        read = track(spread(_read, light, list(zip(runs, places, strict=True))), "reports", len(runs))
        for run, place, (summary, made) in zip(runs, places, read, strict=True):
            if isinstance(summary, str):  # one run of another version must not take the others off the site
                note(f"left out: {summary}")
                continue
            if light:
                _copy(run / "report.html", made, out / place, out / "assets")
            href = quote(place.as_posix()) if light else _href(run / "report.html", out)
            listed.append(IndexEntry(href, summary))
    if not listed:
        raise InputError(f"{folder} holds no rendered run", "make one with `rnnreport run` or `rnnreport render`")
    outputs.write_page(render_index(listed), page, max_size=None)
    click.echo(page)


def _read(light: bool, item: tuple[Path, Path]) -> tuple[Summary | str, Light | None]:
    """The summary of a run, or why it has none, and its light page; in this process or another."""
    from rnnreport.report.light import make_light
    from rnnreport.results.folder import RunFolder

    (run, place), made = item, None
    (run / "report.html").stat()  # a machine that does not see the run must not leave it out
    try:
        summary = RunFolder.open(run).summary()
    except InputError as error:
        return str(error), None
    if light:
        assets = "/".join([".."] * (len(place.parts) - 1) + ["assets"])
        made = make_light((run / "report.html").read_bytes().decode("utf-8"), assets)
    return summary, made


def _copy(report: Path, made: Light | None, target: Path, assets: Path) -> None:
    """Write a report into the site without what the reports share."""
    from rnnreport.results import store

    if made is None:
        note(f"{report.parent}: made by an earlier version, copied as it is")
        store.write_bytes(target, report.read_bytes())
        return
    text, files = made
    for name, data in files.items():
        if not (assets / name).exists():
            store.write_bytes(assets / name, data)
    store.write_bytes(target, text.encode("utf-8"))


def _runs(folder: Path) -> list[Path]:
    """Every rendered run below a folder. Hidden folders, in which runs are being made, are left out."""
    found = [
        manifest.parent
        for manifest in folder.rglob("run.json")
        if not any(part.startswith(".") for part in manifest.relative_to(folder).parts)
    ]
    rendered = [run for run in found if (run / "report.html").is_file() and (run / "summary.json").is_file()]
    if len(rendered) < len(found):
        note(f"{len(found) - len(rendered)} of {len(found)} runs have no report yet and are left out")
    return rendered


def _href(report: Path, site: Path) -> str:
    """A relative link; quoted, because a folder's name may hold "#", "?" or a colon."""
    return quote(Path(os.path.relpath(report.absolute(), site.absolute())).as_posix())
