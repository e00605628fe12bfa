"""Series of numbers in .npz archives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnreport.errors import InputError
from rnnreport.load.corpus import load_corpus


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "a.npz"
    np.savez(path, **arrays)
    return path


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_corpus(path, **options)
    return str(caught.value)


def test_block_with_lengths_scale_and_names(tmp_path: Path) -> None:
    X = np.arange(24, dtype=np.int16).reshape(2, 4, 3)
    path = write(
        tmp_path,
        X=X,
        length=[4, 2],
        scale=[1.0, 0.5, 2.0],
        y=[1, 0],
        class_names=["up", "down"],
        feature_names=["x", "y", "z"],
        ids=["a", "b"],
    )
    corpus = load_corpus(path)
    assert corpus.task == "classification"
    np.testing.assert_array_equal(corpus.inputs[1], X[1, :2] * np.array([1.0, 0.5, 2.0]))
    assert corpus.inputs[0].dtype == np.float32
    assert (corpus.sequence_ids, corpus.feature_names) == (("a", "b"), ("x", "y", "z"))
    assert (corpus.class_names, corpus.labels.tolist()) == (("up", "down"), [1, 0])
    assert load_corpus(path, classes=("down", "up")).labels.tolist() == [0, 1]


def test_ragged_values_without_labels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 2))
    corpus = load_corpus(write(tmp_path, values=values, length=np.array([4, 0, 2])))
    assert corpus.task == "unlabelled"
    assert corpus.sequence_ids == ("series 0", "series 2")
    assert corpus.skipped == {"empty series": 1}
    np.testing.assert_array_equal(np.concatenate(corpus.inputs), values.astype(np.float32))


def test_numbers_and_strings_are_class_names_of_their_own(tmp_path: Path) -> None:
    X = np.zeros((3, 2, 1))
    numbers = load_corpus(write(tmp_path, X=X, y=[10, 9, 10]))
    assert (numbers.class_names, numbers.labels.tolist()) == (("9", "10"), [1, 0, 1])
    strings = load_corpus(write(tmp_path, X=X, y=["b", "a", "b"]))
    assert (strings.class_names, strings.labels.tolist()) == (("a", "b"), [1, 0, 1])


def test_padding_is_never_read(tmp_path: Path) -> None:
    X = np.zeros((1, 3, 1))
    X[0, 2] = np.nan
    assert load_corpus(write(tmp_path, X=X, length=[2])).inputs[0].shape == (2, 1)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"X": np.full((2, 2, 1), np.inf)}, "series 0 has a value that is not finite (step 0, feature 0)"),
        ({"X": np.full((2, 2, 1), 1e300)}, "not finite"),
        ({"X": np.zeros((2, 3))}, "'X' is float64 (2, 3)"),
        ({"X": np.zeros((2, 3, 1)), "length": [4, 1]}, "'length' exceeds the 3 steps"),
        ({"X": np.zeros((2, 3, 1)), "length": [1.5, 1]}, "'length' is float64"),
        ({"X": np.zeros((2, 3, 1)), "length": [-1, 1]}, "'length' is int64"),
        ({"values": np.zeros((4, 1)), "length": [2, 1]}, "'length' sums to 3, 'values' has 4"),
        ({"values": np.zeros((4, 1))}, "neither 'X' nor 'values' and 'length'"),
        ({"X": np.zeros((0, 3, 1))}, "is empty"),
        ({"X": np.zeros((2, 3, 1)), "length": [0, 0]}, "is empty"),
        ({"X": np.zeros((2, 3, 1)), "y": [0.5, 1]}, "'y' is float64"),
        ({"X": np.zeros((2, 3, 1)), "y": [0]}, "'y' is int64 (1,)"),
        ({"X": np.zeros((2, 3, 1)), "y": [0, 2], "class_names": ["a", "b"]}, "series 1 has class 2"),
        ({"X": np.zeros((2, 3, 1)), "ids": ["a", "a"]}, "appears twice"),
        ({"X": np.zeros((2, 3, 1)), "scale": [1, 2]}, "'scale' is int64 (2,)"),
        ({"X": np.array([[[{}]]], dtype=object)}, "not an .npz of plain arrays"),
    ],
)
def test_refusals(tmp_path: Path, arrays: dict[str, Any], complaint: str) -> None:
    path = write(tmp_path, **arrays)
    message = refusal(path)
    assert complaint in message
    assert str(path) in message


def test_label_outside_the_classes_names_the_series(tmp_path: Path) -> None:
    path = write(tmp_path, X=np.zeros((2, 2, 1)), y=["a", "b"])
    assert "series 1: label 'b' is none of the classes a, c" in refusal(path, classes=("a", "c"))


def test_damaged_archives(tmp_path: Path) -> None:
    path = write(tmp_path, X=np.zeros((2, 2, 1)))
    path.write_bytes(path.read_bytes()[:200])
    assert "not an .npz" in refusal(path)
    np.save(tmp_path / "b.npy", np.zeros(3))
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    assert "not an .npz" in refusal(tmp_path / "b.npz")


@pytest.mark.corpus
def test_real_vowels(data_folder: Path) -> None:
    path = data_folder / "japanese_vowels" / "japanese_vowels.npz"
    corpus = load_corpus(path)
    with np.load(path) as stored:
        assert [len(values) for values in corpus.inputs] == stored["length"].tolist()
        np.testing.assert_array_equal(corpus.inputs[5], stored["X"][5, : stored["length"][5]])
        assert corpus.labels.tolist() == stored["y"].tolist()
