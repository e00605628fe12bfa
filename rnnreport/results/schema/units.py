"""What units respond to, and how they group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Floats, Ints

# How a response becomes the weight of the edge between a word and a unit, and what that is called on the page.
WEIGHTINGS = {
    "raw": "signed (raw)",
    "positive": "rises only",
    "negative": "falls only",
    "abs": "size only",
    "split": "rises and falls apart",
    "scaled": "signed, every unit to one scale",
}


@dataclass(frozen=True)
class Words:
    """The words whose responses are analysed: frequent tokens, or prototypes of a continuous input.

    Attributes
    ----------
    names : tuple of str, length W, most frequent first
    counts : int32 (W,), occurrences in the probe set
    tokens : int32 (W,), vocabulary ids; (0,) for prototypes
    shapes : float32 (W, D), prototype vectors in input units; (0, 0) for tokens
    step_words : int32 (P,), the word of each displayed step, -1 where it is none of these
    tags : int32 (W,), the tag that most occurrences of the word carry, an index into ``tag_names``; (0,) without tags
    tag_share : float32 (W,), the share of its occurrences that carry it
    tag_names : tuple of str
    unseen : int, tokens of the vocabulary left out because they are rarer than the W shown
    guide : str
    """

    analysis: ClassVar[str] = "words"
    names: tuple[str, ...]
    counts: Ints
    tokens: Ints
    shapes: Floats
    step_words: Ints
    tags: Ints
    tag_share: Floats
    tag_names: tuple[str, ...]
    unseen: int
    guide: str


@dataclass(frozen=True)
class Units:
    """Expected responses of units to words and their co-clusters, for one state (RNNVis, Ming et al. 2017).

    Attributes
    ----------
    scope : str, a StateKey
    response : float32 (W, H), mean change of the unit over the word's occurrences
    bands : float32 (4, W, H), 9th, 25th, 75th and 91st percentile over the occurrences
    standard_error : float32 (W, H), of the response, by bootstrap over sequences, or where the responses were streamed
        over a corpus by the formula of ``CorpusResponses``; NaN for a word of fewer than two sequences
    epochs : int32 (E,), evenly spaced recorded epochs, the last one last
    response_by_epoch : float32 (E, W, H), the response at each of these epochs
    explained : float32 (H,), share of the variance of a unit's change that word identity explains
    kept_rate : float32 (4,), mean, 10th, 50th and 90th percentile over steps of the kept rate of the whole layer
    modes : tuple of str, length M, of ``WEIGHTINGS``
    ks : int32 (k,), numbers of clusters computed
    word_labels : int32 (M, k, W), co-cluster of each word, -1 unassigned (a word without weight in that mode)
    unit_labels : int32 (M, k, H), co-cluster of each unit, -1 unassigned; all of one (mode, k) are -1 where the
        responses cannot be divided into that many in that mode
    links : float32 (M, k, kmax, kmax), mean response of the units of a unit cluster (last axis) to the words of a word
        cluster (the axis before), signed; NaN where a side is empty or beyond that k (kmax = largest of ``ks``)
    association : float32 (M, k, W), mean response of the units of the word's own co-cluster to the word, signed; 0
        where the word or the units of its cluster are unassigned
    kept_by_cluster : float32 (M, k, kmax), mean kept rate of the units of a cluster on the probe set; NaN where empty
    stability : float32 (M, k), mean adjusted Rand index between seeds, words and units together; NaN where undivided
    cut : float32 (M, k), normalised cut per cluster of the shown solution, lower is better, not comparable between
        modes; NaN where undivided
    default_mode, default_k : str and int, the most stable solution
    activation : float32 (P, H), the state at each displayed step
    guide : str
    """

    analysis: ClassVar[str] = "units"
    scope: str
    response: Floats
    bands: Floats
    standard_error: Floats
    epochs: Ints
    response_by_epoch: Floats
    explained: Floats
    kept_rate: Floats
    modes: tuple[str, ...]
    ks: Ints
    word_labels: Ints
    unit_labels: Ints
    links: Floats
    association: Floats
    kept_by_cluster: Floats
    stability: Floats
    cut: Floats
    default_mode: str
    default_k: int
    activation: Floats
    params: dict[str, Any]
    guide: str


@dataclass(frozen=True)
class UnitMap:
    """The units of one state as points: units that behave alike over the steps lie close together.

    Attributes
    ----------
    scope : str, a StateKey
    coordinates : float32 (H, 2), t-SNE of the standardised activity of the units at sampled steps
    trust : dict of "trustworthiness", "continuity", "neighbours" and "points", as in ``Projection``
    params : dict: steps, components, perplexity, seed, library
    guide : str
    """

    analysis: ClassVar[str] = "unit_map"
    scope: str
    coordinates: Floats
    trust: dict[str, float]
    params: dict[str, Any]
    guide: str
