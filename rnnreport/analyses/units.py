"""What each unit of one state answers to: responses, spread, co-clusters, and how much the state keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.cocluster import UNASSIGNED, CoclusterParams, Coclusters, cocluster
from rnnreport.analyses.information import mean_kept_rates
from rnnreport.analyses.responses import (
    Responses,
    kept_rate_summary,
    mean_responses,
    standard_errors,
    word_responses,
)
from rnnreport.analyses.sample import Sample, evenly
from rnnreport.formulas import changes, kept_rates
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import CorpusResponses, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import Unavailable, Units

_GUIDE = (
    "A unit's response to an input is how much the input changes it on average, over all its occurrences; orange moves "
    "up, blue moves down. Inputs and units of one cluster go together more than with others, and the stability says "
    "how far another seed would agree. A response is a statistic of this corpus: it does not show that the input alone "
    "causes the change, nor that the unit does nothing else."
)


@dataclass(frozen=True)
class UnitParams:
    """Parameters of the co-clusters, draws of the standard errors, how much is kept of how the responses formed."""

    cocluster: CoclusterParams = field(default_factory=CoclusterParams)
    bootstrap: BootstrapParams = field(default_factory=lambda: BootstrapParams(resamples=200))
    most_epochs: int = 12
    most_numbers: int = 180_000


def analyse_units(
    scope: str,
    states: Floats,
    epoch: int,
    probe: Probe,
    sample: Sample,
    step_words: Ints,
    params: UnitParams,
    streamed: CorpusResponses | None = None,
    earlier: Mapping[int, Floats] | None = None,
    *,
    gate: bool = False,
) -> Units | Unavailable:
    """Responses and co-clusters of one state.

    Parameters
    ----------
    scope : str, a StateKey
    states : float32 (S, H), at the last recorded epoch
    epoch : int, its number
    probe : Probe
    sample : Sample
    step_words : int32 (S,), word of each step, -1 where it is none
    params : UnitParams
    streamed : CorpusResponses, optional
        Of this state over the whole corpus; otherwise the responses are those of the probe set.
    earlier : dict of epoch to float32 (W, H), optional
        Its ``earlier_responses``.
    gate : bool
        A gate was recorded at the last epoch alone. Its value at a word is its response: what it keeps or lets through
        is what it is, not how it changed.
    """
    damaged = int((~np.isfinite(states)).any(axis=1).sum())
    if damaged:
        return Unavailable(Units.analysis, f"the state {scope} is not finite at {damaged:,} of {len(states):,} steps")
    if streamed is None:
        delta, words = states if gate else changes(states, probe.offsets), int(step_words.max()) + 1
        responses = word_responses(delta, step_words, words)
        errors = standard_errors(delta, probe.offsets, step_words, words, params.bootstrap)
        kept = kept_rate_summary(kept_rates(states, probe.offsets))
    else:
        responses = Responses(streamed.mean, streamed.bands, streamed.explained)
        errors, kept = streamed.standard_error, streamed.kept_rate
    clusters = cocluster(responses.mean, params.cocluster)
    links, association = strengths(responses.mean, clusters)
    along = {**(earlier or {}), epoch: responses.mean}
    return Units(
        scope=scope,
        response=responses.mean,
        bands=responses.bands,
        standard_error=errors,
        epochs=np.array(list(along), np.int32),
        response_by_epoch=np.stack(list(along.values())),
        explained=responses.explained,
        kept_rate=kept,
        modes=clusters.modes,
        ks=clusters.ks,
        word_labels=clusters.row_labels,
        unit_labels=clusters.column_labels,
        links=links,
        association=association,
        kept_by_cluster=mean_kept_rates(states, probe.offsets, clusters.column_labels, clusters.ks),
        stability=clusters.stability,
        cut=clusters.cut,
        default_mode=clusters.default_mode,
        default_k=clusters.default_k,
        activation=states[sample.steps],
        params=asdict(params.cocluster)
        | {
            "shift": "by their lowest value where that is negative",
            "default": "the most stable weighting and k of at least 3, to two decimals; the larger k where equal",
            "resamples": 0 if streamed else params.bootstrap.resamples,
            "steps": len(states) if streamed is None else streamed.steps,
            "occurrences_behind_bands": "all" if streamed is None else f"at most {streamed.sampled}",
        },
        guide=_GUIDE,
    )


def earlier_responses(
    folder: RunFolder, widths: Mapping[str, int], probe: Probe, step_words: Ints, words: int, params: UnitParams
) -> dict[str, dict[int, Floats]]:
    """Responses at epochs before the last one, as many as the budget allows; every checkpoint is read once.

    Parameters
    ----------
    folder : RunFolder
    widths : dict of StateKey to int, units of each state
    probe : Probe
    step_words : int32 (S,), word of each step, -1 where it is none
    words : int, W
    params : UnitParams

    Returns
    -------
    dict of StateKey to dict of epoch to float32 (W, H)
    """
    recorded = folder.epochs()
    kept = {}
    for key, width in widths.items():
        most = max(1, min(params.most_epochs, params.most_numbers // (words * width)))
        kept[key] = {recorded[place] for place in evenly(len(recorded), most)[:-1]}
    found: dict[str, dict[int, Floats]] = {key: {} for key in widths}
    for epoch in sorted(set().union(*kept.values())):
        states = folder.checkpoint(epoch).states
        for key in (key for key, epochs in kept.items() if epoch in epochs):
            found[key][epoch] = mean_responses(changes(states[key], probe.offsets), step_words, words)
    return found


def strengths(response: Floats, clusters: Coclusters) -> tuple[Floats, Floats]:
    """Link strengths (M, k, kmax, kmax) and word associations (M, k, W); see ``Units``."""
    largest = int(clusters.ks.max())
    links = np.full((len(clusters.modes), clusters.ks.size, largest, largest), np.nan, np.float32)
    association = np.zeros(clusters.row_labels.shape, np.float32)
    for place in np.ndindex(association.shape[:2]):
        k, rows = int(clusters.ks[place[1]]), clusters.row_labels[place]
        words = np.equal.outer(rows, np.arange(k)).astype(np.float64)
        units = np.equal.outer(clusters.column_labels[place], np.arange(k)).astype(np.float64)
        to_cluster = _mean(response @ units, units.sum(axis=0))
        links[place][:k, :k] = _mean((words.T @ to_cluster).T, words.sum(axis=0)).T
        association[place] = np.where(rows == UNASSIGNED, 0, np.nan_to_num(to_cluster[np.arange(len(response)), rows]))
    return links, association


def _mean(totals: Doubles, counts: Doubles) -> Doubles:
    """Divide the last axis by the counts; NaN where there is nothing to average."""
    return np.asarray(np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0))
