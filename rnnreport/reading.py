"""The one way in for files from strangers: regular files only, and never more of them than is allowed.

A named pipe would wait for ever, a device gives bytes without end, an archive of a kilobyte may promise a terabyte, and
a parser may be made to recurse. Everything here raises OSError where the file is at fault and ValueError where its
content is, so that callers say in their own words what the file was wanted for.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
import tomllib
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 2**31
MOST_TEXT = 2**28  # of JSON, which becomes about ten times as large
MOST_SETTINGS = 2**20  # of TOML, which is written by hand
_MOST_MEMBERS = 10_000
_PIECE = 2**20
# tomllib takes a time that grows with the square of a key's parts
_LONG_KEY = re.compile(r"""(?<![\w\\-])(?:(?:[\w-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*){100}""")


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file to read its bytes.

    Raises
    ------
    OSError
        Also where it is a pipe, a device or a folder; none of them is waited for.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is not a regular file")
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content that a file has when it is opened; what is appended meanwhile is left out.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file or is larger than ``most``.
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise OSError(f"{path} holds {size:,} bytes, more than {most:,}")
        return stream.read(size)


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """The content of a UTF-8 file, as ``read_bytes``.

    Raises
    ------
    OSError, ValueError
    """
    return read_bytes(path, most).decode("utf-8")


def parse_json(text: str, **options: Any) -> Any:
    """``json.loads`` of a text that may be nested as deeply as a stranger likes.

    Raises
    ------
    ValueError
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_toml(text: str) -> dict[str, Any]:
    """``tomllib.loads``, as ``parse_json``.

    Raises
    ------
    ValueError
    """
    if len(text) > MOST_SETTINGS:
        raise ValueError(f"{len(text):,} characters, more than {MOST_SETTINGS:,}")
    if _LONG_KEY.search(text):
        raise ValueError("a key of more than 100 parts")
    try:
        table = tomllib.loads(text)
        _refuse_long_numbers(table)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return table


def _refuse_long_numbers(value: Any) -> None:
    """Hexadecimal digits may make a number that Python then refuses to print."""
    if isinstance(value, int) and value.bit_length() > 10_000:
        raise ValueError("a whole number of more than 10,000 bits")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_long_numbers(item)


def read_arrays(stream: BinaryIO, most: int, wanted: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` archive. What it promises is checked before memory is given to it.

    Parameters
    ----------
    stream : binary file, seekable
    most : int
        Bytes of all arrays that are read.
    wanted : collection of str, optional
        Names of the arrays that are read, all of them where it is not given.

    Raises
    ------
    ValueError
        If it is damaged, no such archive or too large, or holds objects.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = {member.filename: member for member in archive.infolist()[: _MOST_MEMBERS + 1]}
            if len(members) > _MOST_MEMBERS:
                raise ValueError(f"more than {_MOST_MEMBERS:,} arrays")
            if wanted is not None:
                members = {f"{name}.npy": members[f"{name}.npy"] for name in wanted if f"{name}.npy" in members}
            promised = sum(member.file_size for member in members.values())
            if promised > most:
                raise ValueError(f"arrays of {promised:,} bytes, more than {most:,}")
            return {name.removesuffix(".npy"): _read_array(archive, member) for name, member in members.items()}
    except (EOFError, KeyError, RuntimeError, OverflowError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    import numpy as np

    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or not member.filename.endswith(".npy"):
        raise ValueError(f"{member.filename!r} is not an array by NumPy")
    with archive.open(member) as stream:
        shape, by_columns, dtype = _header(stream, member)
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * dtype.itemsize != member.file_size - stream.tell():
            raise ValueError(f"{member.filename!r} holds another number of values than {shape} of {dtype}")
        array = np.empty(count, dtype)
        if array.nbytes:
            room = array.view(np.uint8).data
            for start in range(0, array.nbytes, _PIECE):
                piece = stream.read(min(_PIECE, array.nbytes - start))
                room[start : start + len(piece)] = piece
        return array.reshape(shape, order="F" if by_columns else "C")


def _header(stream: Any, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of an array."""
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{member.filename!r} has a header of version {version}")
    try:
        shape, by_columns, dtype = readers[version](stream)
    except Exception as error:  # it is read as Python's literals, which fail in many ways
        raise ValueError(f"{member.filename!r} has no header of an array: {error}") from error
    if dtype.hasobject or dtype.names or dtype.subdtype or dtype.kind not in "biufcUSmM" or not dtype.itemsize:
        raise ValueError(f"{member.filename!r} holds {dtype}, not plain values")
    return shape, by_columns, dtype
