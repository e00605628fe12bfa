"""Two or more runs on one probe set: metrics side by side, paired differences, similarity of the states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, ratio_interval, resampled_sums
from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.quantities import error_sums, root_mean_square
from rnnreport.analyses.sample import evenly
from rnnreport.analyses.scores import Errors, Scores, score
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import PER_SEQUENCE, PER_STEP, Checkpoint, Doubles, Manifest, Probe
from rnnreport.results.schema import Comparison, Performance

_GUIDE = (
    "All runs were scored on the same sequences, so differences are paired: an interval that excludes zero is unlikely "
    "to come from the choice of sequences alone. It says nothing about the choice of seed: another training of the "
    "same network can differ as much. Linear CKA is 1 for the same representation up to rotation and scale; a low "
    "value means a different representation, not a worse one."
)


_PAIRED = {"language-model": "cross_entropy", "multi-label": "exact_match"}  # what is compared; otherwise accuracy


@dataclass(frozen=True)
class CompareParams:
    """Intervals, and the number of common epochs whose states are compared at most."""

    performance: PerformanceParams = field(default_factory=PerformanceParams)
    most_epochs: int = 40


@dataclass(frozen=True)
class _Run:
    """What is read once of each run."""

    folder: RunFolder
    manifest: Manifest
    probe: Probe
    last: Checkpoint
    scores: Scores | Errors | None
    performance: Performance

    @property
    def scope(self) -> str:
        return self.manifest.state_keys[0]

    def states(self, epoch: int) -> NDArray[np.float32]:
        return self.folder.checkpoint(epoch).states[self.scope]


def compare(folders: Sequence[RunFolder], params: CompareParams | None = None) -> Comparison:
    """Compare runs; the first one is the baseline.

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
    if len(folders) < 2:
        raise InputError("a comparison needs at least two runs", "name a second run folder")
    params = params or CompareParams()
    runs = [_read(folder, params) for folder in folders]
    for run in runs[1:]:
        refuse_unequal(runs[0].probe, run.probe, runs[0].folder, run.folder)
    names = tuple(dict.fromkeys(name for run in runs for name in run.performance.metrics))
    common = sorted(set.intersection(*(set(run.folder.epochs()) for run in runs)))
    epochs = [common[place] for place in evenly(len(common), params.most_epochs)] if common else []
    predicted, confidence = _predictions(runs)
    return Comparison(
        runs=tuple(run.manifest.name for run in runs),
        cells=tuple(_cell(run.manifest) for run in runs),
        scopes=tuple(run.scope for run in runs),
        metric_names=names,
        metrics=np.array([_triple(run.performance, name) for run in runs for name in names]).reshape(len(runs), -1, 3),
        paired=tuple(filter(None, (_paired(runs[0], run, params.performance.bootstrap) for run in runs[1:]))),
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


def refuse_unequal(expected: Probe, found: Probe, baseline: RunFolder, other: RunFolder) -> None:
    """Raise unless two probe sets hold the same sequences, inputs and labels in the same order.

    Raises
    ------
    InputError
        Naming the first difference.
    """
    difference = _first_difference(expected, found)
    if difference:
        raise InputError(
            f"{other.path} and {baseline.path} were recorded on different probe sets: {difference}",
            "capture both on the same corpus with the same sample",
        )


def linear_cka(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Linear centred kernel alignment (Kornblith et al., ICML 2019), by products of features only.

    Parameters
    ----------
    first : floating (S, H1)
    second : floating (S, H2)

    Returns
    -------
    float
        In [0, 1]; NaN where one side is constant or not finite, so that there is nothing to align.
    """
    one, two = _centred(first), _centred(second)
    scale = np.linalg.norm(one.T @ one) * np.linalg.norm(two.T @ two)
    if not np.isfinite(scale) or scale == 0:
        return float("nan")
    return float(np.linalg.norm(one.T @ two) ** 2 / scale)


def _centred(states: NDArray[np.floating]) -> Doubles:
    """Centred states of unit overall size, so that the size of the states costs no precision; constants become zero."""
    if not np.isfinite(states).all():
        return np.full(states.shape, np.nan)
    moving = np.ptp(states, axis=0) > 0
    centred = np.where(moving, states - states.mean(axis=0, dtype=np.float64), 0.0)
    size = np.linalg.norm(centred)
    return np.asarray(centred / size if size > 0 else centred)


def _read(folder: RunFolder, params: CompareParams) -> _Run:
    recorded = folder.epochs()
    if not recorded:
        raise InputError(f"{folder.path} has no recorded epoch", "capture the run again")
    probe, last = folder.probe(), folder.checkpoint(recorded[-1])
    scored = performance(probe, last, folder.metrics(), params.performance)
    return _Run(folder, folder.manifest(), probe, last, score(probe, last), scored)


def _first_difference(expected: Probe, found: Probe) -> str:
    if expected.task != found.task:
        return f"the task is {found.task!r} instead of {expected.task!r}"
    for place, (one, two) in enumerate(zip(expected.sequence_ids, found.sequence_ids, strict=False), start=1):
        if one != two:
            order = " (the same ids in another order)" if set(expected.sequence_ids) == set(found.sequence_ids) else ""
            return f"sequence {place} is {two!r} instead of {one!r}{order}"
    if expected.truths.size and expected.class_names != found.class_names:
        return f"it predicts {', '.join(found.class_names)} instead of {', '.join(expected.class_names)}"
    if len(expected.sequence_ids) != len(found.sequence_ids):
        return f"{len(found.sequence_ids)} sequences instead of {len(expected.sequence_ids)}"
    for what, first, second in _per_sequence(expected, found):
        same_shape = first.shape == second.shape
        differing = np.nonzero(first != second)[0] if same_shape else np.array([0])
        if differing.size:
            return f"sequence {expected.sequence_ids[differing[0]]!r} has {what}"
    return _first_differing_step(expected, found)


def _per_sequence(expected: Probe, found: Probe) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    pairs: list[tuple[str, NDArray[Any], NDArray[Any]]] = [
        ("another length", expected.lengths, found.lengths),
        ("another label", _named(expected.class_names, expected.labels), _named(found.class_names, found.labels)),
    ]
    if expected.task in PER_SEQUENCE and expected.truths.size:
        what = "other labels" if expected.task == "multi-label" else "another target"
        pairs.append((what, expected.truths, found.truths))
    return pairs


def _first_differing_step(expected: Probe, found: Probe) -> str:
    owners = np.repeat(np.arange(expected.lengths.size), expected.lengths)
    tokens = _named(expected.vocabulary, expected.tokens), _named(found.vocabulary, found.tokens)
    targets = _named(_target_names(expected), expected.targets), _named(_target_names(found), found.targets)
    compared = [("input", tokens), ("input", (expected.values, found.values)), ("target", targets)]
    if expected.task in PER_STEP:
        compared.append(("target", (expected.truths, found.truths)))
    for what, (one, two) in compared:
        if one.shape != two.shape:
            return f"the {what} of a step has another shape"
        differs = (one != two) & ((one == one) | (two == two))  # NaN on both sides is no difference
        if differs.any():
            step = int(np.nonzero(differs)[0][0])
            place = step - int(expected.offsets[owners[step]]) + 1
            return f"step {place} of sequence {expected.sequence_ids[owners[step]]!r} has another {what}"
    return ""


def _target_names(probe: Probe) -> tuple[str, ...]:
    return probe.vocabulary if probe.task == "language-model" else probe.class_names


def _named(names: tuple[str, ...], numbers: NDArray[np.int32]) -> NDArray[Any]:
    """The names behind the numbers, so that two vocabularies in different order can still agree; -1 has none."""
    return np.array([*names, None], dtype=object)[numbers]


def _cell(manifest: Manifest) -> str:
    model = manifest.model
    both = ", both directions" if model.get("bidirectional") else ""
    return f"{model.get('cell')} {model.get('layers')} x {model.get('units')}{both}"


def _triple(result: Performance, name: str) -> tuple[float, float, float]:
    """Value, low and high; NaN where the run lacks them."""
    metric = result.metrics.get(name, {})
    value, low, high = (float("nan") if metric.get(key) is None else metric[key] for key in ("value", "low", "high"))
    return value, low, high


def _paired(baseline: _Run, run: _Run, params: BootstrapParams) -> dict[str, Any] | None:
    """Difference run - baseline over the same items, with its interval over the same resamples of sequences.

    Of cross-entropy for a language model, of the root mean square error for quantities, of exact matches for several
    labels, of accuracy otherwise. None where one of them cannot be scored, or a single sequence leaves nothing to
    resample.
    """
    one, two, count = baseline.scores, run.scores, baseline.probe.lengths.size
    task, extra = baseline.probe.task, {}
    if isinstance(one, Errors) and isinstance(two, Errors):
        metric = "rmse"
        value, low, high = _rmse_difference(one, two, count, params)
    elif isinstance(one, Scores) and isinstance(two, Scores):
        metric = _PAIRED.get(task, "accuracy")
        change = two.loss - one.loss if metric == "cross_entropy" else two.right - one.right
        value, low, high = ratio_interval(*two.per_sequence(change, count), params)
        extra = _mcnemar(one.right > 0, two.right > 0) if task in PER_SEQUENCE else {}
    else:
        return None
    if not np.isfinite([value, low, high]).all():
        return None
    # Both have to agree: the percentile interval alone is too short when few sequences changed.
    outside = low > 0 or high < 0
    return {
        "run": run.manifest.name,
        "baseline": baseline.manifest.name,
        "metric": metric,
        "difference": value,
        "low": low,
        "high": high,
        "n": int(two.sequence.size),
        **extra,
        "significant": bool(outside and extra.get("p_value", 0.0) < 1 - params.coverage),
    }


def _rmse_difference(baseline: Errors, run: Errors, count: int, params: BootstrapParams) -> tuple[float, float, float]:
    """Both errors are taken of the same resamples, so that what makes a sequence hard for both cancels."""
    numbers, first = error_sums(baseline, count)
    second = error_sums(run, count)[1]
    columns = [column[numbers > 0] for column in (numbers, first, second)]

    def difference(totals: Doubles) -> Doubles:
        return root_mean_square(totals[[0, 2]]) - root_mean_square(totals[[0, 1]])

    value = float(difference(np.array([[column.sum()] for column in columns]))[0])
    return value, *percentile_interval(difference(resampled_sums(columns, params)), params)


def _mcnemar(baseline_right: NDArray[np.bool_], run_right: NDArray[np.bool_]) -> dict[str, Any]:
    """Exact McNemar test: could the sequences that only one run gets right be split like this by chance?"""
    from scipy.stats import binomtest

    only_baseline = int((baseline_right & ~run_right).sum())
    only_run = int((run_right & ~baseline_right).sum())
    changed = only_baseline + only_run
    p_value = float(binomtest(only_run, changed).pvalue) if changed else 1.0
    return {"only_baseline_right": only_baseline, "only_run_right": only_run, "p_value": p_value}


def _predictions(runs: Sequence[_Run]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
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


def _similarity_by_epoch(runs: Sequence[_Run], epochs: Sequence[int]) -> Doubles:
    table = np.empty((len(runs), len(epochs)))
    for column, epoch in enumerate(epochs):
        baseline = runs[0].states(epoch)
        table[:, column] = [linear_cka(baseline, run.states(epoch)) for run in runs]
    return table


def _history(result: Performance) -> dict[str, list[list[float]]]:
    """Metric to its pairs [epoch, value], without the epochs that lack it."""
    epochs = result.history_epochs.tolist()
    return {
        name: [[epoch, value] for epoch, value in zip(epochs, row.tolist(), strict=True) if np.isfinite(value)]
        for name, row in zip(result.history_names, result.history, strict=True)
    }
