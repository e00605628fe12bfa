"""How long the network remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Doubles, Floats


@dataclass(frozen=True)
class Memory:
    """Four estimates of how many steps the network remembers; infinite where no end is seen, NaN where undefined.

    Attributes
    ----------
    scope : str, the StateKey that the curves are of
    curves : dict of "state", "output" and "gradient", as far as they are there, to float64 (J, 5): steps back, effect
        of the input of that step as a share of the largest, low, high (95 %), and number of sequences
    horizons : dict of the same names to float64 (3,): the most steps back from which the effect is still at least 1/e
        of the largest, low, high; where it is the last of the curve, the true one may be longer
    gate_times : dict of StateKey of a layer's hidden state to float32 (H,): -1 / ln of the mean of the gate that keeps
        the unit's old state (f of an LSTM, z of a GRU), in steps
    gate_medians : dict likewise to float64 (3,), median over the units, low, high
    decay_times : dict of StateKey to float32 (H,): steps after which the autocorrelation of the unit is below 1/e
    decay_medians : dict likewise to float64 (3,)
    longest : int, most steps back at which autocorrelation was looked at
    lengths : float64 (3,), 10th, 50th and 90th percentile of the lengths of the sequences
    finding : str
    guide : str
    """

    analysis: ClassVar[str] = "memory"
    scope: str
    curves: dict[str, Doubles]
    horizons: dict[str, Doubles]
    gate_times: dict[str, Floats]
    gate_medians: dict[str, Doubles]
    decay_times: dict[str, Floats]
    decay_medians: dict[str, Doubles]
    longest: int
    lengths: Doubles
    finding: str
    guide: str
