"""The embedded tasks of ``rnnreport demo``. Their data is on every machine that can run the demo."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rnnreport.train import grammar

TaskName = Literal["digits", "sentiment", "source"]

_SOURCE_MODULES = ("json.decoder", "json.encoder", "textwrap", "csv", "string", "heapq", "bisect", "fractions")
_SOURCE_CHARACTERS = 150_000
_CHUNK = 64


@dataclass(frozen=True)
class Split:
    """Sequences of any lengths and what is to be predicted.

    Attributes
    ----------
    ids : tuple of str, length N
    inputs : tuple of Tensor, length N; int64 (T,) or float32 (T, D)
    targets : tuple of Tensor, length N; int64 () for a class, int64 (T,) for the next token of each step, -1 for none
    """

    ids: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Task:
    """Training data, test data and how long a small net needs for them.

    Attributes
    ----------
    name : str
    title : str, one line for the page
    language_model : bool
    train, test : Split
    vocabulary : tuple of str, length V; () for continuous input
    class_names : tuple of str, length K; () for a language model
    feature_names : tuple of str, length D; () for tokens
    hidden, epochs, batch_size : int
    learning_rate : float
    """

    name: TaskName
    title: str
    language_model: bool
    train: Split
    test: Split
    vocabulary: tuple[str, ...]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    hidden: int
    epochs: int
    batch_size: int
    learning_rate: float


def load_task(name: TaskName, seed: int) -> Task:
    """Make the data of a task; the same for the same seed.

    Parameters
    ----------
    name : {"digits", "sentiment", "source"}
    seed : int
        Draws the test split, and the sentences of ``sentiment``; ``source`` is the same for every seed.
    """
    return _TASKS[name](seed)


def _digits(seed: int) -> Task:
    """Handwritten digits of scikit-learn, read row by row: 8 steps of 8 pixels in [0, 1]."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rows = torch.from_numpy(images.reshape(-1, 8, 8) / 16).float()
    classes = torch.from_numpy(labels.astype(np.int64))
    split = Split(tuple(f"digit {number}" for number in range(len(rows))), tuple(rows), tuple(classes))
    train, test = _divide(split, test_share=0.2, seed=seed)
    return Task(
        name="digits",
        title="handwritten digits, read one pixel row at a time",
        language_model=False,
        train=train,
        test=test,
        vocabulary=(),
        class_names=tuple("0123456789"),
        feature_names=tuple(f"column {number}" for number in range(1, 9)),
        hidden=32,
        epochs=20,
        batch_size=32,
        learning_rate=0.005,
    )


def _sentiment(seed: int) -> Task:
    """Sentences of ``grammar.py``."""
    sentences = grammar.corpus(3000, seed)
    vocabulary = tuple(sorted({word for words, _ in sentences for word in words}))
    index = {word: number for number, word in enumerate(vocabulary)}
    split = Split(
        tuple(f"sentence {number}" for number in range(len(sentences))),
        tuple(torch.tensor([index[word] for word in words]) for words, _ in sentences),
        tuple(torch.tensor(int(positive)) for _, positive in sentences),
    )
    train, test = _divide(split, test_share=0.2, seed=seed)
    return Task(
        name="sentiment",
        title="generated sentences with negation and contrast",
        language_model=False,
        train=train,
        test=test,
        vocabulary=vocabulary,
        class_names=("negative", "positive"),
        feature_names=(),
        hidden=32,
        epochs=20,
        batch_size=32,
        learning_rate=0.005,
    )


def _source(_seed: int) -> Task:
    """Characters of Python's own standard library, as installed here, in chunks of 64; the last tenth is the test."""
    modules = map(importlib.import_module, _SOURCE_MODULES)
    text = "".join(inspect.getsource(module) for module in modules)[:_SOURCE_CHARACTERS]
    vocabulary = tuple(sorted(set(text)))
    index = {character: number for number, character in enumerate(vocabulary)}
    characters = torch.tensor([index[character] for character in text])
    boundary = len(characters) * 9 // 10 // _CHUNK * _CHUNK
    return Task(
        name="source",
        title="characters of the Python standard library's source",
        language_model=True,
        train=_stream(characters[:boundary], start=0),
        test=_stream(characters[boundary:], start=boundary),
        vocabulary=vocabulary,
        class_names=(),
        feature_names=(),
        hidden=64,
        epochs=12,
        batch_size=16,
        learning_rate=0.01,
    )


def _stream(characters: Tensor, start: int) -> Split:
    """Running text in chunks; what follows the last character of a chunk is the first one of the next."""
    stop = len(characters) // _CHUNK * _CHUNK
    following = torch.cat([characters[1:stop], torch.tensor([-1])])
    places = range(start, start + stop, _CHUNK)
    return Split(
        tuple(f"characters {place + 1}-{place + _CHUNK}" for place in places),
        tuple(characters[:stop].unfold(0, _CHUNK, _CHUNK)),
        tuple(following.unfold(0, _CHUNK, _CHUNK)),
    )


def _divide(split: Split, test_share: float, seed: int) -> tuple[Split, Split]:
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed)).tolist()
    boundary = len(split) - round(len(split) * test_share)
    return _select(split, sorted(order[:boundary])), _select(split, sorted(order[boundary:]))


def _select(split: Split, places: list[int]) -> Split:
    return Split(
        tuple(split.ids[place] for place in places),
        tuple(split.inputs[place] for place in places),
        tuple(split.targets[place] for place in places),
    )


_TASKS: dict[TaskName, Callable[[int], Task]] = {"digits": _digits, "sentiment": _sentiment, "source": _source}
