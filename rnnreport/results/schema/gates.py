"""When gates open and close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Floats, Ints


@dataclass(frozen=True)
class GateUse:
    """How G sigmoid gates move over the sequences and with the input, at the last epoch; a gate is all its units.

    Attributes
    ----------
    scopes : tuple of str, length G, StateKeys
    steps : int32 (T,), steps in each of T stretches of the sequences, equally long as shares of their lengths
    shares : float32 (G, 2, T), share of the values that are closed (below ``params["closed_below"]``), and open (above
        ``params["open_above"]``)
    overall : float32 (G,), mean over all steps and units
    words : int32 (G, 2, J), places in ``Words`` of those that open the gate most and of those that close it most, the
        strongest first, -1 where fewer do so significantly
    means, low, high : float32 (G, 2, J), mean of the gate at the word over units and occurrences, 95 % over sequences
    counts : int32 (G, 2, J), occurrences
    units : int32 (G, 2, J), the unit whose mean at the word differs most, in that direction, from its overall mean
    unit_means : float32 (G, 2, J), that mean
    tested : int, words of enough occurrences, which each gate was tested with
    finding : str
    params : dict: closed_below, open_above, fewest, fewest_sequences
    guide : str
    """

    analysis: ClassVar[str] = "gates"
    scopes: tuple[str, ...]
    steps: Ints
    shares: Floats
    overall: Floats
    words: Ints
    means: Floats
    low: Floats
    high: Floats
    counts: Ints
    units: Ints
    unit_means: Floats
    tested: int
    finding: str
    params: dict[str, Any]
    guide: str
