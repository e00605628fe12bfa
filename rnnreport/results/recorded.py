"""What capture leaves on disk, as frozen dataclasses: probe set, manifest, checkpoints.

What the analyses make of them is in ``schema``.

N sequences of the probe set, S recorded steps in all (the sum of the N lengths: sequences are ragged and stored one
after the other, never padded), H units, E recorded epochs, V vocabulary, K classes, W words, D input features,
k clusters, P displayed steps, Q displayed sequences, R runs.

A dataclass is stored as ``NAME.npz`` (its array fields) and ``NAME.json`` (everything else); see ``store.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FORMAT_VERSION = 1

Task = Literal[
    "classification", "multi-label", "regression", "language-model", "tagging", "step-regression", "unlabelled"
]
PER_SEQUENCE: tuple[Task, ...] = ("classification", "multi-label", "regression")  # one answer for a whole sequence
PER_STEP: tuple[Task, ...] = ("tagging", "step-regression")  # an answer at each step, one number per output
NUMERIC: tuple[Task, ...] = ("regression", "step-regression")  # the outputs are quantities, not probabilities
_GATES = ("i", "f", "g", "o", "r", "z", "n")
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, order=True)
class StateKey:
    """Which vector of the network: module path, layer, direction and kind.

    ``kind`` is "h" (hidden state), "c" (cell state), a gate (LSTM "i", "f", "g", "o"; GRU "r", "z", "n") or the name of
    a state of another cell.
    """

    module: str
    layer: int
    direction: Literal["fwd", "rev"]
    kind: str

    def __str__(self) -> str:
        return f"{self.module}.{self.layer}.{self.direction}.{self.kind}"

    @property
    def title(self) -> str:
        """The key in words: "rnn, layer 1, hidden state h"."""
        kinds = {"h": "hidden", "c": "cell"}
        backward = ", backward" if self.direction == "rev" else ""
        kind = f"gate {self.kind}" if self.kind in _GATES else f"{kinds.get(self.kind, '')} state {self.kind}".strip()
        return f"{self.module}, layer {self.layer + 1}{backward}, {kind}"

    @classmethod
    def parse(cls, text: str) -> StateKey:
        """Read back what ``str`` wrote.

        Raises
        ------
        ValueError
            If the text is not ``module.layer.direction.kind``.
        """
        module, layer, direction, kind = text.rsplit(".", 3)
        if direction not in ("fwd", "rev"):
            raise ValueError(f"not a state key: {text!r}")
        return cls(module, int(layer), "fwd" if direction == "fwd" else "rev", kind)


@dataclass(frozen=True)
class Probe:
    """The fixed, hashed, ordered set of sequences on which states are recorded.

    Attributes
    ----------
    task : Task
    sequence_ids : tuple of str, length N
    lengths : int32 (N,), each at least 1
    tokens : int32 (S,), ids into ``vocabulary``; (0,) for continuous input
    values : float32 (S, D), continuous input as the model receives it; (0, 0) for tokens
    labels : int32 (N,), class of each sequence (classification); otherwise (0,)
    targets : int32 (S,), per step: the next token (language model, -1 where there is none), the tag (tagging);
        otherwise (0,)
    truths : float32, the right answers where they are not one class: (N, K) 0 or 1 (multi-label), (N, K) quantities
        (regression), (S, K) quantities, NaN where a step has none (step-regression); otherwise (0, 0)
    vocabulary : tuple of str, length V; () for continuous input
    class_names : tuple of str, length K: what the outputs are called: classes, labels, tags or predicted quantities;
        () for a language model
    feature_names : tuple of str, length D; () for tokens
    sampled_from : int, number of sequences in the corpus the probe set was drawn from
    """

    task: Task
    sequence_ids: tuple[str, ...]
    lengths: Ints
    tokens: Ints
    values: Floats
    labels: Ints
    targets: Ints
    truths: Floats
    vocabulary: tuple[str, ...]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    sampled_from: int

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """int64 (N + 1,): steps of sequence n are ``offsets[n]:offsets[n + 1]``."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    @property
    def continuous(self) -> bool:
        """Whether the input is a series of numbers rather than tokens."""
        return bool(self.values.shape[1] > 0)


