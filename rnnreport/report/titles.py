"""Titles that state what a figure shows, with its numbers, where the figure's own result says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.report.environment import number, percent
from rnnreport.report.gather import state_title
from rnnreport.report.tasks import SHARES, metric_name, metric_unit
from rnnreport.results.recorded import StateKey, Task
from rnnreport.results.schema import (
    Changes,
    Comparison,
    Formation,
    LeftOutSteps,
    Pictures,
    Projection,
    Similar,
)

_MOST_NAMED = 2  # runs in a title
_SAME = 0.02  # a change below this share of the curve's range is none


def curve_title(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], *, shares: bool) -> str:
    """From where to where the most telling of some curves went.

    Parameters
    ----------
    curves : dict of name to epochs and values
        Recorded metrics of one scale.
    shares : bool
        Whether they are shares, larger being better, rather than losses.
    """
    name = _most_telling(list(curves))
    values = curves[name][1]
    first, last = (float(value) for value in values[np.isfinite(values)][[0, -1]])
    said = [percent(value) if shares else number(value) for value in (first, last)]
    if abs(last - first) <= _SAME * float(np.ptp(values[np.isfinite(values)])) or said[0] == said[1]:
        return f"{name.capitalize()} ends where it began, at {said[1]}"
    return f"{name.capitalize()} {'rose' if last > first else 'fell'} from {said[0]} to {said[1]}"


def best_title(
    metric: str, curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], *, shares: bool, unit: str = ""
) -> str:
    """Which of several runs ends best.

    Parameters
    ----------
    metric : str
    curves : dict of run to epochs and values
    shares : bool
        Whether they are shares, larger being better, rather than losses.
    unit : str, of losses
    """
    ends = {run: float(values[-1]) for run, (_, values) in curves.items() if np.isfinite(values[-1])}
    if not ends:
        return f"{metric.capitalize()} of no run ends in a number"
    best = (max if shares else min)(ends.values())
    runs = [run for run, end in ends.items() if end == best]
    said = percent(best) if shares else f"{number(best)} {unit}".rstrip()
    way = "highest" if shares else "lowest"
    if len(runs) > 1:
        return f"{metric.capitalize()} ends {way} at {said}, in {len(runs):,} of {len(curves):,} runs"
    return f"{metric.capitalize()} ends {way} in {runs[0]}, at {said}"


def _most_telling(names: Sequence[str]) -> str:
    """A metric of data that was not trained on."""
    for split in ("test", "val", "probe", "eval"):
        for name in names:
            if split in name:
                return name
    return names[0]


def changes_title(changes: Changes, comparison: Comparison) -> str:
    """Which runs differ from the baseline, by what could be judged.

    Parameters
    ----------
    changes : Changes
    comparison : Comparison, of the same runs
    """
    baseline = comparison.runs[0]
    runs = [entry["run"] for entry in changes.found]
    changed = [run for run, verdict in zip(runs, changes.verdicts, strict=True) if verdict == "changed"]
    if all(verdict == "identical" for verdict in changes.verdicts):
        return f"Nothing differs from {baseline}"
    if not changed and comparison.paired and not changes.seeds.size:  # states are not judged without seeds
        run = runs[0] if len(runs) == 1 else "No run"
        neither = "neither significantly better nor worse" if len(runs) == 1 else "significantly better or worse"
        return f"{run} scores {neither} than {baseline}"
    if not changed:
        return f"No significant change against {baseline}"
    if len(changed) > _MOST_NAMED:
        return f"{len(changed):,} of {len(runs):,} runs differ from {baseline}"
    rest = "" if len(changed) == len(runs) else f" ({len(changed):,} of {len(runs):,} runs)"
    return f"{' and '.join(changed)} {'differs' if len(changed) == 1 else 'differ'} from {baseline}{rest}"


def metrics_title(comparison: Comparison, task: Task) -> str:
    """Which run is best by the metric that stands first.

    Parameters
    ----------
    comparison : Comparison
    task : Task
    """
    if not comparison.metric_names:
        return "No metric is known of these runs"
    metric = comparison.metric_names[0]
    higher = metric in (*SHARES, "r2")
    values = {run: float(found[0, 0]) for run, found in zip(comparison.runs, comparison.metrics, strict=True)}
    known = [value for value in values.values() if np.isfinite(value)]
    if not known:
        return f"No run has a finite {metric_name(metric, task)}"
    best = max(known) if higher else min(known)
    runs = [run for run, value in values.items() if value == best]
    said = percent(best) if metric in SHARES else f"{number(best)} {metric_unit(metric)}".rstrip()
    named = metric_name(metric, task).partition(" (")[0]
    named = named[0].upper() + named[1:]
    if len(runs) == len(values):
        return f"{named} is the same in all runs: {said}"
    return f"{named} is {'highest' if higher else 'lowest'} in {' and '.join(runs)}: {said}"


def map_title(projection: Projection, similar: Similar | None, task: Task) -> str:
    """Whether states that lie together expect the same class, else what the first map keeps.

    Parameters
    ----------
    projection : Projection
    similar : Similar, optional
    task : Task
    """
    if similar is None or similar.scope != projection.scope or not similar.compared:
        return _trust_title(projection)
    return (
        f"The nearest state of another sequence expects the same {'tag' if task == 'tagging' else 'class'} "
        f"in {percent(similar.same_class)} of {similar.compared:,} states, by chance {percent(similar.chance)}"
    )


def _trust_title(projection: Projection) -> str:
    method = projection.methods[0]
    near, far = (projection.trust[method][part] for part in ("trustworthiness", "shepard"))
    name = method.partition(",")[0]
    return f"{name} keeps neighbours with trustworthiness {number(near)}, distances with rank correlation {number(far)}"


def picture_title(formed: Formation | None) -> str:
    """By which epoch the points of the training picture had done half of all they moved."""
    if formed is None or formed.epochs.size < 3 or not np.isfinite(formed.change[0, 1:]).all():
        return "MM-PHATE: every unit at every step of every epoch"
    moved = np.cumsum(formed.change[0, 1:].astype(np.float64) * np.diff(formed.epochs))
    if moved[-1] <= 0:
        return "The units stay where they are in all epochs"
    half = int(formed.epochs[1 + int(np.searchsorted(moved, moved[-1] / 2))])
    return f"The units have moved half of their way by epoch {half} of {formed.epochs[-1]}"


def pictures_title(pictures: Pictures) -> str:
    """Which method keeps the neighbourhoods best, beside MM-PHATE, the first one."""
    trust = {method: kept["trustworthiness"] for method, kept in zip(pictures.methods, pictures.kept, strict=True)}
    known = {method: value for method, value in trust.items() if value is not None and np.isfinite(value)}
    if not known:
        return "Of no picture is it known how well it keeps neighbours"
    best, own = max(known, key=lambda method: known[method]), pictures.methods[0]
    beside = f", {own} {number(known[own])}" if own in known and own != best else ""
    return f"{best} keeps neighbours best: trustworthiness {number(known[best])}{beside}"


def layer_title(state: str, states: tuple[str, ...]) -> str:
    """What tells a state from others: the module only where there are several, never the kind."""
    title = state_title(state).rpartition(", ")[0]
    modules = {StateKey.parse(other).module for other in states}
    return title if len(modules) > 1 else title.removeprefix(f"{StateKey.parse(state).module}, ")


def own_title(state: str, states: tuple[str, ...]) -> str:
    """What tells a state from others, which may be of several kinds: "" where it is alone."""
    if len(states) < 2:
        return ""
    kinds = {StateKey.parse(other).kind for other in states}
    if len(kinds) < 2:
        return layer_title(state, states)
    kind = state_title(state).rpartition(", ")[2]
    layers = {layer_title(other, states) for other in states}
    return f"{layer_title(state, states)}, {kind}" if len(layers) > 1 else f"the {kind}"


def confusion_title(names: Sequence[str], counts: NDArray[np.int32]) -> str:
    """Which class is most often taken for which.

    Parameters
    ----------
    names : K classes
    counts : int32 (K, K), true class by predicted class
    """
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    if not errors.any():
        return "No class is mistaken for another"
    actual, predicted = divmod(int(errors.argmax()), len(names))
    count, total = int(errors[actual, predicted]), int(counts[actual].sum())
    return f"“{names[actual]}” is taken for “{names[predicted]}” most often: {count:,} of {total:,}"


def formation_title(formed: Formation, layer: str = "") -> str:
    """When the representation had its final geometry.

    Parameters
    ----------
    formed : Formation
    layer : str
        Whose representation it is, where there are several.
    """
    settled, last = formed.settled["epoch"], int(formed.epochs[-1])
    representation = f"The representation of {layer}" if layer else "The representation"
    if settled == last:
        return f"{representation} was still changing at the last epoch, {last}"
    return f"{representation} reached its final geometry at epoch {settled} of {last}"


def left_out_title(left_out: LeftOutSteps) -> str:
    """The stretch without which the most is lost, where losing it costs anything at all."""
    worst = int(np.nanargmax(left_out.drop[0]))
    first, end = int(left_out.edges[worst]) + 1, int(left_out.edges[worst + 1])
    loss, low, _ = left_out.drop[:, worst].tolist()
    if low <= 0:
        return "No single stretch of steps is needed for the answers"
    steps, them = (f"Step {first} is", "it") if first == end else (f"Steps {first} to {end} are", "them")
    amount = f"{loss:.2f}" if left_out.metric == "R²" else f"{100 * loss:.1f} points"
    return f"{steps} needed most: without {them} {left_out.metric} falls by {amount}"
