"""Responses over a corpus of any length in bounded memory: of states, cells and gates only statistics are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.batches import a_parameter, equal_length_batches, make_batch, step_budget
from rnnreport.capture.calling import observe
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.replay import EVERYTHING, replay
from rnnreport.capture.statistics import SAMPLED, Group, KeptRates, Occurrences, WordStatistics, step_hashes
from rnnreport.formulas import MOST_WORDS
from rnnreport.progress import track
from rnnreport.results.recorded import CorpusResponses, Ints, Probe, StateKey

_MOST_BYTES = 2**28  # that states, cells and gates of one batch take
_BYTES_PER_UNIT = 40  # of them, for each step and unit of a recorded state, with what torch keeps beside them


@dataclass(frozen=True)
class Streamed:
    """Statistics over a corpus.

    Attributes
    ----------
    states : tuple of CorpusResponses, one per recorded state in the order of the manifest
    gates : tuple of CorpusResponses, one per gate of each layer and direction
    """

    states: tuple[CorpusResponses, ...]
    gates: tuple[CorpusResponses, ...]


def frequent_tokens(probe: Probe) -> tuple[Ints, int]:
    """The most frequent tokens of a corpus, ties by id, at most ``MOST_WORDS``; and how many different ones occur."""
    counts = np.bincount(probe.tokens, minlength=len(probe.vocabulary))
    order = np.argsort(-counts, kind="stable")[:MOST_WORDS]
    return order[counts[order] > 0].astype(np.int32), int((counts > 0).sum())


def stream_responses(model: nn.Module, corpus: Probe, found: Inspection, batch_size: int = 256) -> Streamed:
    """Run a model over a whole corpus of tokens and keep the responses of every state, cell and gate, not themselves.

    Torch keeps the gates of an LSTM where it can (see ``workspace.py``), so that states may differ by rounding from
    those recorded on the probe set.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    corpus : Probe
        Every sequence of the corpus.
    found : Inspection
        Of this model.
    batch_size : int
        Most sequences in one forward pass.
    """
    tokens, distinct = frequent_tokens(corpus)
    word_of_token = np.full(len(corpus.vocabulary), -1, np.int32)
    word_of_token[tokens] = np.arange(tokens.size)
    occurrences = Occurrences(tokens.size)
    running: dict[StateKey, _Running] = {}
    like = a_parameter(model)
    budget = min(step_budget(corpus), max(1, _MOST_BYTES // (_BYTES_PER_UNIT * sum(found.widths.values()))))
    batches = equal_length_batches(corpus, batch_size, budget)
    with untouched(model):
        for places in track(batches, "responses over the whole corpus", len(batches)):
            batch = make_batch(corpus, places, like)
            _, calls = observe(model, found.convention, batch, keep_gates=True)
            hashes = step_hashes([corpus.sequence_ids[place] for place in places], batch.steps.shape[1])
            owners = np.tile(np.arange(len(places)), batch.steps.shape[1])
            group = occurrences.enter(word_of_token[corpus.tokens[batch.steps.T.ravel()]], owners, hashes.T.ravel())
            for key, values in ((k, v) for call in calls for k, v in replay(call, EVERYTHING).states.items()):
                if key not in running:
                    running[key] = _Running(key not in found.widths, occurrences, values.shape[2])
                running[key].add(values.transpose(0, 1).to("cpu", torch.float32), group)
    counted = occurrences.counts.astype(np.int32)

    def responses(key: StateKey) -> CorpusResponses:
        result = running[key].statistics.result()
        return CorpusResponses(
            scope=str(key),
            tokens=tokens,
            counts=counted,
            mean=result.mean,
            bands=result.bands,
            explained=result.explained,
            standard_error=result.standard_error,
            kept_rate=running[key].kept.result(),
            distinct=distinct,
            sequences=len(corpus.sequence_ids),
            steps=int(corpus.lengths.sum()),
            sampled=SAMPLED,
        )

    return Streamed(
        tuple(responses(key) for key in found.widths),
        tuple(responses(key) for key in running if key not in found.widths),
    )


class _Running:
    """Statistics of one vector: of a state or a cell those of its change at each step, of a gate those of its value."""

    def __init__(self, gate: bool, occurrences: Occurrences, units: int) -> None:
        self._gate = gate
        self.statistics = WordStatistics(occurrences, units)
        self.kept = KeptRates()

    def add(self, values: Tensor, group: Group) -> None:
        """Take in a batch (T, B, H)."""
        if self._gate:
            self.statistics.add(values.flatten(0, 1), group)
            return
        delta = torch.empty_like(values)
        delta[0] = values[0]
        torch.sub(values[1:], values[:-1], out=delta[1:])
        self.kept.add(values, delta)
        self.statistics.add(delta.flatten(0, 1), group)
