"""Where commands leave their output: never half-written, and never over something without ``--force``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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
    InUseError
        If another process is making, using or recording this folder.
    """
    from rnnreport.results import placing
    from rnnreport.results.locks import locked

    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target), locked(target, "training"):
        placing.restore(target)
        _refuse(target, force)
        if target.exists() and not (target / marker).is_file() and (not target.is_dir() or any(target.iterdir())):
            raise InputError(
                f"{target} exists and holds no {marker}", "it is left alone even with --force; choose another"
            )
        with placing.built(target) as building:
            yield building


@contextmanager
def writing(run: Path, wait: bool = False) -> Iterator[None]:
    """Let no other process make, or read, results and pages of a run during a block.

    Parameters
    ----------
    run : Path
    wait : bool
        For one that does already, instead of raising ``InUseError``.
    """
    from rnnreport.results.locks import locked
    from rnnreport.results.renewal import settle

    with locked(run, wait=wait):
        settle(run)
        yield


@contextmanager
def training(*runs: Path) -> Iterator[None]:
    """Let no other process train in, or replace, these run folders during a block, which may not exist yet.

    Raises
    ------
    InUseError
        If one does already.
    """
    from rnnreport.results import placing
    from rnnreport.results.locks import InUseError, locked

    with ExitStack() as held:
        for run in runs:
            run.absolute().parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(run, "training"))
            placing.restore(run.absolute())
            with suppress(InUseError), writing(run):
                pass  # what a kill left of the lock, or of results that were moved, is cleared away
        yield


def empty(run: Path) -> None:
    """Discard a run folder for one that begins anew there; ``training`` must be held.

    Raises
    ------
    InUseError
        If another process uses its results.
    """
    from rnnreport.results import placing

    with writing(run), placing.put_away(run.absolute()):
        run.mkdir()


@contextmanager
def reading(*runs: Path) -> Iterator[None]:
    """Let no other process replace the results of these runs during a block.

    Raises
    ------
    InUseError
        If one is about to.
    """
    from rnnreport.results.locks import locked
    from rnnreport.results.renewal import unsettled

    with ExitStack() as held:
        for run in runs:
            if unsettled(run):
                with writing(run):
                    pass
            held.enter_context(locked(run, shared=True))
        yield


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
