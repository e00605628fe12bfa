"""The states of other sequences that are most like a displayed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Floats, Ints


@dataclass(frozen=True)
class Similar:
    """For each displayed step, the nearest states that belong to other displayed sequences.

    Attributes
    ----------
    scope : str, the StateKey
    neighbours : int32 (P, k), displayed steps, nearest first, equally near ones in their order; -1 where there are no
        more, and of a state that is not finite
    distances : float32 (P, k), Euclidean, in the units of the state; NaN where there is no neighbour
    typical : float, median distance between two displayed states of different sequences
    pairs : int, randomly drawn pairs that it is the median of
    cosine_share : float, share of the neighbours that are also among the k nearest by the angle between the states
    compared : int, states that expect a class or tag, as does their nearest neighbour
    same_class : float, share of these that expect the same one; NaN where there are none
    chance : float, that share if neighbours were drawn: the sum of the squared shares of the classes
    guide : str
    """

    analysis: ClassVar[str] = "similar"
    scope: str
    neighbours: Ints
    distances: Floats
    typical: float
    pairs: int
    cosine_share: float
    compared: int
    same_class: float
    chance: float
    guide: str
