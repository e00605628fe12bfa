"""Fixed and slow points as the page shows them: where they lie, what they do and what the head says there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.lyapunov import NOT_RECORDED
from rnnreport.analyses.projection.displayed import ProjectionParams
from rnnreport.analyses.projection.maps import place_again, principal_axes
from rnnreport.analyses.sample import Sample, evenly
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Doubles, Floats, Ints, Probe
from rnnreport.results.recorded_dynamics import FixedPointSearch
from rnnreport.results.schema import FixedPoints, Projection, Unavailable
from rnnreport.results.schema.fixed_points import SADDLE, SLOW, STABLE

_FIXED = 1e-8  # q below which a point counts as fixed
_SPECTRUM = 64  # eigenvalues kept
_ENDLESS = 1e6  # steps: a mode that lasts longer has a modulus of 1 to rounding

_GUIDE = (
    "One input is held fixed, and the question is where the state would stay. A filled disc is a stable point: all "
    "small differences die out and states nearby flow into it. A ring is a saddle: it repels along as many directions "
    "as are written in it and lies on the border between what flows here and there. A cross is slow, not fixed: "
    "the state creeps. Small dots sample the slow places; lines are real sequences, which see other inputs at every "
    "step and so need not end in a point. Right: the eigenvalues of the step's derivative at the chosen point; inside "
    "the circle a direction forgets, with a time constant of 1/|ln|λ|| steps, outside it grows, near the circle it "
    "remembers; off the axis it turns. Do not conclude that there are no other points: the search begins from visited "
    "states, and what it says holds near the points and at the input it names."
)


@dataclass(frozen=True)
class FixedPointViewParams:
    """``paths``: sequences drawn at most; ``path_steps``: their first steps; ``near``: similar states of each point."""

    paths: int = 32
    path_steps: int = 200
    near: int = 3


def fixed_points(
    folder: RunFolder,
    probe: Probe,
    sample: Sample,
    last: Checkpoint,
    projection: Projection | Unavailable,
    params: FixedPointViewParams | None = None,
    mapping: ProjectionParams | None = None,
) -> FixedPoints | Unavailable:
    """Describe the points that were recorded.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    sample : Sample
        The displayed states, among which the points are drawn.
    last : Checkpoint
    projection : Projection or Unavailable
        The maps into which the points are placed.
    params : FixedPointViewParams, optional
    mapping : ProjectionParams, optional
        Of these maps.
    """
    params = params or FixedPointViewParams()
    found = folder.record(FixedPointSearch)
    if found is None or found.reason:
        return Unavailable(FixedPoints.analysis, found.reason if found else NOT_RECORDED)
    shown = np.concatenate([last.states[key][sample.steps] for key in found.scopes], axis=1).astype(np.float64)
    if not np.isfinite(shown).all():
        return Unavailable(FixedPoints.analysis, "a displayed state is not finite")
    axes = principal_axes(shown)
    moduli = np.hypot(found.eigenvalues[..., 0], found.eigenvalues[..., 1])
    unstable = (moduli > 1).sum(axis=1).astype(np.int32)
    kinds = np.where(found.speeds >= _FIXED, SLOW, np.where(unstable > 0, SADDLE, STABLE)).astype(np.int32)
    with np.errstate(divide="ignore"):
        times = 1 / np.abs(np.log(moduli[:, : found.readout.shape[1]]))
    lengths = probe.lengths[sample.sequences].astype(np.int64)
    paths, rows = _paths(lengths, params)
    nearest, distances = _nearest(found.points, shown, np.repeat(np.arange(lengths.size), lengths), params.near)
    outputs, values, names = _outputs(found, probe)
    titles = tuple(_title(found, place, kinds, times) for place in range(len(found.inputs)))
    first = int(found.owners.min(initial=len(titles))) % len(titles)  # the mean input, or the first that has points
    return FixedPoints(
        scope=folder.manifest().state_keys[0],
        scopes=found.scopes,
        inputs=found.inputs,
        starts=found.starts,
        sequences=found.sequences,
        owners=found.owners,
        kinds=kinds,
        unstable=unstable,
        speeds=found.speeds,
        arrivals=found.arrivals,
        eigenvalues=found.eigenvalues[:, :_SPECTRUM].astype(np.float32),
        times=times.astype(np.float32),
        readout=found.readout,
        drive=found.drive,
        plane=_flat(axes.place(found.points)),
        slow_plane=_flat(axes.place(found.slow.astype(np.float64))),
        slow_owners=found.slow_owners,
        path=_flat(axes.place(shown[rows])),
        path_sequences=paths.astype(np.int32),
        path_lengths=np.minimum(lengths[paths], params.path_steps).astype(np.int32),
        explained=np.array(axes.shares[:2]),
        nearest=nearest,
        distances=distances,
        outputs=outputs,
        output_values=values,
        output_names=names,
        counts=found.counts,
        placed=_placed(found, last, sample, projection, mapping or ProjectionParams()),
        length=float(np.median(probe.lengths)),
        remark=found.remark,
        titles=titles,
        first=first,
        finding=_finding(found, titles[first]),
        guide=_GUIDE,
    )


def _flat(places: Doubles) -> Floats:
    return np.asarray(places[:, :2], np.float32)


def _paths(lengths: NDArray[np.int64], params: FixedPointViewParams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the drawn sequences among the displayed ones, and rows of their steps among the displayed steps."""
    chosen = evenly(lengths.size, params.paths)
    starts = np.cumsum(np.append(0, lengths))
    steps = [np.arange(starts[q], min(starts[q] + params.path_steps, starts[q + 1])) for q in chosen]
    return chosen, np.concatenate(steps)


