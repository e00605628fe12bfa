"""A corpus: the sequences a model is run on, with what is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.files import SourceFile, read_source
from rnnreport.load.labels import ClassIndex, sorted_classes
from rnnreport.load.records import Row, Table, read_table
from rnnreport.load.series import Series, read_series
from rnnreport.load.tokenizers import Tokenizer, make_tokenizer, tokenize
from rnnreport.load.vocabulary import Vocabulary, count_tokens, read_vocabulary
from rnnreport.results.recorded import Floats, Ints, Task

NO_LABELS: Ints = np.zeros(0, np.int32)


@dataclass(frozen=True)
class Corpus:
    """Sequences of different lengths, never padded.

    Attributes
    ----------
    name : str, the file's name without suffix
    task : Task
    sequence_ids : tuple of str, length N, all different: the ``id`` given, or where the sequence stands in the file
    inputs : tuple of N arrays: int32 (T,) token ids, or float32 (T, D)
    labels : int32 (N,), class of each sequence (classification); otherwise (0,)
    step_targets : tuple of N int32 (T,), the tag of each step (tagging); otherwise ()
    vocabulary : tuple of str, length V; () for continuous input
    class_names : tuple of str, length K: classes or tags; () where there are none
    feature_names : tuple of str, length D; () for tokens
    skipped : dict of reason to number of lines or sequences left out
    unknown_tokens : int, tokens of the corpus that are not in the vocabulary
    sha256 : str, of the file's bytes
    """

    name: str
    task: Task
    sequence_ids: tuple[str, ...]
    inputs: tuple[Ints, ...] | tuple[Floats, ...]
    labels: Ints
    step_targets: tuple[Ints, ...]
    vocabulary: tuple[str, ...]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    skipped: dict[str, int]
    unknown_tokens: int
    sha256: str

    def info(self) -> dict[str, Any]:
        """The ``corpus`` entry of a run's manifest."""
        return {
            "name": self.name,
            "sequences": len(self.inputs),
            "steps": sum(len(values) for values in self.inputs),
            "sha256": self.sha256,
            "skipped": self.skipped,
            "unknown_tokens": self.unknown_tokens,
        }


@dataclass(frozen=True)
class _Text:
    """One tokenised line or row."""

    line: int
    tokens: list[str]


def load_corpus(
    path: Path,
    *,
    tokenizer: str = "whitespace",
    vocabulary: Path | None = None,
    sequence_length: int = 64,
    classes: tuple[str, ...] | None = None,
) -> Corpus:
    """Read a corpus; its suffix (before ``.gz``) says what it is.

    ``.txt`` is language modelling: one stream of tokens, cut into sequences. ``.tsv``, ``.csv`` and ``.jsonl`` hold
    ``text`` and ``label`` (classification) or ``tokens`` and ``tags`` (tagging). ``.npz`` holds series of numbers, see
    ``series.py``.

    Parameters
    ----------
    path : Path
    tokenizer : str
        "whitespace", "word", "char" or "module:function".
    vocabulary : Path, optional
        File of the model's vocabulary; built by frequency from the corpus when not given.
    sequence_length : int
        Tokens in each sequence of a language-modelling stream.
    classes : tuple of str, optional
        Class or tag names in the order of the model's outputs; sorted names of the corpus when not given.

    Raises
    ------
    InputError
        With file and line, for everything that cannot be read.
    """
    source = read_source(Path(path))
    if source.suffix == ".npz":
        return _series_corpus(source, read_series(source, classes))
    known = None if vocabulary is None else read_vocabulary(vocabulary)
    if source.suffix == ".txt":
        return _language_corpus(source, make_tokenizer(tokenizer), known, sequence_length)
    if source.suffix in (".tsv", ".csv", ".jsonl"):
        table = read_table(source)
        if table.columns == ("text", "label"):
            return _labelled_corpus(source, table, make_tokenizer(tokenizer), known, classes)
        return _tagged_corpus(source, table, known, classes)
    raise InputError(
        f"{path}: no corpus has the suffix {source.suffix!r}",
        "give .txt, .tsv, .csv, .jsonl or .npz, with .gz or not",
    )


def _series_corpus(source: SourceFile, series: Series) -> Corpus:
    return Corpus(
        name=source.name,
        task="unlabelled" if series.labels is None else "classification",
        sequence_ids=series.sequence_ids,
        inputs=series.values,
        labels=NO_LABELS if series.labels is None else series.labels,
        step_targets=(),
        vocabulary=(),
        class_names=series.class_names,
        feature_names=series.feature_names,
        skipped=series.skipped,
        unknown_tokens=0,
        sha256=source.sha256,
    )


