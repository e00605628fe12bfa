"""Streamed statistics against the same numbers computed at once."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnnreport.analyses import analyse
from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.responses import kept_rate_summary, standard_errors, word_responses
from rnnreport.capture.inspection import inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.probe import make_probe
from rnnreport.capture.run import capture_run
from rnnreport.capture.sampling import SAMPLED, Sample, step_hashes
from rnnreport.capture.statistics import KeptRates, Occurrences, WordResponses, WordStatistics
from rnnreport.capture.streaming import stream_responses
from rnnreport.formulas import BANDS, changes, kept_rates
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Units, Words
from tests.small import ROUGH


def numbered(steps: int) -> np.ndarray:
    """Distinct hashes."""
    return step_hashes(["one"], np.array([steps]))


class Running:
    """Statistics of one vector over steps, whose sample is drawn before."""

    def __init__(self, which: np.ndarray, words: int, units: int, hashes: np.ndarray, sampled: int = SAMPLED) -> None:
        self.which = which
        self.sample = Sample(sampled)
        self.sample.enter(which, hashes, np.arange(len(which)))
        self.occurrences = Occurrences(words)
        self.statistics = WordStatistics(words, units, self.sample.steps.size)

    def add(self, delta: np.ndarray, steps: np.ndarray, owners: np.ndarray | None = None) -> None:
        """Take in what is found at some steps."""
        group = self.occurrences.enter(self.which[steps], np.arange(len(steps)) if owners is None else owners)
        places = np.full(len(self.which), -1)
        places[self.sample.steps] = np.arange(self.sample.steps.size)
        self.statistics.add(torch.from_numpy(delta[steps]), group, places[steps])

    def result(self) -> WordResponses:
        return self.statistics.result(self.occurrences, self.sample.words)

    def held(self) -> int:
        tables = [*vars(self.statistics).values(), *vars(self.occurrences).values()]
        return sum(value.nbytes for value in tables if isinstance(value, (np.ndarray, torch.Tensor)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_any_cut_into_batches_gives_the_numbers_of_the_whole(seed: int, batches: int) -> None:
    generator = np.random.default_rng(seed)
    steps, words, units = 120, 4, 3
    delta = (generator.normal(size=(steps, units)) + 5).astype(np.float32)
    which = np.concatenate([np.arange(words), generator.integers(-1, words, steps - words)]).astype(np.int32)
    order, hashes = generator.permutation(steps), numbered(steps)
    statistics = Running(which, words, units, hashes, sampled=steps)
    for part in np.array_split(order, batches):
        statistics.add(delta, part)
    found, expected = statistics.result(), word_responses(delta, which, words)
    assert statistics.occurrences.counts.tolist() == [int((which == word).sum()) for word in range(words)]
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.bands, expected.bands, rtol=1e-5)
    np.testing.assert_allclose(found.explained, expected.explained, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_standard_errors_treat_sequences_as_independent(seed: int, batches: int) -> None:
    """Against the formula over stored steps, whatever sequences come together and in whatever order."""
    generator = np.random.default_rng(seed)
    sequences, words, units = 20, 4, 3
    owner = np.sort(generator.integers(0, sequences, 150))
    mood = generator.normal(size=(sequences, units))  # the steps of one sequence depend on each other
    delta = (generator.normal(size=(150, units)) + 2 * mood[owner] + 5).astype(np.float32)
    which = generator.integers(-1, words - 1, 150).astype(np.int32)
    which[owner == 7] = words - 1  # occurs in at most one sequence
    statistics = Running(which, words, units, numbered(150))
    for part in np.array_split(generator.permutation(sequences), batches):
        steps = generator.permutation(np.flatnonzero(np.isin(owner, part)))
        statistics.add(delta, steps, owner[steps])
    found = statistics.result().standard_error
    for word in range(words):
        here = which == word
        present = np.unique(owner[here])
        if present.size < 2:
            assert np.isnan(found[word]).all()
            continue
        off = delta[here] - delta[here].mean(axis=0, dtype=np.float64)
        sums = np.stack([off[owner[here] == one].sum(axis=0) for one in present])
        variance = (sums**2).sum(axis=0) / here.sum() ** 2 * present.size / (present.size - 1)
        np.testing.assert_allclose(found[word], np.sqrt(variance), rtol=2e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_merged_statistics_are_those_of_one_pass(seed: int, parts: int) -> None:
    """Of parts whose means lie far apart, with words that are in some of them only, and parts without any word."""
    generator = np.random.default_rng(seed)
    sequences, steps, words, units = 10, 90, 4, 3
    owner = np.sort(generator.integers(0, sequences, steps))
    delta = (generator.normal(size=(steps, units)) + 9 * generator.normal(size=(sequences, units))[owner]).astype("f4")
    which = generator.integers(-1, words - 1, steps).astype(np.int32)
    which[owner == 4], which[owner == 7] = words - 1, -1
    once = Running(which, words, units, numbered(steps), sampled=9)
    once.add(delta, np.arange(steps), owner)
    merged = Running(which, words, units, numbered(steps), sampled=9)
    for part in np.array_split(generator.permutation(sequences), parts):  # there may be more parts than sequences
        inside = np.flatnonzero(np.isin(owner, part))
        places = np.flatnonzero(np.isin(merged.sample.steps, inside))
        counted, found = Occurrences(words), WordStatistics(words, units, places.size)
        if inside.size:
            taken = np.full(steps, -1)
            taken[merged.sample.steps[places]] = np.arange(places.size)
            group = counted.enter(which[inside], owner[inside])
            found.add(torch.from_numpy(delta[inside]), group, taken[inside])
        merged.statistics.merge(found, counted, places)
        merged.occurrences.merge(counted)
    for name in ("counts", "sequences", "squares"):
        np.testing.assert_array_equal(getattr(merged.occurrences, name), getattr(once.occurrences, name))
    found, expected = merged.result(), once.result()
    np.testing.assert_array_equal(found.bands, expected.bands)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.explained, expected.explained, atol=1e-5)
    np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=1e-3, atol=1e-4)


def test_standard_errors_are_near_those_of_the_bootstrap_and_above_those_of_single_steps() -> None:
    generator = np.random.default_rng(3)
    sequences, steps, units = 400, 12, 6
    owner = np.repeat(np.arange(sequences), steps)
    delta = (generator.normal(size=(owner.size, units)) + generator.normal(size=(sequences, units))[owner]).astype("f4")
    which = generator.integers(0, 3, owner.size).astype(np.int32)
    statistics = Running(which, 3, units, numbered(owner.size))
    statistics.add(delta, np.arange(owner.size), owner)
    found = statistics.result().standard_error
    params = BootstrapParams(resamples=2000)
    drawn = standard_errors(delta, np.arange(0, owner.size + 1, steps), which, 3, params)
    np.testing.assert_allclose(found, drawn, rtol=0.1)
    naive = np.stack([delta[which == word].std(axis=0) / np.sqrt((which == word).sum()) for word in range(3)])
    assert (found > 1.3 * naive).all()


def test_the_sample_does_not_depend_on_order_or_parts() -> None:
    generator = np.random.default_rng(0)
    steps, hashes = np.arange(3000), numbered(3000)
    which = generator.integers(-1, 3, steps.size).astype(np.int32)
    samples = []
    for parts, order in ((1, steps), (17, generator.permutation(steps))):
        sample = Sample(50)
        for part in np.array_split(order, parts):
            sample.enter(which[part], hashes[part], part)
        samples.append(sample)
    for found in samples:
        assert found.words.tolist() == [0] * 50 + [1] * 50 + [2] * 50
        for word in range(3):
            smallest = np.argsort(np.where(which == word, hashes, hashes.max()))[:50]
            assert found.steps[found.words == word].tolist() == smallest.tolist()


def test_bands_are_those_of_the_sample() -> None:
    generator = np.random.default_rng(0)
    which = generator.integers(0, 3, 3000).astype(np.int32)
    delta, hashes = generator.normal(size=(3000, 2)).astype(np.float32), numbered(3000)
    statistics = Running(which, 3, 2, hashes, sampled=50)
    for part in np.array_split(generator.permutation(3000), 17):
        statistics.add(delta, part)
    smallest = np.argsort(hashes[which == 1])[:50]
    expected = np.percentile(delta[which == 1][smallest], BANDS, axis=0)
    np.testing.assert_allclose(statistics.result().bands[:, 1], expected, rtol=1e-6)


def test_sampled_bands_are_near_those_of_all_occurrences() -> None:
    steps = 40_000
    delta = np.random.default_rng(1).normal(size=(steps, 1)).astype(np.float32)
    statistics = Running(np.zeros(steps, np.int32), 1, 1, numbered(steps), sampled=400)
    statistics.add(delta, np.arange(steps))
    bands = statistics.result().bands[:, 0, 0]
    np.testing.assert_allclose(bands, np.percentile(delta, BANDS), atol=0.2)


def test_memory_does_not_grow_with_the_corpus() -> None:
    held = []
    for steps in (500, 10_000):
        statistics = Running(np.zeros(steps, np.int32), 2, 3, numbered(steps), sampled=8)
        for part in np.array_split(np.arange(steps), 20):
            statistics.add(np.ones((steps, 3), np.float32), part)
        assert statistics.occurrences.counts.tolist() == [steps, 0]
        held.append(statistics.held())
    assert held[0] == held[1]


def test_a_word_that_never_occurs_and_no_words_at_all() -> None:
    statistics = Running(np.full(4, -1, np.int32), 2, 3, numbered(4))
    statistics.add(np.ones((4, 3), np.float32), np.arange(4))
    found = statistics.result()
    assert statistics.occurrences.counts.tolist() == [0, 0]
    assert not found.mean.any() and not found.bands.any() and not found.explained.any()


@pytest.mark.parametrize("lengths", [[5, 5, 5], [1, 1]])
def test_kept_rates_of_the_stream(lengths: list[int]) -> None:
    states = np.random.default_rng(2).normal(size=(sum(lengths), 6)).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    running = KeptRates()
    for first, last in itertools.pairwise(offsets):
        part = states[first:last]
        delta = changes(part, np.array([0, last - first]))
        running.add(torch.from_numpy(part[:, None]), torch.from_numpy(delta[:, None]))
    rates = kept_rates(states, offsets)
    expected = kept_rate_summary(rates)
    np.testing.assert_allclose(running.result()[0], expected[0], rtol=1e-6)
    if rates.size:
        nearest = np.percentile(rates, [10, 50, 90], method="inverted_cdf")
        np.testing.assert_allclose(running.result()[1:], nearest, atol=0.0005)


def test_hashes_are_the_same_everywhere_and_differ_between_steps_and_sequences() -> None:
    hashes = step_hashes(["a", "b"], np.array([700, 1000]))
    assert np.unique(hashes).size == 1700
    np.testing.assert_array_equal(step_hashes(["b"], np.array([1000])), hashes[700:])
    assert hex(hashes[0]) == "0x46d3febd82ac6ff6"


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(9, 4), nn.LSTM(4, 5, num_layers=2, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.rnn(self.embedding(tokens))[0][:, -1])
        return scores


def compare_gates(model: Reader, corpus: Corpus, folder: RunFolder) -> None:
    """Mean and bands of the streamed gates against those of torch's cell, stepped through every sequence."""
    streamed = {responses.scope: responses for responses in folder.corpus_gates()}
    assert list(streamed) == [f"rnn.{layer}.fwd.{kind}" for layer in range(2) for kind in "ifgo"]
    values: dict[str, list[torch.Tensor]] = {scope: [] for scope in streamed}
    rnn: nn.LSTM = model.rnn
    for tokens in corpus.inputs:
        inputs = model.embedding(torch.from_numpy(tokens.astype(np.int64)))
        for layer in range(2):
            w_ih, w_hh, b_ih, b_hh = rnn.all_weights[layer]
            h = c = torch.zeros(5)
            states = []
            for step in inputs:
                i, f, g, o = (w_ih @ step + b_ih + w_hh @ h + b_hh).chunk(4)
                gates = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
                c = gates["f"] * c + gates["i"] * gates["g"]
                h = gates["o"] * c.tanh()
                states.append(h)
                for kind, value in gates.items():
                    values[f"rnn.{layer}.fwd.{kind}"].append(value.detach())
            inputs = torch.stack(states)
    occurring = np.concatenate(corpus.inputs)
    for scope, responses in streamed.items():
        own = torch.stack(values[scope]).numpy()
        expected = word_responses(own, np.searchsorted(np.sort(responses.tokens), occurring).astype(np.int32), 8)
        order = np.argsort(np.argsort(responses.tokens))
        np.testing.assert_allclose(responses.mean, expected.mean[order], atol=1e-6)
        np.testing.assert_allclose(responses.explained, expected.explained, atol=1e-5)
        few = responses.counts <= SAMPLED
        assert few.any()
        np.testing.assert_allclose(responses.bands[:, few], expected.bands[:, order][:, few], atol=1e-5)
        assert np.isnan(responses.kept_rate).all()


