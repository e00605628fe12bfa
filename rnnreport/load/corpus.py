"""A corpus: the sequences a model is run on, with what is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.answers import answer_reader
from rnnreport.load.files import SourceFile, read_source
from rnnreport.load.records import Row, Table, label_of, read_table, string_of, strings_of
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
    class_names : tuple of str, length K: classes, labels, tags or quantities; () where there are none
    feature_names : tuple of str, length D; () for tokens
    skipped : dict of reason to number of lines or sequences left out
    unknown_tokens : int, tokens of the corpus that are not in the vocabulary
    sha256 : str, of the file's bytes
    truths : tuple of N float32: (K,) 0 or 1 (multi-label), (K,) quantities (regression), (T, K) quantities, NaN where a
        step has none (step-regression); otherwise ()
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
    truths: tuple[Floats, ...] = ()

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
    ``text`` with ``label`` (classification), ``labels`` (multi-label), ``target`` or ``target_NAME`` (regression), or
    ``tokens`` with ``tags`` (tagging) or ``targets`` (step-regression). ``.npz`` holds series of numbers, see
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
        Names of classes, labels, tags or quantities in the order of the model's outputs; those of the corpus when not
        given, sorted unless the file orders them.

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
        return _table_corpus(source, read_table(source), make_tokenizer(tokenizer), known, classes)
    raise InputError(
        f"{path}: no corpus has the suffix {source.suffix!r}",
        "give .txt, .tsv, .csv, .jsonl or .npz, with .gz or not",
    )


def _series_corpus(source: SourceFile, series: Series) -> Corpus:
    return Corpus(
        name=source.name,
        task=series.answers.task,
        sequence_ids=series.sequence_ids,
        inputs=series.values,
        labels=series.answers.labels,
        step_targets=(),
        vocabulary=(),
        class_names=series.answers.class_names,
        feature_names=series.feature_names,
        skipped=series.skipped,
        unknown_tokens=0,
        sha256=source.sha256,
        truths=series.answers.truths,
    )


def _language_corpus(source: SourceFile, tokenizer: Tokenizer, known: Vocabulary | None, length: int) -> Corpus:
    """One stream; a sequence of it goes on where the one before ended."""
    if length < 1:
        raise InputError(f"the sequence length is {length}", "give at least 1")
    texts = [tokenize(tokenizer, line, source.at(number)) for number, line in enumerate(source.lines(), start=1)]
    if not any(texts):
        raise InputError(f"{source.path} is empty", "give a corpus with at least one token")
    if tokenizer.end_of_line:
        texts = [[*tokens, tokenizer.end_of_line] for tokens in texts]
    vocabulary = known or Vocabulary.from_counts(count_tokens(texts))
    stream = np.concatenate(
        [vocabulary.encode(tokens, source.at(number)) for number, tokens in enumerate(texts, start=1)]
    )
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


def _table_corpus(
    source: SourceFile, table: Table, tokenizer: Tokenizer, known: Vocabulary | None, classes: tuple[str, ...] | None
) -> Corpus:
    reader, columns = answer_reader(table.columns), table.columns[1:]
    rows, texts, found = [], [], []
    for row in table.rows:
        place = source.at(row.line)
        tokens = _tokens(row, table.columns[0], tokenizer, place)
        answer = reader.parse(row, columns, len(tokens), place)
        if tokens:
            rows.append(row)
            texts.append(tokens)
            found.append(answer)
    if not rows:
        raise InputError(f"{source.path} is empty", "give a corpus with at least one sequence")
    places = [source.at(row.line) for row in rows]
    answers = reader.combine(found, places, columns, classes)
    vocabulary = known or Vocabulary.from_counts(count_tokens(texts))
    skipped = {"blank line": table.blank_lines, "empty text": len(table.rows) - len(rows)}
    return Corpus(
        name=source.name,
        task=answers.task,
        sequence_ids=_sequence_ids(rows, places),
        inputs=tuple(vocabulary.encode(tokens, place) for tokens, place in zip(texts, places, strict=True)),
        labels=answers.labels,
        step_targets=answers.step_targets,
        vocabulary=vocabulary.tokens,
        class_names=answers.class_names,
        feature_names=(),
        skipped={reason: count for reason, count in skipped.items() if count},
        unknown_tokens=vocabulary.unknown_tokens,
        sha256=source.sha256,
        truths=answers.truths,
    )


def _tokens(row: Row, column: str, tokenizer: Tokenizer, place: str) -> list[str]:
    if column == "tokens":
        return strings_of(row, column, place)
    return tokenize(tokenizer, string_of(row, column, place), place)


def _sequence_ids(rows: Sequence[Row], places: Sequence[str]) -> tuple[str, ...]:
    lines: dict[str, int] = {}
    for row, place in zip(rows, places, strict=True):
        name = label_of(row.values["id"], "id", place) if "id" in row.values else f"line {row.line}"
        if name in lines:
            raise InputError(f"{place}: id {name[:60]!r} was used on line {lines[name]}", "make ids unique")
        lines[name] = row.line
    return tuple(lines)
