"""The largest moves of the state from one step to the next, over the whole probe set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class Jumps:
    """The J largest jumps of each of M measures, and what is read at the largest hundredth of them.

    A jump leads from the state after one step to the state after the next; it belongs to the step it leads to, whose
    token, or prototype of a continuous input, is its type. Where a measure has fewer than J jumps, or O types, the rows
    end with places of -1.

    Attributes
    ----------
    scope : str, the StateKey
    measures : tuple of str, length M: "absolute", the Euclidean distance of the two states; "relative", that distance
        over the larger of their norms, from 0 to 2; "standardised", its standard score among the jumps of its type
    counted : int32 (M,), jumps of the probe set that have this measure
    sequence_ids : tuple of str: the sequences that occur
    displayed : int32 (len(sequence_ids),), their places among the displayed sequences; -1: not displayed
    lengths : int32 (len(sequence_ids),), their steps
    sequences : int32 (M, J), places in ``sequence_ids``
    steps : int32 (M, J), the step a jump leads to, from 1 (a jump has a step before it)
    values : float32 (M, J, M), all measures of each of these jumps, NaN where one is not defined
    classes : int32 (M, J, 2), class predicted before and after; -1 where there is none
    context : int32 (M, J, C), places in ``names`` of the tokens or prototypes around it; -1 beyond the sequence
    before : int, places of ``context`` before the step of the jump itself
    names : tuple of str
    largest : int32 (M,), number of jumps in the largest hundredth
    tested : int32 (M,), types that occur often enough to be tested
    types : int32 (M, O), places in ``names`` of the types that are over-represented there, the least likely first
    type_counts : int32 (M, O, 3), of each type: its jumps in the largest hundredth, the sequences these are of, and its
        jumps in all
    type_p : float64 (M, O), probability of at least as many when the types of each sequence are shifted against its
        jumps, cyclically and by any number of steps, times Holm's factor
    guide : str
    """

    analysis: ClassVar[str] = "jumps"
    scope: str
    measures: tuple[str, ...]
    counted: Ints
    sequence_ids: tuple[str, ...]
    displayed: Ints
    lengths: Ints
    sequences: Ints
    steps: Ints
    values: Floats
    classes: Ints
    context: Ints
    before: int
    names: tuple[str, ...]
    largest: Ints
    tested: Ints
    types: Ints
    type_counts: Ints
    type_p: Doubles
    guide: str
