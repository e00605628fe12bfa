"""Small curves over one axis of epochs, drawn here: they need no scripts, and their colours follow the page's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rnnreport.report.environment import number
from rnnreport.results.schema import Formation, Probes

_WIDTH, _HEIGHT, _MARGIN = 1000, 100, 6
_METRIC_STYLES = ("activity", "picture", "third", "fourth")
Curve = tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Panel:
    """One small figure.

    Attributes
    ----------
    id : str
    title : str
    note : str, unit or measure
    names : tuple of (style, label), its curves where they are not those of all panels
    places : tuple of str, where each of these names stands, as a style sheet has it: at the end of its curve
    low, high : float, the ends of its vertical axis
    first, last : int, the ends of its axis of epochs
    svg : Markup
    """

    id: str
    title: str
    note: str
    names: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    low: float
    high: float
    first: int
    last: int
    svg: Markup


def formation_panels(
    formed: Formation, losses: Mapping[str, Curve], scores: Mapping[str, Curve], probes: Probes | None = None
) -> list[Panel]:
    """The panels of a run, those without any line left out.

    Parameters
    ----------
    formed : Formation
    losses, scores : label to epochs and values; scores are shares
    probes : Probes, optional
    """
    axis = _axis(formed, {**losses, **scores})

    def both(name: str, title: str, note: str, values: NDArray[np.floating[Any]], **marks: Any) -> Panel | None:
        curves = {"picture": (formed.epochs, values[0]), "activity": (formed.epochs, values[1])}
        return _panel(name, title, note, curves, (), axis, formed, **marks)

    def one(name: str, title: str, note: str, values: NDArray[np.floating[Any]], **marks: Any) -> Panel | None:
        return _panel(name, title, note, {"activity": (formed.epochs, values)}, (), axis, formed, **marks)

    def metrics(name: str, title: str, curves: Mapping[str, Curve]) -> Panel | None:
        styled = list(zip(_METRIC_STYLES, curves, strict=False))
        shown = {style: curves[label] for style, label in styled}
        if len(styled) == 1:  # the title is its name
            title, styled = styled[0][1].capitalize(), []
        return _panel(name, title, "", shown, styled, axis, formed)

    settled = formed.settled
    found = [
        metrics("loss", "Loss", losses),
        metrics("score", "Metrics that are shares", scores),
        one("similarity", "Similarity with the last epoch", "linear CKA", formed.similarity,
            level=settled["similarity"], band=(settled["low"], settled["high"])),
        both("change", "Change per epoch", "mean distance, for each epoch since the one before", formed.change),
        one("participation", "Directions in use", "participation ratio", formed.participation),
        both("purity", "Neighbours in the same co-cluster", "share; dotted: chance", formed.purity,
             level=formed.chance, flagged=formed.flagged["purity"]),
        both("alignment", "Steps keep their direction", "cosine", formed.alignment,
             flagged=formed.flagged["alignment"]),
        both("within-step", "Spread of the units in a step", "entropy, nats", _mean(formed.within_step)),
        both("within-unit", "Spread of the steps of a unit", "entropy, nats", _mean(formed.within_unit)),
    ]  # fmt: skip
    if probes is not None:
        found[2:2] = _probe_panels(probes, axis, formed)
    return [panel for panel in found if panel is not None]


def _probe_panels(probes: Probes, axis: tuple[int, int], formed: Formation) -> list[Panel | None]:
    """What can be read from the state, means over the steps."""

    def drawn(name: str, title: str, note: str, curves: dict[str, Any], labels: tuple[str, str], **marks: Any) -> Any:
        lines = {style: (probes.epochs, values) for style, values in curves.items()}
        names = tuple(zip(lines, labels, strict=True))
        return _panel(name, title, note, lines, names, axis, formed, **marks)

    read = {"activity": probes.mean[0], "third": probes.control.mean(axis=1)}
    held = {"activity": probes.information.mean(axis=1), "third": probes.noise}
    what = probes.what
    frequent = float(probes.most_frequent.mean())
    base = f"share; dotted: most frequent {what}" if probes.measure == "share" else "R²; dotted: always naming the mean"
    return [
        drawn("read", f"A linear probe reads the {what}", base, read,
              ("read, 95% interval", "labels shuffled"),
              level=frequent, around=(probes.mean[1], probes.mean[2])),
        drawn("information", f"The leading directions hold the {what}", "bits, less bias", held,
              ("estimate", "one shuffle in 20 exceeds")),
    ]  # fmt: skip


def _mean(values: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Over the last axis, of what is defined."""
    known = np.isfinite(values)
    totals, counts = np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1)
    means: NDArray[np.floating[Any]] = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    return means


