"""Where the page of a run is put together; that of a comparison is in ``page_compare``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.plotting import figure
from markupsafe import Markup
from numpy.typing import NDArray

from rnnreport.report import tables
from rnnreport.report.assets import REPORT_SCRIPTS, page_assets
from rnnreport.report.bokeh_items import plot_item
from rnnreport.report.compared import compared_tables, gather_side_by_side
from rnnreport.report.environment import environment
from rnnreport.report.fallback import agreement_svg, curves_svg, scatter_svg
from rnnreport.report.figures.agreement import agreement
from rnnreport.report.figures.curves import epoch_curves, response_curve, unit_boxes
from rnnreport.report.figures.formation import formation_panels
from rnnreport.report.figures.health import gate_pictures, health_rows
from rnnreport.report.figures.left_out import left_out_bars
from rnnreport.report.figures.maps import dynamics_map, state_map
from rnnreport.report.figures.series import channel_lines, quantity_lines
from rnnreport.report.figures.steps import MOST_CLASSES, class_steps, step_bars, top_steps
from rnnreport.report.figures.units import unit_map
from rnnreport.report.gather import Run, available, gather, model_line, noun, probes_of, reason, state_title
from rnnreport.report.packing.causes import attribution_context, importance_context, reach_context
from rnnreport.report.packing.decisions import decision_context
from rnnreport.report.packing.fixed_points import fixed_point_context
from rnnreport.report.packing.gates import gate_details
from rnnreport.report.packing.jumps import jump_context
from rnnreport.report.packing.machine import machine_context
from rnnreport.report.packing.memory import memory_context
from rnnreport.report.packing.readable import readable_context
from rnnreport.report.packing.report import describe_report
from rnnreport.report.payload import Payload
from rnnreport.report.tasks import TASKS
from rnnreport.report.titles import (
    curve_title,
    formation_title,
    left_out_title,
    map_title,
    metrics_title,
    own_title,
    picture_title,
    pictures_title,
)
from rnnreport.report.trees import draw_trees
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import FAULTS, WEIGHTINGS, Dependence, Formation, Performance, Projection, Sequences

# One colour per class in the whole page; also in palette.js. Order and colours: Paul Tol's "muted", colour-blind safe.
CLASS_COLOURS = (
    "#cc6677", "#332288", "#ddcc77", "#117733", "#88ccee", "#882255", "#44aa99", "#999933", "#aa4499", "#77736b",
)  # fmt: skip

_MOST_NAMED = 12  # classes, on the static map
_ERROR_NAMES = re.compile("loss|entropy|error|mse|mae")  # never a share, however small
Curves = dict[str, tuple[Any, Any]]


def render_report(folder: RunFolder) -> str:
    """Render the page of one run.

    Parameters
    ----------
    folder : RunFolder
        With ``run.json``, ``results/`` and ``summary.json``; states and model are not needed.

    Returns
    -------
    str
        One self-contained HTML document; the same for the same folder and versions.

    Raises
    ------
    InputError
        If a result is missing, damaged, or does not fit the others.
    """
    folder = folder.as_one()
    run = gather(folder)
    payload = Payload()
    description = describe_report(run, payload)
    curves, continuations = _history(run.performance), available(run.continuations)
    return render_page(
        "report.html.j2",
        REPORT_SCRIPTS,
        description,
        payload,
        _report_figures(run, curves),
        run=run,
        noun=noun(available(run.sequences)),
        model_line=model_line(run.manifest),
        reasons={
            name: reason(getattr(run, name))
            for name in (
                "performance",
                "words",
                "sequences",
                "projection",
                "dynamics",
                "continuations",
                "probes",
                "similar",
                "left_out",
            )
        },
        clusters=tables.cluster_rows(run),
        weightings=WEIGHTINGS,
        shows=TASKS[run.manifest.task],
        task=run.manifest.task,
        confusion=tables.confusion_rows(run),
        most_classes=MOST_CLASSES,
        labels=tables.label_rows(run),
        rows=tables.sequence_rows(run),
        trees=draw_trees(continuations) if continuations else [],
        dependence_guide=run.dependence.guide if isinstance(run.dependence, Dependence) else "",
        states=[state_title(units.scope) for units in run.units],
        curves={name: group for name, group in curves.items() if group},
        curve_titles={name: curve_title(group, shares=name == "score") for name, group in curves.items() if group},
        formed=(formed := available(run.formation)),
        picture_heading=picture_title(formed),
        pictures=(pictures := available(run.pictures)),
        pictures_heading=pictures_title(pictures) if pictures else "",
        raw_pictures=available(run.raw_pictures),
        active_words=available(run.active_words),
        layers=len(nodes.states) if (nodes := available(run.node_states)) else 1,
        map_heading=_map_title(run),
        formations=_formations(run, formed, curves) if formed else [],
        probes=available(run.probes),
        left_out=(left_out := available(run.left_out)),
        left_out_heading=left_out_title(left_out) if left_out else "",
        left_out_bars=left_out_bars(left_out) if left_out else [],
        static=_static_pictures(run, curves),
        comparison=(comparison := available(run.comparison)),
        metrics_heading=metrics_title(comparison, run.manifest.task) if comparison else "",
        flips=(flips := tables.flip_rows(run.comparison)),
        compared=compared_tables(gather_side_by_side(folder), flips["rows"], noun(available(run.sequences))),
        **_health(run),
        **decision_context(run),
        **importance_context(run),
        **attribution_context(run),
        **reach_context(run),
        **memory_context(run),
        **machine_context(run, CLASS_COLOURS),
        **fixed_point_context(run),
        **readable_context(run),
        **jump_context(run),
    )


def render_page(
    template: str,
    scripts: Sequence[str],
    description: dict[str, Any],
    payload: Payload,
    figures: Mapping[str, figure],
    **context: Any,
) -> str:
    """One self-contained HTML document.

    Parameters
    ----------
    template : str, its name
    scripts : names in ``templates/assets``, in order
    description : what the scripts know besides the arrays of ``payload``
    payload : Payload
    figures : name to Bokeh figure
    **context
        What the template reads.
    """
    items = {name: plot_item(plot, name) for name, plot in figures.items()}
    return (
        environment()
        .get_template(template)
        .render(
            assets=page_assets(scripts),
            payload=Markup(payload.block({**description, "figures": items})),
            figures=figures,
            heights={name: plot.height for name, plot in figures.items()},
            **context,
        )
    )


def _health(run: Run) -> dict[str, Any]:
    health = available(run.health)
    if health is None:
        return {"health": None}
    scopes = [units.scope for units in run.units]
    faulty, units = len(health.faults), int(health.widths.sum())
    pictures = gate_pictures(health.gates, scopes, health.params["stuck_steps"])
    stuck, gates = sum(gate.stuck for gate in pictures), sum(gate.units for gate in pictures)
    return {
        "health": health,
        "health_title": f"{faulty:,} of {units:,} units are faulty" if faulty else f"None of {units:,} units is faulty",
        "fault_kinds": FAULTS,
        "health_rows": health_rows(health, scopes),
        "gate_pictures": gate_details(run, pictures),
        "gate_use": available(run.gates),
        "gate_title": f"{f'{stuck:,}' if stuck else 'None'} of {gates:,} gates {'are' if stuck > 1 else 'is'} stuck",
    }


def _report_figures(run: Run, curves: Mapping[str, Curves]) -> dict[str, figure]:
    """The figures whose results are there."""
    figures: dict[str, figure] = {}
    if run.units:
        figures["response"] = response_curve(run.units[0].response.shape[1], noun(available(run.sequences)))
        figures["boxes"] = unit_boxes()
        figures["unitmap"] = unit_map()
    sequences, scored = available(run.sequences), available(run.performance)
    if sequences:
        kind = TASKS[sequences.task].kind
        if sequences.values.size:
            figures["channels"] = channel_lines(sequences.feature_names)
        if kind == "quantities" and sequences.step_output.size:
            figures["quantity"] = quantity_lines()
        elif sequences.step_output.size:
            figures["classes"] = class_steps(sequences.class_names, exclusive=kind == "classes")
        if scored and scored.truth.size:
            figures["agreement"] = agreement()
        figures["distance"] = step_bars("distance", "distance")
        if sequences.surprisal.size:
            ranks = max(1, int((sequences.top_tokens >= 0).any(axis=0).sum()))
            figures["tops"] = top_steps(ranks, characters=noun(sequences) == "character")
            figures["surprisal"] = step_bars("surprisal", "surprisal, nats")
    if available(run.projection):
        figures["map"] = state_map()
    for name, label in (("loss", TASKS[run.manifest.task].loss_label), ("score", "share")):
        if curves[name]:
            kept = run.manifest.model.get("kept_epoch", -1)
            figures[f"curve-{name}"] = epoch_curves(f"curve-{name}", label, curves[name], kept)
    if available(run.dynamics):
        figures["dynamics"] = dynamics_map()
    return figures


def _map_title(run: Run) -> str:
    projection = available(run.projection)
    return map_title(projection, available(run.similar), run.manifest.task) if projection else ""


def _formations(run: Run, formed: Formation, curves: Mapping[str, Curves]) -> list[dict[str, Any]]:
    """How each state formed: what the section shows of it, that of the first one first."""
    every = (formed, *run.further_formation)
    scopes = tuple(own.scope for own in every)
    return [
        {
            "formed": own,
            "heading": formation_title(own, own_title(own.scope, scopes)),
            "title": state_title(own.scope),
            "pictured": bool(np.isfinite(own.change[0]).any()),
            "probes": (read := probes_of(own.scope, run)),
            "panels": formation_panels(own, curves["loss"], curves["score"], read),
        }
        for own in every
    ]


def _history(performance: object) -> dict[str, Curves]:
    """Recorded metrics by scale: losses and shares are not drawn on one axis."""
    groups: dict[str, Curves] = {"loss": {}, "score": {}}
    if not isinstance(performance, Performance):
        return groups
    for place, name in enumerate(performance.history_names):
        values = performance.history[place]
        known = np.isfinite(values)
        if name in ("wall_s", "epoch", "n") or known.sum() < 2:  # one epoch makes no curve
            continue
        is_share = bool((values[known] >= 0).all() and (values[known] <= 1).all())
        group = groups["score" if is_share and not _ERROR_NAMES.search(name) else "loss"]
        group[name.replace("_", " ")] = (performance.history_epochs[known], values[known])
    return groups


def _ends(projection: Projection, sequences: Sequences) -> dict[str, NDArray[np.floating]]:
    """Of every class, while they are few, the middle of the last states of its sequences on the first map."""
    last = projection.coordinates[0][np.cumsum(sequences.lengths) - 1]
    if not sequences.labels.size or len(sequences.class_names) > _MOST_NAMED:
        return {}
    known = np.isfinite(last).all(axis=1)
    members = {name: last[known & (sequences.labels == place)] for place, name in enumerate(sequences.class_names)}
    return {name: np.median(points, axis=0) for name, points in members.items() if len(points)}


def _static_pictures(run: Run, curves: Mapping[str, Curves]) -> dict[str, Markup]:
    pictures = {f"curve-{name}": curves_svg(f"{name} over epochs", group) for name, group in curves.items()}
    sequences, projection, dynamics = available(run.sequences), available(run.projection), available(run.dynamics)
    scored = available(run.performance)
    if scored and scored.truth.size:  # the first quantity stands for all
        pictures["agreement"] = agreement_svg(scored.class_names[0], scored.truth[:, 0], scored.output[:, 0])
    if projection and sequences:
        owners = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
        groups = sequences.labels[owners] if sequences.labels.size else np.zeros(len(owners), np.int32)
        colouring = ", coloured by true class, named where its sequences end" if sequences.labels.size else ""
        label = f"{projection.methods[0]} of {len(owners)} states{colouring}"
        pictures["map"] = scatter_svg(
            label, projection.coordinates[0], groups, CLASS_COLOURS, _ends(projection, sequences)
        )
    if dynamics:
        epochs = np.repeat(np.arange(len(dynamics.epochs)), len(dynamics.plane) // len(dynamics.epochs))
        shades = np.linspace(78, 22, len(dynamics.epochs))
        ramp = [f"hsl(280 45% {shade:.0f}%)" for shade in shades]
        pictures["dynamics"] = scatter_svg("MM-PHATE, darker is later in training", dynamics.plane, epochs, ramp)
    return pictures
