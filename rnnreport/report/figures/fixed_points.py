"""The network as a dynamical system, drawn here: points among trajectories, eigenvalues, slow dimensions, exponents."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from rnnreport.report.environment import number
from rnnreport.report.figures.paths import dots, line
from rnnreport.results.schema import FixedPoints, Integration, Lyapunov
from rnnreport.results.schema.fixed_points import SADDLE, SLOW, STABLE

_NARROW, _WIDE, _HEIGHT, _MARGIN = 400, 640, 360, 16  # of the plane, whose width follows what is in it
_CIRCLE, _RADIUS = 300, 92  # side of the picture of eigenvalues, and the unit circle in it
_CHART, _CHART_HEIGHT, _LEFT, _TOP, _FOOT = 400, 220, 48, 10, 38
_KINDS = {STABLE: "stable", SADDLE: "saddle", SLOW: "slow"}


class _Plane:
    """From principal components to the picture, all to one scale; ``width``: of the picture."""

    def __init__(self, clouds: Iterable[NDArray[np.floating]]) -> None:
        together = np.concatenate([cloud for cloud in clouds if len(cloud)])
        low, high = together.min(axis=0), together.max(axis=0)
        across, up = np.where(high > low, high - low, 1)
        self.width = round(min(_WIDE, max(_NARROW, _HEIGHT * float(across / up))))
        self._scale = min((self.width - 2 * _MARGIN) / float(across), (_HEIGHT - 2 * _MARGIN) / float(up))
        self._middle = (low + high) / 2

    def __call__(self, place: NDArray[np.floating]) -> tuple[float, float]:
        across, up = (place - self._middle) * self._scale
        return self.width / 2 + float(across), _HEIGHT / 2 - float(up)


def plane_picture(found: FixedPoints) -> Markup:
    """A few sequences as lines, slow places as dots, the points of every input by their kind; those of one shown."""
    place = _Plane([found.path, found.plane])
    starts = np.cumsum(np.append(0, found.path_lengths))
    parts = [
        f'<path class="trail" data-sequence="{sequence}" d="{line(map(place, found.path[start:end]))}"/>'
        for sequence, start, end in zip(found.path_sequences.tolist(), starts, starts[1:], strict=False)
    ]
    for own in range(len(found.inputs)):
        slow = dots(map(place, found.slow_plane[found.slow_owners == own]))
        points = [
            _point(found, index, *place(found.plane[index])) for index in np.flatnonzero(found.owners == own).tolist()
        ]
        hidden = "" if own == found.first else ' visibility="hidden"'
        parts.append(
            f'<g class="input" data-input="{own}"{hidden}><path class="creep" d="{slow}"/>{"".join(points)}</g>'
        )
    label = escape(f"{found.titles[found.first]}, among the states of {len(found.path_lengths)} sequences")
    box = f'viewBox="0 0 {place.width} {_HEIGHT}"'
    return Markup(f'<svg class="motion plane" {box} role="img" aria-label="{label}">{"".join(parts)}</svg>')


def _point(found: FixedPoints, index: int, x: float, y: float) -> str:
    kind = _KINDS[int(found.kinds[index])]
    mark = '<path d="M-4 -4L4 4M-4 4L4 -4"/>' if kind == "slow" else '<circle r="6.5"/>'
    many = f'<text y="3.6" text-anchor="middle">{found.unstable[index]}</text>' if kind == "saddle" else ""
    return f'<g class="point {kind}" data-point="{index}" transform="translate({x:.1f} {y:.1f})">{mark}{many}</g>'


def chosen_point(found: FixedPoints) -> int:
    """The point shown first: of the input shown first the stable one that remembers longest, or else the first."""
    own = np.flatnonzero(found.owners == found.first)
    stable = own[found.kinds[own] == STABLE]
    return int(stable[found.times[stable, 0].argmax()]) if stable.size else int(own[0]) if own.size else -1


def spectrum_picture(found: FixedPoints, point: int) -> Markup:
    """The eigenvalues of a point beside the unit circle; ``fixedpoints.js`` draws those of another."""
    values = found.eigenvalues[point] if point >= 0 else np.zeros((0, 2))
    growing = (
        int(found.unstable[point]) if point >= 0 else 0
    )  # of values as exact as they were found, the largest first
    dots = "".join(
        f'<circle class="{"out" if place < growing else "in"}" cx="{_at(re):.1f}" cy="{_at(-im):.1f}" r="4"/>'
        for place, (re, im) in enumerate(values.tolist())
    )
    middle, low, high = _CIRCLE / 2, _at(-1), _at(1)
    frame = (
        f'<line class="grid" x1="8" x2="{_CIRCLE - 8}" y1="{middle}" y2="{middle}"/>'
        f'<line class="grid" x1="{middle}" x2="{middle}" y1="8" y2="{_CIRCLE - 8}"/>'
        f'<circle class="unit" cx="{middle}" cy="{middle}" r="{_RADIUS}"/>'
        f'<text x="{middle + 5}" y="{_at(-1) - 5:.0f}">i</text>'
        f'<text x="{_CIRCLE - 8}" y="{middle - 6}" text-anchor="end">real</text>'
    )
    ends = (  # over the dots, which crowd here
        f'<text class="end" x="{low - 5}" y="{middle - 7}" text-anchor="end">\N{MINUS SIGN}1</text>'
        f'<text class="end" x="{high + 7}" y="{middle + 22}">1</text>'
    )
    label = f"{len(values)} eigenvalues of the derivative of one step, beside the unit circle"
    return Markup(
        f'<svg class="motion spectrum" viewBox="0 0 {_CIRCLE} {_CIRCLE}" role="img" aria-label="{label}">{frame}'
        f'<g class="eigenvalues">{dots}</g>{ends}</svg>'
    )


def _at(part: float) -> float:
    """Where a real part lies; what is far outside the circle lies at the edge."""
    return min(_CIRCLE - 8.0, max(8.0, _CIRCLE / 2 + _RADIUS * part))


def dimension_picture(found: Integration) -> Markup:
    """How much of the variance of the slow places lies in their first principal components, trained and untrained."""
    count = max(len(shares) for shares in found.explained.values())
    apart = -(-count // 12)  # components from one number on the axis to the next
    radius = 3.5 if apart == 1 else 2
    parts = [_level(share, f"{share:.0%}", 0.0, 1.0) for share in (0, 0.5, 0.9, 1)]
    parts += [_tick(_across(k, count), str(k)) for k in range(apart, count + 1, apart)]
    if found.expected <= count:  # results of earlier versions end before
        at = _across(found.expected, count)
        parts.append(f'<line class="aim" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_CHART_HEIGHT - _FOOT}"/>')
    for name, shares in found.explained.items():
        if found.slow[name] > 1:
            places = [(_across(k + 1, count), _up(share, 0.0, 1.0)) for k, share in enumerate(shares.tolist())]
            marks = "".join(f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>' for x, y in places)
            parts.append(f'<path class="curve {name}" d="{line(places)}"/>{marks}')
    return _chart("principal components", "Variance of the slow places by principal components", parts)


def exponent_picture(found: Lyapunov) -> Markup:
    """The exponents, the largest first, with their intervals."""
    known = np.append(found.exponents[np.isfinite(found.exponents)], 0.0)
    span = max(0.1, float(known.max() - known.min()))
    low, high = float(known.min()) - 0.06 * span, float(known.max()) + 0.06 * span
    step = 10 ** math.floor(math.log10(span / 2))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (factor * step) <= 5)
    levels = [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    parts = [_level(level, number(level, 2), low, high) for level in levels]
    zero = _up(0, low, high)
    parts.append(f'<line class="aim" x1="{_LEFT}" x2="{_CHART - 8}" y1="{zero:.1f}" y2="{zero:.1f}"/>')
    count = len(found.exponents)
    for place, (value, least, most) in enumerate(found.exponents.tolist(), start=1):
        x, sign = _across(place, count), "out" if value > 0 else "in"
        if math.isfinite(least):
            y1, y2 = _up(most, low, high), _up(least, low, high)
            parts.append(f'<line class="span {sign}" x1="{x:.1f}" x2="{x:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>')
        parts.append(f'<circle class="{sign}" cx="{x:.1f}" cy="{_up(value, low, high):.1f}" r="4"/>')
        parts.append(_tick(x, str(place)))
    return _chart("direction", "Lyapunov exponents per step, the largest first", parts)


def _across(place: int, count: int) -> float:
    return _LEFT + (_CHART - _LEFT - 8) * (place - 0.5) / count


def _up(value: float, low: float, high: float) -> float:
    return _TOP + (_CHART_HEIGHT - _TOP - _FOOT) * (high - value) / (high - low)


def _level(value: float, label: str, low: float, high: float) -> str:
    y = _up(value, low, high)
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{_CHART - 8}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _tick(x: float, label: str) -> str:
    return f'<text x="{x:.1f}" y="{_CHART_HEIGHT - _FOOT + 16}" text-anchor="middle">{label}</text>'


def _chart(foot: str, label: str, parts: Sequence[str]) -> Markup:
    said = f'<text x="{(_LEFT + _CHART) / 2}" y="{_CHART_HEIGHT - 5}" text-anchor="middle">{foot}</text>'
    box = f'viewBox="0 0 {_CHART} {_CHART_HEIGHT}"'
    return Markup(f'<svg class="motion chart" {box} role="img" aria-label="{label}">{"".join(parts)}{said}</svg>')
