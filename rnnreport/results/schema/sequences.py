"""The displayed sequences, step by step, and what belongs to their steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Floats, Ints, Task


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
    targets : int32 (P,), tag of each step (tagging); the token that came next, index into ``token_names``, -1 where
        there is none (language model; (0,) of a run analysed before this was kept); otherwise (0,)
    surprisal : float32 (P,), nats, NaN where undefined (language model); otherwise (0,)
    top_tokens : int32 (P, 5), index into ``token_names``, -1 beyond the vocabulary (language model); otherwise (0, 5)
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
class GivenDependence(Dependence):
    """Likewise of the sentences given by hand; ``sequences`` are their places among these."""

    analysis: ClassVar[str] = "salience-given"


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
class GivenPlaces:
    """Where the states of the sentences given by hand lie in the maps of ``Projection``, into which they were placed.

    Attributes
    ----------
    scope : str, a StateKey
    placed : dict of method to float32 (P, 2), of PCA (P, 3), its first two columns the plane; P steps of the sentences
    strangeness : float, as in ``Projection``
    """

    analysis: ClassVar[str] = "projection-given"
    scope: str
    placed: dict[str, Floats]
    strangeness: float
