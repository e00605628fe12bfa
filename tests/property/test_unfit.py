"""A short run of ``tests.fuzz.unfit``: whatever a record holds, commands end with a page or with one line."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnreport.cli import main
from tests import recordings
from tests.fuzz.shortcuts import with_known_layouts, with_old_figures
from tests.fuzz.unfit import Folder, spoiled, try_once

CHANGES, CHANGES_RECORDED = 120, 12


@pytest.fixture(scope="module")
def folder(analysed_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("unfit") / "site" / "run"
    return Folder(Path(shutil.copytree(analysed_runs[0], path)))


def test_changed_results_end_in_a_page_or_in_one_line(
    folder: Folder, analysed_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    ends = []
    with with_old_figures():
        assert main(["render", str(folder.path)]) == 0  # the index lists runs with a page
        for number in range(CHANGES):
            _, codes = try_once(folder, analysed_runs[1], random.Random(number), tmp_path)
            ends.append(codes["render"])
    assert 0.2 < np.mean([end == 2 for end in ends]) < 0.95, "changes that are all refused, or all shown, test nothing"


def test_changed_recordings_end_in_a_page_or_in_one_line(
    made_once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path
) -> None:
    """Analysed anew after each change."""
    site = made_once("given", recordings.given)
    folder = Folder(site / "run", recorded=True)
    ends = []
    with with_old_figures(), with_known_layouts():
        for number in range(CHANGES_RECORDED):
            _, codes = try_once(folder, folder.path, random.Random(number), tmp_path)
            ends.append(codes["analyse"])
    assert 0.2 < np.mean([end == 2 for end in ends]) < 0.95


def test_the_folder_is_as_it_was_after_each_change(folder: Folder) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    for number in range(40):
        with folder.changed(random.Random(number)):
            pass
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_ways_to_spoil_an_array() -> None:
    """Each of many draws gives an array that differs in shape, type or values, or says that it may not."""
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    told = {}
    for number in range(400):
        way, other = spoiled(array, random.Random(number))
        told[way] = other
    same = {way for way, other in told.items() if other.dtype == array.dtype and np.array_equal(other, array)}
    assert len(told) > 25 and not same - {"one 0", "one 1", "one 7"}
