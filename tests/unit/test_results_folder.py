"""A run folder gives back what was put in, and says clearly what is wrong with a damaged one."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest

from rnnreport.errors import InputError, RnnReportError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, StateKey
from rnnreport.results.schema import Unavailable, Units, Words
from tests.fabricate import fabricate_run


@pytest.fixture(scope="module")
def fabricated(tmp_path_factory) -> RunFolder:
    path = tmp_path_factory.mktemp("runs") / "run"
    fabricate_run(path, epochs=3, sequences=20)
    return RunFolder(path)


@pytest.fixture
def copy(fabricated, tmp_path) -> RunFolder:
    """An own copy of everything but the states."""
    folder = RunFolder(tmp_path / "run")
    folder.write_manifest(fabricated.manifest())
    folder.write_probe(fabricated.probe())
    for line in fabricated.metrics():
        folder.append_metrics(line)
    return folder


def assert_equal(left, right):
    """Dataclasses with arrays do not compare by themselves."""
    for field in dataclasses.fields(left):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        elif isinstance(one, dict) and any(isinstance(item, np.ndarray) for item in one.values()):
            assert one.keys() == other.keys()
            for key, item in one.items():
                np.testing.assert_array_equal(item, other[key])
        else:
            assert one == other


def test_round_trips(fabricated, copy):
    assert copy.manifest() == fabricated.manifest()
    assert_equal(copy.probe(), fabricated.probe())
    assert copy.metrics() == fabricated.metrics()
    for checkpoint in fabricated.checkpoints():
        copy.write_checkpoint(checkpoint)
        assert_equal(copy.checkpoint(checkpoint.epoch), checkpoint)
    assert copy.epochs() == fabricated.epochs()


def test_epochs_are_numbers_not_names(copy):
    empty = np.zeros((0, 0), np.float32)
    none = np.zeros(0, np.float32)
    for epoch in (10, 2, 1_000_000):
        copy.write_checkpoint(Checkpoint(epoch, {}, empty, empty, none, np.zeros((0, 5), np.int32), empty))
    assert copy.epochs() == [2, 10, 1_000_000]


def test_a_checkpoint_counts_once_its_json_is_there(fabricated, copy):
    checkpoint = fabricated.checkpoint(fabricated.epochs()[0])
    copy.write_checkpoint(checkpoint)
    marker = copy.path / "states" / f"epoch-{checkpoint.epoch:06d}.json"
    marker.write_text("")  # as a power failure may leave it
    assert copy.epochs() == []
    marker.unlink()
    assert copy.epochs() == []


def test_results_and_their_absence(copy):
    words = Words(
        names=("a",),
        counts=np.array([3], np.int32),
        tokens=np.array([0], np.int32),
        shapes=np.zeros((0, 0), np.float32),
        step_words=np.array([0, -1], np.int32),
        unseen=0,
        tags=np.array([1], np.int32),
        tag_share=np.array([0.75], np.float32),
        tag_names=("NOUN", "VERB"),
        guide="",
    )
    copy.write_result(words)
    assert_equal(copy.result(Words), words)
    copy.write_result(Unavailable("words", "no token occurs ten times"))
    assert copy.result(Words) == Unavailable("words", "no token occurs ten times")
    copy.write_result(words)
    assert_equal(copy.result(Words), words)


def test_results_of_states_are_kept_apart(copy):
    for scope in (0, 1):
        copy.write_result(Unavailable("units", f"state {scope}"), scope=scope)
    reasons = [copy.result(Units, scope=scope) for scope in (0, 1)]
    assert reasons == [Unavailable("units", "state 0"), Unavailable("units", "state 1")]


def test_a_torn_last_line_is_left_out(copy):
    expected = copy.metrics()
    with open(copy.path / "metrics.jsonl", "a") as stream:
        stream.write('{"epoch": 99, "lo')
    assert copy.metrics() == expected
    copy.append_metrics({"epoch": 100, "loss": 0.5})
    assert copy.metrics() == [*expected, {"epoch": 100, "loss": 0.5}]


@pytest.mark.parametrize("torn", ["", "x" * 10_000])
def test_an_epoch_reads_as_much_of_the_metrics_after_a_thousand_epochs_as_after_ten(tmp_path, monkeypatch, torn):
    read: list[int] = []

    class Counted(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            read.append(len(found))
            return found

    monkeypatch.setattr("rnnreport.results.metrics.open_regular", lambda path: Counted(io.FileIO(path)))
    costs = []
    for epochs in (10, 1000):
        folder = RunFolder(tmp_path / str(epochs))
        folder.path.mkdir()
        lines = [json.dumps({"epoch": epoch, "loss": 0.5, "wall_s": 1.0}) for epoch in range(epochs)]
        (folder.path / "metrics.jsonl").write_text("\n".join([*lines, torn]))
        read.clear()
        folder.append_metrics({"epoch": epochs, "loss": 0.25})
        costs.append(sum(read))
        assert [line["epoch"] for line in folder.metrics()] == list(range(epochs + 1))
    assert costs[1] <= len(torn) + 2 * 4096
    assert costs[0] > 0


@pytest.mark.parametrize("line", ["{", "[1]", '{"epoch": "1"}', '{"loss": 1}'])
def test_an_earlier_bad_line_is_named(copy, line):
    path = copy.path / "metrics.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(InputError, match=r"metrics\.jsonl:1 "):
        copy.metrics()


def test_a_whole_last_line_of_others_is_kept(copy):
    path = copy.path / "metrics.jsonl"
    path.write_text('{"epoch": 1, "loss": 0.25}')
    assert copy.metrics() == [{"epoch": 1, "loss": 0.25}]
    copy.append_metrics({"epoch": 2, "loss": 0.5})
    assert copy.metrics() == [{"epoch": 1, "loss": 0.25}, {"epoch": 2, "loss": 0.5}]


def test_any_flipped_bit_of_the_metrics_is_named(copy):
    """Or changes nothing: a name that is not "digest" any more leaves the line as one of others, whose numbers hold."""
    path = copy.path / "metrics.jsonl"
    copy.append_metrics({"epoch": 60, "loss": 0.125}, {"rnn.weight": "0123"})
    whole, expected = path.read_bytes(), copy.metrics()
    start = whole.rindex(b"\n", 0, -1) + 1
    unnoticed = []
    for place in range(start, len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                found = copy.metrics()
            except InputError as error:
                assert f"metrics.jsonl:{whole[:start].count(10) + 1} " in str(error) and "delete the line" in str(error)
                continue
            unnoticed.append(whole[place : place + 1])
            assert [{name: line[name] for name in old} for line, old in zip(found, expected, strict=True)] == expected
    assert len(unnoticed) < 60 and set(unnoticed) <= {b"digest"[i : i + 1] for i in range(6)}


def test_lines_of_others_and_older_ones_need_no_digest(copy):
    path = copy.path / "metrics.jsonl"
    expected = copy.metrics()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(len(line.pop("digest")) == 64 for line in lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert copy.metrics() == expected
    path.write_text('{"epoch": 1, "digest": 0.5}\n')  # a metric of that name
    assert copy.metrics() == [{"epoch": 1, "digest": 0.5}]


def test_metrics_that_are_not_finite_become_null(copy):
    copy.append_metrics({"epoch": 50, "loss": float("nan")})
    assert copy.metrics()[-1] == {"epoch": 50, "loss": None}


def test_a_full_disk_is_told(copy, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnreport.results.metrics.open", full, raising=False)
    with pytest.raises(RnnReportError, match=r"cannot write .*metrics\.jsonl: No space left"):
        copy.append_metrics({"epoch": 1})


def test_what_is_no_run_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not a run folder"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("version", [None, 2, "1"])
def test_another_format_version_is_refused(copy, version):
    path = copy.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": version}))
    with pytest.raises(InputError, match="format version"):
        RunFolder.open(copy.path)


@pytest.mark.parametrize("key", [StateKey("encoder.rnn", 1, "rev", "c"), StateKey("model", 0, "fwd", "h")])
def test_state_keys_are_read_back(key):
    assert StateKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["rnn.0.up.h", "h", "rnn.x.fwd.h"])
def test_other_state_keys_are_refused(text):
    with pytest.raises(ValueError):
        StateKey.parse(text)
