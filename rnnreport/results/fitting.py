"""Whether the arrays of what was recorded fit together, as the docstrings of ``recorded.py`` say they do.

Later stages index one array by another: what does not fit would fail there, or mix up sequences without failing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Checkpoint, Probe, StateKey


def refuse_unfit(record: Any) -> None:
    """Raise where the parts of a probe set or of a checkpoint do not fit together.

    Raises
    ------
    ValueError
    """
    if isinstance(record, Probe):
        _refuse_unfit_probe(record)
    elif isinstance(record, Checkpoint):
        _refuse_unfit_checkpoint(record)


def _refuse_unfit_probe(probe: Probe) -> None:
    sequences, steps = len(probe.sequence_ids), int(probe.lengths.sum(dtype=np.int64))
    classes, words = len(probe.class_names), len(probe.vocabulary)
    _expect(len(set(probe.sequence_ids)) == sequences > 0, "sequence_ids are not all different, or none")
    _expect(probe.lengths.shape == (sequences,) and probe.lengths.min() >= 1, "lengths are not one of each sequence")
    _expect(probe.values.ndim == 2, "values are no table")
    if probe.continuous:
        _expect(
            probe.values.shape == (steps, len(probe.feature_names)), "values are not those of all steps and features"
        )
    else:
        _expect(probe.tokens.shape == (steps,) and _within(probe.tokens, 0, words), "tokens are not those of all steps")
    _expect(probe.labels.shape in ((0,), (sequences,)) and _within(probe.labels, 0, classes), "labels are no classes")
    most = words if probe.task == "language-model" else classes
    _expect(
        probe.targets.shape in ((0,), (steps,)) and _within(probe.targets, -1, most), "targets are none of the outputs"
    )
    rows = steps if probe.task == "step-regression" else sequences
    _expect(probe.truths.shape in ((0, 0), (rows, classes)), "truths are not those of all classes")


def _refuse_unfit_checkpoint(checkpoint: Checkpoint) -> None:
    states = checkpoint.states.values()
    steps = {state.shape[0] for state in states if state.ndim == 2}
    _expect(len(steps) == 1 and all(state.ndim == 2 for state in states), "states are of other steps")
    for key in checkpoint.states:
        StateKey.parse(key)
    size = steps.pop()
    for name in ("step_output", "top_tokens", "top_probabilities", "model_output"):
        array = getattr(checkpoint, name)
        _expect(
            array.ndim == 2 and (name == "model_output" or array.shape[0] in (0, size)), f"{name} is of other steps"
        )
    _expect(checkpoint.surprisal.shape in ((0,), (size,)), "surprisal is of other steps")


def _within(array: NDArray[Any], low: int, end: int) -> bool:
    return not array.size or bool(array.min() >= low and array.max() < end)


def _expect(holds: bool, told: str) -> None:
    if not holds:
        raise ValueError(told)
