"""From a line of text to tokens: three tokenisers of our own, or any function of the user's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.importing import failure_of, import_callable

Tokenize = Callable[[str], list[str]]

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Tokenizer:
    """How a line becomes tokens.

    Attributes
    ----------
    split : function from str to list of str
    end_of_line : str, the token that stands for the end of a line in a language-modelling stream; "" where the
        function sets its own
    """

    split: Tokenize
    end_of_line: str


def make_tokenizer(name: str) -> Tokenizer:
    """The tokeniser called ``whitespace``, ``word`` (words and punctuation marks), ``char`` or ``module:function``.

    Raises
    ------
    InputError
        If there is no such tokeniser.
    """
    known = {
        "whitespace": Tokenizer(str.split, "<eos>"),
        "word": Tokenizer(_WORD.findall, "<eos>"),
        "char": Tokenizer(list, "\n"),
    }
    if name in known:
        return known[name]
    if ":" not in name:
        raise InputError(f"there is no tokenizer {name!r}", "use whitespace, word, char or module:function")
    return Tokenizer(import_callable(name, "tokenizer"), "")


def tokenize(tokenizer: Tokenizer, text: str, place: str) -> list[str]:
    """Tokens of one text.

    Raises
    ------
    InputError
        If a function of the user's raises or does not give a list of strings; names ``place`` (file:line).
    """
    try:
        tokens = tokenizer.split(text)
    except RnnReportError:
        raise
    except Exception as error:
        raise InputError(f"{place}: the tokenizer fails: {failure_of(error)}", "repair the tokenizer") from error
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{place}: the tokenizer does not return a list of str", "repair the tokenizer")
    return tokens
