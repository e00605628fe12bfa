"""State health as a table of named units and small pictures of the gates, drawn here: they need no scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rnnreport.results.recorded import Floats, StateKey
from rnnreport.results.schema import FAULTS, Health

_MOST_NAMED = 12  # units of one kind and state that the table names
_SIDE = 100  # of a picture of a gate, in its own units: a hundredth is one per cent of the steps

# What stands beside the unit, from the value of a fault.
_DETAILS = {
    "non-finite": "{:.1%} of the steps",
    "dead": "never beyond {:.1g}",
    "constant": "stays near {:.2f}",
    "saturated": "{:.0%} of the steps",
    "duplicate": "like unit {twin}, correlation {:.3f}",
}


@dataclass(frozen=True)
class NamedUnit:
    """A faulty unit, and what there is to say of it."""

    unit: int
    detail: str


@dataclass(frozen=True)
class HealthRow:
    """One state of the table.

    Attributes
    ----------
    title : str
    place : int, the state's place on the page, -1 where its units are not shown
    width : int, its units
    bounded : bool, whether they can saturate
    faults : dict of kind to (number, the first of them)
    start, end : float, participation ratio before training and at the last epoch, NaN where unknown
    directions : int, principal components that hold 95 % of the variance
    """

    title: str
    place: int
    width: int
    bounded: bool
    faults: dict[str, tuple[int, tuple[NamedUnit, ...]]]
    start: float
    end: float
    directions: int


@dataclass(frozen=True)
class GatePicture:
    """One gate: every unit at the shares of steps at which it is closed (to the right) and open (upwards).

    Attributes
    ----------
    scope, title : str
    place : int, as in ``HealthRow``
    units, stuck : int, units and those that are always closed or always open
    svg : Markup
    """

    scope: str
    title: str
    place: int
    units: int
    stuck: int
    svg: Markup


def health_rows(health: Health, scopes: Sequence[str]) -> list[HealthRow]:
    """The table of the states.

    Parameters
    ----------
    health : Health
    scopes : sequence of str, the StateKeys whose units are on the page, in order
    """
    return [
        HealthRow(
            title=StateKey.parse(scope).title,
            place=_place(scope, scopes),
            width=int(health.widths[number]),
            bounded=bool(health.bounded[number]),
            faults={kind: _faults(health, scope, kind) for kind in FAULTS},
            start=float(health.participation[number, 0]),
            end=float(health.participation[number, 1]),
            directions=int(health.directions[number]),
        )
        for number, scope in enumerate(health.scopes)
    ]


def _place(scope: str, scopes: Sequence[str]) -> int:
    return scopes.index(scope) if scope in scopes else -1


def _faults(health: Health, scope: str, kind: str) -> tuple[int, tuple[NamedUnit, ...]]:
    found = [fault for fault in health.faults if fault["scope"] == scope and fault["kind"] == kind]
    named = (
        NamedUnit(fault["unit"], _DETAILS[kind].format(fault["value"], twin=fault["twin"]))
        for fault in found[:_MOST_NAMED]
    )
    return len(found), tuple(named)


def gate_pictures(gates: Mapping[str, Floats], scopes: Sequence[str], stuck_steps: float) -> list[GatePicture]:
    """A small picture of each gate.

    Parameters
    ----------
    gates : dict of StateKey to float32 (2, H), as in ``Health``
    scopes : as in ``health_rows``
    stuck_steps : float, share of the steps
    """
    return [
        GatePicture(
            scope=key,
            title=StateKey.parse(key).title,
            place=_place(key, scopes),
            units=shares.shape[1],
            stuck=int((shares > stuck_steps).any(axis=0).sum()),
            svg=_picture(StateKey.parse(key).title, shares),
        )
        for key, shares in gates.items()
    ]


def _picture(title: str, shares: Floats) -> Markup:
    """Dots are strokes of no length with round ends, in the order of the units: a few bytes each."""
    across = np.rint(_SIDE * shares[0]).astype(int)
    up = _SIDE - np.rint(_SIDE * shares[1]).astype(int)
    dots = "".join(f"M{x} {y}h0" for x, y in zip(across, up, strict=True))
    label = Markup.escape(f"{title}: each of {shares.shape[1]} units by how often it is closed and open")
    return Markup(
        f'<svg viewBox="-4 -4 {_SIDE + 8} {_SIDE + 8}" role="img" aria-label="{label}">'
        f'<path class="field" d="M0 0V{_SIDE}H{_SIDE}Z"/><path class="dots" d="{dots}"/>'
        f'<text x="{_SIDE}" y="6">↑ open</text><text x="{_SIDE}" y="17">→ closed</text></svg>'
    )


def gate_band(shares: Floats, scope: str) -> Markup:
    """How many values of a gate are closed, from below, and open, from above, over the sequences.

    Parameters
    ----------
    shares : float32 (2, T), as in ``GateUse``
    scope : str, its StateKey
    """
    across = [100 * (place + 0.5) / shares.shape[1] for place in range(shares.shape[1])]
    across[0], across[-1] = 0.0, 100.0
    closed = "".join(f"L{x:.0f} {_SIDE * (1 - share):.1f}" for x, share in zip(across, shares[0], strict=True))
    opened = "".join(f"L{x:.0f} {_SIDE * share:.1f}" for x, share in zip(across, shares[1], strict=True))
    label = Markup.escape(
        f"{StateKey.parse(scope).title} from the beginning to the end of the sequences: closed {shares[0, 0]:.0%} to "
        f"{shares[0, -1]:.0%}, open {shares[1, 0]:.0%} to {shares[1, -1]:.0%}"
    )
    return Markup(
        f'<svg class="band" viewBox="0 0 {_SIDE} {_SIDE}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<rect class="between" width="{_SIDE}" height="{_SIDE}"/>'
        f'<path class="closed" d="M0 {_SIDE}{closed}L{_SIDE} {_SIDE}Z"/>'
        f'<path class="open" d="M0 0{opened}L{_SIDE} 0Z"/></svg>'
    )
