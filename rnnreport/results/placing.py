"""Files and folders that appear whole, however the process that makes them ends.

A file is written under a temporary name beside its place and renamed, so that a reader never sees half of it and a
killed process or a full disk leaves the old one as it was. Each file has one temporary name: what a kill left is
overwritten by the next call. Nothing waits for the disk itself (fsync), which would take longer than a small epoch:
only a power failure can cost what was written in the seconds before it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rnnreport.errors import RnnReportError
from rnnreport.interrupts import held
from rnnreport.results import locks

_SCRATCH = "rnnreport-scratch-"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def write(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file; what fills it need not hold all of it in memory.

    Raises
    ------
    RnnReportError
        If the disk refuses (full, read-only), or another process is writing the same file.
    """
    with written(path, fill) as temporary:
        os.replace(temporary, path)


@contextmanager
def written(path: Path, fill: Callable[[BinaryIO], object]) -> Iterator[Path]:
    """Write a file under its temporary name, from which the block moves it to its place; otherwise it is removed.

    Raises
    ------
    RnnReportError
        As ``write``.
    """
    temporary, lock = path.with_name(f".{path.name}.tmp"), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            with held():  # Ctrl-C would leave a file that nobody here knows of yet
                handle, lock = _open(temporary, path)
                stream = opened.enter_context(os.fdopen(handle, "wb"))
            stream.truncate()
            fill(stream)
        yield temporary
    except OSError as error:
        raise RnnReportError(
            f"cannot write {path}: {error.strerror or error}", "free space or choose another place"
        ) from error
    finally:
        if lock is not None:
            with suppress(OSError):
                if locks.same_file(lock, temporary):
                    os.unlink(temporary)
            os.close(lock)


def discard_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed, and no file that is being written."""
    for path in folder.glob(".*.tmp"):
        with suppress(OSError, locks.InUseError):
            handle, lock = _open(path, path)
            path.unlink()
            os.close(handle)
            os.close(lock)


def _open(temporary: Path, path: Path) -> tuple[int, int]:
    """Open a temporary file for this process alone; its handle, and one that keeps it locked."""
    while True:
        with suppress(FileNotFoundError):
            found = temporary.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                temporary.unlink()  # a link would lead elsewhere
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            lock = locks.take(handle, path)
            if locks.same_file(lock, temporary):
                return handle, lock
            os.close(lock)  # the other writer has just renamed it
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def built(place: Path) -> Iterator[Path]:
    """Build a folder beside its place and move it there when the block ends; on any error nothing remains.

    Parameters
    ----------
    place : Path
        Absolute, and locked: what another call was building there is discarded.
    """
    building = _beside(place, "partial")
    _remove(building)
    try:
        building.mkdir()
        yield building
        if not os.path.lexists(place):
            building.rename(place)
        elif not _exchange(building, place):
            with put_away(place):
                building.rename(place)
    finally:
        _remove(building)


@contextmanager
def put_away(place: Path) -> Iterator[None]:
    """Free a place, whose content comes back if the block fails, and goes when it ends; the place must be locked."""
    old = _beside(place, "old")
    try:
        place.rename(old)
        yield
    finally:
        restore(place)


def restore(place: Path) -> None:
    """Put back, or finish to discard, what a killed process had put away; the place must be locked."""
    old = _beside(place, "old")
    if os.path.lexists(old) and not os.path.lexists(place):
        old.rename(place)
    _remove(old)


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder for files of passing use, in the system's place for them; what kills left of such is removed.

    Each is locked by its process, so that one without a process is told from one in use.

    Raises
    ------
    RnnReportError
        If the disk refuses.
    """
    path = lock = None
    try:
        with held():  # as in ``written``
            path, lock = _make_scratch()
        for left in path.parent.glob(f"{_SCRATCH}*"):
            if (found := _lock_folder(left)) is not None:
                _remove(left)
                os.close(found)
        yield path
    finally:
        if path is not None:
            _remove(path)
        if lock is not None:
            os.close(lock)


def _make_scratch() -> tuple[Path, int | None]:
    """A new folder and the handle that keeps it locked, None on a system without locks of folders."""
    try:
        while True:  # another call may have found it before it was locked
            path = Path(tempfile.mkdtemp(prefix=_SCRATCH))
            lock = _lock_folder(path)
            if lock is not None or not hasattr(os, "O_DIRECTORY"):
                return path, lock
    except OSError as error:
        raise RnnReportError(
            f"cannot write to {tempfile.gettempdir()}: {error.strerror or error}",
            "free space, or set TMPDIR to another folder",
        ) from error


def _lock_folder(path: Path) -> int | None:
    """Lock a folder of ours; None where another process has it, or it is gone or a stranger's."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        os.close(locks.take(handle, path))
        if os.fstat(handle).st_uid == os.getuid() and locks.same_file(handle, path):
            return handle
    except locks.InUseError:
        pass
    os.close(handle)
    return None


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f".{place.name}.{what}")


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _remove(path: Path) -> None:
    """Remove a file or folder that may not exist, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
