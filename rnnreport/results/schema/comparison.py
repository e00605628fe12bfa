"""Runs side by side; the first one is the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles, Floats, Ints
from rnnreport.results.schema.summary import Unavailable


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
class Likeness:
    """How alike the states of R runs are, for the L states of the baseline in the order in which the input passes them.

    All at the last epoch of each run over ``steps`` steps of whole sequences, unless said otherwise; NaN where a run
    has no counterpart of a state, or it does not vary.

    Attributes
    ----------
    states : tuple of str, length L, StateKeys of the baseline
    counterparts : tuple of R tuples of str, the StateKeys compared with them, "" where there is none
    widths : int32 (R, L), units
    steps : int
    few_steps : bool, whether they are fewer than five times the units, so that all this says little
    cka : float64 (R, R, L), debiased linear CKA of all pairs of runs
    angle : float64 (R, R, L), Procrustes angle in radians, likewise
    neighbours : float64 (R, L), share of nearest neighbours, in other sequences, kept from the baseline
    neighbour_chance : float, the same for unrelated states, over ``neighbour_steps`` steps
    neighbour_steps : int
    matched : float64 (R, L), mean size of the correlations of units matched one to one with those of the baseline
    matched_chance : float64 (R, L), the same where the run is shifted in time
    same_place : float64 (R, L), share of the matched units whose match has the same number
    change : float64 (R, L), norm of the difference to the baseline, unit by unit, over the norm of its states
    dynamics : float64 (R, L), angle in radians between the linear dynamics and those of the baseline (DSA)
    dynamics_halves : float64 (L,), the same between two halves of the baseline's sequences
    epochs : int32 (E,), recorded by every run
    cka_by_epoch : float64 (2, R, L, E), debiased CKA and Procrustes angle with the baseline at the same epoch
    sequences : int32, places in the probe set of the sequences that the steps belong to
    plane : float32 (R, P, 2), the first state of each run in the plane of the baseline's first two principal components
    plane_steps : int32 (P,), places among the steps of the probe set
    plane_explained : float64 (2,), share of the variance of the baseline along each axis
    plane_left : float64 (R,), share of a run's variance that turning and scaling cannot bring onto the baseline
    guide : str
    """

    analysis: ClassVar[str] = "likeness"
    states: tuple[str, ...]
    counterparts: tuple[tuple[str, ...], ...]
    widths: Ints
    steps: int
    few_steps: bool
    cka: Doubles
    angle: Doubles
    neighbours: Doubles
    neighbour_chance: float
    neighbour_steps: int
    matched: Doubles
    matched_chance: Doubles
    same_place: Doubles
    change: Doubles
    dynamics: Doubles
    dynamics_halves: Doubles
    epochs: Ints
    cka_by_epoch: Doubles
    sequences: Ints
    plane: Floats
    plane_steps: Ints
    plane_explained: Doubles
    plane_left: Doubles
    guide: str


@dataclass(frozen=True)
class Slices:
    """Paired differences to the baseline in M groups of sequences: by class, by length, by a token they hold.

    Attributes
    ----------
    metric : str, "accuracy", "exact_match", "cross_entropy" or "mean_square_error"
    kinds : tuple of str, length M: "class", "length" or "token"
    names : tuple of str, length M
    sequences, items : int32 (M,), sequences in the group, and what is scored in them
    values : float64 (R, M), the metric of each run
    difference, low, high : float64 (R - 1, M), run less baseline, with its 95% interval by the spread between sequences
    p_value, adjusted : float64 (R - 1, M), exact McNemar where a sequence has one answer, else clustered t; by Holm
    only_baseline_right, only_run_right : int32 (R - 1, M), -1 where a sequence has more than one answer
    members : uint8 (M, N), whether a sequence belongs to the group
    guide : str
    """

    analysis: ClassVar[str] = "slices"
    metric: str
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    sequences: Ints
    items: Ints
    values: Doubles
    difference: Doubles
    low: Doubles
    high: Doubles
    p_value: Doubles
    adjusted: Doubles
    only_baseline_right: Ints
    only_run_right: Ints
    members: NDArray[np.uint8]
    guide: str


@dataclass(frozen=True)
class Effects:
    """What W words do in every run, over the same occurrences after the first step of a sequence.

    Attributes
    ----------
    words : tuple of str, length W, frequent tokens or prototypes, most frequent first
    counts : int32 (W,), occurrences looked at
    left_out : int, words that are too rare
    outputs : tuple of str, length K, classes, labels or quantities; () where answers belong to steps
    unit : str, "log-odds" or "quantity"
    effect, low, high, spread : float32 (R, W, K), mean change of the output at the word, its 95% interval by the spread
        between sequences, and the standard deviation over the occurrences
    jump : float32 (R, W), mean step of the state at the word, in units of the mean over all steps of the run
    difference, difference_low, difference_high : float32 (R - 1, W, K + 1), run less baseline of the effects and, last,
        of the jump
    adjusted : float32 (R - 1, W, K + 1), p-values by Holm, effects and jumps apart
    turned : uint8 (R - 1, W, K), whether both effects are certain, of opposite sign, and
        significantly different
    guide : str
    """

    analysis: ClassVar[str] = "effects"
    words: tuple[str, ...]
    counts: Ints
    left_out: int
    outputs: tuple[str, ...]
    unit: str
    effect: Floats
    low: Floats
    high: Floats
    spread: Floats
    jump: Floats
    difference: Floats
    difference_low: Floats
    difference_high: Floats
    adjusted: Floats
    turned: NDArray[np.uint8]
    guide: str


@dataclass(frozen=True)
class MatchedClusters:
    """Co-clusters of the first state of every run, paired with the baseline's by common words.

    Attributes
    ----------
    words : tuple of str, length W
    counts : int32 (W,)
    scopes : tuple of str, length R, StateKeys
    mode : str, of ``WEIGHTINGS``, the baseline's default
    ks : int32 (R,), numbers of clusters
    word_labels : int32 (R, W), -1 unassigned
    unit_labels : dict of run (its place as text) to int32 (H,)
    association : float32 (R, W), as in ``Units``
    partner : int32 (R, kmax), the baseline's cluster that a cluster is paired with, -1 for none
    overlap : float64 (R, kmax), Jaccard index of their words, NaN for none
    agreement : float64 (R,), adjusted Rand index of the words with the baseline
    response : dict of run to float32 (W, H), as in ``Units``
    kept_rate : float32 (R, 4), as in ``Units``
    guide : str
    """

    analysis: ClassVar[str] = "matched_clusters"
    words: tuple[str, ...]
    counts: Ints
    scopes: tuple[str, ...]
    mode: str
    ks: Ints
    word_labels: Ints
    unit_labels: dict[str, Ints]
    association: Floats
    partner: Ints
    overlap: Doubles
    agreement: Doubles
    response: dict[str, Floats]
    kept_rate: Floats
    guide: str


@dataclass(frozen=True)
class Confusions:
    """How often each run answers what, where every sequence, or every step, has one of K classes.

    Attributes
    ----------
    class_names : tuple of str, length K
    counts : int32 (R, K, K), rows true, columns predicted; items without a finite output are left out
    items : str, "sequences" or "steps"
    """

    analysis: ClassVar[str] = "confusions"
    class_names: tuple[str, ...]
    counts: Ints
    items: str


@dataclass(frozen=True)
class Changes:
    """What changed from the baseline to each run after it, and the noise floor by which it was judged.

    Attributes
    ----------
    seeds : int32, places of the runs whose spread is the noise floor, all of one configuration; (0,) with fewer than 3
    angle_bound : float64 (L,), what the Procrustes angle of two such runs rarely exceeds; NaN without a floor
    verdicts : tuple of str, of each run after the baseline: "identical", "no significant change" or "changed"
    found : tuple of dict of "run" and "sentences", a list of {"text", "anchor"}
    guide : str
    """

    analysis: ClassVar[str] = "changes"
    seeds: Ints
    angle_bound: Doubles
    verdicts: tuple[str, ...]
    found: tuple[dict[str, Any], ...]
    guide: str


@dataclass(frozen=True)
class MachineDiff:
    """The state machines of R runs; states of the baseline are named by its letters.

    Attributes
    ----------
    states : tuple of int, length R
    answers : tuple of dict, length R, name of a state in the letters of the baseline to what the run predicts in it
    fidelity : float64 (R, 3), stability : float64 (R,), as in ``Machine``
    agreement : float64 (R,), adjusted Rand index of the states of all steps with the baseline's
    steps, sequences : int, compared
    edges : tuple of dict: "run", "from" and "to" (names of states), "counts" (in the baseline, in the run) and "p" (by
        Holm), at most a few per run, the surest differences first, then the largest
    verdicts : tuple of str, of each run after the baseline: "the same machine" or "another machine"
    found : tuple of dict of "run" and "sentences", a list of str
    guide : str
    """

    analysis: ClassVar[str] = "machine_diff"
    states: tuple[int, ...]
    answers: tuple[dict[str, str], ...]
    fidelity: Doubles
    stability: Doubles
    agreement: Doubles
    steps: int
    sequences: int
    edges: tuple[dict[str, Any], ...]
    verdicts: tuple[str, ...]
    found: tuple[dict[str, Any], ...]
    guide: str


@dataclass(frozen=True)
class SideBySide:
    """All that is known of runs side by side; each part is stored by itself."""

    comparison: Comparison
    likeness: Likeness | Unavailable
    slices: Slices | Unavailable
    effects: Effects | Unavailable
    clusters: MatchedClusters | Unavailable
    changes: Changes | Unavailable
    machines: MachineDiff | Unavailable
    confusions: Confusions | Unavailable

    @property
    def records(self) -> tuple[Any, ...]:
        """The parts."""
        return (
            self.comparison,
            self.likeness,
            self.slices,
            self.effects,
            self.clusters,
            self.changes,
            self.machines,
            self.confusions,
        )
