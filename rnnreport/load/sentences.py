"""Sentences that a user gives by hand, read as the corpus was."""

from __future__ import annotations

from collections.abc import Sequence

from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from rnnreport.load.tokenizers import make_tokenizer, tokenize
from rnnreport.load.vocabulary import Vocabulary
from rnnreport.results.recorded import Ints, Sentences


def read_sentences(texts: Sequence[str], tokenizer: str, corpus: Corpus) -> tuple[Sentences, tuple[Ints, ...]]:
    """Split texts into tokens of the corpus's vocabulary; nothing is added at their ends.

    Parameters
    ----------
    texts : sequence of str, at least one
    tokenizer : str
        As for ``load_corpus``.
    corpus : Corpus

    Returns
    -------
    Sentences
        The tokens as they were written.
    tuple of int32 (T,)
        Their ids.

    Raises
    ------
    InputError
        If the corpus has no words, a text no tokens, or a token is unknown and the vocabulary has no place for those.
    """
    if not corpus.vocabulary:
        raise InputError("sentences are given, but the corpus has no words", "leave out --sentence")
    split, vocabulary = make_tokenizer(tokenizer), Vocabulary(corpus.vocabulary)
    places = [f"--sentence {number}" for number in range(1, len(texts) + 1)]
    written = tuple(tuple(tokenize(split, text, place)) for text, place in zip(texts, places, strict=True))
    for tokens, place in zip(written, places, strict=True):
        if not tokens:
            raise InputError(f"{place} has no tokens", "give a text")
    ids = tuple(vocabulary.encode(tokens, place) for tokens, place in zip(written, places, strict=True))
    return Sentences(written), ids
