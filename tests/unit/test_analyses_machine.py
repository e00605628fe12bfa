"""State machines of networks that were trained to be known automata, and of planted ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor, nn

from rnnreport.analyses.decisions import DecisionParams, decision_timeline
from rnnreport.analyses.findings import automaton
from rnnreport.analyses.health import state_health
from rnnreport.analyses.machine import state_machine
from rnnreport.analyses.machine.automaton import Strings, beginning, counted, minimised
from rnnreport.analyses.machine.patterns import PatternParams, entering_patterns
from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.rules.evidence import Evidence, Thresholds
from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.report.figures.machine import arrows, machine_picture
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Machine, Unavailable
from tests.fabricate import fabricate_run

torch.set_num_threads(1)
START = -1


@dataclass(frozen=True)
class Language:
    """A regular language over "a" and "b" by its minimal automaton; state 0 is the first."""

    successors: tuple[tuple[int, int], ...]
    accepting: tuple[bool, ...]

    def states(self, tokens: np.ndarray) -> np.ndarray:
        """The state after each token, of rows of tokens."""
        now, visited = np.zeros(len(tokens), int), []
        for column in tokens.T:
            now = np.array(self.successors)[now, column]
            visited.append(now)
        return np.stack(visited, axis=1)

    def answers(self, tokens: np.ndarray) -> np.ndarray:
        return np.array(self.accepting, int)[self.states(tokens)]


PARITY = Language(((0, 1), (1, 0)), (True, False))  # an even number of "b"
REPEATED = Language(((1, 2), (2, 0), (2, 2)), (True, False, False))  # (ab)*: the last state is lost for good


def drawn(language: Language, count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of tokens; of (ab)* strings that leave it somewhere, or never, so that no answer is rare."""
    tokens = rng.integers(0, 2, (count, length))
    if language is REPEATED:
        leaves = rng.integers(0, length + 6, count)
        inside = np.arange(length)[None] < leaves[:, None]
        tokens = np.where(inside, np.arange(length) % 2, tokens)
    return tokens


class Recogniser(nn.Module):
    """Says after the last token whether the string is in the language."""

    def __init__(self, units: int = 12) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2, 4)
        self.rnn = nn.GRU(4, units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def at_every_step(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0])

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def trained(language: Language) -> Recogniser:
    """At least 99 % right, at every prefix of strings it has not seen."""
    torch.manual_seed(0)
    model, rng = Recogniser(), np.random.default_rng(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    unseen = drawn(language, 500, 16, np.random.default_rng(99))
    for step in range(1500):
        tokens = drawn(language, 64, 10, rng)
        scores = model.at_every_step(torch.from_numpy(tokens))
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), torch.from_numpy(language.answers(tokens)).flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 49 and accuracy(model, language, unseen) >= 0.999:
            break
    assert accuracy(model, language, unseen) >= 0.99
    return model.eval()


@torch.no_grad()
def accuracy(model: Recogniser, language: Language, tokens: np.ndarray) -> float:
    said = model.at_every_step(torch.from_numpy(tokens)).argmax(dim=-1).numpy()
    return float((said == language.answers(tokens)).mean())


def recorded(model: Recogniser, language: Language, path: Path) -> tuple[RunFolder, Machine, np.ndarray]:
    """The run, its machine and the tokens, one row per sequence."""
    tokens = drawn(language, 200, 14, np.random.default_rng(5))
    corpus = Corpus(
        name="strings",
        task="classification",
        sequence_ids=tuple(f"s{number}" for number in range(len(tokens))),
        inputs=tuple(row.astype(np.int32) for row in tokens),
        labels=language.answers(tokens)[:, -1].astype(np.int32),
        step_targets=(),
        vocabulary=("a", "b"),
        class_names=("outside", "inside"),
        feature_names=(),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )
    recorder = Recorder(model, corpus, path)
    recorder.record(1)
    folder = RunFolder(path)
    found = state_machine(
        folder.manifest().state_keys[0], folder.checkpoint(1), folder.probe(), None, (), np.arange(tokens.size)
    )
    assert isinstance(found, Machine)
    return folder, found, tokens


