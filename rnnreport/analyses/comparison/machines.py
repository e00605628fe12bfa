"""The state machines of several runs: states matched by the steps they share, and the transitions that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.cocluster import adjusted_rand
from rnnreport.analyses.comparison.clusters import match_by_words
from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.significance import clustered_means, holm
from rnnreport.results.recorded import Doubles, Ints
from rnnreport.results.schema import Machine, MachineDiff, Unavailable
from rnnreport.results.schema.machine import letter

_SAME = 0.95  # adjusted Rand index from which two machines divide the steps alike
_PAIRED = 0.3  # Jaccard index below which two states are no counterparts
_LEVEL = 0.05
_LISTED = 12  # transitions of a run
_GUIDE = (
    "Each run has a machine of its own, made from its own states. On the same steps of the same sequences, states of "
    "two machines are paired so that they share as many steps as possible, at least {paired:.0%} of those of either "
    "(Jaccard index), and a run's transitions are then counted in the letters of the baseline; a state without a "
    "partner has the letter of the run and a star. A difference counts as certain if the numbers per sequence differ "
    "(t-test on sequences, Holm over all transitions of the run). Two machines are called the same if they have "
    "equally many states with the same answers, divide the steps alike (adjusted Rand index at least {same:g}) and no "
    "transition differs with certainty. Where a machine is unstable, another seed of the grouping alone changes it."
)


@dataclass(frozen=True)
class _Steps:
    """The steps (S,) of whole sequences whose state is known in every run, and their sequences."""

    places: NDArray[np.int64]
    owners: NDArray[np.int64]
    sequences: int

    @property
    def first(self) -> NDArray[np.bool_]:
        """Whether a step is the first of its sequence."""
        return np.append(True, self.owners[1:] != self.owners[:-1])


def machine_diff(runs: Sequence[Read]) -> MachineDiff | Unavailable:
    """Compare the machine of every run with that of the first.

    Parameters
    ----------
    runs : at least two, on one probe set and analysed before
    """
    if not all(run.folder.has_result(Machine) for run in runs):
        return Unavailable(MachineDiff.analysis, "a run has not been analysed, or by an earlier version")
    found = [run.folder.result(Machine) for run in runs]
    machines = [one for one in found if isinstance(one, Machine)]
    missing = next((one.reason for one in found if isinstance(one, Unavailable)), "")
    if missing:
        return Unavailable(MachineDiff.analysis, f"a run has no state machine: {missing}")
    steps = _common(runs[0], machines)
    if not steps.places.size:
        return Unavailable(MachineDiff.analysis, "no sequence has a state at every step in every run")
    labels = [one.step_states[steps.places] for one in machines]
    largest = max(len(one.answers) for one in machines)
    partner = np.full((len(runs), largest), -1, np.int32)
    for run, (one, mine) in enumerate(zip(machines, labels, strict=True)):
        k = len(one.answers)
        pairs, shared = match_by_words(labels[0], mine, len(machines[0].answers), k)
        partner[run, :k] = np.where(shared >= _PAIRED, pairs, -1)
    agreement = np.array([adjusted_rand(labels[0], mine) for mine in labels])
    edges, verdicts, texts = [], [], []
    for run in range(1, len(runs)):
        own = _transitions(machines, labels, partner[run], run, steps)
        certain = [edge for edge in own if edge["p"] < _LEVEL]
        turned = _turned(machines[0], machines[run], partner[run])
        same = _same(machines, run, partner[run], float(agreement[run])) and not certain and not turned
        edges += [edge | {"run": run} for edge in own[:_LISTED]]
        verdicts.append("the same machine" if same else "another machine")
        texts.append(
            {
                "run": runs[run].manifest.name,
                "sentences": _sentences(
                    machines, run, partner[run], float(agreement[run]), certain, turned, steps, same
                ),
            }
        )
    return MachineDiff(
        states=tuple(len(one.answers) for one in machines),
        answers=tuple(_answers(one, partner[run], largest) for run, one in enumerate(machines)),
        fidelity=np.array([one.fidelity for one in machines]),
        stability=np.array([one.stability for one in machines]),
        agreement=agreement,
        steps=steps.places.size,
        sequences=steps.sequences,
        edges=tuple(edges),
        verdicts=tuple(verdicts),
        found=tuple(texts),
        guide=_GUIDE.format(same=_SAME, paired=_PAIRED),
    )


def _common(run: Read, machines: Sequence[Machine]) -> _Steps:
    offsets = run.probe.offsets
    known = np.logical_and.reduce([one.step_states >= 0 for one in machines])
    whole = np.logical_and.reduceat(known, offsets[:-1])
    owners = np.repeat(np.arange(whole.size), np.diff(offsets))
    places = np.flatnonzero(whole[owners])
    return _Steps(places, owners[places], int(whole.sum()))


def _same(machines: Sequence[Machine], run: int, partner: Ints, agreement: float) -> bool:
    k = len(machines[run].answers)
    return k == len(machines[0].answers) and bool((partner[:k] >= 0).all()) and agreement >= _SAME


def _answers(machine: Machine, partner: Ints, others: int) -> dict[str, str]:
    """What a run predicts in each of its states, by their names; ``others`` is any number of states."""
    return {
        _name(int(partner[state]) if partner[state] >= 0 else others + state, others, others): answer
        for state, answer in enumerate(machine.answers)
    }


def _turned(baseline: Machine, machine: Machine, partner: Ints) -> list[tuple[int, str, str]]:
    """Matched states that answer otherwise: the baseline's state, its answer and the run's."""
    return [
        (int(partner[state]), baseline.answers[partner[state]], answer)
        for state, answer in enumerate(machine.answers)
        if partner[state] >= 0 and baseline.answers[partner[state]] != answer
    ]


def _transitions(
    machines: Sequence[Machine], labels: Sequence[Ints], partner: Ints, run: int, steps: _Steps
) -> list[dict[str, Any]]:
    """Every transition of both machines in the baseline's letters, the surest difference first."""
    k = len(machines[0].answers)
    own = np.arange(len(machines[run].answers))
    translated = np.where(partner[own] >= 0, partner[own], k + own)[labels[run]]
    sides = [_codes(mine.astype(np.int64), k + own.size, steps) for mine in (labels[0], translated)]
    codes, which = np.unique(np.concatenate(sides), return_inverse=True)
    counts = np.zeros((2, steps.sequences, codes.size))
    rows = np.unique(steps.owners, return_inverse=True)[1]
    for side, place in enumerate(np.split(which.ravel(), 2)):
        np.add.at(counts[side], (rows, place), 1)
    chances: Doubles = clustered_means(counts[1] - counts[0], np.ones((steps.sequences, 1)))[3]
    adjusted, totals = np.nan_to_num(holm(chances), nan=1.0), counts.sum(axis=1)
    order = np.lexsort((codes, -np.abs(totals[1] - totals[0]), adjusted >= _LEVEL))
    width = k + own.size + 1
    return [
        {
            "from": _name(int(codes[at] // width), k, own.size),
            "to": _name(int(codes[at] % width), k, own.size),
            "counts": [int(totals[0, at]), int(totals[1, at])],
            "p": float(adjusted[at]),
        }
        for at in order
        if totals[0, at] != totals[1, at]
    ]


def _codes(labels: NDArray[np.int64], begin: int, steps: _Steps) -> NDArray[np.int64]:
    """int64 (S,), one number for the state before (``begin`` at the first step of a sequence) and that after."""
    came = np.where(steps.first, begin, np.append(begin, labels[:-1]))
    return came * (begin + 1) + labels


def _name(state: int, k: int, own: int) -> str:
    if state == k + own:
        return "the beginning"
    return letter(state) if state < k else f"{letter(state - k)}*"


def _sentences(
    machines: Sequence[Machine],
    run: int,
    partner: Ints,
    agreement: float,
    certain: list[dict[str, Any]],
    turned: list[tuple[int, str, str]],
    steps: _Steps,
    same: bool,
) -> list[str]:
    baseline, machine = machines[0], machines[run]
    k, matched = len(machine.answers), int((partner >= 0).sum())
    n = f"n = {steps.places.size:,} steps of {steps.sequences:,} sequences"
    lead = "the same machine" if same else "another machine"
    said = [
        f"{lead}: {matched} of its {k} states match those of the baseline, which has {len(baseline.answers)}, by the "
        f"steps they share (adjusted Rand index {agreement:.2f}, {n})"
    ]
    if turned:
        named = "; ".join(f"{letter(state)} predicts “{now}” instead of “{was}”" for state, was, now in turned[:3])
        said.append(
            f"{len(turned)} matched {'states answer' if len(turned) > 1 else 'state answers'} otherwise: {named}"
        )
    if certain:
        named = "; ".join(
            f"{edge['from']} leads to {edge['to']} {edge['counts'][1]:,} times instead of {edge['counts'][0]:,}"
            for edge in certain[:3]
        )
        differ = "transitions differ" if len(certain) > 1 else "transition differs"
        said.append(f"{len(certain)} {differ} with certainty: {named}")
    unstable = [name for one, name in ((baseline, "the baseline's"), (machine, "its own")) if not one.stable]
    if unstable and not same:
        said.append(
            f"{' and '.join(unstable)} machine is unstable, so that another seed of the grouping changes it too"
        )
    return said