@dataclass(frozen=True)
class Checkpoint:
    """Everything recorded on the probe set at one epoch.

    Attributes
    ----------
    epoch : int
    states : dict of str(StateKey) to float32 (S, H)
    step_output : float32 (S, K), expected prediction of each step: the head applied to its state, or the model run on
        the sequence up to it (NaN in sequences that were not sampled for that); or the model's own output at each step
        (tagging, step-regression). Probabilities of classes or labels, or quantities; (0, 0) where there is none
    model_output : float32 (N, K), the model's own output for each sequence (classification, multi-label, regression):
        probabilities or quantities; otherwise (0, 0)
    surprisal : float32 (S,), language model: -ln p(next token) in nats, NaN where there is no next token;
        otherwise (0,)
    top_tokens : int32 (S, 5), language model: the five most probable next tokens, best first; otherwise (0, 5)
    top_probabilities : float32 (S, 5), theirs; otherwise (0, 5)
    """

    epoch: int
    states: dict[str, Floats]
    step_output: Floats
    model_output: Floats
    surprisal: Floats
    top_tokens: Ints
    top_probabilities: Floats


@dataclass(frozen=True)
class Gates:
    """Gates of the last recorded epoch on the probe set.

    Attributes
    ----------
    epoch : int
    values : dict of str(StateKey) to float32 (S, H), of every LSTM layer and direction "i", "f", "g", "o", of every GRU
        "r", "z", "n"
    """

    epoch: int
    values: dict[str, Floats]


@dataclass(frozen=True)
class Continuations:
    """Trees of the most probable next tokens of a language model after a few contexts, at the last recorded epoch.

    A context is the beginning of a sequence of the probe set. Trees stand one after the other, M of them with J nodes
    in all, each level by level and, among the children of a node, the most probable first.

    Attributes
    ----------
    epoch : int
    sequences : int32 (M,), places in the probe set
    lengths : int32 (M,), tokens of each context
    contexts : int32 (J,), which context a node belongs to, increasing
    parents : int32 (J,), place of the parent among the nodes of the same tree; -1: it follows the context itself
    tokens : int32 (J,), ids into the vocabulary
    probabilities : float32 (J,), of the token, given the context and the path to it
    branching, depth : int, most children of a node and levels
    minimum : float, least probability of a whole path; the first level is always there
    """

    epoch: int
    sequences: Ints
    lengths: Ints
    contexts: Ints
    parents: Ints
    tokens: Ints
    probabilities: Floats
    branching: int
    depth: int
    minimum: float


@dataclass(frozen=True)
class Salience:
    """How strongly a state depends on every step of the input, for M sequences, at the last recorded epoch.

    Attributes
    ----------
    epoch : int
    scope : str, the StateKey
    sequences : int32 (M,), places in the probe set
    lengths : int32 (M,), steps of each that were looked at, from its beginning
    norms : float32 (sum of the squares of ``lengths``,): for each sequence, row by row, the Frobenius norm of the
        derivative of the state after step t (row) with respect to the embedding, or the values, of step s (column)
    directions, units : int, directions in which the state was differentiated, and its units; where they are fewer the
        norms are estimates
    reason : str, why there is none; "" otherwise
    """

    epoch: int
    scope: str
    sequences: Ints
    lengths: Ints
    norms: Floats
    directions: int
    units: int
    reason: str


@dataclass(frozen=True)
class Perturbation:
    """How far the last state and prediction move when one step of the input is replaced, for M sequences.

    Attributes
    ----------
    epoch : int, the last recorded one
    scope : str, the StateKey
    sequences : int32 (M,), places in the probe set
    lags : int32 (J,), increasing: the replaced step is so many before the last one
    state : float32 (M, J), Euclidean distance of the state after the last step from what it is without the change, mean
        over the replacements; NaN where a sequence has no such step
    output : float32 (M, J), likewise of the prediction after the last step as ``Checkpoint`` records it; (0, 0) where
        there is none
    reason : str, why there is none; "" otherwise
    """

    epoch: int
    scope: str
    sequences: Ints
    lags: Ints
    state: Floats
    output: Floats
    reason: str


