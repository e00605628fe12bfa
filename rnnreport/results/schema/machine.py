"""The network as a state machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class Machine:
    """A deterministic automaton of k states made of the states of a network, the most frequent state first.

    Attributes
    ----------
    scope : str, the StateKey whose vectors were grouped
    answers : tuple of str, length k, what the model predicts most often there
    classes : int32 (k,), that class or tag; -1 for a language model
    shares : float32 (k,), share of the state's steps at which the model predicts that
    steps : int32 (k,), steps of the probe set in the state
    beginning : int, the state in which sequences begin, -1: they begin in none of these
    names : tuple of str, the tokens or prototypes that ``causes`` and ``patterns`` are made of
    edges : int32 (J, 3): state before (-1: the beginning of a sequence), state after, and how often; by state before,
        the most frequent first
    causes : int32 (J, C), places in ``names`` of the inputs that most often do that, -1 where there are fewer
    cause_counts : int32 (J, C), how often each does
    patterns : tuple of dict, at most a few per state: "state", "tokens" (places in ``names``, the last one enters the
        state), "hits" and "times" (occurrences that enter the state, and all, without those at the first step of a
        sequence), "sequences" (with any), "p" (by Holm)
    tested : int, pairs of a pattern and a state
    fidelity : float64 (3,), share of held-out steps at which the automaton, run on the input alone, answers what the
        model predicts; low, high (95 %, over sequences)
    baseline : float, the same for always answering the most frequent prediction
    own : float, the same for the answer of the state that the model's own vector belongs to, whatever the input was
    held_out : int32 (2,), steps and sequences held out, on which the three were computed
    curve : float64 (M, 3): clusters of k-means, states left after minimising, fidelity on the sequences that the number
        was chosen by
    stability : float, mean adjusted Rand index of the states of all steps between the seeds of k-means
    step_states : int32 (S,), the state of every step of the probe set, -1 where the vector is not finite
    displayed : int32 (P,), the same for the displayed steps
    finding : str
    params : dict: clusters, dimensions, explained (share of the variance), symbols, sequences, steps, tolerance, seeds
    guide : str
    """

    analysis: ClassVar[str] = "machine"
    scope: str
    answers: tuple[str, ...]
    classes: Ints
    shares: Floats
    steps: Ints
    beginning: int
    names: tuple[str, ...]
    edges: Ints
    causes: Ints
    cause_counts: Ints
    patterns: tuple[dict[str, Any], ...]
    tested: int
    fidelity: Doubles
    baseline: float
    own: float
    held_out: Ints
    curve: Doubles
    stability: float
    step_states: Ints
    displayed: Ints
    finding: str
    params: dict[str, Any]
    guide: str

    @property
    def stable(self) -> bool:
        """Whether another seed finds much the same states."""
        return self.stability >= STABLE


STABLE = 0.6  # adjusted Rand index
FAITHFUL = 0.9  # fidelity from which an automaton describes the network


def letter(state: int) -> str:
    """The name of a state: A, B, C ..."""
    return chr(ord("A") + state)
