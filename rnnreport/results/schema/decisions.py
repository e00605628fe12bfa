"""When the predictions of whole sequences settle, how sure they are by then, and how far that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Doubles, Ints


@dataclass(frozen=True)
class Decisions:
    """The decision timeline of M sequences: those of at least two steps with an expected prediction at every step.

    A relative time r of a sequence of T steps is the step ceil(r T): every sequence counts once at each of the R times.
    Intervals are 95% of a cluster bootstrap over sequences, [value, low, high], NaN where there is one sequence.

    Attributes
    ----------
    sequences : int32 (M,), places in the probe set, increasing
    decided : int32 (M,), the step, counted from 1, from which the prediction is the one at the end and stays it
    flips : int32 (M,), how often the prediction changes from one step to the next
    right : int32 (M,), 1 where the prediction at the end is right, else 0; (0,) without labels
    groups : tuple of str, length G: "all", "right" and "wrong" (with labels), then classes, the most frequent ones
    classes : int32 (G,), the class of a group; -1 of the others
    by : str, which class is meant: "true" or "predicted"; "" where there are no classes (several labels)
    sizes : int32 (G,), sequences
    halfway : float64 (G, 3), share of the steps read when half of the sequences are decided, and its interval
    halfway_step : float64 (G, 3), the step, counted from 1, at which half of the sequences are decided, likewise
    early : float64 (G, 3), share of the sequences decided within the first quarter of their steps, and its interval
    decided_counts : int32 (G, 10), sequences decided in each tenth of their steps, upper ends included
    flip_counts : int32 (G, F), sequences with 0, 1, ... flips; the last column holds F - 1 or more
    times : float64 (R,), relative times, increasing, the last is 1
    margin : float64 (G, R, 3), mean margin and its interval. Of classes: the probability of the class predicted at the
        end less the largest other one; of labels: over all labels the least 2 p - 1, where the label is given at the
        end, or 1 - 2 p, where it is not. Negative where the prediction is not yet the one at the end
    error : float64 (R, 2), expected calibration error, and what 95% of perfectly calibrated models of the same
        confidences stay below; (0, 2) without labels
    reliability : float64 (R, 10, 5), for each tenth of confidence, upper end included: mean confidence, share right,
        predictions, and the bounds of 95% of such models' shares; NaN where there is no prediction; (0, 10, 5) likewise
    left_out : str, which sequences of the probe set are not counted, and why; "" where all are
    guide : str
    """

    analysis: ClassVar[str] = "decisions"
    sequences: Ints
    decided: Ints
    flips: Ints
    right: Ints
    groups: tuple[str, ...]
    classes: Ints
    by: str
    sizes: Ints
    halfway: Doubles
    halfway_step: Doubles
    early: Doubles
    decided_counts: Ints
    flip_counts: Ints
    times: Doubles
    margin: Doubles
    error: Doubles
    reliability: Doubles
    left_out: str
    guide: str
