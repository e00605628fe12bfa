"""Finite automata that answer after every symbol: counted from labelled steps, run, and made as small as possible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
_BACK_OFF = 0.5  # of an occurrence: what a symbol does elsewhere decides only where the pair was never seen, or is tied


@dataclass(frozen=True)
class Strings:
    """Sequences of symbols 0 ... A - 1, side by side.

    Attributes
    ----------
    symbols : int64 (N, T), beyond the end of a sequence anything
    inside : bool (N, T), whether the sequence has that step
    """

    symbols: Places
    inside: NDArray[np.bool_]

    @classmethod
    def of(cls, symbols: Places, lengths: Places) -> Strings:
        """Lay out ragged sequences.

        Parameters
        ----------
        symbols : int64 (S,), one sequence after the other
        lengths : int64 (N,)
        """
        inside = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
        table = np.zeros(inside.shape, np.int64)
        table[inside] = symbols
        return cls(table, inside)


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton of k states that answers in every state.

    Attributes
    ----------
    successors : int64 (k + 1, A), the state after each symbol; the last row is that of the beginning of a sequence
    answers : int64 (k,)
    """

    successors: Places
    answers: Places

    def run(self, words: Strings) -> Places:
        """The state after every step, int64 (S,), one sequence after the other."""
        now = np.full(len(words.symbols), len(self.answers))
        visited = np.zeros(words.symbols.shape, np.int64)
        for step in range(words.symbols.shape[1]):
            now = self.successors[now, words.symbols[:, step]]
            visited[:, step] = now
        return visited[words.inside]


def counted(labels: Places, answers: Places, words: Strings, k: int, symbols: int) -> Automaton:
    """The automaton that goes, from every state and at every symbol, where the labelled steps went most often.

    Parameters
    ----------
    labels, answers : int64 (S,), state and answer of every step
    words : Strings
        With these S steps.
    k, symbols : int
        Numbers of states, each of which occurs, and of symbols.
    """
    came, read = before(labels, words, k), words.symbols[words.inside]
    seen = np.zeros((k + 1, symbols, k))
    np.add.at(seen, (came, read, labels), 1)
    by_symbol, by_state = seen.sum(axis=0), seen.sum(axis=1)
    # what the symbol does elsewhere, and below that where the state leads to mostly
    elsewhere = _shares(by_symbol)[None] + 0.01 * _shares(by_state)[:, None]
    table = np.zeros((k, int(answers.max()) + 1), np.int64)
    np.add.at(table, (labels, answers), 1)
    return Automaton((seen + _BACK_OFF * elsewhere).argmax(axis=2), table.argmax(axis=1))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True).clip(min=1))


def before(labels: Places, words: Strings, start: int) -> Places:
    """The label of the step before each step, int64 (S,); ``start`` at the first step of a sequence."""
    table = np.full((len(words.inside), words.inside.shape[1] + 1), start)
    table[:, 1:][words.inside] = labels
    return table[:, :-1][words.inside]


def minimised(automaton: Automaton, labels: Places, words: Strings) -> tuple[Automaton, Places]:
    """The smallest automaton that answers alike, by refinement of partitions (Moore, 1956), of its reached states.

    Parameters
    ----------
    automaton : Automaton
    labels : int64 (S,), the state that each step is labelled with
    words : Strings
        Of these steps. States that the automaton never reaches on them go to the reached one that most of their steps
        are read in.

    Returns
    -------
    Automaton
        Of as few states as possible; the beginning is a row of its own.
    int64 (k,)
        Its state for every state of the one given.
    """
    k = len(automaton.answers)
    visited = automaton.run(words)
    meeting = np.zeros((k, k), np.int64)
    np.add.at(meeting, (labels, visited), 1)
    reached = np.unique(visited)
    near = meeting.argmax(axis=1)
    near[reached] = reached
    place = np.searchsorted(reached, near)
    blocks = np.unique(automaton.answers[reached], return_inverse=True)[1].ravel()
    leading = place[automaton.successors[reached]]
    while True:
        signature = np.column_stack([blocks, blocks[leading]])
        finer = np.unique(signature, axis=0, return_inverse=True)[1].ravel()
        if finer.max() == blocks.max():
            break
        blocks = finer
    first = reached[np.unique(blocks, return_index=True)[1]]  # one state of every block stands for it
    owner = blocks[place]
    return Automaton(owner[automaton.successors[np.append(first, k)]], automaton.answers[first]), owner


def beginning(automaton: Automaton, words: Strings) -> int:
    """The state whose successors are those of the beginning at every symbol that sequences begin with, or -1."""
    begun = np.unique(words.symbols[:, 0][words.inside[:, 0]])
    same = (automaton.successors[:-1, begun] == automaton.successors[-1, begun]).all(axis=1)
    return int(same.argmax()) if same.any() else -1
