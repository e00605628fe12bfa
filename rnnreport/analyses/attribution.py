"""What inputs add to answers: how far the two methods can be trusted, and the words that add most to each answer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, ratio_interval
from rnnreport.analyses.sample import Sample, evenly
from rnnreport.analyses.significance import clustered_means, holm
from rnnreport.results.causes import Attribution
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import InputAttribution, Unavailable

_GUIDE = (
    "The answer of a sequence is one number, {number}; it is compared with the answer to the mean input of the probe "
    "set at every step (the baseline). Integrated gradients share out the difference between the two among the steps: "
    "they should add up to it, and where they miss it by 2% or more the sequence is called unreliable. Occlusion lets "
    "one step at a time become the mean input and needs no gradient; where the two disagree, steps act together and no "
    "list of single steps tells the whole. {explained} A part says what moved this network against this baseline, not "
    "what is true of the world, nor what would happen if the input were another one. The table has means over all "
    "occurrences{near}."
)


@dataclass(frozen=True)
class AttributionTableParams:
    """When a sequence is unreliable, what a rank correlation and a word need at least, and what is listed.

    Steps that add less than ``least_share`` of the largest part by both methods have no rank. Of a task with an answer
    at each step only the words of the last ``near`` steps are listed, because far from the answer all add nothing.
    """

    tolerance: float = 0.02
    fewest_steps: int = 4
    least_share: float = 0.01
    near: int = 5
    fewest_sequences: int = 5
    listed: int = 3
    listed_in_all: int = 10
    most_groups: int = 12
    pairs: int = 1500
    level: float = 0.05
    bootstrap: BootstrapParams = field(default_factory=BootstrapParams)


def input_attribution(
    folder: RunFolder,
    probe: Probe,
    sample: Sample,
    step_words: Ints | None,
    names: tuple[str, ...],
    params: AttributionTableParams | None = None,
) -> InputAttribution | Unavailable:
    """What inputs add to answers at the last recorded epoch.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    sample : Sample
        The displayed sequences.
    step_words : int32 (S,) or None
        The word, or prototype of a continuous input, of every recorded step, -1 where it is none.
    names : tuple of str, of the words
    params : AttributionTableParams, optional
    """
    found = folder.record(Attribution)
    if found is None:
        reason = "it was not recorded: rnnreport run and rnnreport capture record it"
        return Unavailable(InputAttribution.analysis, reason)
    if found.reason:
        return Unavailable(InputAttribution.analysis, found.reason)
    numbers = found.gradients, found.occlusion, found.value, found.baseline
    if not all(np.isfinite(each).all() for each in numbers):
        return Unavailable(InputAttribution.analysis, "some answers or their gradients are not finite")
    return explain(found, probe, sample, step_words, names, params or AttributionTableParams())


def explain(
    found: Attribution,
    probe: Probe,
    sample: Sample,
    step_words: Ints | None,
    word_names: tuple[str, ...],
    params: AttributionTableParams,
) -> InputAttribution:
    """Likewise from what was recorded; ``word_names`` are those of ``step_words``."""
    starts = np.cumsum(np.append(0, found.lengths.astype(np.int64)))
    sums = np.add.reduceat(found.gradients.astype(np.float64), starts[:-1])
    apart = found.value.astype(np.float64) - found.baseline
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(apart != 0, np.abs(sums - apart) / np.abs(apart), np.inf)
    pieces = [slice(a, b) for a, b in itertools.pairwise(starts.tolist())]
    adds = np.concatenate([_adds(found.gradients[at], found.occlusion[at], params) for at in pieces])
    agreements = np.array([_agreement(found.gradients[at], found.occlusion[at], adds[at], params) for at in pieces])
    known = np.isfinite(agreements)
    agreement = ratio_interval(np.where(known, agreements, 0), known.astype(np.float64), params.bootstrap)
    reliable = errors < params.tolerance
    displayed = np.isin(found.sequences, sample.sequences)
    shown = np.concatenate(
        [np.zeros(0, np.int64), *(np.arange(starts[n], starts[n + 1]) for n in np.flatnonzero(displayed))]
    )
    names = _answer_names(probe)
    table = _table(found, probe, reliable, starts, step_words, word_names, params)
    pairs = np.flatnonzero(adds)
    pairs = pairs[evenly(pairs.size, params.pairs)] if pairs.size else pairs
    quantity, per_step = probe.task in NUMERIC, probe.task not in PER_SEQUENCE
    return InputAttribution(
        sequences=np.searchsorted(sample.sequences, found.sequences[displayed]).astype(np.int32),
        lengths=found.lengths[displayed],
        names=tuple(names[answer] for answer in found.answers[displayed]),
        steps=found.steps[displayed],
        value=found.value[displayed],
        baseline=found.baseline[displayed],
        errors=np.where(np.isfinite(errors), errors, np.nan)[displayed].astype(np.float32),
        agreements=agreements[displayed].astype(np.float32),
        gradients=found.gradients[shown],
        occlusion=found.occlusion[shown],
        tolerance=params.tolerance,
        explained=found.sequences.size,
        unreliable=int((~reliable).sum()),
        median_error=float(np.median(np.minimum(errors, np.finfo(np.float64).max))),
        agreement=np.array([*agreement, known.sum()], np.float64),
        pairs=np.stack([found.gradients[pairs], found.occlusion[pairs]], axis=1),
        groups=tuple(names[answer] if answer >= 0 else "the next token" for answer in table.answers),
        sizes=table.sizes,
        group=table.group,
        words=tuple(table.words),
        means=table.means,
        p_values=table.p_values,
        occurrences=table.occurrences,
        word_sequences=table.sequences,
        tested=table.tested,
        skipped=found.skipped,
        near=params.near if per_step else 0,
        quantity=quantity,
        per_step=per_step,
        guide=_GUIDE.format(
            number="the predicted quantity" if quantity else "the log odds in nats",
            explained=_explained(probe),
            near=f" in the last {params.near} steps up to the answer" if per_step else ", wherever they stand",
        ),
    )


def _answer_names(probe: Probe) -> tuple[str, ...]:
    return probe.vocabulary if probe.task == "language-model" else probe.class_names


def _explained(probe: Probe) -> str:
    if probe.task == "classification":
        return "Explained is the predicted class."
    if probe.task == "multi-label":
        return "Explained is the most probable label."
    if probe.task == "regression":
        return "Explained is the quantity predicted furthest from its mean."
    return "Explained is what is predicted at the step of the largest loss in the second half of a sequence."


def _adds(gradients: Floats, occlusion: Floats, params: AttributionTableParams) -> NDArray[np.bool_]:
    """bool (T,), the steps of a sequence that add something by either method."""
    sizes = np.maximum(np.abs(gradients), np.abs(occlusion))
    return np.asarray(sizes > params.least_share * sizes.max())


def _agreement(gradients: Floats, occlusion: Floats, adds: NDArray[np.bool_], params: AttributionTableParams) -> float:
    """Spearman's rank correlation over the steps that add something; NaN where one method says the same of all."""
    from scipy.stats import rankdata

    if adds.sum() < params.fewest_steps:
        return float("nan")
    ranks = [rankdata(values[adds]) - (adds.sum() + 1) / 2 for values in (gradients, occlusion)]
    size = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float(ranks[0] @ ranks[1]) / size if size else float("nan")


