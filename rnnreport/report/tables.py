"""Rows of the real HTML tables: what the page says without scripts, in print and to a screen reader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.report.environment import number
from rnnreport.report.gather import Run, available
from rnnreport.report.titles import confusion_title
from rnnreport.report.trees import gap_between, visible
from rnnreport.results.recorded import Floats, Ints
from rnnreport.results.schema import Comparison, Sequences, Unavailable

_WORDS_PER_CLUSTER = 12
_STATIC_SEQUENCES = 20
_SNIPPET = 60
_MOST_FLIPS = 200
_MOST_CELLS = 20  # classes of a matrix that can be read; of more the mistakes are listed
_MISTAKES = 20


def cluster_rows(run: Run) -> list[dict[str, Any]]:
    """The co-clusters of the default state at its default k: number of units, strongest words."""
    words = available(run.words)
    if words is None or not run.units:
        return []
    units = run.units[0]
    place = units.modes.index(units.default_mode), units.ks.tolist().index(units.default_k)
    rows = []
    for label in range(units.default_k):
        members = np.flatnonzero(units.word_labels[place] == label)
        strongest = members[np.argsort(-np.abs(units.association[place][members]), kind="stable")]
        rows.append(
            {
                "label": label + 1,
                "units": np.flatnonzero(units.unit_labels[place] == label).tolist(),
                "words": [words.names[word] for word in strongest[:_WORDS_PER_CLUSTER]],
                "more": max(0, len(members) - _WORDS_PER_CLUSTER),
            }
        )
    return rows


def confusion_rows(run: Run) -> dict[str, Any] | None:
    """The confusion matrix with its row sums; None where there is none."""
    performance = available(run.performance)
    if performance is None or not performance.confusion.size:
        return None
    counts = performance.confusion
    return {
        "title": confusion_title(performance.class_names, counts),
        "names": performance.class_names,
        "mistakes": _mistakes(counts) if len(counts) > _MOST_CELLS else None,
        "wrong": int(counts.sum() - counts.trace()),
        "rows": [
            {
                "name": name,
                "cells": row.tolist(),
                "total": int(row.sum()),
                "right": int(row[place]),
                "wrong": int(row.sum() - row[place]),
            }
            for place, (name, row) in enumerate(zip(performance.class_names, counts, strict=True))
        ],
        "largest": int(counts.max()),
        "total": int(counts.sum()),
    }


def _mistakes(counts: NDArray[np.int32]) -> list[tuple[int, int, int]]:
    """True class, predicted class and count of the most frequent mistakes, most frequent first."""
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:_MISTAKES]
    places = zip(*np.unravel_index(order, errors.shape), strict=True)
    return [(int(actual), int(given), int(errors[actual, given])) for actual, given in places if errors[actual, given]]


def label_rows(run: Run) -> list[dict[str, Any]]:
    """How well each label is recognised, most frequent first."""
    performance = available(run.performance)
    if performance is None:
        return []
    rows = []
    counted = zip(performance.class_names, performance.label_counts.tolist(), strict=False)  # no counts: no rows
    for place, (name, (found, extra, missed, absent)) in enumerate(counted):
        rows.append(
            {
                "place": place,
                "name": name,
                "there": found + missed,
                "found": found,
                "missed": missed,
                "extra": extra,
                "total": found + extra + missed + absent,
                "precision": found / (found + extra) if found + extra else None,
                "recall": found / (found + missed) if found + missed else None,
            }
        )
    return sorted(rows, key=lambda row: -row["there"])


def sequence_rows(run: Run) -> list[dict[str, Any]]:
    """The first displayed sequences as text."""
    sequences = available(run.sequences)
    if sequences is None:
        return []
    starts, gap = np.concatenate([[0], np.cumsum(sequences.lengths)]), gap_between(sequences.token_names)
    rows = []
    for place in range(min(len(sequences.sequence_ids), _STATIC_SEQUENCES)):
        tokens: list[int] = (
            sequences.tokens[starts[place] : starts[place + 1]].tolist() if sequences.tokens.size else []
        )
        text = gap.join(visible(sequences.token_names[token]) for token in tokens)
        rows.append(
            {
                "id": sequences.sequence_ids[place],
                "answers": _answers(sequences, place, slice(starts[place], starts[place + 1])),
                "text": text[:_SNIPPET] + ("…" if len(text) > _SNIPPET else "") or f"{sequences.lengths[place]} steps",
            }
        )
    return rows


def _answers(sequences: Sequences, place: int, steps: slice) -> tuple[str, ...]:
    """What is right and what was predicted, in words, in the order of ``TaskView.answers``."""
    names = sequences.class_names
    if sequences.task == "step-regression":
        errors = sequences.step_output[-1, steps].astype(np.float64) - sequences.truths[steps]
        known = np.asarray(np.isfinite(errors).any(axis=0))
        return (_quantities(names, known, np.sqrt(np.nanmean(errors[:, known] ** 2, axis=0))),)
    if sequences.task == "regression":
        rows = sequences.truths[place], sequences.outputs[place]
        return tuple(_quantities(names, np.isfinite(row), row[np.isfinite(row)]) for row in rows)
    if sequences.task == "multi-label":
        given = (row[place] >= 0.5 for row in (sequences.truths, sequences.outputs))
        return tuple(", ".join(names[k] for k in np.flatnonzero(row)) or "none" for row in given)
    if sequences.task == "tagging":
        return (_tags_right(sequences, steps),)
    if sequences.task == "classification":
        return _name(names, sequences.labels, place), _name(names, sequences.predicted, place)
    return ()


def _tags_right(sequences: Sequences, steps: slice) -> str:
    if not sequences.step_output.size:
        return ""
    answers, tags = sequences.step_output[-1, steps], sequences.targets[steps]
    right = (answers.argmax(axis=1) == tags) & np.isfinite(answers).all(axis=1)
    return f"{right[tags >= 0].sum():,} of {(tags >= 0).sum():,}"


def _quantities(names: tuple[str, ...], known: NDArray[np.bool_], values: Floats) -> str:
    """The known quantities as "name value; name value"."""
    there = [name for name, finite in zip(names, known, strict=True) if finite]
    return "; ".join(f"{name} {number(value)}" for name, value in zip(there, values, strict=True))


def _name(names: tuple[str, ...], classes: Ints, place: int) -> str:
    """A class in words; "" where there is none (no labels, or an output that is not finite)."""
    return names[classes[place]] if classes.size and classes[place] >= 0 else ""


def flip_rows(comparison: Comparison | Unavailable) -> dict[str, Any]:
    """The sequences whose prediction differs between the baseline and any other run."""
    if isinstance(comparison, Unavailable) or not comparison.predicted.size:
        return {"rows": [], "total": 0}
    differs = np.flatnonzero((comparison.predicted != comparison.predicted[0]).any(axis=0))
    names = comparison.class_names
    rows = []
    for place in differs[:_MOST_FLIPS]:
        label = int(comparison.labels[place]) if comparison.labels.size else -1
        guesses = comparison.predicted[:, place].tolist()
        rows.append(
            {
                "id": comparison.sequence_ids[place],
                "place": int(place),
                "label": names[label] if label >= 0 else "",
                "guesses": [
                    {"name": names[guess] if guess >= 0 else "no finite output", "right": guess == label}
                    for guess in guesses
                ],
            }
        )
    return {"rows": rows, "total": len(differs)}
