"""``rnnreport index``: one page over many runs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import click

from rnnreport.cli import options, outputs
from rnnreport.errors import InputError
from rnnreport.progress import note, track


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
@options.force
def index(folder: Path, out: Path, light: bool, force: bool) -> None:
    """List every rendered run below DIR on one page.

    The links are relative, so DIR and SITE have to be published together; with --light SITE alone.
    """
    from rnnreport.report import IndexEntry, render_index
    from rnnreport.report.index import in_order
    from rnnreport.results.folder import RunFolder

    page = out / "index.html"
    outputs.refuse_existing(page, force=force)
    entries = []
    for run in sorted(_runs(folder), key=lambda run: in_order(str(run.relative_to(folder)))):
        try:
            summary = RunFolder.open(run).summary()
        except InputError as error:  # one run of another version must not take the others off the site
            note(f"left out: {error}")
            continue
        entries.append((run, summary))
    if not entries:
        raise InputError(f"{folder} holds no rendered run", "make one with `rnnreport run` or `rnnreport render`")
    listed = [
        IndexEntry(_light(run, folder, out) if light else _href(run / "report.html", out), summary)
        for run, summary in track(entries, "reports", len(entries))
    ]
    outputs.write_page(render_index(listed), page, max_size=None)
    click.echo(page)


def _light(run: Path, folder: Path, site: Path) -> str:
    """Copy a report into the site without what the reports share; its link."""
    from rnnreport.report.light import make_light
    from rnnreport.results import store

    place = Path("reports", run.relative_to(folder), "report.html")
    page = (run / "report.html").read_bytes()
    assets = "/".join([".."] * (len(place.parts) - 1) + ["assets"])
    made = make_light(page.decode("utf-8"), assets)
    if made is None:
        note(f"{run}: made by an earlier version, copied as it is")
        store.write_bytes(site / place, page)
    else:
        text, files = made
        for name, data in files.items():
            if not (site / "assets" / name).exists():
                store.write_bytes(site / "assets" / name, data)
        store.write_bytes(site / place, text.encode("utf-8"))
    return quote(place.as_posix())


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
