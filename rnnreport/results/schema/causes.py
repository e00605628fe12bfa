"""Why a model answers as it does: which of its units, which of its inputs, and how far back its training can reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class UnitImportance:
    """What it costs to hold units at their mean inside the recurrence.

    U units of all hidden states of recurrent layers; I parts of them that were held, units or groups; J sizes of sets.
    The score is ``metric``; scores and losses with an interval are value, low and high (95 %, over sequences).

    Attributes
    ----------
    scopes : tuple of str, the StateKeys of the states
    scope, unit : int32 (U,), place in ``scopes`` and number within that state
    parts : "units" or "groups"
    groups : int32 (U,), the part that each unit belongs to
    rise : float64 (I, 3), of the loss of an item
    p_values : float64 (I,), by Holm over the parts, that it does not change; NaN where nothing can be tested
    lost : float64 (I,), score without the part taken from that with all
    metric : "accuracy", "exact match", "R²" or "loss" (nats)
    whole, constant : float64 (3,), score with no unit held and with all of them
    sizes : int32 (J,), units held
    most, least : float64 (J, 3), score with so many of the most and of the least important ones held; the interval is
        that of the change
    random : float64 (J, 3), mean, lowest and highest of random orders
    enough : float64 (3,), units that keep 90 % of what all of them bring when the others are held; NaN where they bring
        nothing beyond doubt
    needed : float64 (3,), units without which 90 % of it is lost, likewise
    readout : float32 (U,), norm of the weights by which the output reads the unit, NaN where it does not
    agreement : float64 (4,), rank correlation of ``readout`` and the rise of the loss with the unit alone held, low,
        high, and number of units
    sequences, judged : int, sequences that ranked the units, and those of the scores of sets
    finding : str
    guide : str
    """

    analysis: ClassVar[str] = "units-importance"
    scopes: tuple[str, ...]
    scope: Ints
    unit: Ints
    parts: str
    groups: Ints
    rise: Doubles
    p_values: Doubles
    lost: Doubles
    metric: str
    whole: Doubles
    constant: Doubles
    sizes: Ints
    most: Doubles
    least: Doubles
    random: Doubles
    enough: Doubles
    needed: Doubles
    readout: Floats
    agreement: Doubles
    sequences: int
    judged: int
    finding: str
    guide: str


@dataclass(frozen=True)
class InputAttribution:
    """What each step of the input adds to an answer; first of M of the displayed sequences, then over all explained.

    Attributes
    ----------
    sequences : int32 (M,), places among the displayed sequences
    lengths : int32 (M,), steps of each that were read, from its beginning
    names : tuple of str, length M: the answer that is explained
    steps : int32 (M,), the step at which it is answered
    value, baseline : float32 (M,), its number (log odds in nats, or the quantity) for the sequence and for the baseline
    errors : float32 (M,), completeness error: the difference between the sum of the parts and ``value - baseline``, as
        a share of the latter
    agreements : float32 (M,), rank correlation of the two methods over the steps that add something, NaN of too few
    gradients, occlusion : float32 (sum of ``lengths``,), what each step adds, by either method
    tolerance : float, completeness error from which a sequence counts as unreliable
    explained, unreliable : int, sequences, and those of them that are left out below
    median_error : float, of all explained sequences
    agreement : float64 (4,), mean rank correlation, low, high, number of sequences
    pairs : float32 (J, 2), gradients and occlusion of a sample of steps
    groups : tuple of str, the answers that words are listed for
    sizes : int32, sequences of each group
    group : int32 (R,), place in ``groups`` of each listed word, those beyond doubt first, then by size
    words : tuple of str, length R
    means : float64 (R, 3), mean of what an occurrence adds, low, high, by integrated gradients
    p_values : float64 (R,), by Holm over all ``tested`` words and groups, that it is 0
    occurrences, word_sequences : int32 (R,)
    tested : int
    skipped : int, sequences that were too long or beyond the budget
    near : int, steps up to the answered one whose words are listed; 0 for all
    quantity : bool, whether the numbers are quantities rather than log odds
    per_step : bool, whether one of several steps with an answer was explained
    guide : str
    """

    analysis: ClassVar[str] = "attribution"
    sequences: Ints
    lengths: Ints
    names: tuple[str, ...]
    steps: Ints
    value: Floats
    baseline: Floats
    errors: Floats
    agreements: Floats
    gradients: Floats
    occlusion: Floats
    tolerance: float
    explained: int
    unreliable: int
    median_error: float
    agreement: Doubles
    pairs: Floats
    groups: tuple[str, ...]
    sizes: Ints
    group: Ints
    words: tuple[str, ...]
    means: Doubles
    p_values: Doubles
    occurrences: Ints
    word_sequences: Ints
    tested: int
    skipped: int
    near: int
    quantity: bool
    per_step: bool
    guide: str


@dataclass(frozen=True)
class GradientReach:
    """How the derivative of the loss by earlier states changes from step to step; L states.

    Attributes
    ----------
    scopes : tuple of str, length L, the StateKeys
    curves : dict of StateKey to float64 (J, 5): steps back, mean of log10 of the derivative less that at the step of
        the loss, low, high (95 %, over sequences), and number of sequences
    factors : float64 (L, 3), by what the derivative is multiplied with each step further back, low, high
    remaining : float64 (L, 3), what would be left of it ``span`` steps back
    verdicts : tuple of str, length L: "vanishing", "exploding" or "sound"
    vanishing, exploding : float, limits of ``remaining``
    span : int, steps of the middle sequence after its first
    rows : tuple of str, length R, what the rows of ``matrix`` are: steps of the loss, or sequences
    lags : int32 (C,), steps back of its columns
    matrix : float32 (R, C), log10 of the derivative by the first state, mean over sequences; NaN where there is none
    per_step : bool, whether losses of several steps were followed
    sequences : int
    finding : str
    guide : str
    """

    analysis: ClassVar[str] = "gradient-reach"
    scopes: tuple[str, ...]
    curves: dict[str, Doubles]
    factors: Doubles
    remaining: Doubles
    verdicts: tuple[str, ...]
    vanishing: float
    exploding: float
    span: int
    rows: tuple[str, ...]
    lags: Ints
    matrix: Floats
    per_step: bool
    sequences: int
    finding: str
    guide: str
