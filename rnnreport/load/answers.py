"""What is right for each row of a table: a class, labels, quantities, tags, or a quantity for each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.labels import ClassIndex, names_of, order_of, sorted_classes
from rnnreport.load.records import TARGET, Row, label_of, number_of, strings_of
from rnnreport.results.recorded import Floats, Ints, Task

SEPARATOR = "|"  # between the labels of a table's cell

_MOST_TRUTHS = 2**29  # numbers

Classes = tuple[str, ...] | None
Columns = tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """The right answers of N sequences; the fields are those of ``Corpus``."""

    task: Task
    class_names: tuple[str, ...]
    labels: Ints = field(default_factory=lambda: np.zeros(0, np.int32))
    step_targets: tuple[Ints, ...] = ()
    truths: tuple[Floats, ...] = ()


@dataclass(frozen=True)
class AnswerReader:
    """How one kind of answer is read.

    Attributes
    ----------
    parse : function of a row, the columns of the answer, the number of tokens and the place: what the row says
    combine : function of what N rows say, their places, the columns and the class names given: Answers
    """

    parse: Callable[[Row, Columns, int, str], Any]
    combine: Callable[[list[Any], list[str], Columns, Classes], Answers]


def answer_reader(columns: Columns) -> AnswerReader:
    """The reader of a table's columns, the first of which holds the input."""
    return _READERS.get(columns[1], _READERS[TARGET])


def _one_label(row: Row, columns: Columns, steps: int, place: str) -> str:
    return label_of(row.values.get(columns[0]), columns[0], place)


def _classification(found: list[str], places: list[str], columns: Columns, classes: Classes) -> Answers:
    index = ClassIndex(classes or sorted_classes(set(found)))
    numbers = [index.encode([label], place) for label, place in zip(found, places, strict=True)]
    return Answers("classification", index.names, labels=np.concatenate(numbers))


def _several_labels(row: Row, columns: Columns, steps: int, place: str) -> list[str]:
    """Separated by "|", or a JSON list; none at all is allowed."""
    value = row.values.get(columns[0])
    if isinstance(value, str):
        value = value.split(SEPARATOR) if value.strip() else []
    if not isinstance(value, list):
        raise InputError(f"{place}: {columns[0]!r} is missing or no list", "give an empty list where there is none")
    labels = [label_of(item, columns[0], place) for item in value]
    if len(set(labels)) < len(labels):
        raise InputError(f"{place}: a label appears twice", "give every label of a sequence once")
    return labels


def _multi_label(found: list[list[str]], places: list[str], columns: Columns, classes: Classes) -> Answers:
    names = classes or sorted_classes({label for labels in found for label in labels})
    if not names:
        raise InputError(f"{places[0]}: neither this nor a later row has labels", "name them all (--classes a,b,c)")
    index = ClassIndex(names)
    if len(names) * len(found) > _MOST_TRUTHS:
        raise InputError(f"{places[0]}: {len(found):,} rows of {len(names):,} labels", "merge the rare ones")
    truths = [np.zeros(len(names), np.float32) for _ in found]
    for truth, labels, place in zip(truths, found, places, strict=True):
        truth[index.encode(labels, place)] = 1
    return Answers("multi-label", index.names, truths=tuple(truths))


def _quantities(row: Row, columns: Columns, steps: int, place: str) -> list[float]:
    """One number per column, or a JSON list of them."""
    if columns == (TARGET,) and isinstance(row.values.get(columns[0]), list):
        return [number_of(item, columns[0], place) for item in row.values[columns[0]]]
    return [number_of(row.values.get(column), column, place) for column in columns]


def _regression(found: list[list[float]], places: list[str], columns: Columns, classes: Classes) -> Answers:
    width = len(found[0])
    for numbers, place in zip(found, places, strict=True):
        if len(numbers) != width or not width:
            raise InputError(f"{place}: {len(numbers)} numbers where {places[0]} has {width}", "give all rows as many")
    rows = [np.array(numbers, np.float32) for numbers in found]
    if columns == (TARGET,):
        return Answers("regression", names_of(TARGET, width, classes, places[0]), truths=tuple(rows))
    listed = tuple(column.removeprefix(f"{TARGET}_") for column in columns)
    order = order_of(listed, classes, places[0])
    return Answers("regression", tuple(listed[k] for k in order), truths=tuple(row[order] for row in rows))


def _tags(row: Row, columns: Columns, steps: int, place: str) -> list[str]:
    tags = strings_of(row, columns[0], place)
    if len(tags) != steps:
        raise InputError(f"{place}: {steps} tokens but {len(tags)} tags", "give every token one tag")
    return tags


def _tagging(found: list[list[str]], places: list[str], columns: Columns, classes: Classes) -> Answers:
    index = ClassIndex(classes or sorted_classes({tag for tags in found for tag in tags}))
    targets = tuple(index.encode(tags, place) for tags, place in zip(found, places, strict=True))
    return Answers("tagging", index.names, step_targets=targets)


def _step_quantities(row: Row, columns: Columns, steps: int, place: str) -> list[float]:
    """One number per token, separated by spaces or a JSON list; nan or null where a token has none."""
    value = row.values.get(columns[0])
    items: list[Any] = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    if len(items) != steps:
        raise InputError(f"{place}: {steps} tokens but {len(items)} targets", "give every token a number or nan")
    return [number_of(item, columns[0], place, missing=True) for item in items]


def _step_regression(found: list[list[float]], places: list[str], columns: Columns, classes: Classes) -> Answers:
    truths = tuple(np.array(numbers, np.float32)[:, None] for numbers in found)
    refuse_only_gaps(truths, places[0])
    return Answers("step-regression", names_of(TARGET, 1, classes, places[0]), truths=truths)


def refuse_only_gaps(truths: Sequence[Floats], place: str) -> None:
    """Raise where not one step has a target.

    Raises
    ------
    InputError
    """
    if not any(np.isfinite(truth).any() for truth in truths):
        raise InputError(f"{place}: neither here nor later has a step a target", "give targets, or leave them out")


_READERS = {
    "label": AnswerReader(_one_label, _classification),
    "labels": AnswerReader(_several_labels, _multi_label),
    TARGET: AnswerReader(_quantities, _regression),
    "tags": AnswerReader(_tags, _tagging),
    "targets": AnswerReader(_step_quantities, _step_regression),
}
