"""Where the nodes of a tree of continuations are drawn, and what stands at them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.report.environment import percent
from rnnreport.results.naming import input_noun
from rnnreport.results.schema import ContinuationTrees

_ROW, _TOP, _ROOT = 24.0, 16.0, 12.0  # px: between ends, above the first, left of the root
_LETTER, _SHARE, _ROOM = 8.6, 58.0, 64.0  # px: a letter of a token, the share after it, from there to the next level
_BROADEST = 24.0  # px: band of a certain path
_LONGEST = 16  # letters of a token that are shown
_LAST_TOKENS = 14  # of the context


@dataclass(frozen=True)
class Node:
    """One continuation, in px, with its texts.

    Attributes
    ----------
    depth : int, 0 right after the context
    x, y : float, where its token begins
    band : str, SVG path from the parent to it
    width : float, of the band
    token, label : str, the token and what is shown of it
    share, path, rest : str, probability of the token here, of the whole path, and of all tokens not drawn after it
    """

    depth: int
    x: float
    y: float
    band: str
    width: float
    token: str
    label: str
    share: str
    path: str
    rest: str


@dataclass(frozen=True)
class Tree:
    """One context and what may follow it.

    Attributes
    ----------
    name : str, of the context in the list
    sequence_id : str
    length : int, tokens of the context
    context : str, its end
    rest : str, probability of all tokens not drawn right after the context
    root : float, height of the root
    width, height : float, of the picture
    nodes : list of Node
    """

    name: str
    sequence_id: str
    length: int
    context: str
    rest: str
    root: float
    width: float
    height: float
    nodes: list[Node]


def draw_trees(found: ContinuationTrees) -> list[Tree]:
    """Lay out every tree from left to right: a row for each end, a parent in the middle of its children."""
    gap = gap_between([*found.tokens, *itertools.chain(*found.context_tokens)])
    return [_draw(found, context, gap) for context in range(len(found.sequence_ids))]


def _draw(found: ContinuationTrees, context: int, gap: str) -> Tree:
    rows = np.flatnonzero(found.contexts == context)
    parents, shares = found.parents[rows].tolist(), found.probabilities[rows].astype(np.float64)
    paths, depths = shares.copy(), np.zeros(len(rows), np.int64)
    for node, parent in enumerate(parents):  # a parent stands before its children
        if parent >= 0:
            paths[node] *= paths[parent]
            depths[node] = depths[parent] + 1
    heights, root = _heights(parents)
    labels = [shortened(visible(found.tokens[row])) for row in rows]
    texts = _LETTER * np.array([len(label) for label in labels]) + _SHARE
    lefts = np.cumsum([_ROOT + _ROOM, *(texts[depths == depth].max() + _ROOM for depth in range(depths.max() + 1))])
    nodes = []
    for node, parent in enumerate(parents):
        left = lefts[depths[node]]
        start = (_ROOT, root) if parent < 0 else (lefts[depths[parent]] + texts[parent], heights[parent])
        nodes.append(
            Node(
                depth=int(depths[node]),
                x=float(left),
                y=heights[node],
                band=_band(start, (left - 6, heights[node])),
                width=round(max(1.0, _BROADEST * paths[node]), 1),
                token=found.tokens[rows[node]],
                label=labels[node],
                share=percent(shares[node]),
                path=percent(paths[node]),
                rest=_rest(shares, parents, node),
            )
        )
    return Tree(
        name=f"{found.sequence_ids[context]}, after {len(found.context_tokens[context])} tokens",
        sequence_id=found.sequence_ids[context],
        length=len(found.context_tokens[context]),
        context=_end_of_text(found.context_tokens[context], gap),
        rest=_rest(shares, parents, -1),
        root=root,
        width=float(lefts[-1]) - _ROOM,
        height=max(heights) + _TOP,
        nodes=nodes,
    )


def _heights(parents: list[int]) -> tuple[list[float], float]:
    """Height of every node and of the root: ends stand a row apart, in the order of the tree."""
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents):
        children.setdefault(parent, []).append(node)
    heights = [0.0] * len(parents)
    ends = 0

    def place(node: int) -> float:
        nonlocal ends
        own = [place(child) for child in children.get(node, ())]
        if not own:
            ends += 1
        height = (own[0] + own[-1]) / 2 if own else _TOP + _ROW * (ends - 1)
        if node >= 0:
            heights[node] = height
        return height

    return heights, place(-1)


def _band(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = start, end
    middle = (x + to_x) / 2
    return f"M{x:.0f} {y:.1f}C{middle:.0f} {y:.1f} {middle:.0f} {to_y:.1f} {to_x:.0f} {to_y:.1f}"


def _rest(shares: NDArray[np.float64], parents: list[int], node: int) -> str:
    """Probability of all tokens after a node that are not drawn; "" where none is."""
    drawn = [share for share, parent in zip(shares.tolist(), parents, strict=True) if parent == node]
    return percent(max(0.0, 1 - sum(drawn))) if drawn else ""


def _end_of_text(tokens: tuple[str, ...], gap: str) -> str:
    last = tokens[-_LAST_TOKENS * (1 if gap else 3) :]
    text = gap.join(visible(token) for token in last)
    return f"… {text}" if len(last) < len(tokens) else text


def visible(token: str) -> str:
    """A token with a printable form of invisible characters, as ``core.js`` shows it."""
    spaced = "␣" if token == " " else token
    return spaced.replace("\n", "↵").replace("\t", "⇥") or "∅"


def gap_between(tokens: Sequence[str]) -> str:
    """What stands between the tokens of a corpus in a text: nothing where they are characters.

    Parameters
    ----------
    tokens : sequence of str, all that occur
    """
    return "" if input_noun(tokens) == "character" else " "


def shortened(text: str) -> str:
    """A text of at most ``_LONGEST`` letters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
