"""Where commands leave their output: never half-written, and never over something without ``--force``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from rnnreport.errors import InputError
from rnnreport.progress import note

STDOUT = Path("-")
_MEGABYTE = 1_000_000
_LARGE_MB = 8
_TOO_LARGE_MB = 20


class PageTooLargeError(InputError):
    """A page that few browsers would open with pleasure."""


@contextmanager
def new_folder(target: Path, force: bool, marker: str) -> Iterator[Path]:
    """Build a folder beside its place and move it there when the block ends; on any error nothing remains.

    Parameters
    ----------
    target : Path
    force : bool
        Replace an existing folder.
    marker : str
        File that an existing folder must have to be replaced, so that no stranger's folder is deleted.

    Raises
    ------
    InputError
        If there is something at the target that may not be replaced.
    """
    target = target.absolute()
    _refuse(target, force)
    if target.exists() and not (target / marker).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} exists and holds no {marker}", "it is left alone even with --force; choose another")
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    try:
        building.chmod(0o755)
        yield building
        with set_aside(target):
            building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def set_aside(path: Path) -> Iterator[None]:
    """Free a path for the block that makes it anew; put the old content back if the block fails.

    Parameters
    ----------
    path : Path
        A file or folder that may or may not exist.
    """
    away = Path(tempfile.mkdtemp(prefix=f".{path.name}.old-", dir=path.parent))
    old = away / path.name
    try:
        if path.exists():
            path.rename(old)
        try:
            yield
        except BaseException:
            _remove(path)
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(away, ignore_errors=True)


def refuse_existing(*paths: Path, force: bool) -> None:
    """Stop before any work is done if an output exists.

    Raises
    ------
    InputError
        If one of them exists and ``force`` is off.
    """
    for path in paths:
        if path != STDOUT:
            _refuse(path, force)


def write_page(html: str, target: Path, max_size: float | None) -> None:
    """Write a page to its place, or to stdout for ``-``.

    Parameters
    ----------
    html : str
    target : Path
    max_size : float, optional
        Largest size in MB (1,000,000 bytes); 20 where it is not given.

    Raises
    ------
    PageTooLargeError
        If the page is larger.
    """
    from rnnreport.results import store

    page = html.encode("utf-8", errors="replace")
    megabytes = len(page) / _MEGABYTE
    limit = _TOO_LARGE_MB if max_size is None else max_size
    if megabytes > limit:
        raise PageTooLargeError(
            f"the page would be {megabytes:.1f} MB, more than {limit:g} MB",
            f"capture fewer steps with --max-steps, or allow it with --max-size {megabytes + 1:.0f}",
        )
    if megabytes > _LARGE_MB:
        note(f"warning: the page is {megabytes:.1f} MB; above {_LARGE_MB} MB browsers become slow")
    if target == STDOUT:
        click.echo(page, nl=False)
    else:
        store.write_bytes(target, page)


def _refuse(path: Path, force: bool) -> None:
    if not force and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists", "choose another place, or replace it with --force")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
