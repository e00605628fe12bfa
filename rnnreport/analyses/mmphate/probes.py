"""What can be read from the state at every epoch and step, with controls that say how much of it is chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, resampled_sums
from rnnreport.analyses.mmphate.readout import entropy_of, label_information
from rnnreport.analyses.probing import Labels, probe_predictions, probe_values
from rnnreport.analyses.properties import FIFTH, answers
from rnnreport.analyses.reuse import Reuse
from rnnreport.analyses.sample import hash_order
from rnnreport.progress import track
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Floats, Probe
from rnnreport.results.schema import Dynamics, Probes, Unavailable

_GUIDE = (
    "A linear probe (ridge regression) is fitted to the states of some sequences and names the class of others; no "
    "sequence is in both. Of a language model the class is the next token, all but the most frequent counting as one. "
    "A quantity is predicted, and judged by R²: 1 less the square error in units of the variance, 0 for always naming "
    "the mean, below 0 for worse; the information is about which fifth it is in. The control is the same probe with "
    "the answers shuffled between the sequences: what it reaches comes from its freedom, not from the state. A probe "
    "says that the answer can be read, not that the model reads it. Information is estimated from the nearest states "
    "(Ross, 2014) in the leading principal components and holds for these alone; the mean of the same estimate with "
    "shuffled classes, which hold none, is taken off as its bias. It finds what is not linear as well, but misses what "
    "lies in small directions."
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


def linear_probes(
    folder: RunFolder, probe: Probe, dynamics: Dynamics, state: str, params: ProbeParams, reuse: Reuse | None = None
) -> Probes | Unavailable:
    """Probe a state at the embedded epochs and steps.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    dynamics : Dynamics
        Whose epochs and steps are taken, with more sequences.
    state : str, a StateKey, embedded or not
    params : ProbeParams
    reuse : Reuse, optional
        Of a training that goes on: epochs that were probed before are not probed again.

    Returns
    -------
    Probes or Unavailable
        Unavailable where nothing is known to be right, with fewer than ``fewest`` sequences, where they are all of
        one class, or where the state is not finite.
    """
    asked = _asked(probe)
    if asked is None:
        return Unavailable(Probes.analysis, "the sequences have no labels")
    reaching = np.flatnonzero(probe.lengths > dynamics.steps[-1])
    known = asked.labels[probe.offsets[reaching][:, None] + dynamics.steps] >= 0
    reaching = reaching[known.all(axis=1)]
    order = hash_order([probe.sequence_ids[n] for n in reaching])[: params.sequences]
    chosen = reaching[order]  # in the order of their hashes: folds and the informed ones are drawn by it
    if chosen.size < params.fewest:
        return Unavailable(Probes.analysis, f"probes need {params.fewest} sequences, here are {chosen.size}")
    places = probe.offsets[chosen][:, None] + dynamics.steps
    chosen_answers = asked.at(places)
    if all(np.unique(column).size < 2 for column in chosen_answers.labels.T):
        return Unavailable(Probes.analysis, "all sequences are of one class")
    folds = np.arange(chosen.size) % params.folds
    missed, estimates = [], []
    reuse = reuse or Reuse()
    for epoch in track(dynamics.epochs.tolist(), f"linear probes of {state}", dynamics.epochs.size):
        states = folder.checkpoint(epoch).states[state][places]
        if not np.isfinite(states).all():
            return Unavailable(Probes.analysis, f"the state is not finite in every sequence at epoch {epoch}")
        misses, bits = reuse(_read_epoch, states, chosen_answers, folds, params)
        missed.append(misses)
        estimates.append(bits)
    return _probes(replace(dynamics, scope=state), chosen_answers, np.array(missed), np.array(estimates), params)


@dataclass(frozen=True)
class _Asked:
    """What the probe is asked for.

    Attributes
    ----------
    what : str
    labels : int64 (S,), the class at every step, -1 where there is none; or (N, T) of chosen steps
    values : float64 likewise, of a quantity; None of classes
    """

    what: str
    labels: Labels
    values: Doubles | None = None

    def at(self, places: Labels) -> _Asked:
        """Of these steps, int64 (N, T)."""
        return replace(self, labels=self.labels[places], values=None if self.values is None else self.values[places])

    @property
    def worth(self) -> Doubles:
        """What a probe that knows nothing misses, float64 (T, N): 1 of a class, of a quantity its square deviation."""
        if self.values is None:
            return np.ones(self.labels.T.shape)
        return np.asarray((self.values - self.values.mean(axis=0)).T ** 2)


def _asked(probe: Probe) -> _Asked | None:
    """What is asked at every step."""
    if probe.task == "tagging" and probe.targets.size:
        return _Asked("tag", probe.targets.astype(np.int64))  # all of them, however rare
    found = answers(probe)
    if not found:
        return None
    name = found[0].name.removesuffix(FIFTH)
    if name == found[0].name:
        return _Asked(name, found[0].labels)
    values = probe.truths[:, 0].astype(np.float64)
    return _Asked(name, found[0].labels, np.repeat(values, probe.lengths) if probe.task == "regression" else values)


def _shuffled(values: NDArray[Any], params: ProbeParams) -> NDArray[Any]:
    """(T, 1 + shuffles, N) of (N, T): the answers of each step, then the same between other sequences."""
    draw = np.random.default_rng(params.seed)
    orders = [np.arange(len(values)), *(draw.permutation(len(values)) for _ in range(params.shuffles))]
    return np.stack([values[order].T for order in orders], axis=1)


def _read_epoch(states: Floats, asked: _Asked, folds: Labels, params: ProbeParams) -> tuple[Doubles, Doubles]:
    """What the probes miss, (T, 1 + shuffles, N), and the bits, (T, 1 + shuffles), of states float32 (N, T, H)."""
    steps = list(_read(states.astype(np.float64), asked, folds, params))
    return np.stack([misses for misses, _ in steps]), np.stack([bits for _, bits in steps])


def _read(states: Doubles, asked: _Asked, folds: Labels, params: ProbeParams) -> Iterator[tuple[Doubles, Doubles]]:
    """What the probes of each step miss of every sequence, (1 + shuffles, N), in units of ``worth``; and the bits."""
    values = None if asked.values is None else _shuffled(asked.values, params)
    for step, labels in enumerate(_shuffled(asked.labels, params)):
        if values is None:
            missed = probe_predictions(states[:, step], labels, folds, params.ridge) != labels
        else:
            missed = (probe_values(states[:, step], values[step].T, folds, params.ridge).T - values[step]) ** 2
        near = states[: params.informed, step]
        centred = near - near.mean(axis=0)
        vectors = np.linalg.svd(centred, full_matrices=False)[2][: params.dimensions]
        bits = label_information(centred @ vectors.T, labels[:, : params.informed], params.neighbours)
        yield missed.astype(np.float64), bits


def _probes(dynamics: Dynamics, asked: _Asked, missed: Doubles, estimates: Doubles, params: ProbeParams) -> Probes:
    """``missed`` float64 (E, T, 1 + shuffles, N), ``estimates`` float64 (E, T, 1 + shuffles)."""
    labels, worth = asked.labels, asked.worth
    read = 1 - _share(missed.sum(axis=-1), worth.sum(axis=-1)[:, None])
    accuracy, control = read[:, :, 0], read[:, :, 1:].mean(axis=-1)
    bias = estimates[..., 1:].mean(axis=-1)
    boot = BootstrapParams(resamples=params.resamples, seed=params.seed)
    count, steps = labels.shape
    drawn = resampled_sums([*missed[:, :, 0].reshape(-1, count), *worth], boot)
    misses, all_worth = drawn[:-steps].reshape(len(missed), steps, -1), drawn[-steps:]
    ends = np.array([percentile_interval(row, boot) for row in 1 - _share(misses, all_worth).mean(axis=1)])
    mean = np.stack([accuracy.mean(axis=1), *ends.T])
    noise = np.percentile((estimates[..., 1:] - bias[..., None]).mean(axis=1), 95, axis=1)
    frequent = np.array([np.bincount(column).max() / count for column in labels.T])
    if asked.values is not None:
        frequent = np.zeros(steps)  # R² of always naming the mean
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
        noise=noise.astype(np.float32),
        most_frequent=frequent.astype(np.float32),
        entropy=entropy,
        what=asked.what,
        measure="share" if asked.values is None else "R²",
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


def _share(parts: Doubles, wholes: Doubles) -> Doubles:
    """NaN where there is nothing to miss."""
    wholes = np.broadcast_to(wholes, parts.shape)
    found: Doubles = np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)
    return found


def _said(found: Probes) -> str:
    what, (mean, low, high) = found.what, found.mean[:, -1]
    if found.measure == "R²":
        return (
            f"A linear probe reads the {what} from the state with R² {mean:.2f} at the last epoch (mean over the "
            f"steps; 95% interval {low:.2f} to {high:.2f}, {found.sequences} sequences), after {found.mean[0, 0]:.2f} "
            f"at epoch {found.epochs[0]}. With shuffled answers it reaches {found.control[-1].mean():.2f}. At the last "
            f"step it reaches {found.accuracy[-1, -1]:.2f}; the leading directions hold "
            f"{found.information[-1, -1]:.2f} of {found.entropy:.2f} bits about which fifth it is in there."
        )
    return (
        f"A linear probe reads the {what} from the state in {mean:.1%} at the last epoch (mean over the steps; 95% "
        f"interval {low:.1%} to {high:.1%}, {found.sequences} sequences), after {found.mean[0, 0]:.1%} at epoch "
        f"{found.epochs[0]}. "
        f"With shuffled labels it reaches {found.control[-1].mean():.1%}, and naming the most frequent {what} "
        f"{found.most_frequent.mean():.1%}. At the last step it reaches {found.accuracy[-1, -1]:.1%}; the leading "
        f"directions hold {found.information[-1, -1]:.2f} of {found.entropy:.2f} bits there."
    )
