"""The page of a run inside a notebook."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rnnreport.results.folder import RunFolder


@dataclass(frozen=True)
class Frame:
    """A page in a frame, which a notebook draws where it is the last value of a cell.

    Attributes
    ----------
    title : str
    page : str, the HTML document
    height : int, pixels
    """

    title: str
    page: str
    height: int

    def _repr_html_(self) -> str:
        """The frame as Jupyter and its like ask for it. Scripts of the page run, without access to the notebook."""
        return (
            f'<iframe title="{escape(self.title)}" sandbox="allow-scripts" srcdoc="{escape(self.page)}" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        return f"<page of {self.title}, {len(self.page):,} characters>"


def show(run: str | os.PathLike[str], height: int = 900) -> Frame:
    """Show the page of a run in a notebook.

    Parameters
    ----------
    run : path of an analysed run; its ``report.html`` is taken where there is one, and else rendered
    height : int
        Of the frame, in pixels.

    Returns
    -------
    Frame
        Leave it as the last value of the cell, or give it to ``display``.
    """
    folder = RunFolder.open(Path(run))
    made = folder.path / "report.html"
    if made.is_file():
        page = made.read_text(encoding="utf-8")
    else:
        from rnnreport.report import render_report

        page = render_report(folder)
    return Frame(folder.manifest().name, page, height)
