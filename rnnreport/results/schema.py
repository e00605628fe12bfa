"""What the analyses leave on disk, as frozen dataclasses; axes are named by the letters of ``recorded.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from rnnreport.results.recorded import FORMAT_VERSION, Doubles, Floats, Ints, Task

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
class Unavailable:
    """An analysis whose preconditions do not hold. The page prints the reason in its place."""

    analysis: str
    reason: str


@dataclass(frozen=True)
class Performance:
    """How good the model is on the probe set at the last recorded epoch, and along training.

    Attributes
    ----------
    metrics : dict of name to {"value", "low", "high", "n", "unit"}; low and high bound a 95% cluster bootstrap over
        sequences. Classification and tagging: accuracy, cross_entropy, majority_share. Language model: cross_entropy,
        perplexity, accuracy. Multi-label: exact_match, micro_f1, cross_entropy (per label), majority_share (of the
        most frequent set of labels). Regression: rmse, mae, r2, mean_rmse (of always predicting the mean), over all
        quantities.
    confusion : int32 (K, K), rows actual, columns predicted (classification, tagging); otherwise (0, 0)
    label_counts : int32 (K, 4), true positives, false positives, false negatives, true negatives of each label at
        probability 0.5 (multi-label); otherwise (0, 4)
    truth, output : float32 (I, K), targets and predictions of evenly spaced scored items (regression and
        step-regression); otherwise (0, 0)
    class_names : tuple of str, length K
    history_names : tuple of str: the metrics of metrics.jsonl
    history_epochs : int32 (E,)
    history : float64 (len(history_names), E), NaN where an epoch lacks the metric
    guide : str
    """

    analysis: ClassVar[str] = "performance"
    metrics: dict[str, dict[str, Any]]
    confusion: Ints
    label_counts: Ints
    truth: Floats
    output: Floats
    class_names: tuple[str, ...]
    history_names: tuple[str, ...]
    history_epochs: Ints
    history: Doubles
    guide: str


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
    standard_error : float32 (W, H), of the response, by bootstrap over sequences; NaN for a word of fewer than two
        sequences; (0, 0) where the responses were streamed over a corpus
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


@dataclass(frozen=True)
class Sequences:
    """The displayed sequences, step by step. All other results index their P steps and Q sequences by this one.

    The sample is the sequences whose ids have the smallest hashes, until the step budget is reached, so that it is the
    same on every machine and for every run on the same probe set.

    Attributes
    ----------
    scope : str, the StateKey whose distances are given
    probe_index : int32 (Q,), place of each displayed sequence in the probe set, increasing
    sequence_ids : tuple of str, length Q
    lengths : int32 (Q,)
    labels : int32 (Q,); (0,) without labels
    predicted : int32 (Q,), the model's own prediction; (0,) unless classification
    confidence : float32 (Q,), its probability; (0,) likewise
    truths : float32 (Q, K) (multi-label, regression) or (P, K) (step-regression), as in ``Probe``; otherwise (0, 0)
    outputs : float32 (Q, K), the model's own output (multi-label, regression); otherwise (0, 0)
    tokens : int32 (P,), index into ``token_names``; (0,) for continuous input
    token_names : tuple of str, only the tokens that occur
    values : float32 (P, D); (0, 0) for tokens
    feature_names : tuple of str, length D
    class_names : tuple of str, length K
    epochs : int32 (E,), the epochs of ``step_output``, increasing, the last one recorded last
    step_output : float32 (E, P, K), expected prediction as in ``Checkpoint``; (0, 0, 0) where there is none
    targets : int32 (P,), tag of each step (tagging); otherwise (0,)
    surprisal : float32 (P,), nats, NaN where undefined (language model); otherwise (0,)
    top_tokens : int32 (P, 5), index into ``token_names`` (language model); otherwise (0, 5)
    top_probabilities : float32 (P, 5)
    distance : float32 (P,), ||h_(t+1) - h_t||, NaN at the last step of a sequence
    largest_distance : float, over all steps of the probe set (the normalisation of Garcia, Munz and Weiskopf)
    total_sequences, total_steps : int, of the probe set
    head : str
    guide : str
    """

    analysis: ClassVar[str] = "sequences"
    task: Task
    scope: str
    probe_index: Ints
    sequence_ids: tuple[str, ...]
    lengths: Ints
    labels: Ints
    predicted: Ints
    confidence: Floats
    truths: Floats
    outputs: Floats
    tokens: Ints
    token_names: tuple[str, ...]
    values: Floats
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    epochs: Ints
    step_output: Floats
    targets: Ints
    surprisal: Floats
    top_tokens: Ints
    top_probabilities: Floats
    distance: Floats
    largest_distance: float
    total_sequences: int
    total_steps: int
    head: str
    guide: str


@dataclass(frozen=True)
class GivenSentences(Sequences):
    """Sentences given by hand, laid out as the displayed sequences are; they have no answers and count nowhere.

    Attributes
    ----------
    written : tuple of str, length P: the tokens as written, which may be outside the vocabulary
    unknown : int32, the steps whose token is
    step_words : int32 (P,), as in ``Words``; (0,) where there are none
    activation : dict of str(StateKey) to float32 (P, H), the states after each step
    """

    analysis: ClassVar[str] = "sentences"
    written: tuple[str, ...]
    unknown: Ints
    step_words: Ints
    activation: dict[str, Floats]


@dataclass(frozen=True)
class ContinuationTrees:
    """How a language model goes on: the trees of ``Continuations`` with their tokens, M trees of J nodes in all.

    Attributes
    ----------
    sequence_ids : tuple of str, length M: the sequence whose beginning is the context
    context_tokens : tuple of M tuples of str
    contexts : int32 (J,), the tree of each node, increasing
    parents : int32 (J,), place of the parent among the nodes of the same tree; -1: it follows the context itself
    tokens : tuple of str, length J
    probabilities : float32 (J,), of the token, given the context and the path to it
    branching, depth, minimum : as in ``Continuations``
    guide : str
    """

    analysis: ClassVar[str] = "continuations"
    sequence_ids: tuple[str, ...]
    context_tokens: tuple[tuple[str, ...], ...]
    contexts: Ints
    parents: Ints
    tokens: tuple[str, ...]
    probabilities: Floats
    branching: int
    depth: int
    minimum: float
    guide: str


@dataclass(frozen=True)
class Dependence:
    """How strongly the state of a step depends on each step of the input, for M of the displayed sequences.

    Attributes
    ----------
    scope : str, the StateKey
    sequences : int32 (M,), places among the displayed sequences
    lengths : int32 (M,), steps of each that were looked at, from its beginning
    shares : float32 (sum of the squares of ``lengths``,): for each sequence, row by row, the norm of the derivative of
        the state after step t (row) by the input of step s (column), divided by the largest of the row; 0 in a row of 0
    largest : float32 (sum of ``lengths``,), the largest norm of each row
    guide : str
    """

    analysis: ClassVar[str] = "salience"
    scope: str
    sequences: Ints
    lengths: Ints
    shares: Floats
    largest: Floats
    guide: str


@dataclass(frozen=True)
class Projection:
    """Maps of the displayed states of the last epoch, and other states placed into them.

    Attributes
    ----------
    scope : str, a StateKey
    methods : tuple of str, length M, for example ("t-SNE, perplexity 30", "PCA")
    coordinates : float32 (M, P, 2), NaN for states that a method left out
    space_methods : tuple of str: those of the methods that also have a map in three dimensions
    space : float32 (len(space_methods), P, 3), likewise
    placed : dict of method to float32 (E, P, 2), of PCA (E, P, 3), its first two columns the plane: the states of each
        of ``placed_epochs`` at the same steps, then those of the baseline, if there is one
    placed_epochs : int32, increasing; the last epoch is the map itself and not among them
    strangeness : float32 (E,), how far placed states lie from the nearest mapped one, in units of the same distance
        among the mapped states; NaN where it is not defined
    baseline : str, whose states are the last ones placed, and how they were made comparable; "" without
    trust : dict of method to {"trustworthiness", "continuity", "shepard", "neighbours", "points", "disparity" of two
        seeds, "disparity_points" they were judged on, absent where all were}
    params : dict of method to its parameters, the seed and the number of states among them
    left_out : tuple of str, everything sampled or dropped, in words
    guide : str
    """

    analysis: ClassVar[str] = "projection"
    scope: str
    methods: tuple[str, ...]
    coordinates: Floats
    space_methods: tuple[str, ...]
    space: Floats
    placed: dict[str, Floats]
    placed_epochs: Ints
    strangeness: Floats
    baseline: str
    trust: dict[str, dict[str, Any]]
    params: dict[str, dict[str, Any]]
    left_out: tuple[str, ...]
    guide: str


@dataclass(frozen=True)
class Dynamics:
    """MM-PHATE of the training (Xie et al. 2024): one point per (epoch, step, unit), in C order of these axes.

    Attributes
    ----------
    scope : str, a StateKey
    epochs : int32 (E,), the epochs embedded
    steps : int32 (T,), 0-based time steps embedded
    units : int32 (H,), units embedded
    plane : float32 (E * T * H, 2), a two-dimensional solution of its own
    space : float32 (E * T * H, 3), centred, unit total variance
    entropy : float32 (100,), von Neumann entropy H(t), t = 1 ... 100
    active : int32 (E * T * H,), the class on whose sequences the unit is furthest from its mean; (0,) without classes
    params : dict: samples, t and t_near (lowest and highest t that fit the entropy nearly as well), sigma, entries,
        landmarks, components, alpha, knn values, gamma, seed, stress_plane, stress_space (share of the distances that
        the layout cannot show)
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
    entropy: Floats
    active: Ints
    params: dict[str, Any]
    left_out: tuple[str, ...]
    guide: str


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
class Formation:
    """How the representation formed, epoch by epoch, on the nodes of ``Dynamics``.

    Arrays whose first axis is 2 hold the value in the picture (its three dimensions) and the value in the activity
    itself, both centred and scaled to a total variance of 1. NaN where a value is not defined.

    Attributes
    ----------
    scope : str, a StateKey
    epochs, steps, units : as in ``Dynamics``
    within_step : float32 (2, E, T), entropy in nats over the units of one step
    within_unit : float32 (2, E, H), entropy in nats over the steps of one unit
    alignment : float32 (2, E), mean cosine between successive moves of the mean unit along the steps
    change : float32 (2, E), mean distance of the nodes from their places at the embedded epoch before
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


@dataclass(frozen=True)
class Comparison:
    """Two or more runs on the same probe set; the first is the baseline.

    Attributes
    ----------
    runs : tuple of str, length R, their titles
    cells : tuple of str, length R, for example "LSTM 1 x 32"
    scopes : tuple of str, length R, the StateKey compared
    metric_names : tuple of str
    metrics : float64 (R, len(metric_names), 3): value, low, high (95%)
    paired : tuple of dict, one per run after the first: "run", "baseline", "metric", "difference", "low", "high",
        "n", "significant"; for classification and multi-label also "only_baseline_right", "only_run_right", "p_value"
        (exact McNemar)
    sequence_ids : tuple of str, length N
    labels : int32 (N,); (0,) without labels
    predicted : int32 (R, N); (0, 0) unless classification
    confidence : float32 (R, N); likewise
    class_names : tuple of str
    similarity : float64 (R, R), linear CKA of the states at the last epoch over all steps
    epochs : int32 (E,), epochs recorded by every run
    similarity_by_epoch : float64 (R, E), linear CKA with the baseline at the same epoch
    history : tuple of dict, per run: metric name to list of [epoch, value]
    guide : str
    """

    analysis: ClassVar[str] = "comparison"
    runs: tuple[str, ...]
    cells: tuple[str, ...]
    scopes: tuple[str, ...]
    metric_names: tuple[str, ...]
    metrics: Doubles
    paired: tuple[dict[str, Any], ...]
    sequence_ids: tuple[str, ...]
    labels: Ints
    predicted: Ints
    confidence: Floats
    class_names: tuple[str, ...]
    similarity: Doubles
    epochs: Ints
    similarity_by_epoch: Doubles
    history: tuple[dict[str, Any], ...]
    guide: str


@dataclass(frozen=True)
class Check:
    """One declared rule and its outcome. ``verdict`` is "pass", "warn", "fail" or "no data"."""

    id: str
    title: str
    verdict: str
    value: float | None
    threshold: float | None
    n: int
    anchor: str
    text: str


@dataclass(frozen=True)
class Summary:
    """``summary.json``: the report for machines, and the head of the page.

    ``findings`` are plain sentences with the anchor of the figure that shows each.
    """

    run: str
    task: Task
    verdict: str
    model: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    checks: tuple[Check, ...]
    findings: tuple[dict[str, str], ...] = field(default_factory=tuple)
    format_version: int = FORMAT_VERSION
