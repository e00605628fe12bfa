"""In what condition the units of a network are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints

# In the order in which a unit is tested: it counts once, under the first that applies.
FAULTS = ("non-finite", "dead", "constant", "saturated", "duplicate")


@dataclass(frozen=True)
class Health:
    """Condition of every recorded state at the last epoch, M states in all, and of the gates.

    Attributes
    ----------
    scopes : tuple of str, length M, the StateKeys in the order of the manifest
    widths : int32 (M,), units of each
    bounded : int32 (M,), 1 where the state stays within -1 and 1, so that units can saturate; otherwise 0
    steps : int, over all sequences of the probe set
    faults : tuple of dict, each unit of a state at most once: "scope", "unit", "kind" (of ``FAULTS``), "value" and
        "twin". The value is the share of steps that are not finite, the largest size of a dead unit, the mean of a
        constant one, the share of steps beyond the bound of a saturated one, the correlation of a duplicate with its
        twin, a unit of a lower number (otherwise -1)
    participation : float64 (M, 2), participation ratio of the finite units at the first and at the last recorded epoch;
        the first is NaN unless epoch 0 and a later one were recorded, both are where no unit moves
    directions : int32 (M,), principal components that hold 95 % of the variance at the last epoch; 0 where none moves
    gates : dict of str(StateKey) to float32 (2, H), for each sigmoid gate the share of steps at which a unit's gate is
        closed (below ``params["closed_below"]``) and open (above ``params["open_above"]``)
    params : dict, the thresholds
    guide : str
    """

    analysis: ClassVar[str] = "health"
    scopes: tuple[str, ...]
    widths: Ints
    bounded: Ints
    steps: int
    faults: tuple[dict[str, Any], ...]
    participation: Doubles
    directions: Ints
    gates: dict[str, Floats]
    params: dict[str, float]
    guide: str