@dataclass(frozen=True)
class Ablation:
    """What the answers about M sequences cost without a stretch of steps, at the last recorded epoch.

    Of a network that answers at each step, the answers of the steps after the stretch, or of all others where it reads
    both ways.

    Attributes
    ----------
    epoch : int
    sequences : int32 (M,), places in the probe set
    edges : int32 (B + 1,), stretch b is the steps from ``edges[b]`` to before ``edges[b + 1]``; every one of the
        sequences has all of them
    items : int32 (B, M), answers that are scored
    loss : float32 (2, B, M), their losses added up, of the whole sequences and without each stretch: nats, or square
        errors in units of the variance in the probe set; NaN from where the model cannot be run
    right : float32 (2, B, M), likewise how many of them are right; 0 of quantities
    reason : str, why there is nothing; "" otherwise
    """

    epoch: int
    sequences: Ints
    edges: Ints
    items: Ints
    loss: Floats
    right: Floats
    reason: str


@dataclass(frozen=True)
class PartsOfSpeech:
    """The part of speech of every step of the probe set, by a function of the user's.

    Attributes
    ----------
    tags : int32 (S,), places in ``names``
    names : tuple of str, sorted
    """

    tags: Ints
    names: tuple[str, ...]


@dataclass(frozen=True)
class Sentences:
    """Sentences given by hand. Beside them lie a ``Probe`` without answers and a ``Checkpoint`` of the last epoch.

    Attributes
    ----------
    written : tuple of tuples of str, their tokens as written; in the probe set unknown ones are the unknown token
    """

    written: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CorpusResponses:
    """Responses of one state, cell or gate over the whole corpus, streamed where the probe set is only a part of it.

    Of a gate its value takes the place of the change, and there is no kept rate (NaN).

    Attributes
    ----------
    scope : str, a StateKey
    tokens : int32 (W,), the most frequent tokens of the corpus, ids into the probe set's vocabulary
    counts : int32 (W,), their occurrences
    mean : float32 (W, H), mean change of the state over the occurrences
    bands : float32 (4, W, H), 9th, 25th, 75th and 91st percentile of at most ``sampled`` occurrences
    explained : float32 (H,), kept_rate : float32 (4,), as in ``Units``
    standard_error : float32 (W, H), of the mean, with whole sequences as what is independent; NaN for a word of fewer
        than two
    distinct : int, number of different tokens that occur
    sequences, steps : int, of the corpus
    sampled : int
    """

    scope: str
    tokens: Ints
    counts: Ints
    mean: Floats
    bands: Floats
    explained: Floats
    standard_error: Floats
    kept_rate: Floats
    distinct: int
    sequences: int
    steps: int
    sampled: int


@dataclass(frozen=True)
class Manifest:
    """``run.json``: what was run, on what, with which versions.

    Attributes
    ----------
    name : str, shown as the run's title
    task : Task
    model : dict with ``cell`` ("RNN", "GRU", "LSTM"), ``layers``, ``units`` (a text where they differ, "32, 16"),
        ``bidirectional``, ``parameters``, ``source`` (factory or "rnnreport demo"), ``weights_sha256`` ("" where there
        is none), and ``kept_epoch`` where the weights reported are not those of the last recorded epoch
    corpus : dict with ``name``, ``sequences``, ``steps``, ``sha256``, ``skipped`` (reason to count), ``unknown_tokens``
    probe_sha256 : str, hash of ids, inputs, labels and order; runs with equal hashes can be compared
    state_keys : tuple of str, every recorded state in order, the default one first
    head : str, one sentence: how the expected prediction was obtained, or why there is none
    seed : int
    versions : dict, package to version
    command : str
    format_version : int
    """

    name: str
    task: Task
    model: dict[str, Any]
    corpus: dict[str, Any]
    probe_sha256: str
    state_keys: tuple[str, ...]
    head: str
    seed: int
    versions: dict[str, str]
    command: str
    format_version: int = FORMAT_VERSION