@pytest.mark.parametrize(("language", "name"), [(PARITY, "parity"), (REPEATED, "(ab)*")])
def test_the_minimal_automaton_of_a_trained_recogniser_is_found(language: Language, name: str, tmp_path: Path) -> None:
    """Statement B10."""
    _, found, tokens = recorded(trained(language), language, tmp_path / "run")
    assert len(found.answers) == len(language.accepting), name
    assert found.fidelity[0] >= 0.98
    assert found.fidelity[1] <= found.fidelity[0] <= found.fidelity[2]
    assert found.stable
    # the states are those of the language up to their names, step by step, and so are the transitions
    ours, theirs = found.step_states, language.states(tokens).ravel()
    pairs = {(int(one), int(two)) for one, two in zip(ours, theirs, strict=True)}
    agreeing = sum(np.bincount(theirs[ours == state]).max() for state in range(len(found.answers)))
    assert agreeing / ours.size >= 0.98
    names = {one: int(np.bincount(theirs[ours == one]).argmax()) for one, _ in pairs}
    assert found.beginning >= 0
    assert names[found.beginning] == 0
    assert [found.answers[state] == "inside" for state in range(len(names))] == [
        language.accepting[names[state]] for state in range(len(names))
    ]
    places = {token: place for place, token in enumerate(found.names)}
    for state in names:
        for symbol, token in enumerate("ab"):
            best, most = START, 0
            for (source, target, _), causes, counts in zip(found.edges, found.causes, found.cause_counts, strict=True):
                n = sum(int(c) for c, t in zip(counts, causes, strict=True) if t == places[token])
                if source == state and n > most:
                    best, most = int(target), n
            assert names[best] == language.successors[names[state]][symbol]


def strings(rows: list[list[int]]) -> Strings:
    return Strings.of(np.concatenate(rows).astype(np.int64), np.array([len(row) for row in rows]))


def test_an_automaton_is_counted_from_labelled_steps_and_run_on_others() -> None:
    rows = [[0, 0, 1, 1], [1, 0], [1, 1, 1, 0]]
    labels = np.concatenate([np.cumsum(row) % 2 for row in rows])
    found = counted(labels, 5 + labels, strings(rows), 2, 2)
    assert found.successors.tolist() == [[0, 1], [1, 0], [0, 1]]  # the last row: a sequence begins as in state 0
    assert found.answers.tolist() == [5, 6]
    assert found.run(strings([[1, 1, 0], [0]])).tolist() == [1, 0, 0, 0]
    assert beginning(found, strings(rows)) == 0


def test_a_symbol_never_read_in_a_state_does_what_it_does_elsewhere() -> None:
    rows = [[0, 1, 1], [0, 1, 1], [0, 2]]
    labels = np.array([0, 1, 1, 0, 1, 1, 0, 0])
    found = counted(labels, labels, strings(rows), 2, 4)
    assert found.successors[1, 2] == 0  # symbol 2 was read in state 0 alone, and led to state 0
    assert found.successors[1, 3] == 1  # symbol 3 was never read: where the state leads to mostly


