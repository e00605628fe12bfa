"""``metrics.jsonl``: a line for each recorded epoch, which others may write, too.

Our lines end with a digest of themselves, by which a flipped digit is noticed; lines without one are as good.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rnnreport.errors import InputError, RnnReportError
from rnnreport.reading import MOST_TEXT, open_regular, parse_json, read_bytes
from rnnreport.results import store
from rnnreport.results.typed import typed

LAST_EPOCH = 10**9 - 1  # epochs are int32
_MOST_METRICS = 1000
_TAIL = 2**12  # bytes read at once from the end, back to the last complete line


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Append the line of an epoch.

    Raises
    ------
    RnnReportError
        If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _end_last_line(path)
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(store.sealed_line(line) + "\n")
    except OSError as error:
        raise RnnReportError(
            f"cannot write {path}: {error.strerror or error}", "free space or choose another place"
        ) from error


def read_lines(path: Path, remedy: str) -> list[dict[str, Any]]:
    """One line for each epoch, increasing: of one recorded twice the later. A torn last one (a killed run) is left out.

    Parameters
    ----------
    path : Path
        Which may not exist, or be written at this moment.
    remedy : str
        How the run is recorded again.

    Raises
    ------
    InputError
        If a line cannot be used, or is damaged.
    """
    found, names = {}, set[str]()
    for number, line in enumerate(_lines(path), start=1):
        where, mend = f"{path}:{number}", f"delete the line, or {remedy}"
        try:
            parsed = typed(store.opened_line(line), Any, "the line")
        except store.DamagedError as error:
            raise store.DamagedError(f"{where} is damaged: {error.what}", mend) from error
        except ValueError as error:
            raise InputError(f"{where} is not JSON", mend) from error
        epoch = parsed.get("epoch") if isinstance(parsed, dict) else None
        if type(epoch) is not int or not 0 <= epoch <= LAST_EPOCH:
            raise InputError(f"{where} has no integer 'epoch'", mend)
        found[epoch] = parsed
        names |= parsed.keys()
        if len(names) > _MOST_METRICS:
            raise InputError(f"{where}: more than {_MOST_METRICS:,} metrics", "record fewer of them")
    return [found[epoch] for epoch in sorted(found)]


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    try:
        *lines, last = read_bytes(path, MOST_TEXT).decode("utf-8", errors="replace").split("\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", "") from error
    return lines if _is_torn(last) else [*lines, last]


def _is_torn(last: str) -> bool:
    """Whether what follows the last end of a line is nothing or the beginning of a line, no spoilt whole one."""
    return not last or not (_parses(last) or _parses(last[:-1]))


def _parses(line: str) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def _end_last_line(path: Path) -> None:
    """Cut what a killed run left of its last line, so that the next one does not continue it; end one of others.

    Read from the end, so that an epoch costs the same however many came before it.
    """
    if not path.exists():
        return
    left = b""
    with open_regular(path) as stream:
        kept = stream.seek(0, os.SEEK_END)
        while kept:
            start = max(0, kept - _TAIL)
            stream.seek(start)
            piece = stream.read(kept - start)
            ended = piece.rfind(b"\n") + 1
            left, kept = piece[ended:] + left, start + ended
            if ended:
                break
    if not left:
        return
    if _parses(left.decode("utf-8", errors="replace")):
        with open(path, "ab") as end:
            end.write(b"\n")
    else:
        os.truncate(path, kept)
