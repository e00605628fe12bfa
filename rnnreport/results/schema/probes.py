"""What can be read from the state while the training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Floats, Ints


@dataclass(frozen=True)
class Probes:
    """How well what the model is made to answer can be read from the state, on the axes of ``Dynamics``.

    Attributes
    ----------
    scope : str, a StateKey
    epochs, steps : as in ``Dynamics``
    accuracy : float32 (E, T), share of the sequences whose class a linear probe names that was fitted on others; of a
        quantity R² of what it says of others
    control : float32 (E, T), the same with classes shuffled between the sequences, mean over the shuffles
    mean : float32 (3, E), mean of ``accuracy`` over the steps, and the ends of its 95 % interval over sequences
    information : float32 (E, T), bits that the leading directions of the state hold about the class, less the mean of
        the same estimate with shuffled classes, which hold none
    noise : float32 (E,), the mean over the steps that one shuffle in twenty exceeds, likewise less that mean
    most_frequent : float32 (T,), share of the most frequent class at the step; of a quantity 0, the R² of its mean
    entropy : float, bits of the classes (of a quantity, its fifths) at the last step: what there is to know
    what : str, "class", "tag", "next token", a label or a quantity
    measure : str, "share" or "R²": the unit of ``accuracy``, ``control`` and ``mean``
    sequences, classes : int
    finding : str
    params : dict: folds, ridge, shuffles, informed (sequences of the information), neighbours, dimensions, seed,
        resamples
    guide : str
    """

    analysis: ClassVar[str] = "probes"
    scope: str
    epochs: Ints
    steps: Ints
    accuracy: Floats
    control: Floats
    mean: Floats
    information: Floats
    noise: Floats
    most_frequent: Floats
    entropy: float
    what: str
    measure: str
    sequences: int
    classes: int
    finding: str
    params: dict[str, Any]
    guide: str


@dataclass(frozen=True)
class LeftOutSteps:
    """What a network loses when it reads sequences without a stretch of steps, at the last epoch.

    NaN where no answer is left that a stretch could change.

    Attributes
    ----------
    edges : int32 (B + 1,), stretch b is the 0-based steps from ``edges[b]`` to before ``edges[b + 1]``
    metric : str, "accuracy", "exact match" of several labels, or "R²" of quantities
    drop : float32 (3, B), the metric of the whole sequences less that without the stretch, and the ends of its 95 %
        interval over sequences
    surprise : float32 (3, B), likewise by how much the mean cross entropy rises, nats; (3, 0) of quantities
    score : float, the metric of the same whole sequences, in the answers after the first stretch
    sequences : int
    answers : int, scored without the first stretch
    finding : str
    guide : str
    """

    analysis: ClassVar[str] = "left_out_steps"
    edges: Ints
    metric: str
    drop: Floats
    surprise: Floats
    score: float
    sequences: int
    answers: int
    finding: str
    guide: str
