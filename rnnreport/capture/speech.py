"""Parts of speech of the probe set, by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from rnnreport.errors import InputError
from rnnreport.load.importing import failure_of
from rnnreport.results.recorded import PartsOfSpeech, Probe

Tagger = Callable[[list[str]], Sequence[str]]  # from the tokens of a sequence to a tag for each


def tag_probe(tagger: Tagger, probe: Probe) -> PartsOfSpeech:
    """Tag every sequence of the probe set; tokens outside the vocabulary are given as its unknown token.

    Raises
    ------
    InputError
        If the corpus has no words or tags already, or the function fails or gives anything but a tag for each token.
    """
    if probe.continuous or probe.task == "tagging":
        why = "is tagged already" if probe.task == "tagging" else "has no words"
        raise InputError(f"parts of speech are asked for, but the corpus {why}", "leave out --pos")
    tags: list[str] = []
    for (start, stop), name in zip(pairwise(probe.offsets), probe.sequence_ids, strict=True):
        tokens = [probe.vocabulary[token] for token in probe.tokens[start:stop]]
        tags += _tags(tagger, tokens, name)
    names = sorted(set(tags))
    numbers = {tag: number for number, tag in enumerate(names)}
    return PartsOfSpeech(tags=np.array([numbers[tag] for tag in tags], np.int32), names=tuple(names))


def _tags(tagger: Tagger, tokens: list[str], name: str) -> list[str]:
    try:
        found = list(tagger(list(tokens)))
    except Exception as error:
        raise InputError(
            f"--pos fails on sequence {name[:60]!r}: {failure_of(error)}", "repair the function"
        ) from error
    strings = [tag for tag in found if isinstance(tag, str)]
    if not len(strings) == len(found) == len(tokens):
        raise InputError(
            f"--pos gives {len(strings)} strings for the {len(tokens)} tokens of sequence {name[:60]!r}",
            "it must return a list of str, one for each token",
        )
    return strings
