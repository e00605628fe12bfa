"""How a language model goes on after a few contexts, in words."""

from __future__ import annotations

import numpy as np

from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Continuations, Probe
from rnnreport.results.schema import ContinuationTrees, Unavailable

_GUIDE = (
    "Left to right: what the model says may follow, best first, each given all that stands before it. The wider a "
    "band, the more probable the whole path to it. At each fork only the {branching} most probable tokens are "
    "followed, and only paths of at least {minimum:.0%}, so the shares at a fork do not add up to 100%; point at a "
    "token to see how many go on otherwise. These are exact probabilities of the model, not samples of it, and say "
    "nothing about what is true."
)


def continuation_trees(folder: RunFolder, probe: Probe) -> ContinuationTrees | Unavailable:
    """The trees that capture left, with their tokens.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
        Of this folder.
    """
    if probe.task != "language-model":
        return Unavailable(ContinuationTrees.analysis, "the model does not predict the next token")
    found = folder.record(Continuations)
    if found is None:
        reason = "what may follow was not recorded: rnnreport run and rnnreport capture record it"
        return Unavailable(ContinuationTrees.analysis, reason)
    if not np.isfinite(found.probabilities).all():
        return Unavailable(ContinuationTrees.analysis, "some probabilities of the model are no numbers")
    starts = probe.offsets[found.sequences]
    return ContinuationTrees(
        sequence_ids=tuple(probe.sequence_ids[n] for n in found.sequences),
        context_tokens=tuple(
            tuple(probe.vocabulary[token] for token in probe.tokens[start : start + length])
            for start, length in zip(starts, found.lengths, strict=True)
        ),
        contexts=found.contexts,
        parents=found.parents,
        tokens=tuple(probe.vocabulary[token] for token in found.tokens),
        probabilities=found.probabilities,
        branching=found.branching,
        depth=found.depth,
        minimum=found.minimum,
        guide=_GUIDE.format(branching=found.branching, minimum=found.minimum),
    )
