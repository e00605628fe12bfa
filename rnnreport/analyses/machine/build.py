"""The state machine of a run: grouped, counted, minimised, chosen by fidelity, and judged on other sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, exact_ends, ratio_interval
from rnnreport.analyses.cocluster import adjusted_rand
from rnnreport.analyses.machine.automaton import Automaton, Strings, before, beginning, counted, minimised
from rnnreport.analyses.machine.partition import Plane, grouped, labels_of
from rnnreport.analyses.machine.patterns import PatternParams, entering_patterns
from rnnreport.analyses.sample import hash_order, steps_of
from rnnreport.progress import track
from rnnreport.results.recorded import Checkpoint, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import Machine, Unavailable
from rnnreport.results.schema.machine import FAITHFUL

Places = NDArray[np.int64]

_GUIDE = (
    "The vectors after every step were grouped (k-means in the leading principal components); each group is a state, "
    "and an arrow leads where the steps lead, named by the inputs that most often do so. States that answer alike and "
    "lead to the same states were merged (Moore, 1956). Fidelity: the automaton alone, run on the input of sequences "
    "that it was not made from, against what the model predicts there, right or wrong. The number of states is the "
    "smallest whose fidelity comes within {tolerance:.0%} of the best on sequences set apart for this choice. Low "
    "fidelity means that the network keeps more than a few states can hold, not that it is wrong; and high fidelity on "
    "these sequences says nothing about other ones. Patterns: short stretches of the input that enter a state more "
    "often than any step does (binomial test on one occurrence in each sequence, Holm)."
)
_WHY_NOT = {
    "multi-label": "several labels at once are no single answer that a state could have",
    "regression": "a quantity is no single answer that a state could have",
    "step-regression": "a quantity is no single answer that a state could have",
    "unlabelled": "there is no expected prediction",
}


@dataclass(frozen=True)
class MachineParams:
    """How the machine is made.

    Attributes
    ----------
    clusters : tuple of int, numbers of groups that are tried; after minimising fewer states may be left
    explained, dimensions : share of the variance that principal components hold, and how many at most
    tolerance : float, of fidelity, for which fewer states are preferred
    fewest_sequences, most_steps, fitted_steps : sequences needed, steps used at most, and for k-means at most
    most_symbols : tokens told apart at most; rarer ones count as one
    seeds : of k-means, the first one is shown
    causes : inputs kept per transition
    """

    clusters: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20)
    explained: float = 0.95
    dimensions: int = 20
    tolerance: float = 0.01
    fewest_sequences: int = 20
    most_steps: int = 30_000
    fitted_steps: int = 6_000
    most_symbols: int = 1_000
    seeds: tuple[int, ...] = (0, 1, 2)
    causes: int = 5
    patterns: PatternParams = field(default_factory=PatternParams)
    bootstrap: BootstrapParams = field(default_factory=BootstrapParams)


@dataclass(frozen=True)
class _Part:
    """Some of the sequences: their steps (S,), places in the probe set, and what belongs to them."""

    steps: Places
    lengths: Places
    points: Doubles
    symbols: Places
    answers: Places

    @property
    def strings(self) -> Strings:
        return Strings.of(self.symbols, self.lengths)

    @property
    def owners(self) -> Places:
        return np.repeat(np.arange(self.lengths.size), self.lengths)


@dataclass(frozen=True)
class _Made:
    """A machine of so many clusters: k-means, the minimised automaton, and its state of each cluster (k,)."""

    clusters: int
    model: Any
    automaton: Automaton
    owner: Places

    def labels(self, points: Doubles) -> Places:
        return self.owner[labels_of(self.model, points)]


def state_machine(
    scope: str,
    last: Checkpoint,
    probe: Probe,
    step_words: Ints | None,
    word_names: Sequence[str],
    displayed: Places,
    params: MachineParams | None = None,
) -> Machine | Unavailable:
    """Make a state machine of the states of the last epoch.

    Parameters
    ----------
    scope : str, the StateKey
    last : Checkpoint
    probe : Probe
    step_words : int32 (S,), the prototype of every step of a continuous input; not looked at for tokens
    word_names : of the prototypes
    displayed : int64 (P,), places of the displayed steps
    params : MachineParams, optional

    Returns
    -------
    Machine or Unavailable
        Unavailable where there is no single prediction at each step, too few sequences, or one prediction only.
    """
    params = params or MachineParams()
    if probe.task in _WHY_NOT:
        return Unavailable(Machine.analysis, _WHY_NOT[probe.task])
    if probe.continuous and step_words is None:
        return Unavailable(Machine.analysis, "the input has no prototypes that transitions could be told apart by")
    inputs = probe.tokens if step_words is None or not probe.continuous else step_words
    answers, states = predictions(probe, last), last.states[scope]
    known = (answers >= 0) & np.isfinite(states).all(axis=1)
    usable = np.flatnonzero(np.minimum.reduceat(known, probe.offsets[:-1]))
    if usable.size < params.fewest_sequences:
        what = "a prediction at every step" if usable.size < probe.lengths.size else "a finite state"
        return Unavailable(
            Machine.analysis, f"a machine needs {params.fewest_sequences} sequences with {what}, here are {usable.size}"
        )
    order = usable[hash_order([probe.sequence_ids[n] for n in usable])]
    order = order[: max(params.fewest_sequences, int((np.cumsum(probe.lengths[order]) <= params.most_steps).sum()))]
    if np.unique(answers[steps_of(probe, order)]).size < 2:
        return Unavailable(Machine.analysis, "the model predicts one and the same at every step")
    half, three = order.size // 2, 3 * order.size // 4
    plane = Plane.of(states[steps_of(probe, order[:half])], params.explained, params.dimensions)
    symbols = _symbols(inputs, steps_of(probe, order[:half]), params.most_symbols)
    fit, choose, judge = (
        _part(probe, part, plane, states, symbols, answers) for part in (order[:half], order[half:three], order[three:])
    )
    made = [
        one for k in track(params.clusters, "state machines", len(params.clusters)) if (one := _make(fit, k, 0, params))
    ]
    if not made:
        return Unavailable(Machine.analysis, "the state is the same at every step")
    chosen, curve = _choose(made, choose, params)
    stability = _stability(chosen, fit, choose, params)
    every = _part(probe, np.flatnonzero(np.isfinite(np.add.reduceat(states.sum(axis=1), probe.offsets[:-1]))), plane,
                  states, symbols, answers)  # fmt: skip
    chosen = _renumbered(chosen, every)
    names = probe.vocabulary if not probe.continuous else tuple(word_names)
    found = _described(scope, chosen, every, judge, inputs, names, probe, params)
    finite = np.isfinite(states).all(axis=1)
    step_states = np.full(len(states), -1, np.int32)
    step_states[finite] = chosen.labels(plane.project(states[finite]))
    found = replace(
        found,
        curve=curve,
        stability=stability,
        step_states=step_states,
        displayed=step_states[displayed],
        params={
            "clusters": chosen.clusters,
            "dimensions": plane.vectors.shape[1],
            "explained": plane.explained,
            "symbols": int(symbols.max()) + 1,
            "sequences": order.size,
            "steps": int(probe.lengths[order].sum()),
            "tolerance": params.tolerance,
            "seeds": len(params.seeds),
        },
        guide=_GUIDE.format(tolerance=params.tolerance),
    )
    return replace(found, finding=_finding(found))


def predictions(probe: Probe, last: Checkpoint) -> Places:
    """What the model predicts after each step: a class, a tag or a token; -1 where it is not known.

    Returns
    -------
    int64 (S,)
    """
    if probe.task == "language-model":
        return last.top_tokens[:, 0].astype(np.int64)
    if not last.step_output.size:
        return np.full(int(probe.lengths.sum()), -1, np.int64)
    known = np.isfinite(last.step_output).all(axis=1)
    return np.where(known, last.step_output.argmax(axis=1), -1)


def _symbols(inputs: Ints, fitted: Places, most: int) -> Places:
    """int64 (S,): the inputs renumbered, the most frequent of the fitted ones apart, all others as one."""
    counts = np.bincount(inputs[fitted], minlength=int(inputs.max()) + 1)
    kept = np.argsort(-counts, kind="stable")[: min(most, int((counts > 0).sum()))]
    number = np.full(counts.size, kept.size)
    number[kept] = np.arange(kept.size)
    return number[inputs]


def _part(probe: Probe, sequences: Places, plane: Plane, states: Floats, symbols: Places, answers: Places) -> _Part:
    steps = steps_of(probe, sequences)
    lengths = probe.lengths[sequences].astype(np.int64)
    return _Part(steps, lengths, plane.project(states[steps]), symbols[steps], answers[steps])


def _make(fit: _Part, k: int, seed: int, params: MachineParams) -> _Made | None:
    model = grouped(fit.points, k, seed, params.fitted_steps)
    if model is None:
        return None
    labels, strings = labels_of(model, fit.points), fit.strings
    used, labels = np.unique(labels, return_inverse=True)
    automaton = counted(labels.ravel(), fit.answers, strings, used.size, int(fit.symbols.max()) + 2)
    smaller, owner = minimised(automaton, labels.ravel(), strings)
    place = np.searchsorted(used, np.arange(k)).clip(max=used.size - 1)
    return _Made(k, model, smaller, owner[place])


def _choose(made: list[_Made], choose: _Part, params: MachineParams) -> tuple[_Made, Doubles]:
    """The machine of fewest states within the tolerance of the best one, and the curve of all."""
    fidelity = [
        float((one.automaton.answers[one.automaton.run(choose.strings)] == choose.answers).mean()) for one in made
    ]
    curve = np.array(
        [(one.clusters, len(one.automaton.answers), value) for one, value in zip(made, fidelity, strict=True)]
    )
    enough = np.flatnonzero(curve[:, 2] >= curve[:, 2].max() - params.tolerance)
    best = min(enough.tolist(), key=lambda place: (curve[place, 1], -curve[place, 2], place))
    return made[best], curve


def _stability(chosen: _Made, fit: _Part, held: _Part, params: MachineParams) -> float:
    """Mean adjusted Rand index between seeds, over the states of steps that the machines were not made from."""
    others = [_make(fit, chosen.clusters, seed, params) for seed in params.seeds[1:]]
    labels = [one.labels(held.points).astype(np.int32) for one in (chosen, *others) if one is not None]
    pairs = [adjusted_rand(one, two) for place, one in enumerate(labels) for two in labels[:place]]
    return float(np.mean(pairs)) if pairs else 1.0


def _renumbered(made: _Made, every: _Part) -> _Made:
    """The same machine with its states by the number of their steps."""
    k = len(made.automaton.answers)
    order = np.argsort(-np.bincount(made.labels(every.points), minlength=k), kind="stable")
    place = np.argsort(order)
    successors = place[made.automaton.successors[np.append(order, k)]]
    return replace(made, automaton=Automaton(successors, made.automaton.answers[order]), owner=place[made.owner])


def _described(
    scope: str,
    made: _Made,
    every: _Part,
    judge: _Part,
    inputs: Ints,
    names: tuple[str, ...],
    probe: Probe,
    params: MachineParams,
) -> Machine:
    """Everything but how the number of states was chosen."""
    k, labels = len(made.automaton.answers), made.labels(every.points)
    came, read = before(labels, every.strings, k), inputs[every.steps].astype(np.int64)
    patterns, tested = entering_patterns(read, every.owners, labels, came, k, params.patterns)
    edges, causes, counts = _edges(came, labels, read, k, params.causes)
    used = np.unique(np.concatenate([causes[causes >= 0], *(one["tokens"] for one in patterns)]).astype(np.int64))
    place = {token: number for number, token in enumerate(used.tolist())}
    fidelity, baseline, own = _judged(made, judge, params)
    steps = np.bincount(labels, minlength=k)
    answers = made.automaton.answers
    known = every.answers >= 0
    agreeing = np.bincount(labels[every.answers == answers[labels]], minlength=k)
    named = probe.vocabulary if probe.task == "language-model" else probe.class_names
    return Machine(
        scope=scope,
        answers=tuple(named[answer] for answer in answers),
        classes=(np.full(k, -1) if probe.task == "language-model" else answers).astype(np.int32),
        shares=(agreeing / np.bincount(labels[known], minlength=k).clip(min=1)).astype(np.float32),
        steps=steps.astype(np.int32),
        beginning=beginning(made.automaton, every.strings),
        names=tuple(names[token] for token in used),
        edges=edges.astype(np.int32),
        causes=np.vectorize(lambda token: place.get(token, -1), otypes=[np.int32])(causes),
        cause_counts=counts.astype(np.int32),
        patterns=tuple(one | {"tokens": [place[token] for token in one["tokens"]]} for one in patterns),
        tested=tested,
        fidelity=fidelity,
        baseline=baseline,
        own=own,
        held_out=np.array([judge.steps.size, judge.lengths.size], np.int32),
        curve=np.zeros((0, 3)),
        stability=1.0,
        step_states=np.zeros(0, np.int32),
        displayed=np.zeros(0, np.int32),
        finding="",
        params={},
        guide="",
    )


def _edges(came: Places, labels: Places, read: Places, k: int, most: int) -> tuple[Places, Places, Places]:
    """Edges (J, 3), their most frequent inputs (J, C) and how often these are read there (J, C)."""
    pairs, which, totals = np.unique(came * k + labels, return_inverse=True, return_counts=True)
    order = np.lexsort((pairs, -totals, pairs // k))
    causes, counts = np.full((pairs.size, most), -1), np.zeros((pairs.size, most), np.int64)
    for row, pair in enumerate(order):
        tokens, times = np.unique(read[which.ravel() == pair], return_counts=True)
        top = np.argsort(-times, kind="stable")[:most]
        causes[row, : top.size], counts[row, : top.size] = tokens[top], times[top]
    sources = np.where(pairs // k == k, -1, pairs // k)
    return np.column_stack([sources, pairs % k, totals])[order], causes, counts


def _judged(made: _Made, judge: _Part, params: MachineParams) -> tuple[Doubles, float, float]:
    """Fidelity with its interval, that of the most frequent prediction, and that of the states of the own vectors."""
    visited = made.automaton.run(judge.strings)
    right = (made.automaton.answers[visited] == judge.answers).astype(np.float64)
    totals = np.bincount(judge.owners, weights=right).astype(np.float64)
    fidelity = exact_ends(
        *ratio_interval(totals, judge.lengths.astype(np.float64), params.bootstrap),
        judge.lengths.size,
        params.bootstrap,
    )
    frequent = float(np.unique(judge.answers, return_counts=True)[1].max() / judge.answers.size)
    own = made.automaton.answers[made.labels(judge.points)] == judge.answers
    return np.array(fidelity), frequent, float(own.mean())


def _finding(found: Machine) -> str:
    value, low, high = found.fidelity
    k, (steps, sequences) = len(found.answers), found.held_out
    states = f"{k} states" if k > 1 else "one state"
    lead = f"The network behaves like an automaton of {states}"
    if value < FAITHFUL:
        lead = f"The best automaton found, of {states}, agrees with the network"
    text = (
        f"{lead} in {value:.1%} of the held-out steps (95% interval {low:.1%} to {high:.1%}, n = {steps:,} steps of "
        f"{sequences:,} sequences); always naming the most frequent prediction agrees in {found.baseline:.1%}."
    )
    unstable = f" Another seed finds other states (adjusted Rand index {found.stability:.2f}): they are unstable."
    return text if found.stable else text + unstable
