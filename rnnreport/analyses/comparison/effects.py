"""What each word does to the state and to the prediction in every run, and where the runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.analyses.significance import clustered_means, holm, summed
from rnnreport.analyses.words import WordParams, find_words
from rnnreport.formulas import changes
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Doubles
from rnnreport.results.schema import Effects, Unavailable

_GUIDE = (
    "The effect of an input is how much the prediction moves on average when it arrives, in log-odds of a class or "
    "label or in the unit of the quantity; the jump is how far the state moves, in units of the run's mean step. Runs "
    "are compared over the same occurrences; intervals rest on the spread between sequences, and p-values are "
    "corrected for the number of inputs and outputs (Holm). The prediction before the end of a sequence is the head "
    "applied to a state it may never have been trained on."
)
_SMALLEST = 1e-6  # a probability closer to 0 or 1 counts as this close


@dataclass(frozen=True)
class EffectParams:
    """Fewest occurrences, inside a sequence, of a word that is compared, fewest sequences with it; the intervals."""

    words: WordParams = field(default_factory=WordParams)
    fewest: int = 10
    fewest_sequences: int = 5
    coverage: float = 0.95


def word_effects(runs: Sequence[Read], params: EffectParams) -> Effects | Unavailable:
    """The mean effect and jump at every word, in each run and as a paired difference to the first.

    Parameters
    ----------
    runs : at least two, on one probe set
    params : EffectParams
    """
    probe = runs[0].probe
    words = find_words(probe, display_sample(probe, SampleParams()), params.words)
    if isinstance(words, Unavailable):
        return Unavailable(Effects.analysis, words.reason)
    names, step_words = words[0].names, words[1]
    moves = np.stack([_moves(run) for run in runs])  # (R, S, K)
    jumps = np.stack([_jumps(run) for run in runs])[:, :, None]
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    usable = np.asarray(np.isfinite(moves).all(axis=(0, 2)) & np.isfinite(jumps).all(axis=(0, 2)))
    usable[probe.offsets[:-1]] = False  # nothing is known of the prediction before the first step
    places = [np.flatnonzero((step_words == word) & usable) for word in range(len(names))]
    kept = [
        word
        for word, at in enumerate(places)
        if at.size >= params.fewest and np.unique(owners[at]).size >= params.fewest_sequences
    ]
    if not kept:
        return Unavailable(
            Effects.analysis, f"no input occurs {params.fewest} times after the first step of a sequence"
        )
    both = np.concatenate([moves, jumps], axis=2)
    table = [_at_word(both[:, places[word]], owners[places[word]]) for word in kept]
    own, apart = (
        np.stack([line[part] for line in table], axis=2) for part in (0, 1)
    )  # (5, R, W, K + 1), (4, R - 1, ...)
    adjusted = np.stack([_adjusted(one) for one in apart[3]])
    certain = own[1] * own[2] > 0  # the interval leaves 0 out
    turned = certain[0] & certain[1:] & (np.sign(own[0][0]) != np.sign(own[0][1:])) & (adjusted < 1 - params.coverage)
    return Effects(
        words=tuple(names[word] for word in kept),
        counts=np.array([places[word].size for word in kept], np.int32),
        left_out=len(names) - len(kept),
        outputs=_outputs(runs[0]),
        unit="quantity" if probe.task in NUMERIC else "log-odds",
        effect=own[0, :, :, :-1].astype(np.float32),
        low=own[1, :, :, :-1].astype(np.float32),
        high=own[2, :, :, :-1].astype(np.float32),
        spread=own[3, :, :, :-1].astype(np.float32),
        jump=own[0, :, :, -1].astype(np.float32),
        difference=apart[0].astype(np.float32),
        difference_low=apart[1].astype(np.float32),
        difference_high=apart[2].astype(np.float32),
        adjusted=adjusted.astype(np.float32),
        turned=turned[:, :, :-1].astype(np.uint8),
        guide=_GUIDE,
    )


def _outputs(run: Read) -> tuple[str, ...]:
    names = run.probe.class_names
    if run.probe.task not in PER_SEQUENCE or not run.last.step_output.size:
        return ()
    return names[1:] if run.probe.task == "classification" and len(names) == 2 else names


def _moves(run: Read) -> Doubles:
    """float64 (S, K): by how much each step moves each output; of two classes the second only, which mirrors the first.

    No columns where the answer belongs to each step: there a step adds to nothing.
    """
    steps, outputs = int(run.probe.lengths.sum()), _outputs(run)
    if not outputs:
        return np.zeros((steps, 0))
    found = run.last.step_output[:, -len(outputs) :].astype(np.float64)
    if run.probe.task not in NUMERIC:
        found = np.clip(found, _SMALLEST, 1 - _SMALLEST)
        found = np.log(found) - np.log1p(-found)
    moves = np.full(found.shape, np.nan)
    moves[1:] = found[1:] - found[:-1]
    return moves


def _jumps(run: Read) -> Doubles:
    """float64 (S,): how far each step moves the state, in units of the mean over all steps."""
    delta = changes(run.last.states[run.scope], run.probe.offsets)
    size = np.linalg.norm(delta.astype(np.float64), axis=1)
    mean = size.mean()
    return np.asarray(size / mean if mean > 0 else size)


def _at_word(values: Doubles, owners: NDArray[np.integer]) -> tuple[Doubles, Doubles]:
    """Of the occurrences of one word, float64 (R, n, M).

    Returns
    -------
    own : float64 (4, R, M), mean, low, high and standard deviation in each run
    apart : float64 (4, R - 1, M), mean, low, high and p-value of the paired difference to the first
    """
    _, sequence, sizes = np.unique(owners, return_inverse=True, return_counts=True)
    column = sizes[:, None].astype(np.float64)
    own = np.stack([clustered_means(summed(run, sequence, sizes.size), column)[:3] for run in values], axis=1)
    spread = values.std(axis=1, ddof=1)
    differences = [clustered_means(summed(run - values[0], sequence, sizes.size), column) for run in values[1:]]
    return np.concatenate([own, spread[None]]), np.stack(differences, axis=1)


def _adjusted(p_values: Doubles) -> Doubles:
    """Holm over the outputs of all words, and over their jumps, float64 (W, K + 1): two questions."""
    return np.hstack([holm(p_values[:, :-1]), holm(p_values[:, -1:])])
