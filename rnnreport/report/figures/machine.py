"""A state machine as a graph on a ring: drawn here, so that it needs no scripts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from rnnreport.report.trees import visible
from rnnreport.results.recorded import Doubles
from rnnreport.results.schema import Machine
from rnnreport.results.schema.machine import letter

_WIDTH, _HEIGHT = 600, 500
_ACROSS, _UP = 225, 190  # half axes of the ring
_LINE = (170, 110)  # top and height where one state stands beside the beginning
_PILL = 13  # half the height of a state
_PER_STATE = 2  # arrows that leave a state, besides the one back to itself
_LEAST = 0.02  # of the steps that leave a state, for an arrow
_NAMED = 2  # inputs at an arrow
_LETTER = 7.4  # px of a letter of a label

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Arrow:
    """One transition that is drawn.

    Attributes
    ----------
    source, target : int, states; -1 is the beginning of a sequence
    count : int, times it is taken
    share : float, of the steps that leave the source
    label : str, its most frequent inputs
    often : str, some more of them and how often each is read there
    """

    source: int
    target: int
    count: int
    share: float
    label: str
    often: str


def arrows(machine: Machine, names: Sequence[str]) -> list[Arrow]:
    """The most frequent transitions of every state, and where it stays.

    Parameters
    ----------
    machine : Machine
    names : of the inputs, as they are shown
    """
    found = []
    leaving = {
        source: int(sum(n for a, _, n in machine.edges if a == source)) for source in range(-1, len(machine.answers))
    }
    if machine.beginning >= 0:  # sequences begin as if they were in that state: one arrow says so
        found.append(Arrow(-1, machine.beginning, leaving[-1], 1.0, "begins", ""))
    drawn: dict[int, int] = {-1: _PER_STATE} if machine.beginning >= 0 else {}
    every = zip(machine.edges.tolist(), machine.causes.tolist(), machine.cause_counts.tolist(), strict=True)
    for (source, target, count), causes, counts in every:
        share = count / leaving[source]
        already = drawn.get(source, 0)
        if already >= _PER_STATE if source != target else share < _LEAST:
            continue
        if already and source != target and share < _LEAST:  # the first is drawn however rare it is
            continue
        drawn[source] = already + (source != target)
        label = " ".join(names[token] for token in causes[:_NAMED] if token >= 0)
        often = ", ".join(f"{names[token]} ({n:,})" for token, n in zip(causes, counts, strict=True) if token >= 0)
        found.append(Arrow(source, target, count, share, label, often))
    return found


def machine_picture(machine: Machine, names: Sequence[str], colours: Sequence[str]) -> Markup:
    """The graph: states on a ring, arrows bent to the left of their way, named by what most often takes them.

    Parameters
    ----------
    machine : Machine
    names : of the inputs, as they are shown
    colours : of the classes
    """
    drawn = arrows(machine, names)
    k = len(machine.answers)
    places = ring(drawn, k)
    labels = [""] + [_label(machine, state) for state in range(k)]
    sizes, taken = _pills(labels, places)
    if any(
        _meets(one, two) for one, two in itertools.combinations(taken, 2)
    ):  # the table beside says what they predict
        labels = [""] + [letter(state) for state in range(k)]
        sizes, taken = _pills(labels, places)
    parts = [
        _arrow(arrow, places, sizes, taken)
        for arrow in sorted(drawn, key=lambda arrow: (-arrow.count, arrow.source, arrow.target))
    ]
    x, y = places[0]
    parts.append(
        f'<circle class="begin" cx="{x:.0f}" cy="{y:.0f}" r="7"><title>beginning of a sequence</title></circle>'
    )
    parts += [
        _state(machine, state, places[state + 1], sizes[state + 1], labels[state + 1], colours) for state in range(k)
    ]
    label = f"State machine of {k} states and {len(drawn)} of its {len(machine.edges)} transitions"
    top, height = (0, _HEIGHT) if k > 1 else _LINE
    size = f'viewBox="0 {top} {_WIDTH} {height}" role="group"'
    return Markup(f'<svg class="small-picture machine" {size} aria-label="{label}">{"".join(parts)}</svg>')


def _pills(labels: Sequence[str], places: Sequence[tuple[float, float]]) -> tuple[list[float], list[Box]]:
    """Half the width of the beginning and of every state, and the boxes they take."""
    sizes = [9.0] + [max(20.0, (len(text) * _LETTER + 16) / 2) for text in labels[1:]]
    return sizes, [_box(*place, 2 * size, 2 * _PILL) for place, size in zip(places, sizes, strict=True)]


def ring(drawn: Sequence[Arrow], k: int) -> list[tuple[float, float]]:
    """Where the beginning and the k states stand: in an order that keeps arrows short, from the left clockwise."""
    flow = np.zeros((k + 1, k + 1))
    for arrow in drawn:
        flow[arrow.source + 1, arrow.target + 1] += arrow.share
    order = _short_order(flow + flow.T)
    found = [(0.0, 0.0)] * (k + 1)
    for step, place in enumerate(order):
        angle = math.pi - 2 * math.pi * step / (k + 1)
        found[place] = (_WIDTH / 2 + _ACROSS * math.cos(angle), _HEIGHT / 2 - _UP * math.sin(angle))
    return found


def _short_order(flow: Doubles) -> list[int]:
    """An order on a ring with the first one fixed, improved by exchanging pairs until nothing becomes shorter."""
    count = len(flow)
    apart = np.abs(np.arange(count)[:, None] - np.arange(count))
    apart = np.minimum(apart, count - apart)
    order = np.arange(count)
    best = float((flow[np.ix_(order, order)] * apart).sum())
    improved = True
    while improved:
        improved = False
        for one, two in itertools.combinations(range(1, count), 2):
            order[[one, two]] = order[[two, one]]
            length = float((flow[np.ix_(order, order)] * apart).sum())
            if length < best - 1e-9:
                best, improved = length, True
            else:
                order[[one, two]] = order[[two, one]]
    return [int(place) for place in order]


def _label(machine: Machine, state: int) -> str:
    answer = visible(machine.answers[state])
    return f"{letter(state)} {answer if len(answer) <= 10 else answer[:9] + '…'}"


def _state(
    machine: Machine, state: int, at: tuple[float, float], half: float, label: str, colours: Sequence[str]
) -> str:
    x, y = at
    kind = int(machine.classes[state])
    fill = f' style="--class: {colours[kind % len(colours)]}"' if kind >= 0 else ""
    share = machine.steps[state] / max(1, int(machine.steps.sum()))
    said = (
        f"state {letter(state)}: predicts {machine.answers[state]} in {machine.shares[state]:.0%}, "
        f"{share:.0%} of the steps"
    )
    return (
        f'<g class="state" data-node="{state}" data-class="{kind}" role="button" tabindex="0" '
        f'aria-label="{escape(said)}"{fill}>'
        f'<rect x="{x - half:.1f}" y="{y - _PILL:.1f}" width="{2 * half:.1f}" height="{2 * _PILL}" rx="{_PILL}"/>'
        f'<rect class="share" x="{x - half + 10:.1f}" y="{y + _PILL - 4:.1f}" '
        f'width="{(2 * half - 20) * share:.1f}" height="2"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(label)}</text></g>'
    )


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _meets(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _arrow(arrow: Arrow, places: Sequence[tuple[float, float]], sizes: Sequence[float], taken: list[Box]) -> str:
    """One arrow with its label, which is faint where another label or a state is in its place."""
    path, at = _loop(arrow, places, sizes) if arrow.source == arrow.target else _bow(arrow, places, sizes)
    width = max(0.8, 6 * math.sqrt(arrow.share) - 1)
    box = _box(*at, len(arrow.label) * _LETTER, 14)
    free = box[0] > 0 and box[2] < _WIDTH and not any(_meets(box, other) for other in taken)
    if free:
        taken.append(box)
    return (
        f'<g class="arrow" data-from="{arrow.source}" data-to="{arrow.target}">'
        f"<title>{escape(_said(arrow))}</title>"
        f'<path class="way" d="{path[0]}" stroke-width="{width:.1f}"/><path class="head" d="{path[1]}"/>'
        f'<text class="{"free" if free else "hidden"}" x="{at[0]:.1f}" y="{at[1] + 4:.1f}">'
        f"{escape(arrow.label)}</text></g>"
    )


def _said(arrow: Arrow) -> str:
    if arrow.label == "begins" and arrow.source < 0:
        return f"sequences begin as in {letter(arrow.target)}: {arrow.count:,} of them"
    source = letter(arrow.source) if arrow.source >= 0 else "the beginning"
    return f"{source} to {letter(arrow.target)}: {arrow.count:,} times, {arrow.share:.0%}; most often by {arrow.often}"


Path = tuple[tuple[str, str], tuple[float, float]]


def _bow(arrow: Arrow, places: Sequence[tuple[float, float]], sizes: Sequence[float]) -> Path:
    """A curve to the left of its way, so that the way back is another one; the place of its label."""
    (x0, y0), (x1, y1) = places[arrow.source + 1], places[arrow.target + 1]
    length = math.hypot(x1 - x0, y1 - y0)
    bend = 0.12 * length + 14
    middle = (x0 + x1) / 2 + bend * (y1 - y0) / length, (y0 + y1) / 2 - bend * (x1 - x0) / length
    begin = _edge((x0, y0), middle, sizes[arrow.source + 1], 2)
    end = _edge((x1, y1), middle, sizes[arrow.target + 1], 5)
    way = f"M{begin[0]:.1f} {begin[1]:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {end[0]:.1f} {end[1]:.1f}"
    beside = 9 / length  # px to the left of the curve's middle, where it is parallel to the straight way
    at = (
        (begin[0] + 2 * middle[0] + end[0]) / 4 + beside * (y1 - y0),
        (begin[1] + 2 * middle[1] + end[1]) / 4 - beside * (x1 - x0),
    )
    return (way, _head(end, math.atan2(end[1] - middle[1], end[0] - middle[0]))), at


def _loop(arrow: Arrow, places: Sequence[tuple[float, float]], sizes: Sequence[float]) -> Path:
    """A loop on the outer side of the ring."""
    x, y = places[arrow.source + 1]
    way = -1 if y < _HEIGHT / 2 + 1 else 1
    top, far = y + way * (_PILL + 2), y + way * (_PILL + 30)
    path = f"M{x - 9:.1f} {top:.1f}C{x - 22:.1f} {far:.1f} {x + 22:.1f} {far:.1f} {x + 9:.1f} {top + way * 3:.1f}"
    return (path, _head((x + 9, top + way * 3), math.atan2(-way, -0.5))), (x, y + way * (_PILL + 31))


def _edge(at: tuple[float, float], toward: tuple[float, float], half: float, room: float) -> tuple[float, float]:
    """Where the way to another point leaves the pill."""
    x, y = toward[0] - at[0], toward[1] - at[1]
    scale = 1 / max(abs(x) / (half + room), abs(y) / (_PILL + room), 1e-9)
    return at[0] + scale * x, at[1] + scale * y


def _head(at: tuple[float, float], angle: float) -> str:
    points = [(at[0] + 8 * math.cos(angle + turn), at[1] + 8 * math.sin(angle + turn)) for turn in (2.65, -2.65)]
    return f"M{at[0]:.1f} {at[1]:.1f}" + "".join(f"L{x:.1f} {y:.1f}" for x, y in points) + "Z"