def _nearest(points: Doubles, shown: Doubles, owners: NDArray[np.int64], count: int) -> tuple[Ints, Floats]:
    """Displayed steps nearest to each point, each of another sequence, and their distances; see ``FixedPoints``."""
    unit = float(np.linalg.norm(shown - shown.mean(axis=0), axis=1).mean()) or 1.0
    near, far = np.full((len(points), count), -1, np.int32), np.full((len(points), count), np.nan, np.float32)
    for place, point in enumerate(points):
        apart = np.linalg.norm(shown - point, axis=1)
        order = np.argsort(apart, kind="stable")
        _, first = np.unique(owners[order], return_index=True)
        chosen = order[np.sort(first)[:count]]
        near[place, : chosen.size], far[place, : chosen.size] = chosen, apart[chosen] / unit
    return near, far


def _outputs(found: FixedPointSearch, probe: Probe) -> tuple[Ints, Floats, tuple[str, ...]]:
    """The three largest outputs at each point, theirs, and the names of those that occur."""
    names = probe.class_names or probe.vocabulary
    top, values = found.top_outputs[:, :3], found.top_values[:, :3]
    if found.outputs.size:
        top = np.argsort(-found.outputs, axis=1, kind="stable")[:, :3].astype(np.int32)
        values = np.take_along_axis(found.outputs, top, axis=1)
    used, places = np.unique(top, return_inverse=True)
    return places.reshape(top.shape).astype(np.int32), values, tuple(names[place] for place in used)


def _placed(
    found: FixedPointSearch,
    last: Checkpoint,
    sample: Sample,
    projection: Projection | Unavailable,
    params: ProjectionParams,
) -> dict[str, Floats]:
    """The points in the maps of the state shown first, which is one of those that s holds."""
    if isinstance(projection, Unavailable) or projection.scope not in found.scopes or not len(found.points):
        return {}
    widths = [last.states[key].shape[1] for key in found.scopes]
    start = sum(widths[: found.scopes.index(projection.scope)])
    own = found.points[:, start : start + last.states[projection.scope].shape[1]]
    shown = last.states[projection.scope][sample.steps].astype(np.float64)
    placed = {"PCA": principal_axes(shown).place(own)}
    first = projection.methods[0]
    if "perplexity" in projection.params[first]:
        flat = projection.coordinates[0].astype(np.float64)
        placed[first] = place_again(shown, flat, own, projection.params[first]["perplexity"], params.seed)
    return {name: places.astype(np.float32) for name, places in placed.items() if name in projection.methods}


def _finding(found: FixedPointSearch, title: str) -> str:
    n = f"n = {found.starts} starts from the states of {found.sequences:,} sequences"
    return f"{title} ({n})."


def _title(found: FixedPointSearch, place: int, kinds: Ints, times: Doubles) -> str:
    """What was found at an input, in a sentence without its end."""
    own = found.owners == place
    if not own.any():
        return f"At {found.inputs[place]} no start comes to rest"
    stable, slow = own & (kinds == STABLE), own & (kinds == SLOW)
    what, chosen = ("stable point", stable) if stable.any() else ("slow point", slow) if slow.any() else ("", own)
    longest = float(times[chosen][:, 0].max())
    steps = f"{longest:,.0f}" if longest >= 100 else f"{longest:.3g}"
    last = "never ends" if longest > _ENDLESS else f"lasts {steps} steps"
    memory = f": the slowest mode of a {what} {last}" if what else ""
    return f"At {found.inputs[place]} the state has {points_in_words(kinds[own])}{memory}"


def points_in_words(kinds: Ints) -> str:
    """Such as "8 stable points and 12 saddles"; a kind that there is none of is not named."""
    nouns = {
        STABLE: ("stable point", "stable points"),
        SADDLE: ("saddle", "saddles"),
        SLOW: ("slow point", "slow points"),
    }
    counts = {kind: int((kinds == kind).sum()) for kind in nouns}
    said = [f"{count:,} {nouns[kind][count > 1]}" for kind, count in counts.items() if count]
    return " and ".join(", ".join(said).rsplit(", ", 1))