def _axis(formed: Formation, losses: Mapping[str, Curve]) -> tuple[int, int]:
    ends = [int(epochs[place]) for epochs, _ in losses.values() if len(epochs) for place in (0, -1)]
    return min([int(formed.epochs[0]), *ends]), max([int(formed.epochs[-1]), *ends])


def _panel(
    id: str,
    title: str,
    note: str,
    curves: Mapping[str, Curve],
    names: Sequence[tuple[str, str]],
    axis: tuple[int, int],
    formed: Formation,
    level: float | None = None,
    band: tuple[int, int] | None = None,
    flagged: Sequence[int] = (),
    around: tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]] | None = None,
) -> Panel | None:
    lines = [(style, line) for style, (x, y) in curves.items() for line in _unbroken(x, np.asarray(y, np.float64))]
    if not lines:
        return None
    values = np.array([value for _, line in lines for _, value in line])
    if level is not None and math.isfinite(level):
        values = np.append(values, level)
    if around is not None:
        values = np.append(values, around)
    low, high = float(values.min()), float(values.max())
    span = (high - low) or 1.0

    def across(epoch: float) -> float:
        return _WIDTH * (epoch - axis[0]) / max(1, axis[1] - axis[0])

    def up(value: float) -> float:
        return _HEIGHT - _MARGIN - (value - low) / span * (_HEIGHT - 2 * _MARGIN)

    parts = [_flag(epoch, formed, across) for epoch in flagged]
    if band is not None:
        parts.append(_band("doubt", across(band[0]) - 3, across(band[1]) + 3))
    for jump in formed.jumps:
        place = across(jump["epoch"])
        parts.append(f'<line class="jump" x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="{_HEIGHT}"/>')
    if level is not None and math.isfinite(level):
        parts.append(f'<line class="level" x1="0" x2="{_WIDTH}" y1="{up(level):.1f}" y2="{up(level):.1f}"/>')
    if around is not None:
        ends = [*zip(formed.epochs, around[0], strict=True), *reversed([*zip(formed.epochs, around[1], strict=True)])]
        points = " ".join(f"{across(epoch):.1f},{up(value):.1f}" for epoch, value in ends)
        parts.append(f'<polygon class="around" points="{points}"/>')
    for style, line in lines:
        points = " ".join(f"{across(epoch):.1f},{up(value):.1f}" for epoch, value in line)
        parts.append(f'<polyline class="{style}" points="{points}"/>')
    label = quoteattr(f"{title} over epochs {axis[0]} to {axis[1]}, between {number(low)} and {number(high)}")
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" aria-label={label}'
    last = {style: up(line[-1][1]) for style, line in lines}
    named = tuple((style, name) for style, name in names if style in last)
    svg = Markup(f"<svg {box}>{''.join(parts)}</svg>")
    return Panel(id, title, note, named, _places([last[style] for style, _ in named]), low, high, *axis, svg)


def _places(ends: Sequence[float]) -> tuple[str, ...]:
    """Names of curves that end low stand above them, a ``--line`` for each; of those that end high, below."""
    places = {}
    for low in (True, False):
        own = sorted((at for at in range(len(ends)) if (ends[at] > _HEIGHT / 2) == low), key=lambda at: ends[at])
        edge = (min if low else max)((ends[at] for at in own), default=0.0)
        for lines, at in enumerate(reversed(own) if low else own):
            side, share = ("bottom", _HEIGHT - edge) if low else ("top", edge)
            places[at] = f"{side}: calc({share:.0f}% + {lines} * var(--line) + 2px)"
    return tuple(places[at] for at in range(len(ends)))


def _flag(epoch: int, formed: Formation, across: Any) -> str:
    """A band from half way to the epoch before to half way to the next."""
    place = int(np.flatnonzero(formed.epochs == epoch)[0])
    around = formed.epochs[max(0, place - 1) : place + 2].astype(float)
    return _band("flag", across((epoch + around[0]) / 2), across((epoch + around[-1]) / 2))


def _band(style: str, left: float, right: float) -> str:
    return f'<rect class="{style}" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{_HEIGHT}"/>'


def _unbroken(epochs: NDArray[np.integer[Any]], values: NDArray[np.float64]) -> list[list[tuple[int, float]]]:
    """The pieces of a curve between its gaps that are lines: of at least two points."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for epoch, value in zip(epochs.tolist(), values.tolist(), strict=True):
        if math.isfinite(value):
            pieces[-1].append((epoch, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if len(piece) > 1]
