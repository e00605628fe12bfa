"""Bokeh figures as JSON items with ids that do not depend on what was built before in the process."""

from __future__ import annotations

from typing import Any

from bokeh.embed import json_item
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure


def plot_item(plot: figure, prefix: str) -> dict[str, Any]:
    """Serialise a figure for ``Bokeh.embed.embed_item``.

    Bokeh numbers models by a counter of the process; renumbering them in the order of the document makes the same
    figure the same bytes, and a prefix per figure keeps them apart on one page.

    Parameters
    ----------
    plot : figure
        Marks of the pointed step, of sources called ``*.here``, are moved to the layer that is painted by itself: while
        the pointer moves, nothing else is painted again.
    prefix : str, unique on the page
    """
    for renderer in plot.renderers:
        if isinstance(renderer, GlyphRenderer) and (renderer.data_source.name or "").endswith(".here"):
            renderer.level = "overlay"
    item = json_item(plot)
    names: dict[str, str] = {}
    _collect_ids(item, names, prefix)
    renamed = _rename(item, names)
    return dict(renamed)


def _collect_ids(node: Any, names: dict[str, str], prefix: str) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("id"), str) and node["id"] not in names:
            names[node["id"]] = f"{prefix}-{len(names)}"
        for value in node.values():
            _collect_ids(value, names, prefix)
    elif isinstance(node, list):
        for value in node:
            _collect_ids(value, names, prefix)


def _rename(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: names[value]
            if key in ("id", "root_id", "root_ids") and isinstance(value, str) and value in names
            else _rename(value, names)
            for key, value in node.items()
        }
    return [_rename(value, names) for value in node] if isinstance(node, list) else node
