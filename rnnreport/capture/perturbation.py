"""How long a change of one input is felt: the state and the prediction after the last step, with one step replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import Batch, a_parameter, make_batch, step_budget
from rnnreport.capture.calling import observe
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.probe import hash_order
from rnnreport.capture.replay import replay
from rnnreport.capture.salience import weights_of_a_step
from rnnreport.errors import InputError
from rnnreport.progress import track
from rnnreport.results.recorded import PER_SEQUENCE, Checkpoint, Floats, Perturbation, Probe


@dataclass(frozen=True)
class PerturbationParams:
    """Sequences, their steps, lags and replacements of a step at most, and multiplications (a few seconds).

    Lags are all up to ``dense``, then each a fifth longer than the one before.
    """

    sequences: int = 48
    steps: int = 400
    dense: int = 16
    replacements: int = 3
    multiplications: float = 1e10
    seed: int = 0


def read_perturbation(
    model: nn.Module, probe: Probe, found: Inspection, checkpoint: Checkpoint, params: PerturbationParams | None = None
) -> Perturbation:
    """Replace single steps of the first sequences by the hash of their ids; the model is left as it was.

    A token is replaced by another one, values by those of another step, both drawn from the probe set.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    checkpoint : Checkpoint
        Of the model as it is now.
    params : PerturbationParams, optional
    """
    params = params or PerturbationParams()
    key = next(iter(found.widths))
    generator = np.random.default_rng(params.seed)
    left = params.multiplications / weights_of_a_step(model, probe)
    places: list[int] = []
    for place in hash_order(probe.sequence_ids):
        length = min(int(probe.lengths[place]), params.steps)
        cost = length * len(lags_of(length, params.dense)) * params.replacements
        if length > 1 and cost <= left and len(places) < params.sequences:
            places.append(place)
            left -= cost
    lags = lags_of(min(int(probe.lengths[places].max(initial=1)), params.steps), params.dense)
    state = np.full((len(places), len(lags)), np.nan, np.float32)
    output = state.copy()
    reason = "" if places else "no sequence of two steps or more is short enough for a model of this size"
    reason = reason if params.multiplications else LEFT_OUT
    try:
        with torch.inference_mode(False), untouched(model):
            for row, place in enumerate(track(places, "how long a change is felt", len(places))):
                length = min(int(probe.lengths[place]), params.steps)
                own = lags[lags < length]
                batch = _copies(model, probe, place, length, own, generator, params)
                states, outputs = _last(model, probe, found, batch)
                state[row, : own.size] = _moved(states, own.size)
                output[row, : own.size] = _moved(outputs, own.size)
    except InputError as error:  # a model that refuses what a corpus would not hold
        reason = str(error)
    return Perturbation(
        epoch=checkpoint.epoch,
        scope=str(key),
        sequences=np.array(places, np.int32),
        lags=lags.astype(np.int32),
        state=state,
        output=output if found.reader is not None else np.zeros((0, 0), np.float32),
        reason=reason,
    )


def lags_of(length: int, dense: int) -> NDArray[np.int64]:
    """int64, increasing: steps before the last one that are replaced in a sequence of ``length`` steps."""
    lags = list(range(min(length, dense + 1)))
    while lags[-1] < length - 1:
        lags.append(min(length - 1, int(np.ceil(lags[-1] * 1.2))))
    return np.array(lags)


def _copies(
    model: nn.Module,
    probe: Probe,
    place: int,
    length: int,
    lags: NDArray[np.int64],
    generator: np.random.Generator,
    params: PerturbationParams,
) -> Batch:
    """The sequence itself, then it with one step replaced: all replacements at the first lag, at the next, ..."""
    steps = np.repeat(length - 1 - lags, params.replacements)
    batch = make_batch(probe, np.full(steps.size + 1, place), a_parameter(model), length)
    rows = np.arange(1, steps.size + 1)
    inputs = batch.inputs.clone()
    if probe.continuous:
        drawn = probe.values[generator.integers(0, len(probe.values), steps.size)]
        inputs[rows, steps] = torch.from_numpy(drawn).to(inputs)
    else:
        inputs[rows, steps] = torch.from_numpy(_others(probe, batch.steps[rows, steps], generator)).to(inputs)
    return replace(batch, inputs=inputs)


def _others(probe: Probe, steps: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Tokens as frequent as in the probe set, each another one than that of the step."""
    own = probe.tokens[steps]
    kinds, counts = np.unique(probe.tokens, return_counts=True)
    drawn = generator.choice(kinds, own.size, p=counts / counts.sum())
    if kinds.size > 1:
        while (same := drawn == own).any():
            drawn[same] = generator.choice(kinds, int(same.sum()), p=counts / counts.sum())
    return np.asarray(drawn, np.int64)


def _last(model: nn.Module, probe: Probe, found: Inspection, batch: Batch) -> tuple[Floats, Floats]:
    """float32 (B, H), the default state after the last step, and (B, K), the prediction there; (B, 0) without one."""
    key, parts = next(iter(found.widths)), []
    size = max(1, step_budget(probe) // batch.steps.shape[1])
    for start in range(0, len(batch.steps), size):
        rows = slice(start, start + size)
        part = Batch(batch.sequences[rows], batch.steps[rows], batch.inputs[rows])
        raw, calls = observe(model, found.convention, part)
        states = next(values for call in calls for name, values in replay(call).items() if name == key)[:, -1]
        outputs = np.zeros((len(part.steps), 0), np.float32)
        if found.reader is not None:
            predictions = found.reader.predictions(raw, part)
            outputs = found.reader.recorded(predictions if probe.task in PER_SEQUENCE else predictions[:, -1])
        parts.append((_numpy(states), outputs))
    return np.concatenate([states for states, _ in parts]), np.concatenate([outputs for _, outputs in parts])


def _moved(values: Floats, lags: int) -> Floats:
    """float32 (lags,): mean distance of the changed copies from the first row, over the replacements."""
    apart = np.linalg.norm(values[1:].astype(np.float64) - values[0], axis=1)
    return np.asarray(apart.reshape(lags, -1).mean(axis=1), np.float32)


def _numpy(values: Tensor) -> Floats:
    return values.detach().to("cpu", torch.float32).numpy()
