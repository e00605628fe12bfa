"""Put together what is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.changes import describe_changes
from rnnreport.analyses.comparison.clusters import matched_clusters
from rnnreport.analyses.comparison.effects import EffectParams, word_effects
from rnnreport.analyses.comparison.likeness import LikenessParams, likeness
from rnnreport.analyses.comparison.machines import machine_diff
from rnnreport.analyses.comparison.paired import paired_difference
from rnnreport.analyses.comparison.probes import refuse_incomparable
from rnnreport.analyses.comparison.runs import Read, read
from rnnreport.analyses.comparison.similarity import linear_cka
from rnnreport.analyses.comparison.slices import SliceParams, slice_differences
from rnnreport.analyses.performance import PerformanceParams
from rnnreport.analyses.sample import evenly
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Manifest
from rnnreport.results.schema import (
    Comparison,
    Confusions,
    Performance,
    SideBySide,
    Unavailable,
)

_GUIDE = (
    "All runs were scored on the same sequences, so differences are paired: an interval that excludes zero is unlikely "
    "to come from the choice of sequences alone. It says nothing about the choice of seed: another training of the "
    "same network can differ as much. Linear CKA is 1 for the same representation up to rotation and scale; a low "
    "value means a different representation, not a worse one."
)


@dataclass(frozen=True)
class CompareParams:
    """Intervals, the number of common epochs whose states are compared at most, and the parts of the comparison."""

    performance: PerformanceParams = field(default_factory=PerformanceParams)
    most_epochs: int = 40
    likeness: LikenessParams = field(default_factory=LikenessParams)
    slices: SliceParams = field(default_factory=SliceParams)
    effects: EffectParams = field(default_factory=EffectParams)


def compare(folders: Sequence[RunFolder], params: CompareParams | None = None) -> Comparison:
    """The metrics of runs, their paired differences and predictions; the first one is the baseline.

    Parameters
    ----------
    folders : sequence of RunFolder
        At least two, recorded on the same probe set.
    params : CompareParams, optional

    Raises
    ------
    InputError
        If there is one run only, a run has no recorded epoch, or the probe sets differ; the message names the first
        difference.
    """
    params = params or CompareParams()
    runs = _read_all(folders, params)
    return _comparison(runs, _paired(runs, params), params)


def side_by_side(folders: Sequence[RunFolder], params: CompareParams | None = None) -> SideBySide:
    """Compare runs in full: besides ``compare`` their states, groups of sequences, words, clusters and state machines.

    Parameters
    ----------
    folders, params : as of ``compare``; clusters are compared where the runs have been analysed

    Raises
    ------
    InputError
        As ``compare``.
    """
    params = params or CompareParams()
    runs = _read_all(folders, params)
    paired = _paired(runs, params)
    alike, groups = likeness(runs, params.likeness), slice_differences(runs, params.slices)
    effects = word_effects(runs, params.effects)
    return SideBySide(
        _comparison(runs, paired, params),
        alike,
        groups,
        effects,
        matched_clusters(runs),
        describe_changes(runs, paired, alike, groups, effects),
        machine_diff(runs),
        _confusions(runs),
    )


def _confusions(runs: Sequence[Read]) -> Confusions | Unavailable:
    tables = [run.performance.confusion for run in runs]
    if not all(table.size for table in tables):
        return Unavailable(Confusions.analysis, "neither sequences nor steps have one class each")
    items = "steps" if runs[0].probe.task == "tagging" else "sequences"
    return Confusions(runs[0].probe.class_names, np.stack(tables), items)


def _read_all(folders: Sequence[RunFolder], params: CompareParams) -> list[Read]:
    if len(folders) < 2:
        raise InputError("a comparison needs at least two runs", "name a second run folder")
    for other in folders[1:]:
        refuse_incomparable(folders[0], other)
    return [read(folder, params.performance) for folder in folders]


def _paired(runs: Sequence[Read], params: CompareParams) -> list[dict[str, Any] | None]:
    return [paired_difference(runs[0], run, params.performance.bootstrap) for run in runs[1:]]


def _comparison(runs: Sequence[Read], paired: Sequence[dict[str, Any] | None], params: CompareParams) -> Comparison:
    names = tuple(dict.fromkeys(name for run in runs for name in run.performance.metrics))
    common = sorted(set.intersection(*(set(run.epochs) for run in runs)))
    epochs = [common[place] for place in evenly(len(common), params.most_epochs)] if common else []
    predicted, confidence = _predictions(runs)
    return Comparison(
        runs=tuple(run.manifest.name for run in runs),
        cells=tuple(_cell(run.manifest) for run in runs),
        scopes=tuple(run.scope for run in runs),
        metric_names=names,
        metrics=np.array([_triple(run.performance, name) for run in runs for name in names]).reshape(len(runs), -1, 3),
        paired=tuple(filter(None, paired)),
        sequence_ids=runs[0].probe.sequence_ids,
        labels=runs[0].probe.labels,
        predicted=predicted,
        confidence=confidence,
        class_names=runs[0].probe.class_names,
        similarity=_similarity([run.last.states[run.scope] for run in runs]),
        epochs=np.array(epochs, dtype=np.int32),
        similarity_by_epoch=_similarity_by_epoch(runs, epochs),
        history=tuple(_history(run.performance) for run in runs),
        guide=_GUIDE,
    )


def _cell(manifest: Manifest) -> str:
    model = manifest.model
    both = ", both directions" if model.get("bidirectional") else ""
    return f"{model.get('cell')} {model.get('layers')} x {model.get('units')}{both}"


def _triple(result: Performance, name: str) -> tuple[float, float, float]:
    """Value, low and high; NaN where the run lacks them."""
    metric = result.metrics.get(name, {})
    value, low, high = (float("nan") if metric.get(key) is None else metric[key] for key in ("value", "low", "high"))
    return value, low, high


def _predictions(runs: Sequence[Read]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    outputs = [run.last.model_output for run in runs]
    if runs[0].probe.task != "classification" or not all(output.size for output in outputs):
        return np.zeros((0, 0), np.int32), np.zeros((0, 0), np.float32)
    finite = [np.isfinite(output).all(axis=1) for output in outputs]
    predicted = [np.where(ok, output.argmax(axis=1), -1) for ok, output in zip(finite, outputs, strict=True)]
    confidence = [np.where(ok, output.max(axis=1), 0) for ok, output in zip(finite, outputs, strict=True)]
    return np.stack(predicted).astype(np.int32), np.stack(confidence).astype(np.float32)


def _similarity(states: Sequence[NDArray[np.float32]]) -> Doubles:
    table = np.empty((len(states), len(states)))
    for one in range(len(states)):
        for two in range(one + 1):
            table[one, two] = table[two, one] = linear_cka(states[one], states[two])
    return table


def _similarity_by_epoch(runs: Sequence[Read], epochs: Sequence[int]) -> Doubles:
    table = np.empty((len(runs), len(epochs)))
    for column, epoch in enumerate(epochs):
        baseline = runs[0].at(epoch).states[runs[0].scope]
        table[:, column] = [linear_cka(baseline, run.at(epoch).states[run.scope]) for run in runs]
    return table


def _history(result: Performance) -> dict[str, list[list[float]]]:
    """Metric to its pairs [epoch, value], without the epochs that lack it."""
    epochs = result.history_epochs.tolist()
    return {
        name: [[epoch, value] for epoch, value in zip(epochs, row.tolist(), strict=True) if np.isfinite(value)]
        for name, row in zip(result.history_names, result.history, strict=True)
    }
