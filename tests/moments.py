"""Killing a process at every moment at which it is about to change something on the disk."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link"})


def moments(prepare: Callable[[], object], action: Callable[[], object]) -> Iterator[int]:
    """Kill the action before its first change of the disk, its second, and so on, until it comes to its end.

    Parameters
    ----------
    prepare : function
        Sets the scene before each try.
    action : function
        Runs in a child process.

    Yields
    ------
    int
        The moment of the kill, counted from 0, after each kill; not after the try that ended.
    """
    moment = 0
    while True:
        prepare()
        if _killed(action, moment):
            yield moment
            moment += 1
        else:
            assert moment > 2, "nothing was changed"
            return


def _killed(action: Callable[[], object], moment: int) -> bool:
    child = os.fork()
    if not child:
        left = moment

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in _CHANGES or writes:
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1

        sys.addaudithook(watch)
        try:
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0, "the action failed"
    return killed


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
