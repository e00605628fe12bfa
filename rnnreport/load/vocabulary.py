"""Tokens to integers: a vocabulary from a file, or by frequency from the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.files import SourceFile, read_source
from rnnreport.reading import MOST_TEXT, parse_json
from rnnreport.results.recorded import Ints

UNKNOWN = ("<unk>", "<UNK>", "[UNK]", "unk")
MAX_TOKENS = 10_000_000


class Vocabulary:
    """Token strings by id.

    Parameters
    ----------
    tokens : tuple of str, length V, all different
    """

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self.tokens = tokens
        self.unknown_tokens = 0
        self._ids = {token: number for number, token in enumerate(tokens)}
        self._unknown = next((self._ids[name] for name in UNKNOWN if name in self._ids), None)

    @classmethod
    def from_counts(cls, counts: Counter[str]) -> Vocabulary:
        """``<unk>`` first, then the corpus's tokens by falling frequency, ties in alphabetical order."""
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        return cls((UNKNOWN[0], *(token for token in ranked if token != UNKNOWN[0])))

    def encode(self, tokens: Sequence[str], place: str) -> Ints:
        """Ids, int32 (T,). Unknown tokens become the unknown token's id and are counted in ``unknown_tokens``.

        Raises
        ------
        InputError
            If a token is unknown and the vocabulary has no unknown token; names ``place`` (file:line).
        """
        return np.fromiter((self._id(token, place) for token in tokens), np.int32, len(tokens))

    def _id(self, token: str, place: str) -> int:
        found = self._ids.get(token)
        if found is not None:
            return found
        if self._unknown is None:
            raise InputError(
                f"{place}: token {token[:60]!r} is not in the vocabulary, which has no {UNKNOWN[0]} either",
                f"add {UNKNOWN[0]} or the token to the vocabulary, or choose the tokenizer the model was trained with",
            )
        self.unknown_tokens += 1
        return self._unknown


def count_tokens(texts: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each token occurs."""
    counts: Counter[str] = Counter()
    for tokens in texts:
        counts.update(tokens)
    return counts


def read_vocabulary(path: Path) -> Vocabulary:
    """A vocabulary file: a JSON list, a JSON object from token to id, or text with one token per line.

    Ids that a JSON object leaves out (often 0, for padding) get a placeholder name.

    Raises
    ------
    InputError
        If it is missing, does not parse, is empty, or gives a token or an id twice.
    """
    source = read_source(path)
    tokens = _from_json(source) if source.suffix == ".json" else source.lines()
    if not tokens:
        raise InputError(f"{path} is empty", "give a vocabulary with at least one token")
    seen: dict[str, int] = {}
    for number, token in enumerate(tokens):
        if token in seen:
            raise InputError(
                f"{path}: token {token[:60]!r} appears twice (entries {seen[token] + 1} and {number + 1})",
                "every token needs one id",
            )
        seen[token] = number
    return Vocabulary(tuple(tokens))


def _from_json(source: SourceFile) -> list[str]:
    try:
        if len(source.data) > MOST_TEXT:
            raise ValueError(f"it holds {len(source.data):,} bytes, more than {MOST_TEXT:,}")
        parsed: Any = parse_json(source.data.decode("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{source.path} is not JSON: {error}", "give a list or an object token: id") from error
    if isinstance(parsed, list) and all(isinstance(token, str) for token in parsed):
        return parsed
    if isinstance(parsed, dict) and all(type(number) is int and 0 <= number < MAX_TOKENS for number in parsed.values()):
        by_id = {number: token for token, number in parsed.items()}
        if len(by_id) < len(parsed):
            raise InputError(f"{source.path} gives one id to two tokens", "every token needs an id of its own")
        return [by_id.get(number, f"<unused {number}>") for number in range(max(by_id, default=-1) + 1)]
    raise InputError(f"{source.path} is not a vocabulary", "give a list of tokens or an object token: id")
