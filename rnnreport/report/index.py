"""The index over many runs: one sortable table with links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnreport.report.assets import page_assets
from rnnreport.report.environment import environment
from rnnreport.results.schema import Summary

_METRICS = ("accuracy", "exact_match", "micro_f1", "rmse", "r2", "cross_entropy", "perplexity")


@dataclass(frozen=True)
class IndexEntry:
    """One run of the index.

    Attributes
    ----------
    href : str, relative link to its report
    summary : Summary
    """

    href: str
    summary: Summary


def render_index(entries: Sequence[IndexEntry], *, comparison: str = "") -> str:
    """Render the index page.

    Parameters
    ----------
    entries : in the order shown
    comparison : str, optional
        Relative link to a comparison page of these runs.
    """
    metrics = [name for name in _METRICS if any(name in entry.summary.metrics for entry in entries)]
    return (
        environment()
        .get_template("index.html.j2")
        .render(assets=page_assets(("index.js",), bokeh=False), entries=entries, metrics=metrics, comparison=comparison)
    )
