"""Which kinds of sequences a run reads better or worse than the baseline: by class, by length, by a token in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.paired import compared_metric, mcnemar
from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.scores import Errors, Scores
from rnnreport.analyses.significance import clustered_means, holm, summed
from rnnreport.results.recorded import PER_SEQUENCE, Doubles, Probe
from rnnreport.results.schema import Slices, Unavailable

_GUIDE = (
    "Each line is a group of sequences; groups overlap. The p-value asks whether the difference in the group could be "
    "chance, and is corrected for the number of groups asked (Holm), so that one false alarm among all is rare. "
    "Intervals rest on the spread between sequences (Student's t): of many sequences they are those of the bootstrap, "
    "of ten a quarter longer, because there the bootstrap's are too short. A "
    "group without a significant difference is not shown to be equal: small groups can hide large differences."
)


@dataclass(frozen=True)
class SliceParams:
    """Fewest sequences inside and outside a group, most tokens that make groups, and the share of the intervals."""

    fewest: int = 10
    most_tokens: int = 40
    coverage: float = 0.95


@dataclass(frozen=True)
class _Slice:
    kind: str
    name: str
    members: NDArray[np.bool_]  # (N,)


def slice_differences(runs: Sequence[Read], params: SliceParams) -> Slices | Unavailable:
    """Paired differences to the first run in every group of sequences.

    Parameters
    ----------
    runs : at least two, on one probe set
    params : SliceParams
    """
    probe = runs[0].probe
    groups = [group for group in _groups(probe, params) if _large_enough(group.members, params)]
    items = [_losses(run) for run in runs]
    if any(item is None for item in items):
        return Unavailable(Slices.analysis, "a run has no prediction that could be right or wrong")
    if not groups:
        return Unavailable(Slices.analysis, f"no group of sequences has {params.fewest} inside and outside of it")
    members = np.stack([group.members for group in groups])
    sums, sizes = zip(*(item for item in items if item is not None), strict=True)
    size = members @ sizes[0]
    found = [_against(runs[0], run, members, (sums[0], sums[1 + place]), sizes[0], params)
             for place, run in enumerate(runs[1:])]  # fmt: skip
    return Slices(
        metric=compared_metric(probe.task),
        kinds=tuple(group.kind for group in groups),
        names=tuple(group.name for group in groups),
        sequences=members.sum(axis=1).astype(np.int32),
        items=size.astype(np.int32),
        values=np.stack([members @ one / size for one in sums]),
        difference=np.stack([one[0] for one in found]),
        low=np.stack([one[1] for one in found]),
        high=np.stack([one[2] for one in found]),
        p_value=np.stack([one[3] for one in found]),
        adjusted=np.stack([holm(one[3]) for one in found]),
        only_baseline_right=np.stack([one[4] for one in found]),
        only_run_right=np.stack([one[5] for one in found]),
        members=members.astype(np.uint8),
        guide=_GUIDE,
    )


def _groups(probe: Probe, params: SliceParams) -> list[_Slice]:
    groups = []
    if probe.labels.size:
        groups = [_Slice("class", name, probe.labels == k) for k, name in enumerate(probe.class_names)]
    if probe.task == "multi-label" and probe.truths.size:
        groups += [_Slice("class", name, probe.truths[:, k] > 0) for k, name in enumerate(probe.class_names)]
    return [*groups, *_by_length(probe), *_by_token(probe, params)]


def _by_length(probe: Probe) -> list[_Slice]:
    """Quarters of the sequences by length; equal lengths are never parted."""
    bounds = np.unique(np.quantile(probe.lengths, [0.25, 0.5, 0.75], method="lower"))
    quarter = np.searchsorted(bounds, probe.lengths)
    groups = []
    for place in np.unique(quarter):
        inside = quarter == place
        low, high = int(probe.lengths[inside].min()), int(probe.lengths[inside].max())
        groups.append(_Slice("length", f"{low} to {high} steps" if low < high else f"{low} steps", inside))
    return groups if len(groups) > 1 else []


def _by_token(probe: Probe, params: SliceParams) -> list[_Slice]:
    """The tokens that most sequences hold, but not all."""
    if probe.continuous:
        return []
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    pairs = np.unique(np.stack([probe.tokens, owners.astype(np.int32)]), axis=1)
    held = np.bincount(pairs[0], minlength=len(probe.vocabulary))
    usable = (held >= params.fewest) & (held <= probe.lengths.size - params.fewest)
    order = np.argsort(-np.where(usable, held, -1), kind="stable")[: min(params.most_tokens, int(usable.sum()))]
    groups = []
    for token in order:
        inside = np.zeros(probe.lengths.size, bool)
        inside[pairs[1][pairs[0] == token]] = True
        groups.append(_Slice("token", probe.vocabulary[token], inside))
    return groups


def _large_enough(members: NDArray[np.bool_], params: SliceParams) -> bool:
    return params.fewest <= int(members.sum()) <= members.size - params.fewest


def _losses(run: Read) -> tuple[Doubles, Doubles] | None:
    """Sum of the metric and number of items in each sequence, float64 (N,) each; None where nothing is scored."""
    count, scored = run.probe.lengths.size, run.scores
    if isinstance(scored, Errors):
        known = scored.known.sum(axis=1, keepdims=True).astype(np.float64)
        squares = (scored.error**2).sum(axis=1, keepdims=True)
        both = summed(np.hstack([squares, known]), scored.sequence, count)
        return both[:, 0], both[:, 1]
    if isinstance(scored, Scores):
        values = scored.loss if compared_metric(run.probe.task) == "cross_entropy" else scored.right
        return scored.per_sequence(values, count)
    return None


def _against(
    baseline: Read,
    run: Read,
    members: NDArray[np.bool_],
    sums: tuple[Doubles, Doubles],
    sizes: Doubles,
    params: SliceParams,
) -> tuple[Doubles, Doubles, Doubles, Doubles, NDArray[np.int32], NDArray[np.int32]]:
    """Difference, low, high, p-value, right only in the baseline, right only in the run, each (M,)."""
    inside = members.T.astype(np.float64)
    means, low, high, p_values = clustered_means(
        (sums[1] - sums[0])[:, None] * inside, sizes[:, None] * inside, params.coverage
    )
    only_baseline, only_run = np.full(len(members), -1, np.int32), np.full(len(members), -1, np.int32)
    one, two = baseline.scores, run.scores
    if baseline.probe.task in PER_SEQUENCE and isinstance(one, Scores) and isinstance(two, Scores):
        for place, member in enumerate(members):
            exact = mcnemar(one.right[member] > 0, two.right[member] > 0)
            p_values[place] = exact["p_value"]
            only_baseline[place], only_run[place] = exact["only_baseline_right"], exact["only_run_right"]
    return means, low, high, p_values, only_baseline, only_run
