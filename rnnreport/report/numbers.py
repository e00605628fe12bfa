"""How each number is made: the entries of ``templates/numbers/*.md``, which a page prints of the numbers that it shows.

An entry is a second heading, a paragraph with the formula, and the items Source, Assumes, Code and Shown in, the last
with the names of figures.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from rnnreport.report.place import template_folder

_CHAPTERS = (
    "verdict",
    "units",
    "sequences",
    "states",
    "dynamics",
    "health",
    "causes",
    "memory",
    "training",
    "comparison",
)
_ENTRY = re.compile(
    r"^## (?P<title>.+)\n\n(?P<formula>.+)\n\n"
    r"\* Source: (?P<source>.+)\n\* Assumes: (?P<assumes>.+)\n\* Code: (?P<code>.+)\n\* Shown in: (?P<figures>.+)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Entry:
    """How one number is made.

    Attributes
    ----------
    anchor : str, its id in a page
    title, formula, source, assumes, code : str
    figures : tuple of str, names of the frames that link to it
    """

    anchor: str
    title: str
    formula: str
    source: str
    assumes: str
    code: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """The entries of one page of the repository, under its title."""

    title: str
    entries: tuple[Entry, ...]


@functools.cache
def chapters() -> tuple[Chapter, ...]:
    """All of them, in the order of the report."""
    folder = template_folder() / "numbers"
    return tuple(_parsed((folder / f"{name}.md").read_text(encoding="utf-8")) for name in _CHAPTERS)


def numbers_of(figure: str) -> tuple[Entry, ...]:
    """The entries that a figure links to.

    Parameters
    ----------
    figure : str, the name of its frame
    """
    return tuple(entry for chapter in chapters() for entry in chapter.entries if figure in entry.figures)


def linked_chapters(body: str) -> tuple[Chapter, ...]:
    """The chapters with those entries that a page links to.

    Parameters
    ----------
    body : str, the markup of the page
    """
    linked = set(re.findall(r'href="#(number-[a-z0-9-]+)"', body))
    found = (
        replace(chapter, entries=tuple(entry for entry in chapter.entries if entry.anchor in linked))
        for chapter in chapters()
    )
    return tuple(chapter for chapter in found if chapter.entries)


def _parsed(page: str) -> Chapter:
    entries = (
        Entry(
            anchor="number-" + "-".join(re.findall(r"[a-z0-9]+", found["title"].lower())),
            title=found["title"],
            formula=found["formula"],
            source=found["source"],
            assumes=found["assumes"],
            code=found["code"],
            figures=tuple(found["figures"].split(", ")),
        )
        for found in _ENTRY.finditer(page)
    )
    return Chapter(page.partition("\n")[0].removeprefix("# "), tuple(entries))