def _language_corpus(source: SourceFile, tokenizer: Tokenizer, known: Vocabulary | None, length: int) -> Corpus:
    """One stream; a sequence of it goes on where the one before ended."""
    if length < 1:
        raise InputError(f"the sequence length is {length}", "give at least 1")
    texts = [
        _Text(number, tokenize(tokenizer, line, source.at(number)))
        for number, line in enumerate(source.lines(), start=1)
    ]
    if not any(text.tokens for text in texts):
        raise InputError(f"{source.path} is empty", "give a corpus with at least one token")
    if tokenizer.end_of_line:
        texts = [_Text(text.line, [*text.tokens, tokenizer.end_of_line]) for text in texts]
    vocabulary = known or Vocabulary.from_counts(count_tokens(text.tokens for text in texts))
    stream = np.concatenate([vocabulary.encode(text.tokens, source.at(text.line)) for text in texts])
    starts = range(0, len(stream), length)
    return Corpus(
        name=source.name,
        task="language-model",
        sequence_ids=tuple(f"tokens {start + 1}-{min(start + length, len(stream))}" for start in starts),
        inputs=tuple(stream[start : start + length] for start in starts),
        labels=NO_LABELS,
        step_targets=(),
        vocabulary=vocabulary.tokens,
        class_names=(),
        feature_names=(),
        skipped={},
        unknown_tokens=vocabulary.unknown_tokens,
        sha256=source.sha256,
    )


def _labelled_corpus(
    source: SourceFile, table: Table, tokenizer: Tokenizer, known: Vocabulary | None, classes: tuple[str, ...] | None
) -> Corpus:
    rows, texts, labels = [], [], []
    for row in table.rows:
        place = source.at(row.line)
        tokens = tokenize(tokenizer, _string(row, "text", place), place)
        label = _label(row.values.get("label"), "label", place)
        if tokens:
            rows.append(row)
            texts.append(_Text(row.line, tokens))
            labels.append(label)
    index = ClassIndex(classes or sorted_classes(set(labels)))
    numbers = [index.encode([label], source.at(row.line)) for row, label in zip(rows, labels, strict=True)]
    return _text_corpus(
        source, table, rows, texts, known, "classification", index.names, labels=np.concatenate([NO_LABELS, *numbers])
    )


def _tagged_corpus(
    source: SourceFile, table: Table, known: Vocabulary | None, classes: tuple[str, ...] | None
) -> Corpus:
    rows, texts, tags = [], [], []
    for row in table.rows:
        place = source.at(row.line)
        tokens = _strings(row, "tokens", place)
        row_tags = _strings(row, "tags", place)
        if len(tokens) != len(row_tags):
            raise InputError(f"{place}: {len(tokens)} tokens but {len(row_tags)} tags", "give every token one tag")
        if tokens:
            rows.append(row)
            texts.append(_Text(row.line, tokens))
            tags.append(row_tags)
    index = ClassIndex(classes or sorted_classes({tag for row_tags in tags for tag in row_tags}))
    targets = tuple(index.encode(row_tags, source.at(row.line)) for row, row_tags in zip(rows, tags, strict=True))
    return _text_corpus(source, table, rows, texts, known, "tagging", index.names, step_targets=targets)


def _text_corpus(
    source: SourceFile,
    table: Table,
    rows: Sequence[Row],
    texts: Sequence[_Text],
    known: Vocabulary | None,
    task: Task,
    class_names: tuple[str, ...],
    labels: Ints = NO_LABELS,
    step_targets: tuple[Ints, ...] = (),
) -> Corpus:
    if not rows:
        raise InputError(f"{source.path} is empty", "give a corpus with at least one sequence")
    vocabulary = known or Vocabulary.from_counts(count_tokens(text.tokens for text in texts))
    skipped = {"blank line": table.blank_lines, "empty text": len(table.rows) - len(rows)}
    return Corpus(
        name=source.name,
        task=task,
        sequence_ids=_sequence_ids(source, rows),
        inputs=tuple(vocabulary.encode(text.tokens, source.at(text.line)) for text in texts),
        labels=labels,
        step_targets=step_targets,
        vocabulary=vocabulary.tokens,
        class_names=class_names,
        feature_names=(),
        skipped={reason: count for reason, count in skipped.items() if count},
        unknown_tokens=vocabulary.unknown_tokens,
        sha256=source.sha256,
    )


def _sequence_ids(source: SourceFile, rows: Sequence[Row]) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for row in rows:
        name = _label(row.values["id"], "id", source.at(row.line)) if "id" in row.values else f"line {row.line}"
        if name in lines:
            raise InputError(
                f"{source.at(row.line)}: id {name[:60]!r} was used on line {lines[name]}", "make ids unique"
            )
        lines[name] = row.line
    return tuple(lines)


def _string(row: Row, column: str, place: str) -> str:
    value = row.values.get(column)
    if not isinstance(value, str):
        raise InputError(f"{place}: {column!r} is missing or not a string", "give every row the same columns")
    return value


def _strings(row: Row, column: str, place: str) -> list[str]:
    """Space-separated, or a JSON list of strings or integers."""
    value = row.values.get(column)
    if isinstance(value, list):
        return [_label(item, column, place) for item in value]
    return _string(row, column, place).split()


def _label(value: Any, column: str, place: str) -> str:
    """A label or an id: a string, or an integer or truth value of JSON."""
    text = str(value).strip() if isinstance(value, (str, int)) else ""
    if not text:
        raise InputError(f"{place}: {column!r} is missing or empty", f"give every row its {column}")
    return text
