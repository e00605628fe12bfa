"""Runs can be compared on one probe set only: the refusal, which names the first difference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import PER_SEQUENCE, PER_STEP, Probe


def refuse_incomparable(baseline: RunFolder, other: RunFolder) -> None:
    """Raise unless both runs hold recorded epochs on the same probe set.

    Raises
    ------
    InputError
        Naming what is missing, or the first difference.
    """
    for folder in (baseline, other):
        if not folder.epochs():
            raise InputError(f"{folder.path} has no recorded epoch", "capture the run again")
    refuse_unequal(baseline.probe(), other.probe(), baseline, other)


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
