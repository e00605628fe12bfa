"""Corpus files as bytes and lines, gzip'd or not, with the place of every complaint."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from rnnreport.errors import InputError

MAX_BYTES = 2**31
MAX_LINE = 1_000_000


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
    """Read a file, decompressing ``.gz``.

    Raises
    ------
    InputError
        If it is missing, unreadable, damaged or too large.
    """
    try:
        stored = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", "check the path") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    inner = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    data = stored if inner is path else _decompress(path, stored)
    if len(data) > MAX_BYTES:
        raise InputError(f"{path} holds more than {MAX_BYTES // 2**30} GiB", "give a part of it: states need a sample")
    return SourceFile(path, inner.stem, inner.suffix.lower(), data, hashlib.sha256(stored).hexdigest())


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _decompress(path: Path, stored: bytes) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file: {error}", "compress it again") from error
