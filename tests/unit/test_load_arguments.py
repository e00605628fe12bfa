"""Arguments of a factory: text and files to values, and every file that cannot be read so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnreport.errors import InputError
from rnnreport.load.arguments import parse_arguments, read_arguments


def test_values_are_json_or_text_and_nothing_is_evaluated() -> None:
    given = ["units=5", "rate=1e-3", "deep=true", "names=[1, null]", "cell=gru", "code=__import__('os')", "a=b=c", "n="]
    assert parse_arguments(given) == {
        "units": 5,
        "rate": 0.001,
        "deep": True,
        "names": [1, None],
        "cell": "gru",
        "code": "__import__('os')",
        "a": "b=c",
        "n": "",
    }


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["units"], "'units' is not KEY=VALUE"),
        (["=3"], "'=3' is not KEY=VALUE"),
        (["hidden-size=3"], "'hidden-size=3' is not KEY=VALUE"),
        (["units=3", "units=4"], "'units' is given twice"),
    ],
)
def test_texts_that_are_no_arguments(given: list[str], complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_arguments(given)
    assert complaint in str(caught.value)


JSON = '{"units": 5, "cell": {"kind": "gru", "bias": false}, "rate": 0.5, "names": ["a", "\\u00e9"]}'
TOML = 'units = 5\nrate = 0.5\nnames = ["a", "é"]\n[cell]\nkind = "gru"\nbias = false\n'


@pytest.mark.parametrize(("name", "text"), [("a.json", JSON), ("a.TOML", TOML), ("bom.json", "\ufeff" + JSON)])
def test_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    expected = {"units": 5, "rate": 0.5, "names": ["a", "é"], "cell": {"kind": "gru", "bias": False}}
    assert read_arguments(tmp_path / name) == expected


BROKEN = {
    "a.yaml": ("units: 3\n", "a .json or a .toml file"),
    "comma.json": ('{\n "units": 3,\n}', "comma.json:3: not JSON"),
    "empty.json": ("", "empty.json:1: not JSON"),
    "list.json": ("[1, 2]", "holds a list, not a table"),
    "null.json": ("null", "holds a NoneType, not a table"),
    "twice.json": ('{"units": 3, "cell": "gru", "units": 4}', "the key 'units' comes twice"),
    "inner.json": ('{"cell": {"a": 1, "a": 2}}', "the key 'a' comes twice"),
    "dash.json": ('{"hidden-size": 3}', "'hidden-size' cannot be the name"),
    "long.json": (f'{{"units": {"1" * 5000}}}', "long.json: Exceeds the limit"),
    "deep.json": ("[" * 100_000, "nested too deeply"),
    "half.toml": ("units = 3\nrate =\n", "at line 2"),
    "twice.toml": ("units = 3\nunits = 4\n", "at line 2"),
    "dash.toml": ("hidden-size = 3\n", "'hidden-size' cannot be the name"),
    "deep.toml": ("a = " + "[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_no_arguments(tmp_path: Path, name: str) -> None:
    text, complaint = BROKEN[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_arguments(tmp_path / name)
    assert complaint in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{\n"a": "caf\xe9"}')
    (tmp_path / "folder.json").mkdir()
    for name, complaint in {
        "absent.toml": "does not exist",
        "latin.json": ":2: not UTF-8",
        "folder.json": "read",
    }.items():
        with pytest.raises(InputError, match=complaint):
            read_arguments(tmp_path / name)
