"""Who may write into a run folder: one process at a time, while readers may share.

The lock of ``RUN`` is the file ``.RUN.lock`` beside it, held by ``flock``: it goes away with its process, however that
ends, so that none has to be removed by hand. The file says who holds it, and is removed with the lock; one that a kill
left behind is taken over.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from rnnreport import interrupts
from rnnreport.errors import RnnReportError

try:
    import fcntl
except ImportError:  # a system without flock has no locks
    fcntl = None  # type: ignore[assignment]

_BUILT = re.compile(r"\.(.+)\.partial")  # a folder that is built beside its place, as ``placing.built`` calls it
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass
class _Held:
    """A lock of a process, which may ask again for what it has; the last one to leave gives it back."""

    handle: int
    process: int
    users: int = 0


_held: dict[Path, _Held] = {}


class InUseError(RnnReportError):
    """Another process is at work in a folder."""


@contextmanager
def locked(path: Path, part: str = "", *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a folder during a block.

    Where nothing can be written beside the folder, there is no lock. What is built for a place has that place's lock.

    Parameters
    ----------
    path : Path
        The folder, which may not exist; the one it is in must, except for ``shared``.
    part : str
        What of it, where parts may be written at the same time: "training", or "" for results and pages.
    shared : bool
        Others may read, too, but nobody may write.
    wait : bool
        Until the others are done, instead of giving up.

    Raises
    ------
    InUseError
        If another process is at work there.
    """
    path = path.resolve()
    name = built[1] if (built := _BUILT.fullmatch(path.name)) else path.name
    place = path.with_name(f".{name}.{part}.lock" if part else f".{name}.lock")
    own: _Held | None = None
    try:
        with nullcontext() if wait else interrupts.held():  # Ctrl-C would leave a lock that nobody here knows of yet
            own = _join(path, place, shared, wait)
        yield
    finally:
        if own is not None:
            with interrupts.held():
                _leave(own, place)


def take(handle: int, path: Path) -> int:
    """Lock an open file until what is returned is closed, too.

    Parameters
    ----------
    handle : int, of the open file
    path : Path, what is being written, for the message

    Returns
    -------
    int
        Another handle of the same file.

    Raises
    ------
    InUseError
        If another process has it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(f"{path} is being written by another process", "wait until it is done") from error
    return os.dup(handle)


def same_file(handle: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


def _join(path: Path, place: Path, shared: bool, wait: bool) -> _Held | None:
    """The lock that this process has or gets, with one user more; None where there is none."""
    own = _held.get(place)
    if own is None or own.process != os.getpid():  # what a process was forked from keeps its lock
        handle = None if fcntl is None else _acquire(path, place, shared, wait)
        if handle is None:
            return None
        own = _held[place] = _Held(handle, os.getpid())
    own.users += 1
    return own


def _leave(own: _Held, place: Path) -> None:
    own.users -= 1
    if not own.users and own.process == os.getpid():
        _held.pop(place)
        _release(own.handle, place)


def _acquire(path: Path, place: Path, shared: bool, wait: bool) -> int | None:
    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        try:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            if shared or error.errno in _NOT_WRITABLE:
                return None
            raise
        try:
            fcntl.flock(handle, mode)
        except BlockingIOError as error:
            holder = os.pread(handle, 200, 0).decode("utf-8", errors="replace") or "another process"
            os.close(handle)
            raise InUseError(f"{path} is in use by {holder}", "wait until it is done, or end it") from error
        except BaseException:
            os.close(handle)
            raise
        if same_file(handle, place):
            break
        os.close(handle)  # it was removed by the one that had it
    with suppress(OSError):  # on a full disk the lock holds, too
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}".encode(), 0)
    return handle


def _release(handle: int, place: Path) -> None:
    with suppress(OSError):  # others may still read, and the last one removes it
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if same_file(handle, place):
            place.unlink()
    os.close(handle)