@dataclass(frozen=True)
class _Table:
    """Words and what they add, as in ``InputAttribution``; ``answers`` are the groups, -1 for all of them together."""

    answers: list[int]
    sizes: Ints
    group: Ints
    words: list[str]
    means: Doubles
    p_values: Doubles
    occurrences: Ints
    sequences: Ints
    tested: int


def _table(
    found: Attribution,
    probe: Probe,
    reliable: NDArray[np.bool_],
    starts: NDArray[np.int64],
    step_words: Ints | None,
    word_names: tuple[str, ...],
    params: AttributionTableParams,
) -> _Table:
    """Means of what each word adds to each answer, tested together; of either sign first what is beyond doubt."""
    answers = np.full(found.answers.size, -1) if probe.task == "language-model" else found.answers
    kinds, sizes = np.unique(answers[reliable], return_counts=True)
    kept = np.sort(np.argsort(-sizes, kind="stable")[: params.most_groups])
    kinds, sizes = kinds[kept], sizes[kept]
    rows = np.concatenate(
        [probe.offsets[n] + np.arange(length) for n, length in zip(found.sequences, found.lengths, strict=True)]
    )
    words = np.full(rows.size, -1) if step_words is None else step_words[rows].astype(np.int64)
    owners = np.repeat(np.arange(found.lengths.size), found.lengths)
    if probe.task not in PER_SEQUENCE:
        back = np.repeat(found.steps, found.lengths) - (np.arange(rows.size) - starts[:-1][owners])
        words[(back < 0) | (back >= params.near)] = -1
    entries: list[tuple[int, int, Doubles, float, int, int]] = []
    for place, kind in enumerate(kinds):
        chosen = (words >= 0) & (reliable & (answers == kind))[owners]
        present, column = np.unique(words[chosen], return_inverse=True)
        shape = (found.lengths.size, present.size)
        totals, counts = np.zeros(shape), np.zeros(shape)
        np.add.at(totals, (owners[chosen], column), found.gradients[chosen].astype(np.float64))
        np.add.at(counts, (owners[chosen], column), 1.0)
        within = (counts > 0).sum(axis=0)
        enough = within >= params.fewest_sequences
        means, low, high, p_values = clustered_means(totals[:, enough], counts[:, enough])
        for number, word in enumerate(present[enough]):
            mean = np.array([means[number], low[number], high[number]])
            entries.append(
                (
                    place,
                    int(word),
                    mean,
                    float(p_values[number]),
                    int(counts[:, enough][:, number].sum()),
                    int(within[enough][number]),
                )
            )
    adjusted = holm(np.array([entry[3] for entry in entries], np.float64))
    listed: list[int] = []
    most = max(params.listed, params.listed_in_all // max(1, kinds.size))
    for place in range(kinds.size):
        own = [n for n, entry in enumerate(entries) if entry[0] == place]
        own.sort(key=lambda n: (not adjusted[n] < params.level, -abs(entries[n][2][0])))
        for sign in (1, -1):
            listed += [n for n in own if sign * entries[n][2][0] > 0][:most]
    chosen_entries = [entries[n] for n in listed]
    return _Table(
        answers=kinds.tolist(),
        sizes=sizes.astype(np.int32),
        group=np.array([entry[0] for entry in chosen_entries], np.int32),
        words=[word_names[entry[1]] for entry in chosen_entries],
        means=np.array([entry[2] for entry in chosen_entries], np.float64).reshape(-1, 3),
        p_values=adjusted[listed],
        occurrences=np.array([entry[4] for entry in chosen_entries], np.int32),
        sequences=np.array([entry[5] for entry in chosen_entries], np.int32),
        tested=len(entries),
    )
