"""Records survive the disk, and the disk's failures do not damage what was there."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rnnreport.errors import InputError, RnnReportError
from rnnreport.results import store
from rnnreport.results.schema import Check, Summary, Unavailable


@dataclass(frozen=True)
class Everything:
    numbers: np.ndarray
    by_name: dict[str, np.ndarray]
    names: tuple[str, ...]
    nested: tuple[dict[str, Any], ...]
    params: dict[str, Any]
    missing: float | None
    text: str


def everything(**changes: Any) -> Everything:
    record = Everything(
        numbers=np.arange(6, dtype=np.float32).reshape(2, 3),
        by_name={"rnn.0.fwd.h": np.ones((2, 1), np.float32), "a/b": np.zeros(3, np.int32)},
        names=("</script>", "naïve—日本語🙂", "\ud800"),
        nested=({"a": 1}, {"b": [1, 2]}),
        params={"seed": 0, "deep": {"x": None}},
        missing=None,
        text="two\nlines",
    )
    return dataclasses.replace(record, **changes)


def test_round_trip(tmp_path):
    record = everything()
    store.save(tmp_path / "record", record)
    loaded = store.load(tmp_path / "record", Everything)
    np.testing.assert_array_equal(loaded.numbers, record.numbers)
    assert loaded.numbers.dtype == np.float32
    assert loaded.by_name.keys() == record.by_name.keys()
    for name, array in record.by_name.items():
        np.testing.assert_array_equal(loaded.by_name[name], array)
        assert loaded.by_name[name].dtype == array.dtype
    for name in ("names", "nested", "params", "missing", "text"):
        assert getattr(loaded, name) == getattr(record, name)


def test_nested_dataclasses_come_back(tmp_path):
    check = Check("id", "title", "pass", 0.5, None, 3, "#anchor", "text")
    summary = Summary("run", "tagging", "pass", {"cell": "GRU"}, {"accuracy": {"n": 3}}, (check,))
    path = tmp_path / "summary.json"
    store.write_text(path, store.to_json(summary))
    assert store.from_plain(store.read_json(path), Summary, path) == summary


def test_equal_records_are_equal_bytes(tmp_path):
    store.save(tmp_path / "one", everything())
    store.save(tmp_path / "two", everything())
    for suffix in (".npz", ".json"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


def test_json_is_strict():
    assert json.loads(store.to_json({"a": math.nan, "b": np.float32(math.inf), "c": np.int64(3)})) == {
        "a": None,
        "b": None,
        "c": 3,
    }


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file.json"
    store.write_text(path, "old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr(store.os, "fdopen", full)
    else:
        monkeypatch.setattr(store.os, step, full)
    with pytest.raises(RnnReportError, match=r"cannot write .*file.json: No space left on device"):
        store.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    store.write_text(path, "old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_files_are_readable_for_others(tmp_path):
    store.write_text(tmp_path / "file", "text")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"PK\x03\x04 nonsense",
        lambda data: data[:60] + bytes(20) + data[80:],
    ],
    ids=["cut", "empty", "nonsense", "overwritten"],
)
def test_a_damaged_npz_is_an_input_error(tmp_path, damage):
    store.save(tmp_path / "record", everything())
    path = tmp_path / "record.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"record\.(npz|json) (is damaged|has the wrong keys)"):
        store.load(tmp_path / "record", Everything)


def test_pickled_arrays_are_refused(tmp_path):
    store.save(tmp_path / "record", everything())
    np.savez(tmp_path / "record.npz", numbers=np.array([object()]))
    with pytest.raises(InputError, match="is damaged"):
        store.load(tmp_path / "record", Everything)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\udcff", "[1]", '{"record": "Units"}'])
def test_damaged_json_is_an_input_error(tmp_path, text):
    store.save(tmp_path / "record", everything())
    (tmp_path / "record.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=r"record\.json"):
        store.load(tmp_path / "record", Everything)


def test_missing_and_unknown_keys_are_named(tmp_path):
    store.save(tmp_path / "record", everything())
    path = tmp_path / "record.json"
    values = json.loads(path.read_text())
    del values["text"], values["digest"]
    path.write_text(json.dumps(values | {"surplus": 1}))
    with pytest.raises(InputError, match=r"\['surplus', 'text'\]"):
        store.load(tmp_path / "record", Everything)


def test_a_missing_record_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json is missing"):
        store.load(tmp_path / "absent", Unavailable)


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_no_damage_of_a_single_place_goes_unnoticed(tmp_path, suffix, damage):
    """Every byte with one bit flipped, and every length: an error that names the file, or what was stored."""
    record = everything()
    store.save(tmp_path / "record", record)
    path = tmp_path / f"record{suffix}"
    whole = path.read_bytes()
    noticed = 0
    for place in range(len(whole)):
        flipped = whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :]
        path.write_bytes(flipped if damage == "flip" else whole[:place])
        try:
            loaded = store.load(tmp_path / "record", Everything)
        except InputError as error:
            assert "record." in str(error)
            noticed += 1
            continue
        np.testing.assert_array_equal(loaded.numbers, record.numbers)
        assert all((loaded.by_name[name] == array).all() for name, array in record.by_name.items())
        assert (loaded.names, loaded.nested, loaded.text) == (record.names, record.nested, record.text)
    assert noticed > len(whole) / 2


def test_arrays_of_another_record_are_noticed(tmp_path):
    store.save(tmp_path / "one", everything())
    store.save(tmp_path / "two", everything(numbers=np.ones((2, 3), np.float32)))
    (tmp_path / "two.npz").replace(tmp_path / "one.npz")
    with pytest.raises(InputError, match=r"one\.json is damaged"):
        store.load(tmp_path / "one", Everything)


def test_a_digest_may_be_absent_and_the_layout_another(tmp_path):
    store.save(tmp_path / "record", everything())
    path = tmp_path / "record.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values, indent=4, ensure_ascii=True, sort_keys=False))
    assert store.load(tmp_path / "record", Everything).text == "two\nlines"
    del values["digest"]
    path.write_text(json.dumps(values | {"text": "mine"}))
    assert store.load(tmp_path / "record", Everything).text == "mine"
