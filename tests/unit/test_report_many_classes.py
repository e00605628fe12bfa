"""Fifty classes: what is listed instead of a matrix that cannot be read, and states that do not cover each other."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np

from rnnreport.report.figures.machine import machine_picture
from rnnreport.report.tables import confusion_rows


def run_of(counts: np.ndarray) -> SimpleNamespace:
    names = tuple(f"class {place}" for place in range(len(counts)))
    return SimpleNamespace(performance=SimpleNamespace(confusion=counts, class_names=names))


def test_mistakes_of_many_classes_are_listed_the_most_frequent_first() -> None:
    counts = np.diag(np.arange(50, dtype=np.int32))
    counts[7, 3], counts[40, 41], counts[2, 9] = 5, 8, 5
    found = confusion_rows(run_of(counts))  # type: ignore[arg-type]
    assert found is not None
    assert found["mistakes"] == [(40, 41, 8), (2, 9, 5), (7, 3, 5)] and found["wrong"] == 18
    assert (found["rows"][40]["wrong"], found["rows"][40]["right"], found["rows"][40]["total"]) == (8, 40, 48)


def test_a_matrix_that_can_be_read_is_shown() -> None:
    found = confusion_rows(run_of(np.full((20, 20), 3, np.int32)))  # type: ignore[arg-type]
    assert found is not None and found["mistakes"] is None


def picture_of(answers: tuple[str, ...]) -> str:
    k = len(answers)
    edges = np.array([[place, (place + 1) % k, 5] for place in range(k)], np.int32)
    machine = SimpleNamespace(
        answers=answers, edges=edges, causes=np.full((k, 2), -1, np.int32), cause_counts=np.zeros((k, 2), np.int32),
        beginning=-1, classes=np.arange(k), shares=np.ones(k), steps=np.full(k, 9),
    )  # fmt: skip
    return str(machine_picture(machine, [], ["#123456"]))  # type: ignore[arg-type]


def labels(answers: tuple[str, ...]) -> list[str]:
    states = re.findall(r'<g class="state".*?</g>', picture_of(answers))
    return [re.findall(r"<text[^>]*>([^<]*)</text>", state)[0] for state in states]


def test_one_state_leaves_no_empty_frame() -> None:
    picture = picture_of(("positive",))
    top, height = map(int, re.findall(r'viewBox="0 (\d+) 600 (\d+)"', picture)[0])
    heights = [float(y) for y in re.findall(r' c?y="([\d.]+)"', picture)]
    assert heights and height < 120 and all(top < y < top + height for y in heights)
    assert 'viewBox="0 0 600 500"' in picture_of(("positive", "negative"))


def test_states_say_what_they_predict_while_there_is_room() -> None:
    assert labels(("yes", "no", "maybe")) == ["A yes", "B no", "C maybe"]
    assert labels(("a long name",) * 20) == [chr(ord("A") + place) for place in range(20)]
