"""Runs of one configuration, and how far two of them lie apart: the noise floor against which differences are shown."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.comparison.similarity import match_units
from rnnreport.analyses.comparison.weights import common_weights
from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles, Manifest

FEWEST = 3  # runs of one configuration that give a spread
SAME_PLACE, FEWEST_UNITS = 0.75, 4  # share of units that match their like number: by chance one unit does
_LOOKED_AT = 1000  # steps
_OF_THE_RUN = ("--seed", "--out", "--name", "--weights", "--checkpoints")  # what may differ within a configuration


@dataclass(frozen=True)
class Floor:
    """How far two runs of one configuration lie apart.

    Attributes
    ----------
    runs : int, how many the spread is of
    metric_bounds : dict of name to float: a difference of two runs beyond it, up or down, is rare
    angle_mean, angle_bound : float64 (L,), mean Procrustes angle of their pairs; an angle above the bound is rare
    """

    runs: int
    metric_bounds: dict[str, float]
    angle_mean: Doubles
    angle_bound: Doubles


def configuration(manifest: Manifest) -> str:
    """What two manifests share if they are of one configuration: all but weights, seed and places.

    Hyper-parameters that neither the command nor the model shows are not known to it.
    """
    model = {key: value for key, value in manifest.model.items() if key != "weights_sha256"}
    corpus = manifest.corpus.get("sha256") or manifest.corpus.get("name")
    return json.dumps([model, corpus, manifest.state_keys, manifest.head, _command(manifest.command)], sort_keys=True)


def _command(text: str) -> list[str]:
    """The words of a command without the options that tell runs apart."""
    try:
        words = shlex.split(text)
    except ValueError:  # an unbalanced quote
        words = text.split()
    kept, skip = [], False
    for word in words:
        option = word.split("=", 1)[0]
        if not skip and option not in _OF_THE_RUN and word != "--force":
            kept.append(word)
        skip = option in _OF_THE_RUN and "=" not in word and not skip
    return kept


def _configurations(runs: Sequence[Read]) -> NDArray[np.int32]:
    """int32 (R,): the number of each run's configuration at its last epoch, in order of appearance."""
    keys = [(configuration(run.manifest), run.last.epoch) for run in runs]
    order = list(dict.fromkeys(keys))
    return np.array([order.index(key) for key in keys], np.int32)


def seeds(runs: Sequence[Read]) -> tuple[int, ...]:
    """The runs of the configuration that has most, the baseline's where equal; () with fewer than three.

    A run that has the weights of an earlier one, at least in part, is no further seed.
    """
    numbers = _configurations(runs)
    groups = [_distinct(runs, np.flatnonzero(numbers == number).tolist()) for number in range(int(numbers.max()) + 1)]
    largest = max(groups, key=len)  # the first of equal ones, which the baseline is in
    return tuple(largest) if len(largest) >= FEWEST else ()


def _distinct(runs: Sequence[Read], places: list[int]) -> list[int]:
    kept: list[int] = []
    for place in places:
        if not any(_copied(runs[other], runs[place]) for other in kept):
            kept.append(place)
    return kept


def _copied(one: Read, other: Read) -> bool:
    """Whether they share weights, or most units of some state in their places: they were not trained separately."""
    if common_weights(one, other).copied:
        return True
    for key, states in one.last.states.items():
        moved = other.last.states.get(key)
        if moved is None or moved.shape != states.shape:
            continue
        if np.array_equal(states, moved):
            return True
        rows = evenly(len(states), _LOOKED_AT)
        partner = match_units(states[rows], moved[rows], shifts=0).partner
        if partner.size >= FEWEST_UNITS and (partner == np.arange(partner.size)).mean() >= SAME_PLACE:
            return True
    return False


def noise_floor(
    runs: Sequence[Read], group: Sequence[int], metrics: Sequence[str], angles: Doubles, alpha: float = 0.01
) -> Floor | None:
    """The spread of the runs of a group; None where fewer than three are left.

    A metric is taken as normal over seeds: two runs differ by more than ``t sqrt(2) s`` with probability ``alpha``. So
    are the angles between pairs, with as many degrees of freedom as runs, not pairs, which share runs. ``alpha`` is
    divided by the number of metrics, and for the angles by that of the states.

    Parameters
    ----------
    runs : all of them
    group : places of those of one configuration
    metrics : names of those that every run has
    angles : float64 (R, R, L)
    alpha : float
    """
    from scipy.stats import t as student

    count, layers = len(group), angles.shape[2]
    if count < FEWEST:
        return None
    reach = float(student.ppf(1 - alpha / max(1, len(metrics)) / 2, count - 1))
    bounds = {}
    for name in metrics:
        values = np.array([runs[place].performance.metrics[name]["value"] for place in group])
        bounds[name] = reach * float(np.sqrt(2) * values.std(ddof=1))
    places = np.array(group)
    one, two = np.triu_indices(count, 1)
    pairs = angles[places[one], places[two]]  # (pairs, L)
    spread = pairs.std(axis=0, ddof=1) * np.sqrt(1 + 1 / count)
    upper = float(student.ppf(1 - alpha / layers, count - 1))
    return Floor(count, bounds, pairs.mean(axis=0), pairs.mean(axis=0) + upper * spread)
