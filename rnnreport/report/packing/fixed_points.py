"""What the page says of the network as a dynamical system, and what of it travels to ``fixedpoints.js``."""

from __future__ import annotations

from typing import Any

from rnnreport.report.environment import number, percent, typeset
from rnnreport.report.figures.fixed_points import (
    chosen_point,
    dimension_picture,
    exponent_picture,
    plane_picture,
    spectrum_picture,
)
from rnnreport.report.figures.maps import Square
from rnnreport.report.gather import Run, available, reason, state_title
from rnnreport.report.payload import Payload
from rnnreport.results.schema import FixedPoints, Integration, Lyapunov, Projection, Unavailable

_MAP_BITS = 12


def pack_fixed_points(found: FixedPoints, projection: Projection | Unavailable, payload: Payload) -> dict[str, Any]:
    """Pack the points, and where they lie in the maps of the states."""
    for name in ("owners", "kinds", "unstable", "arrivals", "nearest", "outputs"):
        payload.add_integers(f"fixed.{name}", getattr(found, name))
    for name in ("speeds", "times", "output_values"):
        payload.add_exact(f"fixed.{name}", getattr(found, name))
    for name, bits in (("eigenvalues", 14), ("readout", 8), ("drive", 8), ("distances", 10)):
        payload.add_reals(f"fixed.{name}", getattr(found, name), bits=bits)
    placed = []
    if not isinstance(projection, Unavailable):
        for place, name in enumerate(projection.methods):
            if name in found.placed:
                plane = Square.around(projection.coordinates[place]).place(found.placed[name][:, :2])
                payload.add_reals(f"fixed.map.{place}", plane, bits=_MAP_BITS)
                placed.append(place)
    return {
        "inputs": [typeset(name) for name in found.inputs],
        "titles": list(found.titles),
        "notes": [fixed_note(found, place) for place in range(len(found.inputs))],
        "first": found.first,
        "chosen": chosen_point(found),
        "starts": found.starts,
        "outputs": list(found.output_names),
        "placed": placed,
    }


def fixed_point_context(run: Run) -> dict[str, Any]:
    """What the templates of fixed points, integration and Lyapunov spectrum need."""
    return {
        "fixed": _fixed(available(run.fixed_points)),
        "fixed_missing": reason(run.fixed_points),
        "integration": _integration(available(run.integration)),
        "integration_missing": reason(run.integration),
        "lyapunov": _lyapunov(available(run.lyapunov)),
        "lyapunov_missing": reason(run.lyapunov),
    }


def _fixed(found: FixedPoints | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "title": found.titles[found.first],
        "note": fixed_note(found, found.first),
        "guide": found.guide,
        "inputs": [(place, typeset(name)) for place, name in enumerate(found.inputs)],
        "first": found.first,
        "plane": plane_picture(found),
        "spectrum": spectrum_picture(found, chosen_point(found)),
    }


def fixed_note(found: FixedPoints, place: int) -> str:
    """What happened to the starts at an input, and what the picture shows."""
    *counts, more = found.counts[place].tolist()
    ends = ("at fixed points", "at slow points", "too far from all states", "at none")
    said = ", ".join(f"{count:,} {where}" for count, where in zip(counts, ends, strict=True) if count)
    left = f"; {more:,} more points are not shown" if more else ""
    states = " and ".join(state_title(key) for key in found.scopes)
    about = f" ({found.remark})" if found.remark else ""
    return (
        f"n = {found.starts:,} starts from states of {found.sequences:,} sequences ended: {said}{left} · s is "
        f"{states}{about} · plane of the first two principal components of the displayed states, "
        f"{percent(found.explained[0])} and {percent(found.explained[1])} of their variance · last epoch"
    )


def _integration(found: Integration | None) -> dict[str, Any] | None:
    if found is None:
        return None
    names, dimensions = list(found.slow), f"{found.expected} principal component{'s' * (found.expected > 1)}"
    rows = {
        "slow places found, of the starts": [f"{found.slow[name]:,} of {found.starts:,}" for name in names],
        "their variance, relative to that of the states": [percent(found.extent[name]) for name in names],
        f"of it in {dimensions}": [percent(found.share[name]) for name in names],
        "components for 90%": [str(found.needed[name] or "too few places") for name in names],
        "modes that outlast half of the sequences (median)": [number(found.persistent[name]) for name in names],
        f"slowest modes read by the head (chance {found.chance:.0%})": [percent(found.overlap[name]) for name in names],
        "participation ratio of the states": [number(found.participation[name]) for name in names],
    }
    return {
        "title": found.finding.partition(" (n = ")[0].removesuffix("."),
        "finding": found.finding,
        "guide": found.guide,
        "names": names,
        "rows": list(rows.items()),
        "drawn": (drawn := [name for name in names if found.slow[name] > 1]),
        "picture": dimension_picture(found) if drawn else None,
        "marked": found.expected <= max(len(shares) for shares in found.explained.values()),
        "note": (
            f"{found.answers}: {found.expected} expected dimension{'s' * (found.expected > 1)} · states of "
            f"{found.sequences:,} sequences, half of them of {found.length:,.0f} steps or more · untrained: "
            f"{found.untrained}"
        ),
    }


def _lyapunov(found: Lyapunov | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "title": found.finding.partition(" (")[0],
        "guide": found.guide,
        "picture": exponent_picture(found),
        "note": (
            f"per step, natural units · n = {found.sequences:,} sequences, {found.steps:,} steps after the first "
            f"{found.transient} of each · {len(found.exponents)} of {found.units:,} directions, 95% intervals"
        ),
    }
