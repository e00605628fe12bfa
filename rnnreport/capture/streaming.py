"""Responses over a corpus of any length in bounded memory: of states, cells and gates only statistics are kept.

The corpus is cut into shards of whole sequences, which depend on the corpus alone. Each is read by itself, here or by
another process, and what was found is put together in their order, so that the bytes are the same wherever they are
read. No state goes from one sequence to the next: a model that carries one is refused before (see ``calling.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.batches import a_parameter, equal_length_batches, make_batch, step_budget
from rnnreport.capture.calling import Convention, observe
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.replay import EVERYTHING, replay
from rnnreport.capture.sampling import SAMPLED, Places, Sample, step_hashes
from rnnreport.capture.statistics import Group, KeptRates, Occurrences, WordStatistics
from rnnreport.formulas import MOST_WORDS
from rnnreport.parallel import Spread, one_by_one
from rnnreport.progress import track
from rnnreport.results.recorded import CorpusResponses, Ints, Probe, StateKey

_MOST_BYTES = 2**28  # that states, cells and gates of one batch take
_BYTES_PER_UNIT = 40  # of them, for each step and unit of a recorded state, with what torch keeps beside them
_STEPS_PER_SHARD = 2**15  # or those of one batch, if that has more


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


@dataclass(frozen=True)
class _Reading:
    """What all shards share; ``threads`` because the last bits depend on them."""

    model: nn.Module
    convention: Convention
    recorded: frozenset[StateKey]
    word_of_token: Ints
    words: int
    batch_size: int
    budget: int
    threads: int


@dataclass(frozen=True)
class _Shard:
    """Places of sequences, the number of their first step, counted through the shards, and places in the sample."""

    sequences: Places
    first: int
    sampled: Places


def frequent_tokens(probe: Probe) -> tuple[Ints, int]:
    """The most frequent tokens of a corpus, ties by id, at most ``MOST_WORDS``; and how many different ones occur."""
    counts = np.bincount(probe.tokens, minlength=len(probe.vocabulary))
    order = np.argsort(-counts, kind="stable")[:MOST_WORDS]
    return order[counts[order] > 0].astype(np.int32), int((counts > 0).sum())


def stream_responses(
    model: nn.Module, corpus: Probe, found: Inspection, batch_size: int = 256, spread: Spread = one_by_one
) -> Streamed:
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
    spread : Spread
        Over the shards.
    """
    tokens, distinct = frequent_tokens(corpus)
    word_of_token = np.full(len(corpus.vocabulary), -1, np.int32)
    word_of_token[tokens] = np.arange(tokens.size)
    budget = min(step_budget(corpus), max(1, _MOST_BYTES // (_BYTES_PER_UNIT * sum(found.widths.values()))))
    sample, shards = _sampled(corpus, _cut(corpus, batch_size, budget), word_of_token)
    reading = _Reading(
        model=model,
        convention=found.convention,
        recorded=frozenset(found.widths),
        word_of_token=word_of_token,
        words=tokens.size,
        batch_size=batch_size,
        budget=budget,
        threads=torch.get_num_threads(),
    )
    items = ((_part(corpus, shard.sequences), sample.steps[shard.sampled] - shard.first) for shard in shards)
    read = track(spread(_read_shard, reading, items), "responses over the whole corpus", len(shards))
    together = _Statistics(tokens.size, sample.steps.size)
    for shard, found_there in zip(shards, read, strict=True):
        together.merge(found_there, shard.sampled)
    counted = together.occurrences.counts.astype(np.int32)

    def responses(key: StateKey) -> CorpusResponses:
        running = together.running[key]
        result = running.statistics.result(together.occurrences, sample.words)
        return CorpusResponses(
            scope=str(key),
            tokens=tokens,
            counts=counted,
            mean=result.mean,
            bands=result.bands,
            explained=result.explained,
            standard_error=result.standard_error,
            kept_rate=running.kept.result(),
            distinct=distinct,
            sequences=len(corpus.sequence_ids),
            steps=int(corpus.lengths.sum()),
            sampled=SAMPLED,
        )

    return Streamed(
        tuple(responses(key) for key in found.widths),
        tuple(responses(key) for key in together.running if key not in found.widths),
    )


def _cut(corpus: Probe, batch_size: int, budget: int) -> list[Places]:
    """Places of the sequences of each shard: those of whole batches, one after the other."""
    shards: list[list[Places]] = []
    room = 0
    for batch in equal_length_batches(corpus, batch_size, budget):
        steps = int(corpus.lengths[batch].sum())
        if steps > room:
            shards.append([])
            room = _STEPS_PER_SHARD
        shards[-1].append(batch)
        room -= steps
    return [np.concatenate(batches) for batches in shards]


def _part(corpus: Probe, places: Places) -> Probe:
    """Some sequences, in this order, without what no pass needs."""
    steps = np.concatenate([np.arange(*corpus.offsets[place : place + 2]) for place in places])
    none, numbers = np.zeros(0, np.int32), np.zeros((0, 0), np.float32)
    return replace(
        corpus,
        sequence_ids=tuple(corpus.sequence_ids[place] for place in places),
        lengths=corpus.lengths[places],
        tokens=corpus.tokens[steps],
        labels=none,
        targets=none,
        truths=numbers,
        vocabulary=(),
    )


def _sampled(corpus: Probe, cut: list[Places], word_of_token: Ints) -> tuple[Sample, list[_Shard]]:
    """The sample of the whole corpus, whose steps are counted through the shards, and the shards."""
    sample, bounds = Sample(), [0]
    for places in cut:
        part = _part(corpus, places)
        bounds.append(bounds[-1] + part.tokens.size)
        sample.enter(word_of_token[part.tokens], step_hashes(part.sequence_ids, part.lengths), np.arange(*bounds[-2:]))
    return sample, [
        _Shard(places, first, np.flatnonzero((sample.steps >= first) & (sample.steps < end)))
        for places, (first, end) in zip(cut, pairwise(bounds), strict=True)
    ]


def _read_shard(reading: _Reading, shard: tuple[Probe, Places]) -> _Statistics:
    """The statistics of some sequences, in this process or another; of those steps the states themselves, too."""
    part, sampled = shard
    torch.set_num_threads(reading.threads)
    found = _Statistics(reading.words, sampled.size)
    sample_places = np.full(part.tokens.size, -1, np.int64)
    sample_places[sampled] = np.arange(sampled.size)
    like = a_parameter(reading.model)
    with untouched(reading.model):
        for places in equal_length_batches(part, reading.batch_size, reading.budget):
            batch = make_batch(part, places, like)
            _, calls = observe(reading.model, reading.convention, batch, keep_gates=True)
            steps = batch.steps.T.ravel()
            owners = np.tile(np.arange(len(places)), batch.steps.shape[1])
            group = found.occurrences.enter(reading.word_of_token[part.tokens[steps]], owners)
            for key, values in ((k, v) for call in calls for k, v in replay(call, EVERYTHING).items()):
                running = found.of(key, key not in reading.recorded, values.shape[2])
                running.add(values.transpose(0, 1).to("cpu", torch.float32), group, sample_places[steps])
    return found


class _Statistics:
    """Of every vector, over some sequences: a shard, or all that were put together."""

    def __init__(self, words: int, sampled: int) -> None:
        self.occurrences = Occurrences(words)
        self.running: dict[StateKey, _Running] = {}
        self._shape = (words, sampled)

    def of(self, key: StateKey, gate: bool, units: int) -> _Running:
        """The statistics of one vector."""
        if key not in self.running:
            words, sampled = self._shape
            self.running[key] = _Running(gate, WordStatistics(words, units, sampled))
        return self.running[key]

    def merge(self, other: _Statistics, places: Places) -> None:
        """Take in, and use up, those of other sequences, whose sample has these places in this one."""
        while other.running:  # one vector after the other, so that the samples are not there twice
            key = next(iter(other.running))
            one = other.running.pop(key)
            mine = self.of(key, one.gate, one.statistics.units)
            mine.statistics.merge(one.statistics, other.occurrences, places)
            mine.kept.merge(one.kept)
        self.occurrences.merge(other.occurrences)


class _Running:
    """Statistics of one vector: of a state or a cell those of its change at each step, of a gate those of its value."""

    def __init__(self, gate: bool, statistics: WordStatistics) -> None:
        self.gate = gate
        self.statistics = statistics
        self.kept = KeptRates()

    def add(self, values: Tensor, group: Group, places: Places) -> None:
        """Take in a batch (T, B, H)."""
        if self.gate:
            self.statistics.add(values.flatten(0, 1), group, places)
            return
        delta = torch.empty_like(values)
        delta[0] = values[0]
        torch.sub(values[1:], values[:-1], out=delta[1:])
        self.kept.add(values, delta)
        self.statistics.add(delta.flatten(0, 1), group, places)
