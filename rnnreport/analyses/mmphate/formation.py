"""How the representation formed, epoch by epoch: in the picture of MM-PHATE and in the activity that it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.mmphate import measures
from rnnreport.analyses.mmphate.dynamics import Embedded
from rnnreport.analyses.mmphate.layout import unit_variance
from rnnreport.analyses.mmphate.resamples import drawn_counts, resampled_change, resampled_similarity
from rnnreport.results.recorded import Doubles, Ints
from rnnreport.results.schema import Formation

_DIMENSIONS = 3  # of both spaces, in which the entropies are estimated
_MOST_JUMPS = 3
_DISAGREE = {
    "purity": "which units belong together: identity carried by inter-step edges.",
    "alignment": "whether the steps keep their direction: smooth trails are then no property of the activity.",
}
Losses = tuple[str, Ints, Doubles]
_GUIDE = (
    "Every curve is computed twice: from the places in the picture, and from the activity itself (standardised over "
    "the sequences; entropies from its first three principal components), both scaled to a total variance of 1. Where "
    "they disagree, trust the activity: the picture ties a unit to itself across all steps and epochs. Entropy "
    "(Kozachenko-Leonenko, 3 neighbours, in nats) is how widely points are spread: over the units of one step, or over "
    "the steps of one unit; lower is tighter. It does not say what the network knows. What is not defined is left out."
)


@dataclass(frozen=True)
class FormationParams:
    """Neighbours of the entropy and of the purity, where similarity counts as final, how large a jump is, resamples."""

    entropy_neighbours: int = 3
    purity_neighbours: int = 5
    final_similarity: float = 0.95
    jump: float = 3.0
    support: float = 0.9
    gap: float = 0.2
    resamples: int = 100
    seed: int = 0


def formation(
    embedded: Embedded, communities: Ints | None, losses: Losses | None, params: FormationParams
) -> Formation:
    """The curves, with what resampling the sequences says about them.

    Parameters
    ----------
    embedded : Embedded
        Nodes without places are of a state that is not in the picture.
    communities : int32 (H of the state,), co-cluster of every unit, -1 for none; None where there are none
    losses : name, epochs (E',) and values (E',) of the loss to tell of; None where there is none
    params : FormationParams
    """
    dynamics, activity = embedded.dynamics, embedded.activity
    epochs, steps, units, _ = activity.shape
    nodes = embedded.nodes.reshape(epochs * steps * units, -1)
    shape = (epochs, steps, units, -1)
    picture = dynamics.space.astype(np.float64).reshape(shape) if dynamics.space.size else None
    whole = unit_variance(nodes).reshape(shape)
    reduced = measures.leading_components(nodes, _DIMENSIONS).reshape(shape)
    within_step = _in_both(measures.step_entropies, picture, reduced, params.entropy_neighbours)
    within_unit = _in_both(measures.unit_entropies, picture, reduced, params.entropy_neighbours)
    groups = np.full(units, -1, np.int32) if communities is None else communities[dynamics.units]
    pure = _in_both(measures.purity, picture, whole, groups, params.purity_neighbours)
    states = _states(activity)
    similarity = measures.similarity_with_last(states)
    recorded = dynamics.epochs
    gaps = np.diff(recorded, prepend=recorded[0] - 1)
    change = _in_both(measures.change, picture, whole) / gaps
    settled, interval, jumps = _turning_points(activity, similarity, change[1], gaps, params)
    final = {
        "epoch": int(recorded[settled]),
        "low": int(recorded[interval[0]]),
        "high": int(recorded[interval[1]]),
        "similarity": params.final_similarity,
        "resamples": params.resamples,
        "sequences": activity.shape[3],
    }
    jumped = tuple(
        {"epoch": int(recorded[place]), "after": int(recorded[place - 1]), "support": support}
        for place, support in jumps
    )
    aligned = _in_both(measures.alignment, picture, whole)
    flagged = {
        name: tuple(int(epoch) for epoch in recorded[np.abs(values[0] - values[1]) > params.gap])
        for name, values in (("purity", pure), ("alignment", aligned))
    }
    return Formation(
        scope=dynamics.scope,
        epochs=recorded,
        steps=dynamics.steps,
        units=dynamics.units,
        within_step=within_step.astype(np.float32),
        within_unit=within_unit.astype(np.float32),
        alignment=aligned.astype(np.float32),
        change=change.astype(np.float32),
        purity=pure.astype(np.float32),
        chance=measures.chance_of_same(groups),
        similarity=similarity.astype(np.float32),
        participation=measures.participation_ratio(states).astype(np.float32),
        settled=final,
        jumps=jumped,
        flagged=flagged,
        finding=" ".join(_said(recorded, final, jumped, flagged, losses, params)),
        params={
            "estimator": "Kozachenko-Leonenko",
            "entropy_neighbours": params.entropy_neighbours,
            "dimensions": _DIMENSIONS,
            "purity_neighbours": params.purity_neighbours,
            "jump": params.jump,
            "support": params.support,
            "gap": params.gap,
            "seed": params.seed,
        },
        guide=_GUIDE,
    )


def _in_both(measure: Callable[..., Doubles], picture: Doubles | None, activity: Doubles, *given: Any) -> Doubles:
    """A measure in the picture, NaN where the state is not in it, and in the activity; float64 (2, ...)."""
    own = measure(activity, *given)
    return np.stack([np.full_like(own, np.nan) if picture is None else measure(picture, *given), own])


def _said(
    epochs: Ints,
    final: dict[str, Any],
    jumped: tuple[dict[str, Any], ...],
    flagged: dict[str, tuple[int, ...]],
    losses: Losses | None,
    params: FormationParams,
) -> Iterator[str]:
    if final["epoch"] == epochs[-1]:
        yield (
            "The representation was still changing at the end: before the last epoch its similarity with that epoch "
            f"(linear CKA) falls below {final['similarity']:g}."
        )
    else:
        doubt = f"95% interval {final['low']} to {final['high']}, {final['sequences']} sequences resampled"
        yield (
            f"The representation reached its final geometry at epoch {final['epoch']} ({doubt}): from there on its "
            f"similarity with the last epoch (linear CKA) stays at {final['similarity']:g} or more."
        )
        yield from _later_loss(final["epoch"], losses)
    if jumped:
        named = " and ".join(str(jump["epoch"]) for jump in jumped)
        yield f"It changed most abruptly at epoch{'s' if len(jumped) > 1 else ''} {named}."
    for name, about in _DISAGREE.items():
        if flagged[name]:
            part = f"In {len(flagged[name])} of {epochs.size} epochs the picture and the activity disagree by more than"
            yield f"{part} {params.gap:g} about {about}"


def _later_loss(settled: int, losses: Losses | None) -> Iterator[str]:
    if losses is not None and settled in losses[1] and losses[1][-1] > settled:
        name, epochs, values = losses
        at = float(values[epochs == settled][0])
        yield f"Afterwards the {name.replace('_', ' ')} still went from {at:.3g} to {float(values[-1]):.3g}."


def _states(activity: Doubles) -> Doubles:
    """float64 (E, T * samples, H)."""
    epochs, _, units, _ = activity.shape
    return np.ascontiguousarray(activity.transpose(0, 1, 3, 2)).reshape(epochs, -1, units)


def _turning_points(
    activity: Doubles, similarity: Doubles, changes: Doubles, gaps: NDArray[np.integer], params: FormationParams
) -> tuple[int, tuple[int, int], list[tuple[int, float]]]:
    """Place where the geometry became final with its 95% interval, and the jumps with the share of resamples."""
    counts = drawn_counts(activity.shape[3], params.resamples, params.seed)
    settled = [
        measures.settled_place(drawn, params.final_similarity) for drawn in resampled_similarity(activity, counts)
    ]
    found = np.zeros(len(changes))
    for drawn in resampled_change(activity, counts) / gaps:
        found[measures.jumps(drawn, params.jump)] += 1
    low, high = np.percentile(settled, [2.5, 97.5], method="nearest").astype(int)
    support = found / params.resamples
    kept = [int(place) for place in measures.jumps(changes, params.jump) if support[place] >= params.support]
    place = measures.settled_place(similarity, params.final_similarity)
    return place, (int(low), int(high)), [(jump, float(support[jump])) for jump in kept[:_MOST_JUMPS]]
