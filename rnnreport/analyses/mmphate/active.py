"""To which words the nodes answer: where a unit is furthest from its mean, what the sequences read at that step."""

from __future__ import annotations

import numpy as np

from rnnreport.analyses.mmphate.dynamics import Embedded
from rnnreport.analyses.mmphate.kernel import standardise
from rnnreport.results.recorded import Doubles, Ints, Probe
from rnnreport.results.schema import ActiveWords, Unavailable

_WORDS = 3  # per node
_FEWEST = 3  # sequences that read a word at the step


def active_words(embedded: Embedded, probe: Probe, step_words: Ints, word_groups: Ints) -> ActiveWords | Unavailable:
    """Find the words, and the group of words, at which each node is furthest from its mean.

    Parameters
    ----------
    embedded : Embedded
    probe : Probe
    step_words : int32 (S,), the word of every recorded step, -1 where it is none
    word_groups : int32 (W,), -1 for none

    Returns
    -------
    ActiveWords or Unavailable
        Unavailable where no word is read by three of the sampled sequences at the same step.
    """
    dynamics = embedded.dynamics
    away = np.abs(standardise(embedded.activity))  # (E, T, H, samples)
    epochs, steps, units, _ = away.shape
    read = step_words[probe.offsets[embedded.sequences][:, None] + dynamics.steps].T  # (T, samples)
    grouped = np.where(read >= 0, word_groups[read], -1)
    words, groups = np.full((epochs, steps, units, _WORDS), -1), np.full((epochs, steps, units, 1), -1)
    for t in range(steps):
        words[:, t] = _furthest(away[:, t], read[t], _WORDS)
        groups[:, t] = _furthest(away[:, t], grouped[t], 1)
    if (words < 0).all():
        reason = f"no input is read by {_FEWEST} of the {len(embedded.sequences)} sampled sequences at the same step"
        return Unavailable(ActiveWords.analysis, reason)
    return ActiveWords(
        scope=dynamics.scope,
        words=words.reshape(-1, _WORDS).astype(np.int32),
        groups=groups.ravel().astype(np.int32),
        word_groups=word_groups.astype(np.int32),
    )


def _furthest(away: Doubles, read: Ints, count: int) -> np.ndarray:
    """int64 (..., count): what is read by enough of the samples (last axis) and has the largest means; then -1."""
    present, readers = np.unique(read[read >= 0], return_counts=True)
    present = present[readers >= _FEWEST]
    found = np.full((*away.shape[:-1], count), -1)
    if present.size:
        means = np.stack([away[..., read == word].mean(axis=-1) for word in present], axis=-1)
        best = present[np.argsort(-means, axis=-1, kind="stable")[..., :count]]
        found[..., : best.shape[-1]] = best
    return found