def test_minimising_merges_what_answers_alike_and_keeps_what_does_not() -> None:
    """Parity told apart by the last symbol as well: four states that are two; with counting to three it stays three."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 2, 12).tolist() for _ in range(40)]
    parity = np.concatenate([np.cumsum(row) % 2 for row in rows])
    last = np.concatenate(rows)
    made = counted(2 * parity + last, parity, strings(rows), 4, 2)
    smaller, owner = minimised(made, 2 * parity + last, strings(rows))
    assert len(smaller.answers) == 2
    assert owner[0] == owner[1] != owner[2] == owner[3]
    np.testing.assert_array_equal(smaller.answers[smaller.run(strings(rows))], parity)

    thirds = np.concatenate([np.cumsum(row) % 3 for row in rows])
    answers = (thirds > 0).astype(np.int64)  # two of the three answer alike, but lead elsewhere
    smaller, _ = minimised(counted(thirds, answers, strings(rows), 3, 2), thirds, strings(rows))
    assert len(smaller.answers) == 3


def test_a_state_that_is_never_reached_goes_where_its_steps_are_read() -> None:
    rows = [[0, 1, 0, 1]] * 6
    labels = np.tile([0, 1, 0, 1], 6)
    labels[3] = 2  # one step of 24: the automaton goes to state 1 there
    smaller, owner = minimised(counted(labels, labels.clip(max=1), strings(rows), 3, 2), labels, strings(rows))
    assert len(smaller.answers) == 2
    assert owner[2] == owner[1]


def test_patterns_are_tested_by_sequence_and_told_by_their_shortest_form() -> None:
    rng = np.random.default_rng(1)
    count, length = 60, 20
    symbols = rng.integers(0, 5, (count, length))
    labels = np.zeros((count, length), int)
    for row, kind in zip(labels, symbols, strict=True):
        for t in range(1, length):
            row[t] = 1 if (kind[t - 1], kind[t]) == (3, 4) else 0
    came = np.column_stack([np.full(count, 2), labels[:, :-1]])
    owners = np.repeat(np.arange(count), length)
    found, tested = entering_patterns(symbols.ravel(), owners, labels.ravel(), came.ravel(), 2, PatternParams())
    best = [one for one in found if one["state"] == 1]
    assert best[0]["tokens"] == [3, 4]
    times = int((labels == 1).sum())
    assert (best[0]["hits"], best[0]["times"]) == (times, times)
    assert best[0]["sequences"] == int((labels == 1).any(axis=1).sum())
    rate = times / (labels.size - count)
    assert best[0]["p"] <= tested * binom.sf(best[0]["sequences"] - 1, best[0]["sequences"], rate) * (1 + 1e-9)
    assert len(best) == 1  # neither 4 alone nor something before 3 and 4 says more


def test_no_pattern_is_found_where_states_have_nothing_to_do_with_the_input() -> None:
    """The chance of a single false alarm is 5 %, also where the steps of one sequence are alike."""
    alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        symbols = np.repeat(rng.integers(0, 6, (40, 1)), 10, axis=1)
        restless = rng.choice([0.05, 0.95], (40, 1))  # some sequences change their state all the time, others never
        labels = np.cumsum(rng.random((40, 10)) < restless, axis=1) % 2
        came = np.column_stack([np.full(40, 2), labels[:, :-1]])
        owners = np.repeat(np.arange(40), 10)
        alarms += bool(entering_patterns(symbols.ravel(), owners, labels.ravel(), came.ravel(), 2, PatternParams())[0])
    assert alarms <= 3


@pytest.mark.parametrize("task", ["multi-label", "regression", "step-regression", "unlabelled"])
def test_tasks_without_one_answer_have_no_machine(task: str, tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", task=task, epochs=1)  # type: ignore[arg-type]
    assert isinstance(machine_of(run), Unavailable)


def machine_of(run: RunFolder) -> Machine | Unavailable:
    scope, last = run.manifest().state_keys[0], run.checkpoint(run.epochs()[-1])
    return state_machine(scope, last, run.probe(), None, (), np.arange(5))


@pytest.mark.parametrize("task", ["classification", "tagging", "language-model"])
def test_every_step_and_transition_is_counted_once(task: str, tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", task=task, epochs=3, sequences=60)  # type: ignore[arg-type]
    found, probe = machine_of(run), run.probe()
    assert isinstance(found, Machine)
    steps = int(probe.lengths.sum())
    assert found.steps.sum() == steps == found.edges[:, 2].sum()
    assert np.array_equal(np.bincount(found.step_states), found.steps)
    assert (np.diff(found.steps) <= 0).all()
    assert found.edges[found.edges[:, 0] == -1, 2].sum() == probe.lengths.size
    assert found.displayed.tolist() == found.step_states[:5].tolist()
    assert found.held_out[1] == probe.lengths.size - 3 * probe.lengths.size // 4
    assert f"{found.fidelity[0]:.1%}" in found.finding and f"n = {found.held_out[0]:,}" in found.finding
    assert found.fidelity[0] > found.baseline


def test_few_sequences_and_one_single_prediction_make_no_machine(tmp_path: Path) -> None:
    few = machine_of(fabricate_run(tmp_path / "few", epochs=1, sequences=12))
    assert isinstance(few, Unavailable) and "20 sequences" in few.reason
    run = fabricate_run(tmp_path / "same", epochs=1)
    last = run.checkpoint(0)
    run.write_checkpoint(replace(last, step_output=np.tile([0.7, 0.1, 0.1, 0.1], (len(last.step_output), 1))))
    same = machine_of(run)
    assert isinstance(same, Unavailable) and "one and the same" in same.reason
    still = fabricate_run(tmp_path / "still", epochs=1)
    last = still.checkpoint(0)
    still.write_checkpoint(replace(last, states={key: np.zeros_like(one) for key, one in last.states.items()}))
    alike = machine_of(still)
    assert isinstance(alike, Unavailable) and "the same at every step" in alike.reason


def test_held_out_fidelity_is_no_better_than_chance_where_the_input_says_nothing(tmp_path: Path) -> None:
    """Predictions drawn at random: an automaton made from some sequences must not seem to foresee those of others."""
    run = fabricate_run(tmp_path / "run", epochs=1, sequences=200)
    last, rng = run.checkpoint(0), np.random.default_rng(0)
    kinds = rng.integers(0, 2, len(last.step_output))
    run.write_checkpoint(replace(last, step_output=np.eye(4, dtype=np.float32)[kinds]))
    found = machine_of(run)
    assert isinstance(found, Machine)
    assert found.fidelity[1] < 0.5 < found.fidelity[2] + 0.02


def test_a_faithful_machine_is_a_finding_and_a_poor_or_unstable_one_is_not(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", epochs=2)
    found, probe, last = machine_of(run), run.probe(), run.checkpoint(1)
    assert isinstance(found, Machine)
    scored = performance(probe, last, run.metrics(), PerformanceParams())
    unknown = Unavailable("words", "not asked for")
    decided = decision_timeline(probe, last, DecisionParams())
    evidence = Evidence(run.manifest(), probe, last, scored, unknown, {}, Thresholds(), state_health(run), decided)
    good = replace(found, fidelity=np.array([0.97, 0.95, 0.99]), baseline=0.4, stability=0.8)
    assert automaton(replace(evidence, machine=good)) == (good.finding, "machine")
    for fault in (
        {"fidelity": np.array([0.7, 0.65, 0.75])},
        {"stability": 0.5},
        {"baseline": 0.96},  # a machine that says no more than the most frequent answer
    ):
        assert automaton(replace(evidence, machine=replace(good, **fault))) is None
    assert automaton(evidence) is None


def test_the_graph_draws_every_state_the_strongest_arrows_and_where_sequences_begin(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", epochs=3)
    found = machine_of(run)
    assert isinstance(found, Machine)
    names = [f"<{name}>" for name in found.names]
    drawn = arrows(found, names)
    for state in range(len(found.answers)):
        leaving = found.edges[(found.edges[:, 0] == state) & (found.edges[:, 1] != state)]
        shown = [arrow.target for arrow in drawn if arrow.source == state and arrow.target != state]
        assert shown and shown == leaving[: len(shown), 1].tolist()
        total = found.edges[found.edges[:, 0] == state, 2].sum()
        assert len(shown) == 2 or len(leaving) == 1 or leaving[1, 2] < 0.02 * total
    assert sum(arrow.source == -1 for arrow in drawn) == (1 if found.beginning >= 0 else 2)
    begun = arrows(replace(found, beginning=1), names)
    assert [(arrow.target, arrow.count) for arrow in begun if arrow.source == -1] == [(1, 120)]
    picture = str(machine_picture(found, names, ["#123456"]))
    assert picture.count('class="state"') == len(found.answers) and picture.count('class="arrow"') == len(drawn)
    assert "&lt;" in picture and "<b>" not in picture  # tokens and names of classes are text
    probe, first = run.probe(), next(arrow for arrow in drawn if arrow.source >= 0)
    inside = np.delete(np.arange(1, probe.tokens.size), probe.offsets[1:-1] - 1)
    taken = inside[(found.step_states[inside - 1] == first.source) & (found.step_states[inside] == first.target)]
    token, times = max(Counter(probe.tokens[taken].tolist()).items(), key=lambda item: (item[1], -item[0]))
    most = f"&lt;{probe.vocabulary[token]}&gt; ({times})"
    assert f"{first.count} times, {first.share:.0%}; most often by {most}" in picture
