"""Machines of two runs: the same one under other letters, one moved transition, another answer, another number."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.comparison.machines import machine_diff
from rnnreport.analyses.comparison.runs import read
from rnnreport.analyses.machine import state_machine
from rnnreport.analyses.performance import PerformanceParams
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Machine, MachineDiff, Unavailable
from tests.fabricate import fabricate_run


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Machine]:
    run = fabricate_run(tmp_path_factory.mktemp("machine") / "run", epochs=4, sequences=60, name="base")
    scope, last = run.manifest().state_keys[0], run.checkpoint(3)
    found = state_machine(scope, last, run.probe(), None, (), np.arange(5))
    assert isinstance(found, Machine)
    run.write_result(found)
    return run, found


def against(machine: tuple[RunFolder, Machine], other: Machine | Unavailable, path: Path) -> MachineDiff | Unavailable:
    run = fabricate_run(path / "other", epochs=4, sequences=60, name="other")
    run.write_result(other)
    return machine_diff([read(folder, PerformanceParams()) for folder in (machine[0], run)])


def test_the_same_machine_under_other_letters_is_the_same(machine: tuple[RunFolder, Machine], tmp_path: Path) -> None:
    found = machine[1]
    k = len(found.answers)
    turned = np.roll(np.arange(k), 1)
    other = replace(
        found,
        step_states=turned[found.step_states].astype(np.int32),
        answers=tuple(found.answers[int(np.flatnonzero(turned == state)[0])] for state in range(k)),
    )
    diff = against(machine, other, tmp_path)
    assert isinstance(diff, MachineDiff)
    assert diff.verdicts == ("the same machine",) and diff.edges == ()
    assert diff.answers[1] == diff.answers[0] == dict(zip("ABCDEFGHIJKLMNOPQRST", found.answers, strict=False))
    assert diff.agreement.tolist() == [1, 1]
    steps = int(machine[0].probe().lengths.sum())
    assert f"n = {steps:,} steps of 60 sequences" in diff.found[0]["sentences"][0]


def test_transitions_that_moved_are_counted_by_hand(machine: tuple[RunFolder, Machine], tmp_path: Path) -> None:
    """Every second step of state A in the middle of a sequence is in state B of the other run."""
    found, probe = machine[1], machine[0].probe()
    states = found.step_states.copy()
    place = np.arange(states.size) - np.repeat(probe.offsets[:-1], probe.lengths)
    moved = np.flatnonzero((states == 0) & (place % 3 == 1))
    states[moved] = 1
    diff = against(machine, replace(found, step_states=states), tmp_path)
    assert isinstance(diff, MachineDiff) and diff.verdicts == ("another machine",)

    def taken(labels: np.ndarray, source: str, target: str) -> int:
        number = 0
        for start, stop in zip(probe.offsets[:-1], probe.offsets[1:], strict=True):
            path = ["the beginning", *("ABCDEFGHIJKLMNOPQRST"[state] for state in labels[start:stop])]
            number += sum((a, b) == (source, target) for a, b in itertools.pairwise(path))
        return number

    for edge in diff.edges:
        assert edge["counts"] == [
            taken(found.step_states, edge["from"], edge["to"]),
            taken(states, edge["from"], edge["to"]),
        ]
    changed = {(edge["from"], edge["to"]) for edge in diff.edges if edge["p"] < 0.05}
    assert {("A", "A"), ("A", "B")} <= changed
    assert any("instead of" in sentence for sentence in diff.found[0]["sentences"])


def test_another_answer_and_another_number_of_states_make_another_machine(
    machine: tuple[RunFolder, Machine], tmp_path: Path
) -> None:
    found = machine[1]
    answers = ("nothing", *found.answers[1:])
    diff = against(machine, replace(found, answers=answers), tmp_path / "answers")
    assert isinstance(diff, MachineDiff) and diff.verdicts == ("another machine",)
    assert any("A predicts “nothing” instead of" in sentence for sentence in diff.found[0]["sentences"])

    k = len(found.answers)
    split = found.step_states.copy()
    split[np.flatnonzero(split == 0)[::3]] = k
    more = replace(
        found,
        step_states=split,
        answers=(*found.answers, found.answers[0]),
        **{name: np.append(getattr(found, name), getattr(found, name)[0]) for name in ("classes", "shares", "steps")},
    )
    diff = against(machine, more, tmp_path / "k")
    assert isinstance(diff, MachineDiff) and diff.verdicts == ("another machine",)
    assert diff.states == (k, k + 1)
    assert diff.answers[1][f"{chr(ord('A') + k)}*"] == found.answers[0] and diff.answers[0]["B"] == found.answers[1]
    assert any(f"{chr(ord('A') + k)}*" in (edge["from"], edge["to"]) for edge in diff.edges)


def test_a_run_without_a_machine_is_not_compared(machine: tuple[RunFolder, Machine], tmp_path: Path) -> None:
    diff = against(machine, Unavailable("machine", "it answers nothing"), tmp_path)
    assert isinstance(diff, Unavailable) and "it answers nothing" in diff.reason
