"""What is right for a sequence or a step: labels and quantities of tables and of .npz archives."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from rnnreport.capture.probe import make_probe
from rnnreport.errors import InputError
from rnnreport.load.corpus import load_corpus

X = np.zeros((3, 4, 2))
NAN, INF = np.nan, np.inf


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content)
    return path


def save(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def refusal(path: Path, classes: tuple[str, ...] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_corpus(path, classes=classes)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


LABELLED = {
    "a.tsv": "text\tlabels\na b\tnoun|verb\nb\t\nc\tverb\n",
    "a.csv": 'labels,text\n"noun | verb",a b\n,b\nverb,c\n',
    "a.jsonl": '{"text": "a b", "labels": ["noun", "verb"]}\n{"text": "b", "labels": []}\n'
    '{"text": "c", "labels": "verb"}\n',
}


@pytest.mark.parametrize("name", LABELLED)
def test_labels_of_a_text(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, LABELLED[name])
    corpus = load_corpus(path)
    assert (corpus.task, corpus.class_names) == ("multi-label", ("noun", "verb"))
    np.testing.assert_array_equal(corpus.truths, [[1, 1], [0, 0], [0, 1]])
    other = load_corpus(path, classes=("verb", "x", "noun"))
    np.testing.assert_array_equal(other.truths, [[1, 0, 1], [0, 0, 0], [1, 0, 0]])
    assert "label 'noun' is none of the classes verb" in refusal(path, ("verb",))


QUANTITIES = {
    "a.tsv": "text\ttarget_joy\tid\ttarget_fear & awe\na b\t1.5\tx\t-2\n \t0\ty\t0\nc\t1e-3\tz\t4\n",
    "a.csv": "text,target_joy,target_fear & awe\na b,1.5,-2\n,0,0\nc,1e-3, 4\n",
    "a.jsonl": '{"text": "a b", "target_joy": 1.5, "target_fear & awe": -2}\n{"text": "", "target_joy": 0, '
    '"target_fear & awe": 0}\n{"text": "c", "target_joy": "1e-3", "target_fear & awe": 4}\n',
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities_of_a_text(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, QUANTITIES[name])
    corpus = load_corpus(path)
    assert (corpus.task, corpus.class_names) == ("regression", ("joy", "fear & awe"))
    np.testing.assert_array_equal(corpus.truths, np.array([[1.5, -2], [1e-3, 4]], np.float32))
    assert corpus.skipped == {"empty text": 1}
    other = load_corpus(path, classes=("fear & awe", "joy"))
    np.testing.assert_array_equal(other.truths, np.array([[-2, 1.5], [4, 1e-3]], np.float32))
    assert "the names are joy, fear & awe, but --classes names joy" in refusal(path, ("joy",))


def test_one_quantity_and_a_list_of_them(tmp_path: Path) -> None:
    one = load_corpus(write(tmp_path, "a.tsv", "text\ttarget\na\t1\nb\t-2.5\n"))
    assert (one.task, one.class_names) == ("regression", ("target",))
    np.testing.assert_array_equal(one.truths, [[1], [-2.5]])
    path = write(tmp_path, "a.jsonl", '{"text": "a", "target": [1, 2]}\n{"text": "b", "target": [3, 4.5]}\n')
    assert load_corpus(path).class_names == ("target 0", "target 1")
    named = load_corpus(path, classes=("low", "high"))
    assert named.class_names == ("low", "high")
    np.testing.assert_array_equal(named.truths, [[1, 2], [3, 4.5]])
    assert "a.jsonl:1: 2 targets, but --classes names 3" in refusal(path, ("a", "b", "c"))


def test_a_quantity_for_each_token(tmp_path: Path) -> None:
    table = load_corpus(write(tmp_path, "a.tsv", "tokens\ttargets\na b c\tnan 310 2.5\nb\t7\n"), classes=("ms",))
    lists = load_corpus(
        write(
            tmp_path,
            "a.jsonl",
            '{"tokens": ["a", "b", "c"], "targets": [null, 310, 2.5]}\n{"tokens": ["b"], "targets": [7]}',
        )
    )
    assert (table.task, table.class_names, lists.class_names) == ("step-regression", ("ms",), ("target",))
    for corpus in (table, lists):
        np.testing.assert_array_equal(np.concatenate(corpus.truths), [[NAN], [310], [2.5], [7]])


def test_the_first_answer_of_the_list_counts(tmp_path: Path) -> None:
    assert load_corpus(write(tmp_path, "a.tsv", "text\ttarget\tlabel\na\t1\tx\n")).task == "classification"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.tsv", "text\tlabels\na\tx||y\n", ":2: 'labels' is missing or empty"),
        ("a.tsv", "text\tlabels\na\tx|x\n", ":2: a label appears twice"),
        ("a.tsv", "text\tlabels\na\t\nb\t\n", ":2: neither this nor a later row has labels"),
        ("a.jsonl", '{"text": "a", "labels": ["x"]}\n{"text": "b"}\n', ":2: 'labels' is missing or no list"),
        ("a.jsonl", '{"text": "a", "labels": [["x"]]}\n', ":1: 'labels' is missing or empty"),
        ("a.tsv", "text\ttarget\na\t1\nb\thigh\n", ":3: 'target' is 'high'"),
        ("a.tsv", "text\ttarget\na\t1,5\n", ":2: 'target' is '1,5'"),
        ("a.tsv", "text\ttarget\na\t\n", ":2: 'target' is ''"),
        ("a.tsv", "text\ttarget_a\ttarget_b\na\t1\tnan\n", ":2: 'target_b' is 'nan'"),
        ("a.csv", "text,target\na,inf\n", ":2: 'target' is 'inf'"),
        ("a.csv", "text,target\na,1e39\n", ":2: 'target' is '1e39'"),  # beyond float32
        ("a.jsonl", '{"text": "a", "target": 1}\n{"text": "b"}\n', ":2: 'target' is missing"),
        ("a.jsonl", '{"text": "a", "target": true}\n', ":1: 'target' is 'True'"),
        ("a.jsonl", '{"text": "a", "target": NaN}\n', ":1: 'target' is 'nan'"),
        ("a.jsonl", f'{{"text": "a", "target": 1{"0" * 400}}}\n', ":1: 'target' is '1000"),
        ("a.jsonl", '{"text": "a", "target": [1, 2]}\n{"text": "b", "target": [1]}\n', ":2: 1 numbers where"),
        ("a.jsonl", '{"text": "a", "target": []}\n', ":1: 0 numbers"),
        ("a.jsonl", '{"text": "a", "target_x": [1]}\n', ":1: 'target_x' is '[1]'"),
        ("a.tsv", "tokens\ttargets\na b\t1\n", ":2: 2 tokens but 1 targets"),
        ("a.tsv", "tokens\ttargets\na b\t1 inf\n", ":2: 'targets' is 'inf'"),
        ("a.tsv", "tokens\ttargets\na b\tnan nan\n", ":2: neither here nor later has a step a target"),
        ("a.jsonl", '{"tokens": ["a"], "targets": 5}\n', ":1: 1 tokens but 0 targets"),
        ("a.tsv", "text\tanswer\na\t1\n", ":1: the columns are 'text', 'answer'"),
        ("a.tsv", "tokens\ttarget\na\t1\n", ":1: the columns are 'tokens', 'target'"),
    ],
)
def test_answers_that_cannot_be_used_are_refused_with_their_line(
    tmp_path: Path, name: str, content: str, complaint: str
) -> None:
    assert f"{name}{complaint}" in refusal(write(tmp_path, name, content))


def test_labels_of_series(tmp_path: Path) -> None:
    matrix = np.array([[1, 0], [0, 0], [1, 1]])
    corpus = load_corpus(save(tmp_path, X=X, length=[4, 0, 2], labels=matrix, class_names=["up", "down"]))
    assert (corpus.task, corpus.class_names) == ("multi-label", ("up", "down"))
    np.testing.assert_array_equal(corpus.truths, [[1, 0], [1, 1]])  # the empty series is left out
    swapped = load_corpus(tmp_path / "a.npz", classes=("down", "up"))
    np.testing.assert_array_equal(swapped.truths, [[0, 1], [1, 1]])
    unnamed = load_corpus(save(tmp_path, X=X, labels=matrix.astype(bool)))
    assert unnamed.class_names == ("label 0", "label 1")
    assert load_corpus(tmp_path / "a.npz", classes=("a", "b")).class_names == ("a", "b")


def test_quantities_of_series(tmp_path: Path) -> None:
    one = load_corpus(save(tmp_path, X=X, scale=[9.0, 9.0], targets=[1.5, 2, -3]))
    assert (one.task, one.class_names) == ("regression", ("target",))
    np.testing.assert_array_equal(one.truths, [[1.5], [2], [-3]])  # as given: the scale is of the channels
    two = load_corpus(save(tmp_path, X=X, targets=[[1, 2], [3, 4], [5, 6]], class_names=["a", "b"]), classes=("b", "a"))
    assert two.class_names == ("b", "a")
    np.testing.assert_array_equal(two.truths, [[2, 1], [4, 3], [6, 5]])


def test_quantities_of_steps_are_laid_out_as_the_values(tmp_path: Path) -> None:
    targets = np.arange(24.0).reshape(3, 4, 2)
    targets[0, 3] = NAN
    targets[1, 2:] = INF  # beyond the length, never read
    padded = load_corpus(save(tmp_path, X=X, length=[4, 2, 1], step_targets=targets))
    kept = [targets[0], targets[1, :2], targets[2, :1]]
    values = np.zeros((7, 2))
    ragged = load_corpus(save(tmp_path, values=values, length=[4, 2, 1], step_targets=np.concatenate(kept)))
    for corpus in (padded, ragged):
        assert (corpus.task, corpus.class_names) == ("step-regression", ("target 0", "target 1"))
        for found, expected in zip(corpus.truths, kept, strict=True):
            np.testing.assert_array_equal(found, expected.astype(np.float32))
    single = load_corpus(save(tmp_path, values=values, length=[4, 2, 1], step_targets=np.arange(7)))
    assert [truth.shape for truth in single.truths] == [(4, 1), (2, 1), (1, 1)]
    probe = make_probe(padded)
    np.testing.assert_array_equal(probe.truths, np.concatenate(kept).astype(np.float32))


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"y": [0, 1, 0], "targets": [1, 2, 3]}, "has both 'y' and 'targets'"),
        ({"labels": [1, 0, 1]}, "'labels' is int64 (3,)"),
        ({"labels": np.zeros((2, 2))}, "'labels' is float64 (2, 2)"),
        ({"labels": np.zeros((3, 0))}, "'labels' is float64 (3, 0)"),
        ({"labels": [[0, 1], [0, 2], [0, 1]]}, "series 1 has 2 in column 1 of 'labels'"),
        ({"labels": [[0, 1], [0, NAN], [0, 1]]}, "series 1 has nan in column 1 of 'labels'"),
        ({"labels": np.eye(3), "class_names": ["a", "b"]}, "'labels' has 3 columns, 'class_names' 2 names"),
        ({"targets": ["a", "b", "c"]}, "'targets' is <U1 (3,)"),
        ({"targets": [1.0, 2.0]}, "'targets' is float64 (2,)"),
        ({"targets": np.zeros((3, 4, 1))}, "'targets' is float64 (3, 4, 1)"),
        ({"targets": [1, INF, 2]}, "series 1 has a value in 'targets' that is not finite (column 0)"),
        ({"targets": [1, 2, NAN]}, "series 2 has a value in 'targets' that is not finite (column 0)"),
        ({"targets": [1e39, 2, 3]}, "series 0 has a value in 'targets' that is not finite"),
        ({"step_targets": np.zeros((3, 5))}, "'step_targets' is float64 (3, 5)"),
        ({"step_targets": np.full((3, 4), -INF)}, "series 0 has a value in 'step_targets' that is not finite (step 0"),
        ({"step_targets": np.full((3, 4), NAN)}, "neither here nor later has a step a target"),
        ({"step_targets": np.zeros((3, 4, 2)), "class_names": ["a", "a"]}, "appears twice"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    assert complaint in refusal(save(tmp_path, X=X, **arrays))


def test_names_of_another_number_are_refused(tmp_path: Path) -> None:
    assert "3 labels, but --classes names 2" in refusal(save(tmp_path, X=X, labels=np.eye(3)), ("a", "b"))
    assert "1 target, but --classes names 2" in refusal(save(tmp_path, X=X, targets=[1, 2, 3]), ("a", "b"))
    path = save(tmp_path, X=X, targets=np.eye(3), class_names=["a", "b", "c"])
    assert "the names are a, b, c, but --classes names a, b" in refusal(path, ("a", "b"))


@given(data=st.data())
def test_tables_and_arrays_say_the_same(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Any float32 quantities and any labels survive every format."""
    folder = tmp_path_factory.mktemp("formats")
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
    numbers = data.draw(arrays_of.arrays(np.float32, (rows, columns), elements=finite))
    sets = data.draw(arrays_of.arrays(np.bool_, (rows, columns)))
    names = tuple(f"<{k}> & ,{k}" for k in range(columns))
    series = np.zeros((rows, 2, 1))

    def table(name: str, header: list[str], cells: list[list[str]]) -> Path:
        with (folder / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([["text", *header], *([f"w{n}", *row] for n, row in enumerate(cells))])
        return folder / name

    def lines(name: str, key: str, values: list[Any]) -> Path:
        objects = [json.dumps({"text": f"w{n}", key: value}) for n, value in enumerate(values)]
        return write(folder, name, "\n".join(objects))

    exact = [[repr(number) for number in row] for row in numbers.tolist()]
    said = [[name for name, has in zip(names, row, strict=True) if has] for row in sets]
    for corpus in (
        load_corpus(table("n.csv", [f"target_{name}" for name in names], exact)),
        load_corpus(lines("n.jsonl", "target", numbers.tolist()), classes=names),
        load_corpus(save(folder, X=series, targets=numbers, class_names=names)),
    ):
        assert (corpus.task, corpus.class_names) == ("regression", names)
        np.testing.assert_array_equal(make_probe(corpus).truths, numbers)
    for corpus in (
        load_corpus(table("l.csv", ["labels"], [["|".join(row)] for row in said]), classes=names),
        load_corpus(lines("l.jsonl", "labels", said), classes=names),
        load_corpus(save(folder, X=series, labels=sets), classes=names),
    ):
        assert (corpus.task, corpus.class_names) == ("multi-label", names)
        np.testing.assert_array_equal(make_probe(corpus).truths, sets.astype(np.float32))
