"""Rows of ``.tsv``, ``.csv`` and ``.jsonl`` corpora, each with its line."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.files import SourceFile
from rnnreport.reading import parse_json

TARGET = "target"
_LARGEST = float(np.finfo(np.float32).max)
_PAIRS = (("text", "label"), ("text", "labels"), ("text", TARGET), ("tokens", "tags"), ("tokens", "targets"))
_WANTED = (
    "needs 'text' and 'label', 'labels' or 'target', or 'tokens' and 'tags' or 'targets' (see rnnreport/load/README.md)"
)


@dataclass(frozen=True)
class Row:
    """One row: its line (1-based, the last one of a quoted csv row) and its values by column."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows in the order of the file, and the columns that say what they are.

    Attributes
    ----------
    columns : tuple of str, the input's column, "text" or "tokens", and the answer's: "label", "labels", "target" or
        every "target_NAME" of a text, "tags" or "targets" of tokens
    rows : list of Row
    blank_lines : int, lines without content, left out
    """

    columns: tuple[str, ...]
    rows: list[Row]
    blank_lines: int


def read_table(source: SourceFile) -> Table:
    """Read all rows of a ``.tsv``, ``.csv`` or ``.jsonl`` file.

    ``.tsv`` has a header and no quoting; ``.csv`` has a header and the quoting of the csv module; ``.jsonl`` has one
    object per line.

    Raises
    ------
    InputError
        If the header or a line does not parse, with file and line.
    """
    lines = source.lines()
    blank = sum(not line.strip() for line in lines)
    if blank == len(lines):
        raise InputError(f"{source.path} is empty", "give a corpus with at least one sequence")
    if source.suffix == ".jsonl":
        rows = list(_json_rows(source, lines))
        columns = _columns(source, rows[0].line, rows[0].values)
    else:
        cells = _csv_cells(source, lines) if source.suffix == ".csv" else _tsv_cells(lines)
        number, header = next(cells, (0, []))
        if not header:  # lines of nothing but separators
            raise InputError(f"{source.path} is empty", "give a corpus with at least one sequence")
        columns = _columns(source, number, header)
        rows = list(_headed_rows(source, header, cells))
    return Table(columns, rows, blank)


def _columns(source: SourceFile, line: int, names: Iterable[str]) -> tuple[str, ...]:
    found = list(names)
    repeated = sorted(name for name, times in Counter(found).items() if times > 1)
    if repeated:
        raise InputError(f"{source.at(line)}: column {repeated[0][:60]!r} appears twice", "name every column once")
    for pair in _PAIRS:
        if set(pair) <= set(found):
            return pair
    named = tuple(name for name in found if name.startswith(f"{TARGET}_"))
    if named and "text" in found:
        return ("text", *named)
    shown = ", ".join(repr(name[:30]) for name in found[:8])
    raise InputError(f"{source.at(line)}: the columns are {shown}", f"{source.suffix} {_WANTED}")


def _tsv_cells(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    return ((number, line.split("\t")) for number, line in enumerate(lines, start=1) if line.strip())


def _csv_cells(source: SourceFile, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{source.at(reader.line_num)}: not csv ({error})", "check the quotes of this line") from error


def _headed_rows(source: SourceFile, header: list[str], cells: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
    for number, row in cells:
        if len(row) != len(header):
            raise InputError(
                f"{source.at(number)}: {len(row)} fields where the header has {len(header)}",
                "separate the fields as in the header",
            )
        yield Row(number, dict(zip(header, row, strict=True)))


def _json_rows(source: SourceFile, lines: list[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = parse_json(line)
        except ValueError as error:
            raise InputError(f"{source.at(number)}: not JSON ({error})", "write one JSON object per line") from error
        if not isinstance(values, dict):
            raise InputError(f"{source.at(number)}: not a JSON object", f".jsonl {_WANTED}")
        yield Row(number, values)


def string_of(row: Row, column: str, place: str) -> str:
    """A cell's text.

    Raises
    ------
    InputError
        If it is missing; names ``place`` (file:line), as all functions below.
    """
    value = row.values.get(column)
    if not isinstance(value, str):
        raise InputError(f"{place}: {column!r} is missing or not a string", "give every row the same columns")
    return value


def strings_of(row: Row, column: str, place: str) -> list[str]:
    """A cell's items: separated by spaces, or a JSON list of strings or integers."""
    value = row.values.get(column)
    if isinstance(value, list):
        return [label_of(item, column, place) for item in value]
    return string_of(row, column, place).split()


def label_of(value: Any, column: str, place: str) -> str:
    """A label or an id: a string, or an integer or truth value of JSON."""
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    if not text:
        raise InputError(f"{place}: {column!r} is missing or empty", f"give every row its {column}")
    return text


def number_of(value: Any, column: str, place: str, *, missing: bool = False) -> float:
    """A finite number that fits float32; with ``missing`` also NaN, from nan or null."""
    if missing and value is None:
        return math.nan
    try:
        number = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else math.inf
    except (ValueError, OverflowError):
        number = math.inf
    if abs(number) <= _LARGEST or (missing and math.isnan(number)):
        return number
    shown = "missing" if value is None else repr(str(value)[:60])
    raise InputError(f"{place}: {column!r} is {shown}", "give a finite number, with a point before its decimals")
