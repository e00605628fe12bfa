"""The displayed sequences, step by step (Garcia, Munz and Weiskopf, "Visual analytics tool for the interpretation of
hidden states in recurrent neural networks", VCIBA 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.sample import Sample, evenly
from rnnreport.formulas import changes
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import PER_SEQUENCE, PER_STEP, Checkpoint, Doubles, Floats, Ints, Manifest, Probe
from rnnreport.results.schema import Sequences

Scalar = TypeVar("Scalar", bound=np.generic)

_HEAD_GUIDE = (
    "Each step shows what the model would predict if the sequence ended there. A change of prediction at an "
    "input does not mean that this input caused it: the state before it matters as much. Distances are measured in the "
    "full state space."
)
_ANSWER_GUIDE = (
    "Each step shows the model's own answer at that step. A change at an input does not mean that this input caused "
    "it: the state before it matters as much. Distances are measured in the full state space."
)
_TOKEN_GUIDE = (
    "Each step shows how surprised the model was by the token that follows, in nats, and what it expected instead. "
    "High surprise is not an error: some tokens cannot be foreseen. Distances are measured in the full state space."
)
_STATE_GUIDE = (
    "Each bar shows how far the state moves from one step to the next, measured in the full state space. A large move "
    "says that the input changed the state, not that the change mattered for any output."
)


@dataclass(frozen=True)
class SequenceParams:
    """Epochs whose expected predictions are kept, and how many numbers of them at most."""

    most_epochs: int = 12
    most_numbers: int = 4_000_000


def read_sequences(
    folder: RunFolder, manifest: Manifest, probe: Probe, sample: Sample, params: SequenceParams
) -> Sequences:
    """Collect what the model said and how its state moved at every displayed step.

    Parameters
    ----------
    folder : RunFolder
        With at least one checkpoint.
    manifest : Manifest
    probe : Probe
    sample : Sample
    params : SequenceParams
    """
    recorded = folder.epochs()
    last = folder.checkpoint(recorded[-1])
    per_epoch = max(1, sample.steps.size * last.step_output.shape[1])
    kept = evenly(len(recorded), max(1, min(params.most_epochs, params.most_numbers // per_epoch)))
    epochs = [recorded[place] for place in kept]
    step_output = _step_outputs(folder, epochs, last, sample.steps)
    return displayed(manifest, probe, sample, last, np.array(epochs, np.int32), step_output)


def displayed(
    manifest: Manifest, probe: Probe, sample: Sample, last: Checkpoint, epochs: Ints, step_output: Floats
) -> Sequences:
    """A sample as it is displayed.

    Parameters
    ----------
    manifest : Manifest
    probe : Probe
    sample : Sample
    last : Checkpoint
        Of the last epoch, on this probe set.
    epochs : int32 (E,)
    step_output : float32 (E, P, K) or (0, 0, 0)
    """
    scope = manifest.state_keys[0]
    distance = distances(last.states[scope], probe.offsets)
    predicted, confidence = _predictions(probe, last)
    shown, top = _take(probe.tokens, sample.steps), _take(last.top_tokens, sample.steps)
    following = _take(probe.targets, sample.steps) if probe.task == "language-model" else np.zeros(0, np.int32)
    tokens, top_tokens, following, token_names = _compact(probe, shown, top, following)
    return Sequences(
        task=probe.task,
        scope=scope,
        probe_index=sample.sequences,
        sequence_ids=tuple(probe.sequence_ids[n] for n in sample.sequences),
        lengths=probe.lengths[sample.sequences],
        labels=_take(probe.labels, sample.sequences),
        predicted=_take(predicted, sample.sequences),
        confidence=_take(confidence, sample.sequences),
        truths=_take(probe.truths, sample.sequences if probe.task in PER_SEQUENCE else sample.steps),
        outputs=_take(last.model_output, sample.sequences) if probe.truths.size else np.zeros((0, 0), np.float32),
        tokens=tokens,
        token_names=token_names,
        values=_take(probe.values, sample.steps),
        feature_names=probe.feature_names,
        class_names=probe.class_names,
        epochs=epochs,
        step_output=step_output,
        targets=_take(probe.targets, sample.steps) if probe.task == "tagging" else following,
        surprisal=_take(last.surprisal, sample.steps),
        top_tokens=top_tokens,
        top_probabilities=_take(last.top_probabilities, sample.steps),
        distance=distance[sample.steps].astype(np.float32),
        largest_distance=float(np.nanmax(distance, initial=0.0)),
        total_sequences=probe.lengths.size,
        total_steps=int(probe.lengths.sum()),
        head=manifest.head,
        guide=_guide(probe, last),
    )


def distances(states: Floats, offsets: NDArray[np.int64]) -> Doubles:
    """Distance from each state to the next one of its sequence.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)

    Returns
    -------
    float64 (S,)
        Euclidean, in the units of the state; NaN at the last step of a sequence and where a state is not finite.
    """
    moved = np.sqrt((changes(states, offsets).astype(np.float64) ** 2).sum(axis=1))
    distance = np.append(moved[1:], np.nan)
    distance[offsets[1:] - 1] = np.nan
    return np.where(np.isfinite(distance), distance, np.nan)


def _predictions(probe: Probe, last: Checkpoint) -> tuple[Ints, Floats]:
    """The model's own class of every sequence and its probability; -1 and 0 where its output is not finite."""
    if probe.task != "classification" or not last.model_output.size:
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    finite = np.isfinite(last.model_output).all(axis=1)
    predicted = np.where(finite, last.model_output.argmax(axis=1), -1).astype(np.int32)
    return predicted, np.where(finite, last.model_output.max(axis=1), 0).astype(np.float32)


def _step_outputs(folder: RunFolder, epochs: list[int], last: Checkpoint, steps: NDArray[np.int64]) -> Floats:
    if not last.step_output.size:
        return np.zeros((0, 0, 0), np.float32)
    return np.stack([folder.checkpoint(epoch).step_output[steps] for epoch in epochs])


def _compact(probe: Probe, tokens: Ints, top: Ints, following: Ints) -> tuple[Ints, Ints, Ints, tuple[str, ...]]:
    """Renumber tokens, -1 where there is none, so that only the names that occur are needed."""
    used, inverse = np.unique(np.concatenate([tokens, top.ravel(), following]), return_inverse=True)
    none = int((used < 0).sum())
    places = np.split((inverse - none).astype(np.int32), [tokens.size, tokens.size + top.size])
    names = tuple(probe.vocabulary[token] for token in used[none:])
    return places[0], places[1].reshape(top.shape), places[2], names


def _take(values: NDArray[Scalar], places: NDArray[np.integer]) -> NDArray[Scalar]:
    """The values at these places; an empty array stays empty, because this run has none."""
    return values[places] if len(values) else values


def _guide(probe: Probe, last: Checkpoint) -> str:
    if last.step_output.size:
        return _ANSWER_GUIDE if probe.task in PER_STEP else _HEAD_GUIDE
    return _TOKEN_GUIDE if last.surprisal.size else _STATE_GUIDE
