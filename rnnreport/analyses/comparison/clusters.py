"""The co-clusters of words and units of several runs, matched by the words they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnreport.analyses.cocluster import adjusted_rand
from rnnreport.analyses.comparison.runs import Read
from rnnreport.results.recorded import Doubles, Ints
from rnnreport.results.schema import MatchedClusters, Unavailable, Units, Words

_GUIDE = (
    "Each run groups its own units and the inputs they answer to. Clusters of two runs are paired so that they share "
    "as many inputs as possible: the overlap is the number of common ones divided by the number of those in either "
    "(Jaccard). The adjusted Rand index is 1 where both runs group the inputs alike and 0 on average for unrelated "
    "groupings. Units have no counterparts in another run: only the inputs make clusters comparable."
)


def matched_clusters(runs: Sequence[Read]) -> MatchedClusters | Unavailable:
    """Pair the clusters of every run with those of the first, at the weighting and number that the first run shows.

    Parameters
    ----------
    runs : at least two, on one probe set and analysed before
    """
    if not all(run.folder.has_result(Units, 0) and run.folder.has_result(Words) for run in runs):
        return Unavailable(MatchedClusters.analysis, "a run has not been analysed")
    words, units = [run.folder.result(Words) for run in runs], [run.folder.result(Units, 0) for run in runs]
    there = [one for one in units if isinstance(one, Units)]
    named = [one for one in words if isinstance(one, Words)]
    if len(there) < len(runs) or len(named) < len(runs):
        return Unavailable(MatchedClusters.analysis, "a run has no responses to inputs")
    if any(one.names != named[0].names for one in named):
        return Unavailable(MatchedClusters.analysis, "the runs were analysed with different inputs")
    mode, k = there[0].default_mode, there[0].default_k
    places = [_place(one, mode, k) for one in there]
    labels = np.stack([one.word_labels[place] for one, place in zip(there, places, strict=True)])
    ks = [int(one.ks[place[1]]) for one, place in zip(there, places, strict=True)]
    largest = max(ks)
    partner, overlap = np.full((len(runs), largest), -1, np.int32), np.full((len(runs), largest), np.nan)
    for run, mine in enumerate(ks):
        partner[run, :mine], overlap[run, :mine] = match_by_words(labels[0], labels[run], ks[0], mine)
    return MatchedClusters(
        words=named[0].names,
        counts=named[0].counts,
        scopes=tuple(one.scope for one in there),
        mode=mode,
        ks=np.array(ks, np.int32),
        word_labels=labels.astype(np.int32),
        unit_labels={str(run): one.unit_labels[places[run]] for run, one in enumerate(there)},
        association=np.stack([one.association[place] for one, place in zip(there, places, strict=True)]),
        partner=partner,
        overlap=overlap,
        agreement=np.array([_agreement(labels[0], mine) for mine in labels]),
        response={str(run): one.response for run, one in enumerate(there)},
        kept_rate=np.stack([one.kept_rate for one in there]),
        guide=_GUIDE,
    )


def match_by_words(first: Ints, second: Ints, first_k: int, second_k: int) -> tuple[Ints, Doubles]:
    """Pair clusters so that the sum of the overlaps of their words is largest.

    Parameters
    ----------
    first, second : int32 (W,), cluster of each word, -1 unassigned
    first_k, second_k : numbers of clusters

    Returns
    -------
    partner : int32 (second_k,), the cluster of the first side; -1 where there is none, or no word in common
    overlap : float64 (second_k,), their Jaccard index, NaN without a partner
    """
    from scipy.optimize import linear_sum_assignment

    one = np.equal.outer(np.arange(first_k), first)
    two = np.equal.outer(np.arange(second_k), second)
    common = (two.astype(np.int64) @ one.T.astype(np.int64)).astype(np.float64)
    either = two.sum(axis=1)[:, None] + one.sum(axis=1) - common
    jaccard = np.divide(common, either, out=np.zeros_like(common), where=either > 0)
    partner, overlap = np.full(second_k, -1, np.int32), np.full(second_k, np.nan)
    for row, column in zip(*linear_sum_assignment(jaccard, maximize=True), strict=True):
        if common[row, column]:
            partner[row], overlap[row] = column, jaccard[row, column]
    return partner, overlap


def _place(units: Units, mode: str, k: int) -> tuple[int, int]:
    """Place of a weighting and number of clusters; of the default number where this run has no such division."""
    modes, ks = units.modes, units.ks.tolist()
    if mode in modes and k in ks and np.isfinite(units.cut[modes.index(mode), ks.index(k)]):
        return modes.index(mode), ks.index(k)
    return modes.index(units.default_mode), ks.index(units.default_k)


def _agreement(first: Ints, second: Ints) -> float:
    both = (first >= 0) & (second >= 0)
    return adjusted_rand(first[both], second[both]) if both.sum() > 1 else float("nan")
