"""Whatever a stranger writes: parsers answer or refuse, writers are read back, escapes hold."""

from __future__ import annotations

import base64
import gzip
import io
import json
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm
import numpy as np
import pytest
from cmarkgfm.cmark import Options
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rnnreport.errors import InputError, printable
from rnnreport.load.arguments import parse_arguments
from rnnreport.load.corpus import load_corpus
from rnnreport.load.vocabulary import read_vocabulary
from rnnreport.reading import parse_json, parse_toml, read_arrays
from rnnreport.report.environment import environment, markdown_escape
from rnnreport.report.payload import Payload
from rnnreport.results import store
from rnnreport.results.schema import Check, Summary
from rnnreport.results.typed import typed
from tests.payloads import TEXTS

ANY_TEXT = st.one_of(
    st.text(), st.sampled_from(TEXTS), st.text("<>\"'&/!-{}%@#:[]()`*_~|\\\n\x00\u202eaw.1", max_size=30)
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
FEW = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refused_or_read(read: object, *arguments: object) -> None:
    try:
        read(*arguments)  # type: ignore[operator]
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("suffix", [".txt", ".tsv", ".csv", ".jsonl", ".npz"])
@FEW
@given(
    body=st.binary(max_size=200),
    head=st.sampled_from([b"", b"text\tlabel\n", b"text,target\n", b"tokens\ttags\n", b"PK\x03\x04"]),
)
def test_corpora_of_bytes(tmp_path: Path, suffix: str, head: bytes, body: bytes) -> None:
    path = tmp_path / f"corpus{suffix}"
    path.write_bytes(head + body)
    refused_or_read(load_corpus, path)


@FEW
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["text", "label", "labels", "target", "tokens", "tags", "targets", "id"]), JSON
        ),
        max_size=4,
    )
)
def test_corpora_of_json(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    refused_or_read(load_corpus, path)


@FEW
@given(value=JSON)
def test_vocabularies_of_json(tmp_path: Path, value: object) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(value))
    refused_or_read(read_vocabulary, path)


@FEW
@given(
    arrays=st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        npst.arrays(npst.scalar_dtypes(), npst.array_shapes(min_dims=0, min_side=0)),
        max_size=3,
    )
)
def test_arrays_are_read_back(arrays: dict[str, np.ndarray]) -> None:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    found = read_arrays(stream, stream.tell())
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


@FEW
@given(value=JSON)
def test_any_value_has_a_type_or_is_refused(value: object) -> None:
    written = parse_json(store.to_json(value))
    for hint in (str, int, float, bool, float | None, tuple[str, ...], dict[str, int], Check, Summary):
        try:
            found = typed(written, hint)
        except ValueError:
            continue
        assert parse_json(store.to_json(found)) == written  # nothing is lost, and nothing put in


@FEW
@given(text=st.text(max_size=60))
def test_toml_and_arguments(text: str) -> None:
    with suppress(ValueError):
        parse_toml(text)
    refused_or_read(parse_arguments, [text])


class Text(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@FEW
@given(text=ANY_TEXT)
def test_text_stays_text_in_a_comment(text: str) -> None:
    line = f"x {markdown_escape(text)} x".encode("utf-8", "replace").decode()
    found = Text(cmarkgfm.github_flavored_markdown_to_html(line, Options.CMARK_OPT_UNSAFE))
    assert found.tags == ["p"]
    shown = printable(" ".join(text.split())).encode("utf-8", "replace").decode()
    assert " ".join(found.text.replace("\u2060", "").split()) == " ".join(f"x {shown} x".replace("\u2060", "").split())


@FEW
@given(value=st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT, max_size=3), max_size=3))
def test_json_stays_in_its_line(value: dict[str, list[str]]) -> None:
    line, _, _ = gzip.decompress(base64.b64decode(Payload().block(value))).partition(b"\n")
    assert line.isascii()
    assert json.loads(line) == value | {"arrays": {}}


@FEW
@given(text=ANY_TEXT)
def test_templates_escape(text: str) -> None:
    made = environment().from_string('<p title="{{ text }}">{{ text }}</p>').render(text=text)
    assert Text(made).tags == ["p"]
    assert printable(printable(text)) == printable(text)
