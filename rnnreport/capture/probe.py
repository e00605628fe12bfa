"""The probe set: the sequences of a corpus on which states are recorded, the same on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Floats, Ints, Probe


def make_probe(corpus: Corpus, max_steps: int = 50_000) -> Probe:
    """Choose the probe set of a corpus.

    All sequences where they fit; otherwise those whose ids have the smallest SHA-256, until the next one would exceed
    the budget (at least one), in the order of the corpus.

    Parameters
    ----------
    corpus : Corpus
    max_steps : int
        Budget of steps.

    Returns
    -------
    Probe
    """
    chosen = _chosen(corpus, max_steps)
    lengths = np.array([len(corpus.inputs[index]) for index in chosen], np.int32)
    inputs = np.concatenate([corpus.inputs[index] for index in chosen])
    series = inputs.ndim == 2
    return Probe(
        task=corpus.task,
        sequence_ids=tuple(corpus.sequence_ids[index] for index in chosen),
        lengths=lengths,
        tokens=np.zeros(0, np.int32) if series else inputs.astype(np.int32),
        values=inputs.astype(np.float32) if series else np.zeros((0, 0), np.float32),
        labels=corpus.labels[chosen] if len(corpus.labels) else corpus.labels,
        targets=_targets(corpus, chosen),
        truths=_truths(corpus, chosen),
        vocabulary=corpus.vocabulary,
        class_names=corpus.class_names,
        feature_names=corpus.feature_names,
        sampled_from=len(corpus.inputs),
    )


def probe_sha256(probe: Probe) -> str:
    """Hash of ids, order, inputs, labels, targets and truths; runs with equal hashes can be compared.

    Tokens enter by their strings, not their ids, so that two models with vocabularies of their own can still be
    compared on the same text.

    Returns
    -------
    str, 64 hexadecimal digits
    """
    digest = hashlib.sha256()
    words = [probe.vocabulary[token] for token in probe.tokens]
    target_names = probe.class_names if probe.task == "tagging" else probe.vocabulary
    targets = [target_names[target] if target >= 0 else None for target in probe.targets]
    labels = [probe.class_names[label] for label in probe.labels]
    texts = [probe.task, probe.sequence_ids, words, labels, targets, probe.class_names, probe.feature_names]
    digest.update(json.dumps(texts).encode())
    digest.update(probe.lengths.astype("<i8").tobytes())
    digest.update(repr(probe.values.shape).encode())
    digest.update(probe.values.astype("<f4").tobytes())
    if probe.truths.size:
        truths = np.where(np.isnan(probe.truths), np.nan, probe.truths)  # every NaN the same bytes
        digest.update(truths.astype("<f4").tobytes())
    return digest.hexdigest()


def _chosen(corpus: Corpus, max_steps: int) -> list[int]:
    lengths = [len(values) for values in corpus.inputs]
    if sum(lengths) <= max_steps:
        return list(range(len(lengths)))
    ranked = hash_order(corpus.sequence_ids)
    totals = np.cumsum([lengths[index] for index in ranked])
    count = max(1, int(np.searchsorted(totals, max_steps, side="right")))
    return sorted(ranked[:count])


def hash_order(sequence_ids: Sequence[str]) -> list[int]:
    """Places of the ids in the order of their SHA-256, ties by place: the order in which all samples are drawn."""
    digests = [hashlib.sha256(name.encode("utf-8", errors="surrogatepass")).digest() for name in sequence_ids]
    return sorted(range(len(digests)), key=digests.__getitem__)


def _targets(corpus: Corpus, chosen: list[int]) -> Ints:
    """Tags, or the next token of the stream: the last step of a sequence is answered by the next sequence's first."""
    if corpus.task == "tagging":
        return np.concatenate([corpus.step_targets[index] for index in chosen]).astype(np.int32)
    if corpus.task != "language-model":
        return np.zeros(0, np.int32)
    following = [values[:1] for values in corpus.inputs[1:]] + [np.array([-1], np.int32)]
    shifted = [np.concatenate([corpus.inputs[index][1:], following[index]]) for index in chosen]
    return np.concatenate(shifted).astype(np.int32)


def _truths(corpus: Corpus, chosen: list[int]) -> Floats:
    truths = [corpus.truths[index] for index in chosen] if corpus.truths else []
    if not truths:
        return np.zeros((0, 0), np.float32)
    return np.concatenate([np.atleast_2d(truth) for truth in truths]).astype(np.float32)