def drawn(count: int, longest: int = 12) -> Corpus:
    """Sequences of random tokens."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, longest, count)
    return Corpus(
        name="drawn",
        task="classification",
        sequence_ids=tuple(f"s{number}" for number in range(count)),
        inputs=tuple(generator.integers(0, 8, length).astype(np.int32) for length in lengths),
        labels=generator.integers(0, 2, count).astype(np.int32),
        step_targets=(),
        vocabulary=tuple("abcdefghi"),
        class_names=("no", "yes"),
        feature_names=(),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )


@pytest.mark.parametrize("count", [1, 2, 40])
def test_shards_together_are_the_corpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """One sequence, each of the others in a shard of its own, or several together; read by copies, as by workers."""
    torch.manual_seed(0)
    model, corpus = Reader().eval(), make_probe(drawn(count))
    with untouched(model):
        inspection = inspect_model(model, make_probe(drawn(40)), None, None, 8)
    read: list[int] = []

    def elsewhere(function: Any, shared: Any, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            read.append(len(item[0].lengths))
            yield pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps((shared, item))))))

    whole = stream_responses(model, corpus, inspection)
    for steps in (1, 50):
        read.clear()
        monkeypatch.setattr("rnnreport.capture.streaming._STEPS_PER_SHARD", steps)
        here = stream_responses(model, corpus, inspection, batch_size=1)
        there = stream_responses(model, corpus, inspection, 1, elsewhere)
        assert sum(read) == count
        assert len(read) == count if steps == 1 else len(read) <= 1 + corpus.lengths.sum() // (50 - 12)
        for mine, same, other in zip(*((each.states + each.gates) for each in (here, there, whole)), strict=True):
            for name in ("tokens", "counts", "mean", "bands", "explained", "standard_error", "kept_rate"):
                ours = getattr(mine, name)
                assert ours.tobytes() == getattr(same, name).tobytes()
                np.testing.assert_allclose(ours, getattr(other, name), rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_sampled_run_has_the_responses_of_the_whole_corpus(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, corpus = Reader(), drawn(60)
    for name, budget in (("all", 10_000), ("some", 100)):
        folder = RunFolder(tmp_path / name)
        capture_run(model, corpus, folder, name=name, source="test", weights=None, max_steps=budget)
        analyse(folder, params=ROUGH)
    whole, sampled = RunFolder(tmp_path / "all"), RunFolder(tmp_path / "some")
    assert whole.corpus_responses(0) is None
    assert sampled.probe().lengths.sum() <= 100 < whole.probe().lengths.sum()
    for scope in range(len(whole.manifest().state_keys)):
        expected, found = whole.result(Units, scope), sampled.result(Units, scope)
        assert isinstance(expected, Units) and isinstance(found, Units)
        np.testing.assert_allclose(found.response, expected.response, atol=1e-6)
        np.testing.assert_allclose(found.explained, expected.explained, atol=1e-5)
        np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=0.3)  # of 200 draws
        np.testing.assert_allclose(found.kept_rate, expected.kept_rate, atol=0.01)
        few = whole.result(Words).counts <= SAMPLED  # type: ignore[union-attr]
        assert few.any()
        np.testing.assert_allclose(found.bands[:, few], expected.bands[:, few], atol=1e-5)
    compare_gates(model, corpus, sampled)
    words, all_words = sampled.result(Words), whole.result(Words)
    assert isinstance(words, Words) and isinstance(all_words, Words)
    assert (words.names, words.counts.tolist()) == (all_words.names, all_words.counts.tolist())
