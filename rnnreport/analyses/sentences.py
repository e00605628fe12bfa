"""Sentences given by hand, read as the displayed sequences are."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import numpy as np

from rnnreport.analyses.sample import Sample
from rnnreport.analyses.sequences import displayed
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Manifest
from rnnreport.results.schema import GivenSentences, Sequences, Unavailable, Words


def given_sentences(folder: RunFolder, manifest: Manifest) -> GivenSentences | Unavailable:
    """What was recorded of them, after the words and the displayed sequences were analysed.

    Parameters
    ----------
    folder : RunFolder
    manifest : Manifest
    """
    found, shown, words = folder.sentences(), folder.result(Sequences), folder.result(Words)
    if found is None or isinstance(shown, Unavailable):
        return Unavailable(GivenSentences.analysis, "no sentences were given")
    sentences, probe, states = found
    everything = Sample(np.arange(len(probe.lengths), dtype=np.int32), np.arange(int(probe.lengths.sum())))
    earlier = np.full((len(shown.epochs) - 1, *states.step_output.shape), np.nan, np.float32)
    output = np.concatenate([earlier, states.step_output[None]]) if shown.step_output.size else shown.step_output
    written = tuple(chain.from_iterable(sentences.written))
    known = np.array([probe.vocabulary[token] == text for token, text in zip(probe.tokens, written, strict=True)])
    word_of_token = np.full(len(probe.vocabulary), -1, np.int32)
    if isinstance(words, Words):
        word_of_token[words.tokens] = np.arange(words.tokens.size)
    read = displayed(manifest, probe, everything, states, shown.epochs, output)
    outputs = states.model_output if shown.outputs.size else shown.outputs  # though no answer is known
    return GivenSentences(
        **vars(replace(read, outputs=outputs)),
        written=written,
        unknown=np.flatnonzero(~known).astype(np.int32),
        step_words=word_of_token[probe.tokens],
        activation=states.states,
    )
