"""A kill at any moment leaves files and folders as before or complete, and the next call leaves nothing hidden."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import zipfile
from pathlib import Path

import pytest

from rnnreport.cli import outputs
from rnnreport.results import locks, placing, store
from rnnreport.results.folder import RunFolder
from rnnreport.results.renewal import renewed, settle
from rnnreport.results.schema import Unavailable, Words
from tests.moments import contents, moments
from tests.unit.test_results_store import Everything, everything


def tree(folder: Path, text: str, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text} {name}")


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("exchange", [True, False], ids=["one step", "two renames"])
def test_a_folder_that_is_built(tmp_path, monkeypatch, exists, exchange):
    if not exchange:
        monkeypatch.setattr(placing, "_exchange", lambda *_: False)
    work, target = tmp_path / "work", tmp_path / "work" / "run"

    def build() -> None:
        with outputs.new_folder(target, force=True, marker="run.json") as building:
            tree(building, "new", ("run.json", "states/a", "results/b"))

    def prepare() -> None:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        if exists:
            tree(target, "old", ("run.json", "states/a", "states/c"))

    prepare()
    before = contents(work)
    build()
    complete = contents(work)
    found = set()
    for _ in moments(prepare, build):
        visible = {name: data for name, data in contents(work).items() if not name.startswith(".")}
        put_away = exists and not exchange and not visible  # between the two renames; the next call puts it back
        assert put_away or visible in (before, complete)
        found.add("away" if put_away else "complete" if visible == complete else "before")
        with pytest.raises(RuntimeError), outputs.new_folder(target, force=True, marker="run.json"):
            raise RuntimeError  # a next call that fails
        assert contents(work) in (before, complete)
        build()
        assert contents(work) == complete
    assert found == {"before", "complete"} | ({"away"} if exists and not exchange else set())


def test_results_that_are_made_anew(tmp_path):
    run = tmp_path / "run"

    def renew() -> None:
        with renewed(RunFolder(run)) as made:
            tree(made.made, "new", ("results/a.json", "results/b.json", "summary.json", "provenance.json"))

    def prepare() -> None:
        shutil.rmtree(run, ignore_errors=True)
        tree(run, "old", ("run.json", "results/a.json", "results/c.json", "summary.json", "provenance.json"))

    prepare()
    before = contents(run)
    renew()
    complete = contents(run)
    found = set()
    for _ in moments(prepare, renew):
        settle(run)  # as every command does that writes there
        now = {name: data for name, data in contents(run).items() if not name.startswith(".analysis.partial")}
        assert now in (before, complete)
        found.add(now == complete)
        renew()
        assert contents(run) == complete
    assert found == {True, False}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("first", [everything(text="old"), None], ids=["replaced", "new"])
def test_a_record_never_has_the_arrays_of_another(tmp_path, first):
    path, second = tmp_path / "work" / "record", everything(text="new", numbers=everything().numbers + 1)

    def prepare() -> None:
        shutil.rmtree(path.parent, ignore_errors=True)
        path.parent.mkdir()
        if first:
            store.save(path, first)

    found = set()
    for _ in moments(prepare, lambda: store.save(path, second)):
        if path.with_name("record.json").exists():
            loaded = store.load(path, Everything)
            assert loaded.numbers[0, 0] == (loaded.text == "new")
            found.add(loaded.text)
        else:
            found.add("none")
        store.save(path, second)
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["record.json", "record.npz"]
    assert found == {"none"} | ({"old"} if first else set())


def test_a_result_becomes_unavailable(tmp_path):
    folder, absent = RunFolder(tmp_path / "run"), Unavailable("words", "none")
    path = folder.path / "results" / "words"

    def prepare() -> None:
        shutil.rmtree(folder.path, ignore_errors=True)
        store.save(path, everything())

    for _ in moments(prepare, lambda: folder.write_result(absent)):
        if path.with_name("words.json").exists():
            assert store.peek(path.with_name("words.json"), "record") == "Everything"
        folder.write_result(absent)
        assert folder.result(Words) == absent
        assert [entry.name for entry in path.parent.iterdir()] == ["words.json"]


def test_a_training_that_begins_anew(tmp_path):
    work, run = tmp_path / "work", tmp_path / "work" / "run"

    def begin() -> None:
        with outputs.training(run):
            outputs.empty(run)

    def prepare() -> None:
        shutil.rmtree(work, ignore_errors=True)
        tree(run, "old", ("run.json", "training.json", "states/a"))

    prepare()
    before = contents(work)
    for _ in moments(prepare, begin):
        with outputs.training(run):
            now = {name: data for name, data in contents(work).items() if not name.endswith(".lock")}
            assert now in (before, {})  # and not a part of it, which would be nobody's folder
            assert run.is_dir()
    assert [path.name for path in work.iterdir()] == ["run"]


@pytest.mark.parametrize("what", ["written", "scratch", "locked"])
def test_ctrl_c_just_when_a_file_is_there_leaves_none(tmp_path, monkeypatch, what):
    """Made, and not yet known to the one that would remove it."""

    def interrupted(call):
        def do(*words, **names):
            found = call(*words, **names)
            signal.raise_signal(signal.SIGINT)
            return found

        return do

    target = tmp_path / "run"
    block = {
        "written": lambda: placing.written(target, lambda stream: stream.write(b"new")),
        "scratch": placing.scratch,
        "locked": lambda: locks.locked(target),
    }[what]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with monkeypatch.context() as patch:
        where, name = (tempfile, "mkdtemp") if what == "scratch" else (os, "open")
        patch.setattr(where, name, interrupted(getattr(where, name)))
        with pytest.raises(KeyboardInterrupt), block():
            pass
    assert list(tmp_path.iterdir()) == []
    with block():
        assert list(tmp_path.iterdir())
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_an_archive_is_ctrl_c(tmp_path, monkeypatch):
    """As ZipFile refuses to close while a member is open."""
    opened = zipfile.ZipFile.open

    def interrupted(*words, **names):
        found = opened(*words, **names)
        signal.raise_signal(signal.SIGINT)
        return found

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(zipfile.ZipFile, "open", interrupted)
        store.save(tmp_path / "record", everything())
    assert list(tmp_path.iterdir()) == []
