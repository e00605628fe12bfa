"""What can be read from the states, over time and layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class Readable:
    """How well linear probes read Q properties from L states at T relative times, by classes of each property.

    Attributes
    ----------
    states : tuple of str, length L, StateKeys
    properties : tuple of str, length Q, what is read
    classes : int32 (Q,), that it is divided into
    times : float64 (T,), relative times from 0 to 1, each the middle of a stretch of the sequences
    accuracy : float32 (L, Q, 1 + T), share of held-out steps read rightly; first anywhere in the sequences, then by
        time; NaN where a property is not asked for or cannot be
    control : float32 (L, Q, 1 + T), the same with the labels permuted between the sequences, mean of several
    low, high : float32 (L, Q, 1 + T), 95 % interval of the difference of the two, over sequences
    frequent : float32 (Q, 1 + T), what naming the most frequent class would reach
    steps, sequences : int32 (Q, 1 + T), looked at
    finding : str
    params : dict: folds, ridge, shuffles, dimensions, steps_each
    guide : str
    """

    analysis: ClassVar[str] = "readable"
    states: tuple[str, ...]
    properties: tuple[str, ...]
    classes: Ints
    times: Doubles
    accuracy: Floats
    control: Floats
    low: Floats
    high: Floats
    frequent: Floats
    steps: Ints
    sequences: Ints
    finding: str
    params: dict[str, Any]
    guide: str
