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
    alone : float64 (U,), rise of the loss where the unit was held alone, otherwise NaN
    metric : "accuracy", "exact match", "R²" or "loss" (nats)
    whole, constant : float64 (3,), score with no unit held and with all of them
    sizes : int32 (J,), units held
    most, least : float64 (J, 3), score with so many of the most and of the least important ones held
    random : float64 (J, 3), mean, lowest and highest of random orders
    enough : float64 (3,), units that keep 90 % of what all of them bring when the others are held; NaN where they bring
        nothing beyond doubt
    needed : float64 (3,), units without which 90 % of it is lost, likewise
    readout : float32 (U,), norm of the weights by which the output reads the unit, NaN where it does not
    agreement : float64 (4,), rank correlation of ``alone`` and ``readout``, low, high, and number of units
    sequences, judged, items : int, sequences that ranked the units, those of the scores of sets, and scored items
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
    alone: Doubles
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
    items: int
    finding: str
    guide: str
