"""What the next update of MM-PHATE goes on from, while a training is watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of the last update, and where they were placed.

    Attributes
    ----------
    scope : str, a StateKey
    epochs : int32 (E,), the epochs embedded then
    steps, units : int32, as in ``Dynamics``
    sequences : int32 (samples,), places in the probe set
    of_unit : int32 (L,), place in ``units`` of the unit that a landmark belongs to
    centres : float32 (L, samples), standardised activity that it stands for
    plane : float64 (L, 2), its place before the scale is fixed
    space : float64 (L, 3)
    clustered : int, number of nodes when the centres were found; later updates keep them
    updates : int, how many updates have gone before
    """

    analysis: ClassVar[str] = "landmarks"
    scope: str
    epochs: Ints
    steps: Ints
    units: Ints
    sequences: Ints
    of_unit: Ints
    centres: Floats
    plane: Doubles
    space: Doubles
    clustered: int
    updates: int
