"""The three splits of a training, made of one corpus or read from several."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.load.labels import sorted_classes
from rnnreport.load.vocabulary import UNKNOWN, Vocabulary
from rnnreport.progress import note
from rnnreport.results.recorded import Ints
from rnnreport.train.settings import Data

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Splits:
    """Corpora of one task, one vocabulary and the same classes.

    Attributes
    ----------
    train, valid, test : Corpus
    """

    train: Corpus
    valid: Corpus
    test: Corpus


def load_splits(data: Data, folder: Path) -> Splits:
    """Read the corpora and split them.

    Parameters
    ----------
    data : Data
    folder : Path
        What relative file names count from.

    Raises
    ------
    InputError
        If a file cannot be read, the files do not go together, or a split is empty.
    """
    files = {name: folder / file for name in SPLITS if isinstance(file := getattr(data, name), str)}
    corpora = _load(files, data, folder)
    whole = corpora["train"]
    found = corpora | _divided(whole, data)
    for name, corpus in found.items():
        if not corpus.inputs:
            raise InputError(
                f"the {name} split of {files['train']} is empty: the corpus has {len(whole.inputs)} sequences",
                "give larger shares or a larger corpus",
            )
    if found["train"].vocabulary and not data.vocabulary:
        tokens = _vocabulary(found["train"], data.min_count)
        found = {name: _translated(corpus, tokens) for name, corpus in found.items()}
    splits = Splits(**found)
    for name in SPLITS[1:]:
        repeated = repeats(splits, name)
        if repeated:
            note(
                f"{repeated} of {len(found[name].inputs)} sequences of the {name} split are also in the training split"
            )
    return splits


def repeats(splits: Splits, name: str) -> int:
    """How many sequences of a split have the same content as one of the training split, whatever their ids."""
    seen = {values.tobytes() for values in splits.train.inputs}
    return sum(values.tobytes() in seen for values in getattr(splits, name).inputs)


def _load(files: dict[str, Path], data: Data, folder: Path) -> dict[str, Corpus]:
    """The corpora of all files; the classes of all of them where none are named."""

    def load(file: Path, classes: tuple[str, ...]) -> Corpus:
        return load_corpus(
            file,
            tokenizer=data.tokenizer,
            vocabulary=folder / data.vocabulary if data.vocabulary else None,
            sequence_length=data.sequence_length,
            classes=classes or None,
        )

    found = {name: load(file, data.classes) for name, file in files.items()}
    for name, corpus in found.items():
        if corpus.task == "unlabelled":
            raise InputError(f"{files[name]} has no labels, so there is nothing to train for", "add them as 'y'")
        for what, attribute in (("answers", "task"), ("features", "feature_names")):
            if getattr(corpus, attribute) != getattr(found["train"], attribute):
                raise InputError(f"{files[name]} has other {what} than {files['train']}", "give the same columns")
    names = {corpus.class_names for corpus in found.values()}
    if len(names) > 1:
        union = sorted_classes({name for each in names for name in each})
        found = {name: load(file, union) for name, file in files.items()}
    return found


def _divided(corpus: Corpus, data: Data) -> dict[str, Corpus]:
    """What of the training file belongs to which split; only those that have no file of their own."""
    shares = {name: share for name in SPLITS[1:] if not isinstance(share := getattr(data, name), str)}
    valid, test = shares.get("valid", 0.0), shares.get("test", 0.0)
    if corpus.task == "language-model":  # its sequences follow each other, so that single ones would give away the rest
        positions = [(place + 0.5) / len(corpus.inputs) for place in range(len(corpus.inputs))]
        ranges = {"train": (0.0, 1 - valid - test), "valid": (1 - valid - test, 1 - test), "test": (1 - test, 1.0)}
    else:
        positions = [_position(name) for name in corpus.sequence_ids]
        ranges = {"train": (valid, 1 - test), "valid": (0.0, valid), "test": (1 - test, 1.0)}
    return {
        name: take(corpus, [place for place, position in enumerate(positions) if low <= position < high])
        for name, (low, high) in ranges.items()
        if name == "train" or name in shares
    }


def _position(sequence_id: str) -> float:
    """Where an id falls in [0, 1), the same on every machine and whatever else the corpus holds."""
    digest = hashlib.sha256(sequence_id.encode("utf-8", errors="surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def take(corpus: Corpus, places: Sequence[int]) -> Corpus:
    """The sequences at these places.

    Parameters
    ----------
    corpus : Corpus
    places : sequence of int
    """
    inputs: Any = tuple(corpus.inputs[place] for place in places)
    return replace(
        corpus,
        sequence_ids=tuple(corpus.sequence_ids[place] for place in places),
        inputs=inputs,
        labels=corpus.labels[list(places)] if len(corpus.labels) else corpus.labels,
        step_targets=tuple(corpus.step_targets[place] for place in places) if corpus.step_targets else (),
        truths=tuple(corpus.truths[place] for place in places) if corpus.truths else (),
    )


def _vocabulary(train: Corpus, min_count: int) -> tuple[str, ...]:
    """The unknown token, then the tokens of the training split that are frequent enough, most frequent first."""
    counts = np.bincount(np.concatenate(train.inputs), minlength=len(train.vocabulary)).tolist()
    frequent = {token: count for token, count in zip(train.vocabulary, counts, strict=True) if count >= min_count}
    return Vocabulary.from_counts(Counter(frequent)).tokens


def _translated(corpus: Corpus, tokens: tuple[str, ...]) -> Corpus:
    """The corpus in another vocabulary, which has an unknown token."""
    numbers = {token: number for number, token in enumerate(tokens)}
    unknown = numbers[UNKNOWN[0]]
    table: Ints = np.array([numbers.get(token, unknown) for token in corpus.vocabulary], np.int32)
    is_new = np.array([token not in numbers for token in corpus.vocabulary])
    return replace(
        corpus,
        inputs=tuple(table[values] for values in corpus.inputs),
        vocabulary=tokens,
        unknown_tokens=sum(int(is_new[values].sum()) for values in corpus.inputs),
    )
