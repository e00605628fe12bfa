"""The page of two or more runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.plotting import figure

from rnnreport.errors import InputError
from rnnreport.report import tables
from rnnreport.report.assets import COMPARISON_SCRIPTS
from rnnreport.report.compared import compared_tables
from rnnreport.report.fallback import curves_svg
from rnnreport.report.figures.beside import response_overlay, shared_map
from rnnreport.report.figures.curves import epoch_curves, reading_curves
from rnnreport.report.gather import available, model_line, noun, state_title
from rnnreport.report.packing.compare import pack_side_by_side
from rnnreport.report.packing.report import describe_comparison
from rnnreport.report.page import render_page
from rnnreport.report.payload import Payload
from rnnreport.report.tasks import TASKS
from rnnreport.report.titles import best_title, metrics_title
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Comparison, Likeness, Sequences, SideBySide, Unavailable

Curves = dict[str, tuple[Any, Any]]
_MOST_LAYERS = 4  # curves of one run's layers in a figure


def render_comparison(folders: Sequence[RunFolder], comparison: Comparison, details: SideBySide | None = None) -> str:
    """Render the comparison page of two or more runs; the first is the baseline.

    Parameters
    ----------
    folders : the run folders, in the order of ``comparison.runs``; of their results only the sequences are read
    comparison : Comparison
    details : SideBySide, optional
        Of the same runs; without it the page has metrics, changed predictions and readings only.

    Raises
    ------
    InputError
        If a run has no displayed sequences, or they are damaged or do not fit.
    """
    folders = [folder.as_one() for folder in folders]
    manifests = [folder.manifest() for folder in folders]
    sequences = [_sequences(folder) for folder in folders]
    shows, flips = TASKS[sequences[0].task], tables.flip_rows(comparison)
    payload, called = Payload(), noun(sequences[0])
    description = describe_comparison(comparison, sequences, payload)
    description["beside"] = pack_side_by_side(details, sequences[0], payload)
    curves = _history(comparison, f"test {shows.loss_label}")
    return render_page(
        "compare.html.j2",
        COMPARISON_SCRIPTS,
        description,
        payload,
        _figures(comparison, details, sequences[0], curves),
        comparison=comparison,
        compared=compared_tables(details, flips["rows"], called),
        beside=description["beside"],
        models=[model_line(manifest) for manifest in manifests],
        manifests=manifests,
        verdicts=[_verdict(folder) for folder in folders],
        shows=shows,
        noun=called,
        task=sequences[0].task,
        flips=flips,
        curves={name: label for name, (label, _) in curves.items()},
        metrics_heading=metrics_title(comparison, sequences[0].task),
        curve_titles={
            name: best_title(label.partition(", ")[0], group, shares=name == "score", unit=label.partition(", ")[2])
            for name, (label, group) in curves.items()
        },
        static={name: curves_svg(label, group) for name, (label, group) in curves.items()},
        scopes=[state_title(scope) for scope in comparison.scopes],
    )


def _figures(
    comparison: Comparison, details: SideBySide | None, shown: Sequences, curves: dict[str, tuple[str, Curves]]
) -> dict[str, figure]:
    figures = {f"curve-{name}": epoch_curves(f"curve-{name}", label, group) for name, (label, group) in curves.items()}
    alike = available(details.likeness) if details else None
    along = _along_layers(comparison, alike) if alike else _along_runs(comparison)
    if along:
        figures["similarity"] = epoch_curves("similarity", "linear CKA with the baseline", along)
    if shown.step_output.size:
        probability = TASKS[shown.task].kind != "quantities"
        label = TASKS[shown.task].reading_label
        figures["reading"] = reading_curves(comparison.runs, label, probability=probability)
    if alike:
        figures |= {"plane-0": shared_map(0), "plane-1": shared_map(1)}
    if details and available(details.clusters):
        figures["overlay"] = response_overlay(comparison.runs)
    return figures


def _along_runs(comparison: Comparison) -> Curves:
    """One curve for each run after the first."""
    if comparison.epochs.size < 2:
        return {}
    rows = zip(comparison.runs[1:], comparison.similarity_by_epoch[1:], strict=True)
    return {title: (comparison.epochs, values) for title, values in rows}


def _along_layers(comparison: Comparison, alike: Likeness) -> Curves:
    """Debiased CKA: of one run the curves of its states, of several runs those of the state shown first."""
    if alike.epochs.size < 2:
        return {}
    if len(comparison.runs) == 2:
        named = [place for place, name in enumerate(alike.counterparts[1]) if name][:_MOST_LAYERS]
        found = {state_title(alike.states[place]): alike.cka_by_epoch[0, 1, place] for place in named}
    else:
        first = alike.states.index(comparison.scopes[0])
        found = {title: alike.cka_by_epoch[0, 1 + run, first] for run, title in enumerate(comparison.runs[1:])}
    kept = {title: np.isfinite(values) for title, values in found.items()}
    return {title: (alike.epochs[kept[title]], found[title][kept[title]]) for title in found if kept[title].any()}


def _history(comparison: Comparison, loss_label: str) -> dict[str, tuple[str, Curves]]:
    """Per scale, the test metric of every run."""
    groups: dict[str, tuple[str, Curves]] = {}
    for name, label, wanted in (("loss", loss_label, "test_loss"), ("score", "test accuracy", "test_accuracy")):
        found: Curves = {}
        for title, history in zip(comparison.runs, comparison.history, strict=True):
            points = [(epoch, value) for epoch, value in history.get(wanted, []) if value is not None]
            if points:
                found[title] = (np.array([p[0] for p in points], np.int32), np.array([p[1] for p in points], float))
        if found:
            groups[name] = (label, found)
    return groups


def _verdict(folder: RunFolder) -> str:
    """The verdict on the run itself; "" of a run at an earlier epoch, which has none."""
    return folder.summary().verdict if (folder.path / "summary.json").exists() else ""


def _sequences(folder: RunFolder) -> Sequences:
    found = folder.result(Sequences)
    if isinstance(found, Unavailable):
        raise InputError(f"run {folder.path} has no displayed sequences: {found.reason}", "analyse it again")
    return found
