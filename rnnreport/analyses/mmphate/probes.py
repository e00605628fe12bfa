"""What can be read from the state at every epoch and step, with controls that say how much of it is chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, resampled_sums
from rnnreport.analyses.mmphate.dynamics import Embedded
from rnnreport.analyses.mmphate.readout import entropy_of, label_information
from rnnreport.analyses.probing import Labels, probe_predictions
from rnnreport.analyses.properties import FIFTH, answers
from rnnreport.analyses.sample import hash_order
from rnnreport.progress import track
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Probe
from rnnreport.results.schema import Probes, Unavailable

_GUIDE = (
    "A linear probe (ridge regression) is fitted to the states of some sequences and names the class of others; no "
    "sequence is in both. Of a language model the class is the next token, all but the most frequent counting as one; "
    "quantities are divided into fifths. The control is the same probe with the classes shuffled between the "
    "sequences: what it reaches comes from its freedom, not from the state. A probe says that the class can be read, "
    "not that the model reads it. Information is estimated from the nearest states (Ross, 2014) in the leading "
    "principal components and holds for these alone; the mean of the same estimate with shuffled classes, which hold "
    "none, is taken off as its bias. It finds what is not linear as well, but misses what lies in small directions."
)


@dataclass(frozen=True)
class ProbeParams:
    """Sequences at most, for the information (which compares all pairs) and at least; the probe and its controls."""

    sequences: int = 400
    informed: int = 200
    fewest: int = 20
    folds: int = 5
    ridge: float = 0.01
    shuffles: int = 20
    neighbours: int = 3
    dimensions: int = 3
    resamples: int = 1000
    seed: int = 0


def linear_probes(folder: RunFolder, probe: Probe, embedded: Embedded, params: ProbeParams) -> Probes | Unavailable:
    """Probe the state at the embedded epochs and steps.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    embedded : Embedded
        Whose epochs and steps are taken, with more sequences.
    params : ProbeParams

    Returns
    -------
    Probes or Unavailable
        Unavailable where nothing is known to be right, with fewer than ``fewest`` sequences or where they are all of
        one class.
    """
    dynamics = embedded.dynamics
    asked = _asked(probe)
    if asked is None:
        return Unavailable(Probes.analysis, "the sequences have no labels")
    what, of_steps = asked
    reaching = np.flatnonzero(probe.lengths > dynamics.steps[-1])
    known = of_steps[probe.offsets[reaching][:, None] + dynamics.steps] >= 0
    reaching = reaching[known.all(axis=1)]
    order = hash_order([probe.sequence_ids[n] for n in reaching])[: params.sequences]
    chosen = reaching[order]  # in the order of their hashes: folds and the informed ones are drawn by it
    if chosen.size < params.fewest:
        return Unavailable(Probes.analysis, f"probes need {params.fewest} sequences, here are {chosen.size}")
    places = probe.offsets[chosen][:, None] + dynamics.steps
    labels = of_steps[places]
    if all(np.unique(column).size < 2 for column in labels.T):
        return Unavailable(Probes.analysis, "all sequences are of one class")
    drawn = _shuffled(labels, params)
    folds = np.arange(chosen.size) % params.folds
    right, estimates = [], []
    for epoch in track(dynamics.epochs.tolist(), "linear probes", dynamics.epochs.size):
        states = folder.checkpoint(epoch).states[dynamics.scope][places].astype(np.float64)
        steps = list(_read(states, drawn, folds, params))
        right.append(np.stack([hits for hits, _ in steps]))
        estimates.append(np.stack([bits for _, bits in steps]))
    return _probes(embedded, what, labels, np.array(right), np.array(estimates), params)


def _asked(probe: Probe) -> tuple[str, Labels] | None:
    """What the probe is asked for, in words, and int64 (S,), the right answer at every step, -1 where there is none."""
    if probe.task == "tagging" and probe.targets.size:
        return "tag", probe.targets.astype(np.int64)  # all of them, however rare
    found = answers(probe)
    if not found:
        return None
    quantity = found[0].name.removesuffix(FIFTH)
    return f"fifth of {quantity}" if quantity != found[0].name else quantity, found[0].labels


def _shuffled(labels: Labels, params: ProbeParams) -> Labels:
    """int64 (T, 1 + shuffles, N): the labels of each step, then the same between other sequences."""
    draw = np.random.default_rng(params.seed)
    orders = [np.arange(len(labels)), *(draw.permutation(len(labels)) for _ in range(params.shuffles))]
    return np.stack([labels[order].T for order in orders], axis=1)


def _read(states: Doubles, drawn: Labels, folds: Labels, params: ProbeParams) -> Iterator[tuple[Doubles, Doubles]]:
    """Of each step which sequences are named right by their own probe, (1 + shuffles, N), and the bits of each."""
    for step, labels in enumerate(drawn):
        named = probe_predictions(states[:, step], labels, folds, params.ridge)
        near = states[: params.informed, step]
        centred = near - near.mean(axis=0)
        vectors = np.linalg.svd(centred, full_matrices=False)[2][: params.dimensions]
        bits = label_information(centred @ vectors.T, labels[:, : params.informed], params.neighbours)
        yield (named == labels).astype(np.float64), bits


def _probes(
    embedded: Embedded, what: str, labels: Labels, right: Doubles, estimates: Doubles, params: ProbeParams
) -> Probes:
    """``right`` float64 (E, T, 1 + shuffles, N), ``estimates`` float64 (E, T, 1 + shuffles)."""
    dynamics = embedded.dynamics
    accuracy, control = right[:, :, 0].mean(axis=-1), right[:, :, 1:].mean(axis=(-1, -2))
    bias = estimates[..., 1:].mean(axis=-1)
    boot = BootstrapParams(resamples=params.resamples, seed=params.seed)
    count, steps = labels.shape
    drawn = resampled_sums(list(right[:, :, 0].sum(axis=1)), boot) / (count * steps)
    ends = np.array([percentile_interval(row, boot) for row in drawn])
    mean = np.stack([accuracy.mean(axis=1), *ends.T])
    noise = np.percentile((estimates[..., 1:] - bias[..., None]).mean(axis=1), 95, axis=1)
    frequent = np.array([np.bincount(column).max() / count for column in labels.T])
    entropy = entropy_of(labels[:, -1])
    information = estimates[..., 0] - bias
    found = Probes(
        scope=dynamics.scope,
        epochs=dynamics.epochs,
        steps=dynamics.steps,
        accuracy=accuracy.astype(np.float32),
        control=control.astype(np.float32),
        mean=mean.astype(np.float32),
        information=information.astype(np.float32),
        bias=bias.astype(np.float32),
        noise=noise.astype(np.float32),
        most_frequent=frequent.astype(np.float32),
        entropy=entropy,
        what=what,
        sequences=count,
        classes=int(labels.max()) + 1,
        finding="",
        params={
            "folds": params.folds,
            "ridge": params.ridge,
            "shuffles": params.shuffles,
            "informed": min(count, params.informed),
            "neighbours": params.neighbours,
            "dimensions": params.dimensions,
            "seed": params.seed,
            "resamples": params.resamples,
        },
        guide=_GUIDE,
    )
    return replace(found, finding=_said(found))


def _said(found: Probes) -> str:
    what, (mean, low, high) = found.what, found.mean[:, -1]
    return (
        f"A linear probe reads the {what} from the state in {mean:.1%} at the last epoch (mean over the steps; 95% "
        f"interval {low:.1%} to {high:.1%}, {found.sequences} sequences), after {found.mean[0, 0]:.1%} at epoch "
        f"{found.epochs[0]}. "
        f"With shuffled labels it reaches {found.control[-1].mean():.1%}, and naming the most frequent {what} "
        f"{found.most_frequent.mean():.1%}. At the last step it reaches {found.accuracy[-1, -1]:.1%}; the leading "
        f"directions hold {found.information[-1, -1]:.2f} of {found.entropy:.2f} bits there."
    )
