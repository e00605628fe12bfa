"""What capture leaves of causes: how a model answers without units, what its inputs add, where gradients reach.

Like ``recorded.py``, whose letters name the axes; all of it is of the last recorded epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnreport.results.recorded import Floats, Ints


@dataclass(frozen=True)
class UnitAblation:
    """What the answers to M sequences cost while units are held at their mean over the probe set at every step.

    U units of all hidden states of recurrent layers, counted through; A runs, each with one set of units held.

    Attributes
    ----------
    epoch : int
    scopes : tuple of str, the StateKeys of the hidden states
    scope, unit : int32 (U,), place in ``scopes`` and number within that state
    groups : int32 (U,), the group of each unit: its own number where every unit was held alone
    readout : float32 (U,), norm of the weights by which the last linear module reads the unit; NaN where it does not
    sequences : int32 (M,), places in the probe set, in the order of the hashes of their ids
    items : int32 (M,), scored items of each
    kinds : tuple of str, length A: "none" or "all" units, one "unit", one "group"; or so many of the "most" or the
        "least" important ones, or of a "random" order
    sizes : int32 (A,), units held
    members : int32 (A,), the unit or group held; the number of the order
    loss, right : float32 (A, M), sums over the items of each sequence, as in ``capture/losses.py``; of orders NaN in
        the first half of the sequences, by which the ranking was found
    reason : str, why there is none; "" otherwise
    """

    epoch: int
    scopes: tuple[str, ...]
    scope: Ints
    unit: Ints
    groups: Ints
    readout: Floats
    sequences: Ints
    items: Ints
    kinds: tuple[str, ...]
    sizes: Ints
    members: Ints
    loss: Floats
    right: Floats
    reason: str


@dataclass(frozen=True)
class GradientFlow:
    """How strongly the loss at a step depends on every state before it, for M sequences.

    Attributes
    ----------
    epoch : int
    scopes : tuple of str, the StateKeys of the hidden states
    sequences, lengths : int32 (M,), places in the probe set and steps read of each
    counts : int32 (M,), steps of each whose loss was followed: the last one where a sequence has one answer
    steps : int32 (sum of ``counts``,), these steps, sequence after sequence
    norms : dict of StateKey to float32 (sum of ``counts`` times ``lengths``,): for each sequence, row by row, the
        norm of the derivative of the loss at a step (row) by the state after each step (column)
    reason : str, why there is none; "" otherwise
    """

    epoch: int
    scopes: tuple[str, ...]
    sequences: Ints
    lengths: Ints
    counts: Ints
    steps: Ints
    norms: dict[str, Floats]
    reason: str


@dataclass(frozen=True)
class Attribution:
    """What each step of the input adds to an answer, for M sequences, by two methods with one baseline.

    The baseline is the mean input over the probe set: the mean embedding of its tokens, or its mean values, at every
    step. The answer of a sequence is a number: log odds in nats of a class, a label, a tag or a next token, or a
    quantity.

    Attributes
    ----------
    epoch : int
    sequences, lengths : int32 (M,), places in the probe set and steps read of each, from its beginning
    answers : int32 (M,), the class, label, tag, token or quantity whose number is explained
    steps : int32 (M,), the step at which it is answered; the last one read where a sequence has one answer
    value, baseline : float32 (M,), the number for the sequence, and for the baseline alone
    points : int32 (M,), points of the path from the baseline to the input
    gradients : float32 (sum of ``lengths``,), integrated gradients of each step
    occlusion : float32 (sum of ``lengths``,), by how much the number falls when the step becomes the baseline
    skipped : int, sequences that were too long or beyond the budget
    reason : str, why there is none; "" otherwise
    """

    epoch: int
    sequences: Ints
    lengths: Ints
    answers: Ints
    steps: Ints
    value: Floats
    baseline: Floats
    points: Ints
    gradients: Floats
    occlusion: Floats
    skipped: int
    reason: str
