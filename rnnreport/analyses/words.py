"""The words whose responses are analysed: frequent tokens, or prototypes of a continuous input (a seeded codebook)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnreport.analyses.sample import Sample
from rnnreport.formulas import MOST_WORDS
from rnnreport.results.naming import input_noun
from rnnreport.results.recorded import CorpusResponses, Doubles, Floats, Ints, PartsOfSpeech, Probe
from rnnreport.results.schema import Unavailable, Words

_TOKEN_GUIDE = (
    "These are the most frequent {noun}s of {where}, with the number of times each occurs. What is said about a rare "
    "one rests on few occurrences and may not hold for others."
)
_PROTOTYPE_GUIDE = (
    "The input is continuous, so its steps were grouped into prototypes: each shape is the mean of the input vectors "
    "nearest to it, and p01 is the most frequent. Prototypes summarise: an input between two of them resembles neither."
)


@dataclass(frozen=True)
class WordParams:
    """Number of words or prototypes at most; starts, fitted steps and seed of the codebook's k-means."""

    most_words: int = MOST_WORDS
    prototypes: int = 24
    starts: int = 4
    fitted_steps: int = 20_000
    seed: int = 0


def find_words(
    probe: Probe,
    sample: Sample,
    params: WordParams,
    streamed: CorpusResponses | None = None,
    parts: PartsOfSpeech | None = None,
) -> tuple[Words, Ints] | Unavailable:
    """The words, and the word of every recorded step.

    Parameters
    ----------
    probe : Probe
    sample : Sample
    params : WordParams
    streamed : CorpusResponses, optional
        Of any state: where capture saw more than the probe set, its words and counts are taken.
    parts : PartsOfSpeech, optional
        Of the probe set, where the corpus itself has no tags.

    Returns
    -------
    Words
    int32 (S,)
        The word of each step, -1 where it is none of the W words.
    """
    if not probe.continuous:
        return (
            _frequent_tokens(probe, sample, params, parts)
            if streamed is None
            else _streamed_tokens(probe, sample, streamed, parts)
        )
    if not np.isfinite(probe.values).all():
        return Unavailable(Words.analysis, "the input holds values that are not finite, so it cannot be grouped")
    return _prototypes(probe, sample, params)


def _frequent_tokens(
    probe: Probe, sample: Sample, params: WordParams, parts: PartsOfSpeech | None
) -> tuple[Words, Ints]:
    counts = np.bincount(probe.tokens, minlength=len(probe.vocabulary))
    order = np.argsort(-counts, kind="stable")[: params.most_words]
    tokens: Ints = order[counts[order] > 0].astype(np.int32)
    step_words = _words_of_steps(probe, tokens)
    words = Words(
        names=tuple(probe.vocabulary[token] for token in tokens),
        counts=counts[tokens].astype(np.int32),
        tokens=tokens,
        shapes=np.zeros((0, 0), np.float32),
        step_words=step_words[sample.steps],
        **_tags(probe, step_words, tokens.size, parts),
        unseen=int((counts > 0).sum()) - tokens.size,
        guide=_token_guide(probe, "the probe set"),
    )
    return words, step_words


def _token_guide(probe: Probe, where: str) -> str:
    return _TOKEN_GUIDE.format(noun=input_noun(probe.vocabulary), where=where)


def _streamed_tokens(
    probe: Probe, sample: Sample, streamed: CorpusResponses, parts: PartsOfSpeech | None
) -> tuple[Words, Ints]:
    step_words = _words_of_steps(probe, streamed.tokens)
    words = Words(
        names=tuple(probe.vocabulary[token] for token in streamed.tokens),
        counts=streamed.counts,
        tokens=streamed.tokens,
        shapes=np.zeros((0, 0), np.float32),
        step_words=step_words[sample.steps],
        **_tags(probe, step_words, streamed.tokens.size, parts),
        unseen=streamed.distinct - streamed.tokens.size,
        guide=_token_guide(probe, f"the whole corpus ({streamed.steps:,} steps)"),
    )
    return words, step_words


def _tags(probe: Probe, step_words: Ints, words: int, parts: PartsOfSpeech | None) -> dict[str, Any]:
    """The fields of ``Words`` that say which tag a word carries, of a tagged corpus or by a function.

    A word of a streamed corpus that the probe set lacks has the share 0.
    """
    if probe.task == "tagging":
        tags, names = probe.targets, probe.class_names
    elif parts:
        tags, names = parts.tags, parts.names
    else:
        return {"tags": np.zeros(0, np.int32), "tag_share": np.zeros(0, np.float32), "tag_names": ()}
    known = (step_words >= 0) & (tags >= 0)
    counts = np.zeros((words, len(names)), np.int64)
    np.add.at(counts, (step_words[known], tags[known]), 1)
    return {
        "tags": counts.argmax(axis=1).astype(np.int32),
        "tag_share": (counts.max(axis=1) / counts.sum(axis=1).clip(min=1)).astype(np.float32),
        "tag_names": names,
    }


def _words_of_steps(probe: Probe, tokens: Ints) -> Ints:
    word_of_token = np.full(len(probe.vocabulary), -1, np.int32)
    word_of_token[tokens] = np.arange(tokens.size)
    return word_of_token[probe.tokens]


def _prototypes(probe: Probe, sample: Sample, params: WordParams) -> tuple[Words, Ints]:
    raw = probe.values.astype(np.float64)
    scale = raw.std(axis=0)
    cluster = _codebook((raw - raw.mean(axis=0)) / np.where(scale > 0, scale, 1), params)
    _, places, counts = np.unique(cluster, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    step_words = np.argsort(order)[places].astype(np.int32)
    counts = counts[order]
    sums = np.stack([np.bincount(step_words, weights=column) for column in raw.T], axis=1)
    words = Words(
        names=tuple(f"p{number:02d}" for number in range(1, counts.size + 1)),
        counts=counts.astype(np.int32),
        tokens=np.zeros(0, np.int32),
        shapes=(sums / counts[:, None]).astype(np.float32),
        step_words=step_words[sample.steps],
        **_tags(probe, step_words, counts.size, None),
        unseen=0,
        guide=_PROTOTYPE_GUIDE,
    )
    return words, step_words


def _codebook(inputs: Doubles | Floats, params: WordParams) -> Ints:
    """int32 (S,), cluster of each standardised input vector (S, D)."""
    from sklearn.cluster import KMeans

    stride = -(-inputs.shape[0] // params.fitted_steps)
    fitted = inputs[::stride]
    count = min(params.prototypes, np.unique(fitted, axis=0).shape[0])
    model = KMeans(count, n_init=params.starts, random_state=params.seed).fit(fitted)
    return np.asarray(model.predict(inputs), dtype=np.int32)
