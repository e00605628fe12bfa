"""Corpus files as bytes and lines, gzip'd or not, with the place of every complaint."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rnnreport.errors import InputError
from rnnreport.reading import MOST_BYTES, open_regular

MAX_LINE = 1_000_000
_LINES = (".txt", ".tsv", ".csv", ".jsonl", ".toml")
_PIECE = 2**20


@dataclass(frozen=True)
class SourceFile:
    """The content of one corpus file.

    Attributes
    ----------
    path : Path
    name : str, file name without ``.gz`` and without suffix
    suffix : str, the suffix under ``.gz``, lower case
    data : bytes, decompressed
    sha256 : str, of the bytes on the disk
    """

    path: Path
    name: str
    suffix: str
    data: bytes
    sha256: str

    def at(self, line: int) -> str:
        """``file:line``, for messages."""
        return f"{self.path}:{line}"

    def lines(self) -> list[str]:
        r"""All lines as text; only "\n" and "\r\n" end a line, so that exotic separators stay in the data.

        Raises
        ------
        InputError
            If the bytes are not UTF-8 or a line is too long.
        """
        try:
            text = self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.data.count(b"\n", 0, error.start) + 1
            raise InputError(f"{self.at(line)}: not UTF-8 ({error.reason})", "convert the file to UTF-8") from error
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        if not lines[-1]:
            lines.pop()
        for number, content in enumerate(lines, start=1):
            if len(content) > MAX_LINE:
                raise InputError(f"{self.at(number)}: a line of {len(content):,} characters", f"at most {MAX_LINE:,}")
        return lines


def read_source(path: Path) -> SourceFile:
    """Read a file, decompressing ``.gz``. It is refused as soon as too much of it, or too long a line, has been seen.

    Raises
    ------
    InputError
        If it is missing, no regular file, unreadable, damaged or too large.
    """
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    suffix = inner.suffix.lower()
    try:
        with open_regular(path) as stream:
            if os.fstat(stream.fileno()).st_size > MOST_BYTES:
                raise _too_large(path)
            stored = _Hashed(stream)
            if inner is path:
                data = _whole(path, stored.read, suffix in _LINES)
            else:
                data = _decompressed(path, stored, suffix in _LINES)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "check the path") from error
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return SourceFile(path, inner.stem, suffix, data, stored.sha256.hexdigest())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with open_regular(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed while they are read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self.sha256.update(piece)
        return piece


def _decompressed(path: Path, stored: _Hashed, lines: bool) -> bytes:
    try:
        with gzip.GzipFile(fileobj=stored) as stream:  # it reads the file to its end, or fails
            return _whole(path, stream.read, lines)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file: {error}", "compress it again") from error


def _too_large(path: Path) -> InputError:
    return InputError(f"{path} holds more than {MOST_BYTES // 2**30} GiB", "give a part of it: states need a sample")


def _whole(path: Path, read: Callable[[int], bytes], lines: bool) -> bytes:
    """All that there is, if it is not too much; the last line of what was read is not too long either."""
    pieces, size, unended = [], 0, 0
    while piece := read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        unended = unended + len(piece) if b"\n" not in piece else len(piece) - piece.rindex(b"\n")
        if size > MOST_BYTES:
            raise _too_large(path)
        if lines and unended > 4 * MAX_LINE:  # bytes of a character
            raise InputError(f"{path}: a line of more than {MAX_LINE:,} characters", "check that it is text")
    return b"".join(pieces)
