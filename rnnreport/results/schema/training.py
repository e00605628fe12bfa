"""How the representation formed during training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Floats, Ints


@dataclass(frozen=True)
class Dynamics:
    """MM-PHATE of the training (Xie et al. 2024): one point per (epoch, step, unit), in C order of these axes.

    Attributes
    ----------
    scope : str, the StateKey that is shown first; units of the other layers and directions are embedded with its own
    epochs : int32 (E,), the epochs embedded
    steps : int32 (T,), 0-based time steps embedded
    units : int32 (H,), units embedded, each counted within its own state; ``NodeStates`` tells which that is
    plane : float32 (E * T * H, 2), a two-dimensional solution of its own
    space : float32 (E * T * H, 3), centred, unit total variance
    active : int32 (E * T * H,), the class on whose sequences the unit is furthest from its mean; (0,) without classes
    params : dict: alpha, gamma, seed, engine
    outcome : dict: samples, nodes, entries, t and t_near (lowest and highest t that fit the entropy nearly as well),
        landmarks, components, stress_plane and stress_space (share of the distances that the layout cannot show),
        sigma, intraslice_knn and interslice_knn (the neighbours that the bandwidths were measured by), device (that
        computed it)
    left_out : tuple of str, every subsampling of epochs, steps, units and samples in words
    guide : str
    """

    analysis: ClassVar[str] = "dynamics"
    scope: str
    epochs: Ints
    steps: Ints
    units: Ints
    plane: Floats
    space: Floats
    active: Ints
    params: dict[str, Any]
    outcome: dict[str, Any]
    left_out: tuple[str, ...]
    guide: str


@dataclass(frozen=True)
class NodeStates:
    """Which states the units of ``Dynamics`` are of: those of one kind (h, or c), of all layers and directions.

    Attributes
    ----------
    states : tuple of str, StateKeys in the order in which the input passes them
    of_unit : int32 (H,), place in ``states`` of every embedded unit, increasing; ``Dynamics.units`` counts within it
    """

    analysis: ClassVar[str] = "node_states"
    states: tuple[str, ...]
    of_unit: Ints


@dataclass(frozen=True)
class Pictures:
    """The nodes of some epochs of ``Dynamics`` by several methods, all from the same standardised activity.

    Attributes
    ----------
    scope : str, a StateKey
    methods : tuple of str, length M, MM-PHATE first
    places : int32 (n,), which nodes of ``Dynamics``
    coordinates : float32 (M, n, 2)
    kept : tuple of M dicts: "within_unit" and "within_step", share of the "neighbours" nearest nodes of the same unit
        or of the same step that the picture keeps, None where there are no more than these; "trustworthiness",
        "continuity", "points", as in ``Projection``
    left_out : dict of method to the reason why it is not shown
    params : dict: nodes, epochs, neighbours, perplexity, isomap_neighbours, seed
    guide : str
    """

    analysis: ClassVar[str] = "pictures"
    scope: str
    methods: tuple[str, ...]
    places: Ints
    coordinates: Floats
    kept: tuple[dict[str, Any], ...]
    left_out: dict[str, str]
    params: dict[str, Any]
    guide: str


@dataclass(frozen=True)
class RawPictures(Pictures):
    """As ``Pictures``, from the activity as it is: centred but not standardised, and without MM-PHATE.

    "trustworthiness" and "continuity" are against that activity; the kept neighbours are those of the standardised one,
    so that they can be compared with those of ``Pictures``.
    """

    analysis: ClassVar[str] = "raw_pictures"


@dataclass(frozen=True)
class ActiveWords:
    """To which words, or prototypes, the nodes of ``Dynamics`` answer most: those that the sequences read at the step.

    Attributes
    ----------
    scope : str, a StateKey
    words : int32 (E * T * H, 3), the words at which the unit is furthest from its mean over the sequences, the furthest
        first; indices into ``Words``, -1 where fewer than three words are read by three of them at this step
    groups : int32 (E * T * H,), likewise the group of words; -1 where there is none
    word_groups : int32 (W,), the group of each word, its co-cluster at the default number of clusters; -1: none
    """

    analysis: ClassVar[str] = "active_words"
    scope: str
    words: Ints
    groups: Ints
    word_groups: Ints


@dataclass(frozen=True)
class Formation:
    """How the representation of one state formed, epoch by epoch, on its nodes of ``Dynamics``.

    Arrays whose first axis is 2 hold the value in the picture (its three dimensions) and the value in the activity
    itself, both centred and scaled to a total variance of 1. NaN where a value is not defined, as in the picture of a
    state of another kind than those of ``NodeStates``.

    Attributes
    ----------
    scope : str, a StateKey
    epochs, steps : as in ``Dynamics``
    units : int32 (H,), places within the state; as in ``Dynamics`` where it is embedded
    within_step : float32 (2, E, T), entropy in nats over the units of one step
    within_unit : float32 (2, E, H), entropy in nats over the steps of one unit
    alignment : float32 (2, E), mean cosine between successive moves of the mean unit along the steps
    change : float32 (2, E), mean distance of the nodes from their places at the embedded epoch before, for each of the
        epochs between them
    purity : float32 (2, E), share of a unit's nearest units of the same step that are in its co-cluster
    chance : float, the purity of random neighbours; None without co-clusters
    similarity : float32 (E,), linear CKA of the states with those of the last epoch
    participation : float32 (E,), participation ratio of the states: how many directions carry their variance
    settled : dict: "epoch" from which on the similarity stays at least "similarity", "low" and "high" of its 95 %
        interval over "resamples" of the "sequences"
    jumps : tuple of dict, largest first: "epoch" at which the activity changed by far more than usual since "after",
        and "support", the share of resamples that find it
    flagged : dict of "purity" and "alignment" to the epochs where their two values differ by more than
        ``params["gap"]``
    finding : str, the turning points and the flagged epochs in plain words
    params : dict: estimator, entropy_neighbours, dimensions, purity_neighbours, jump, support, gap, seed
    guide : str
    """

    analysis: ClassVar[str] = "formation"
    scope: str
    epochs: Ints
    steps: Ints
    units: Ints
    within_step: Floats
    within_unit: Floats
    alignment: Floats
    change: Floats
    purity: Floats
    chance: float | None
    similarity: Floats
    participation: Floats
    settled: dict[str, Any]
    jumps: tuple[dict[str, Any], ...]
    flagged: dict[str, tuple[int, ...]]
    finding: str
    params: dict[str, Any]
    guide: str
