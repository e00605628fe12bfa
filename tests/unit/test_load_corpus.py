"""Text corpora: what is read, and what is refused with which line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.load.files import MAX_LINE


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def words_of(corpus: Corpus, sequence: int) -> list[str]:
    return [corpus.vocabulary[token] for token in corpus.inputs[sequence]]


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load_corpus(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_stream_is_cut_into_sequences_with_eos_after_every_line(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path, "a.txt", "one two\n\nthree one\n"), sequence_length=4)
    assert corpus.task == "language-model"
    assert words_of(corpus, 0) == ["one", "two", "<eos>", "<eos>"]
    assert words_of(corpus, 1) == ["three", "one", "<eos>"]
    assert corpus.sequence_ids == ("tokens 1-4", "tokens 5-7")
    assert corpus.vocabulary == ("<unk>", "<eos>", "one", "three", "two")
    assert all(values.dtype == np.int32 for values in corpus.inputs)


def test_characters_keep_their_line_ends(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path, "a.txt", "ab\r\n b\n"), tokenizer="char")
    assert "".join(words_of(corpus, 0)) == "ab\n b\n"


def test_word_tokenizer_separates_punctuation(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path, "a.tsv", "label\ttext\nx\tDon't stop, naïve!\n"), tokenizer="word")
    assert words_of(corpus, 0) == ["Don't", "stop", ",", "naïve", "!"]


@pytest.mark.parametrize("zipped", [False, True])
def test_labelled_text(tmp_path: Path, zipped: bool) -> None:
    content = b'label\ttext\textra\n10\ta "b\t-\n9\tb\t-\n\n9\t \t-\n'
    path = write(
        tmp_path, "set.tsv.gz" if zipped else "set.tsv", gzip.compress(content, mtime=0) if zipped else content
    )
    corpus = load_corpus(path)
    assert corpus.name == "set"
    assert corpus.class_names == ("9", "10")  # by value, not by character
    assert corpus.labels.tolist() == [1, 0]
    assert words_of(corpus, 0) == ["a", '"b']
    assert corpus.sequence_ids == ("line 2", "line 3")
    assert corpus.skipped == {"blank line": 1, "empty text": 1}
    assert corpus.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert corpus.info()["steps"] == 3


def test_csv_and_jsonl_say_the_same(tmp_path: Path) -> None:
    rows = [("first", 'a "quoted", text', "yes"), ("second", "over\ttwo", "no")]
    table = tmp_path / "a.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([("id", "text", "label"), *rows])
    lines = "".join(json.dumps(dict(zip(("id", "text", "label"), row, strict=True))) + "\n" for row in rows)
    from_csv, from_json = load_corpus(table), load_corpus(write(tmp_path, "a.jsonl", lines))
    assert from_csv.sequence_ids == from_json.sequence_ids == ("first", "second")
    assert from_csv.class_names == from_json.class_names == ("no", "yes")
    assert words_of(from_csv, 0) == words_of(from_json, 0) == ["a", '"quoted",', "text"]
    assert from_csv.labels.tolist() == from_json.labels.tolist() == [1, 0]


def test_tags_as_text_and_as_lists(tmp_path: Path) -> None:
    text = load_corpus(write(tmp_path, "a.tsv", "tokens\ttags\nthe dog\tD N\nruns\tV\n"))
    lists = load_corpus(
        write(
            tmp_path, "a.jsonl", '{"tokens": ["the", "dog"], "tags": ["D", "N"]}\n{"tokens": ["runs"], "tags": ["V"]}'
        )
    )
    for corpus in (text, lists):
        assert corpus.task == "tagging"
        assert corpus.class_names == ("D", "N", "V")
        assert [targets.tolist() for targets in corpus.step_targets] == [[0, 1], [2]]
        assert corpus.labels.size == 0


def test_classes_given_fix_the_order(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "label\ttext\nb\tx\na\ty\n")
    corpus = load_corpus(path, classes=("b", "c", "a"))
    assert corpus.class_names == ("b", "c", "a")
    assert corpus.labels.tolist() == [0, 2]
    assert f"{path}:3: label 'a' is none of the classes b, c" in refusal(path, classes=("b", "c"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("v.json", '["x", "<UNK>", "y"]'), ("v.json", '{"x": 0, "y": 2, "<UNK>": 1}'), ("v.txt", "x\n<UNK>\ny\n")],
)
def test_vocabulary_from_a_file(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path, "a.tsv", "label\ttext\n0\tx y z\n1\tz\n")
    corpus = load_corpus(path, vocabulary=write(tmp_path, name, content))
    assert corpus.vocabulary == ("x", "<UNK>", "y")
    assert [values.tolist() for values in corpus.inputs] == [[0, 2, 1], [1]]
    assert corpus.unknown_tokens == 2


def test_ids_that_a_vocabulary_leaves_out_stay_free(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "label\ttext\n0\tx\n")
    corpus = load_corpus(path, vocabulary=write(tmp_path, "v.json", '{"x": 2, "y": 1}'))
    assert corpus.vocabulary == ("<unused 0>", "y", "x")


def test_unknown_token_without_unknown_entry_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "label\ttext\n0\tx\n1\tx z\n")
    assert f"{path}:3: token 'z'" in refusal(path, vocabulary=write(tmp_path, "v.txt", "x\n"))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.tsv", "label\ttext\n0\tx\ty\n", ":2: 3 fields where the header has 2"),
        ("a.tsv", "label\tbody\n0\tx\n", ":1: the columns are 'label', 'body'"),
        ("a.tsv", "text\ttext\tlabel\n", ":1: column 'text' appears twice"),
        ("a.tsv", "label\ttext\n\tx\n", ":2: 'label' is missing or empty"),
        ("a.tsv", "id\tlabel\ttext\na\t0\tx\na\t0\ty\n", ":3: id 'a' was used on line 2"),
        ("a.tsv", "tokens\ttags\na b\tN\n", ":2: 2 tokens but 1 tags"),
        ("a.tsv", "label\ttext\n", "is empty"),
        ("a.tsv", "label\ttext\n0\t \n", "is empty"),
        ("a.tsv", b"label\ttext\n0\tx\n1\t\xff\n", ":3: not UTF-8"),
        ("a.csv", 'label,text\n0,"x\n', ": not csv"),
        ("a.jsonl", '{"text": "x", "label": 0}\n{"text": \n', ":2: not JSON"),
        ("a.jsonl", '{"text": "x", "label": 0}\n[1]\n', ":2: not a JSON object"),
        ("a.jsonl", '{"text": "x", "label": 0}\n{"text": 5, "label": 0}\n', ":2: 'text' is missing or not a string"),
        ("a.jsonl", '{"text": "x", "label": 0.5}\n', ":1: 'label' is missing or empty"),
        ("a.jsonl", "[" * 100_000, ":1: not JSON"),
        ("a.txt", "", "is empty"),
        ("a.txt", "\n \n", "is empty"),
        ("a.txt", "ok\n" + "x" * (MAX_LINE + 1), ":2: a line of 1,000,001 characters"),
        ("a.docx", "x", "no corpus has the suffix '.docx'"),
        ("a.txt.gz", "not gzip", "is not a whole gzip file"),
        ("a.txt.gz", gzip.compress(b"some text here", mtime=0)[:-6], "is not a whole gzip file"),
    ],
)
def test_what_does_not_parse_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, complaint: str
) -> None:
    path = write(tmp_path, name, content)
    message = refusal(path)
    assert complaint in message
    assert str(path) in message


def test_missing_file(tmp_path: Path) -> None:
    assert "nowhere.txt does not exist" in refusal(tmp_path / "nowhere.txt")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("[]", "is empty"), ('["a", "a"]', "appears twice"), ('{"a": 0, "b": 0}', "one id to two"), ("5", "not a vocab")],
)
def test_bad_vocabularies(tmp_path: Path, content: str, complaint: str) -> None:
    path = write(tmp_path, "a.txt", "a b\n")
    assert complaint in refusal(path, vocabulary=write(tmp_path, "v.json", content))


def test_own_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["elsewhere"])
    write(
        tmp_path,
        "mytokens_x1.py",
        "def pairs(text):\n    return [text[i:i + 2] for i in range(0, len(text), 2)]\n"
        "def bad(text):\n    return text\ndef broken(text):\n    raise KeyError(text)\nVALUE = 3\n",
    )
    path = write(tmp_path, "a.txt", "abcd\nab\n")
    corpus = load_corpus(path, tokenizer="mytokens_x1:pairs")
    assert words_of(corpus, 0) == ["ab", "cd", "ab"]
    assert ":1: the tokenizer does not return a list" in refusal(path, tokenizer="mytokens_x1:bad")
    assert ":1: the tokenizer fails: KeyError: 'abcd' at mytokens_x1.py:6" in refusal(
        path, tokenizer="mytokens_x1:broken"
    )
    assert "has no attribute 'none'" in refusal(path, tokenizer="mytokens_x1:none")
    assert "is int, not callable" in refusal(path, tokenizer="mytokens_x1:VALUE")
    assert "there is no module 'mytokens_x2'" in refusal(path, tokenizer="mytokens_x2:f")
    assert "there is no tokenizer 'sentences'" in refusal(path, tokenizer="sentences")


@pytest.mark.corpus
def test_real_sentences_against_an_own_count(data_folder: Path) -> None:
    path = data_folder / "labelled_sentences" / "labelled_sentences.tsv.gz"
    corpus = load_corpus(path)
    rows = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()[1:]]
    assert len(corpus.inputs) == len(rows) == 3000
    assert corpus.labels.tolist() == [int(row[1]) for row in rows]
    counts = Counter(word for row in rows for word in row[2].split())
    assert corpus.vocabulary[1] == counts.most_common(1)[0][0]
    assert len(corpus.vocabulary) == len(counts) + 1
    assert words_of(corpus, 17) == rows[17][2].split()


@pytest.mark.corpus
def test_real_stream_has_every_token(data_folder: Path) -> None:
    path = data_folder / "wikitext2" / "wiki.test.txt.gz"
    corpus = load_corpus(path)
    text = gzip.decompress(path.read_bytes()).decode()
    expected = re.sub(r"\n", " <eos> ", text).split()
    found = [corpus.vocabulary[token] for token in np.concatenate(corpus.inputs)]
    assert found == expected
    assert corpus.vocabulary.count("<unk>") == 1
    assert corpus.unknown_tokens == 0
