"""Fabricated run folders with a planted structure, written without torch, for tests of the analyses and of the report.

A leaky integrator plays the trained network: every word belongs to a group, group ``k`` pushes its own block of units
up, and training scales these pushes from nothing to their full size, so that accuracy rises over the epochs. Some
tokens and class names are hostile on purpose.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rnnreport.analyses.sample import hash_order
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import (
    NUMERIC,
    PER_SEQUENCE,
    PER_STEP,
    Checkpoint,
    Doubles,
    Floats,
    Ints,
    Manifest,
    Probe,
    Task,
)

K = 4  # classes, tags and groups of words
D = 3  # features of continuous input
HOSTILE = (
    "<script>alert(1)</script>",
    "\"&'",
    "</script><img src=x onerror=alert(2)>",
    "{{ 7 * 7 }}",
    "naïve—日本語🙂",
)
CLASS_NAMES = ("sport", "<b>trade</b>", "science & art", '"world"')
QUANTITIES = ("<i>mood</i>", 'price & "volume"')
_CENTRES = np.array([0.0, 50.0])
_WEIGHTS = np.array([[1.0, 4.0], [-1.0, 20.0], [0.5, -12.0], [0.0, -6.0]])  # (K, 2), what a word adds to the quantities
_GROUPS = (
    ("goal", "match", "team", "coach", "score", "league", HOSTILE[0]),
    ("market", "shares", "bank", "profit", "price", "stocks", HOSTILE[1]),
    ("cell", "theory", "orbit", "paint", "lab", "genome", HOSTILE[2]),
    ("treaty", "border", "envoy", "summit", "vote", "envoys", HOSTILE[3]),
)
_NEUTRAL = ("the", "of", "and", "to", "a", "in", "that", "said", "was", "for", "on", "with", "not", HOSTILE[4])
VOCABULARY = (*(word for group in _GROUPS for word in group), *_NEUTRAL)
_GROUP_OF = np.array([k for k, group in enumerate(_GROUPS) for _ in group] + [-1] * len(_NEUTRAL))


@dataclass(frozen=True)
class _Corpus:
    lengths: Ints
    labels: Ints
    tokens: Ints
    values: Floats
    drive: Floats  # (S, K), how strongly each step speaks for each class


def fabricate_run(
    path: Path,
    task: Task = "classification",
    epochs: int = 10,
    seed: int = 0,
    *,
    continuous: bool = False,
    sequences: int = 120,
    units: int = 24,
    steps: tuple[int, int] = (3, 14),
    gain: float = 1.0,
    name: str = "",
    sampled: int | None = None,
) -> RunFolder:
    """Write a run folder without results.

    Parameters
    ----------
    path : Path
    task : Task
    epochs : int, number of recorded epochs, numbered from 0
    seed : int, of the network; the corpus is the same for every seed, so that runs can be compared
    continuous : bool, three channels instead of tokens
    sequences, units : int
    steps : (int, int), shortest and longest sequence
    gain : float, size of the planted responses; a smaller one gives a worse model
    name : str, title of the run
    sampled : int, sequences with an expected prediction, the first by hash of their ids; all where not given
    """
    corpus = _draw_corpus(sequences, steps, continuous)
    probe = _probe(corpus, task, continuous)
    folder = RunFolder(path)
    folder.write_probe(probe)
    folder.write_manifest(_manifest(probe, task, units, seed, name or f"fabricated {task}", sampled))
    network = np.random.default_rng([seed, 1])
    blocks = (np.arange(units) % K).astype(np.int32)
    push = network.normal(0, 0.25, (K, units)) + np.where(blocks[None] == np.arange(K)[:, None], 1.0, -0.3)
    quirks = network.normal(0, 0.4, (len(VOCABULARY), units))
    for epoch in range(epochs):
        progress = gain * (1 - np.exp(-(epoch + 0.4) / 2.5))
        checkpoint = _checkpoint(probe, corpus, epoch, progress, push, quirks, blocks, network)
        if sampled is not None and task in PER_SEQUENCE:
            _forget_steps(probe, checkpoint, sampled)
        folder.write_checkpoint(checkpoint)
        folder.append_metrics(_metrics(probe, checkpoint, epoch, epochs))
    return folder


def deepen(folder: RunFolder) -> RunFolder:
    """Put a layer of half as many units above the one of a fabricated run: it mixes neighbours, later and smoother."""
    for epoch in folder.epochs():
        checkpoint = folder.checkpoint(epoch)
        cell = checkpoint.states["lstm.0.fwd.c"]
        above = cell[:, 0::2] - 0.5 * cell[:, 1::2] ** 2 / (1 + epoch)
        states = {"lstm.1.fwd.h": np.tanh(above), "lstm.1.fwd.c": above}
        folder.write_checkpoint(dataclasses.replace(checkpoint, states=states | checkpoint.states))
    manifest = folder.manifest()
    units = manifest.model["units"]
    model = manifest.model | {"layers": 2, "units": f"{units}, {units // 2}"}
    keys = ("lstm.1.fwd.h", "lstm.1.fwd.c", "lstm.0.fwd.h", "lstm.0.fwd.c")
    folder.write_manifest(dataclasses.replace(manifest, model=model, state_keys=keys))
    return folder


def _draw_corpus(sequences: int, steps: tuple[int, int], continuous: bool) -> _Corpus:
    draw = np.random.default_rng(20240601)
    lengths = draw.integers(steps[0], steps[1] + 1, sequences).astype(np.int32)
    labels = draw.choice(K, sequences, p=[0.4, 0.25, 0.2, 0.15]).astype(np.int32)
    owner = np.repeat(labels, lengths)
    topical = draw.random(owner.size) < 0.55
    group = np.where(draw.random(owner.size) < 0.85, owner, draw.integers(0, K, owner.size))
    per_group = len(_GROUPS[0])
    rank = np.minimum(draw.geometric(0.3, owner.size) - 1, per_group - 1)
    neutral = K * per_group + np.minimum(draw.geometric(0.15, owner.size) - 1, len(_NEUTRAL) - 1)
    tokens = np.where(topical, group * per_group + rank, neutral).astype(np.int32)
    drive = (_GROUP_OF[tokens][:, None] == np.arange(K)).astype(np.float32)
    directions = draw.normal(0, 1, (K, D))
    values = (drive @ directions + draw.normal(0, 0.3, (owner.size, D))) * [1.0, 10.0, 0.1] + [0.0, 50.0, 0.0]
    if not continuous:
        return _Corpus(lengths, labels, tokens, np.zeros((0, 0), np.float32), drive)
    return _Corpus(lengths, labels, np.zeros(0, np.int32), values.astype(np.float32), drive)


def _probe(corpus: _Corpus, task: Task, continuous: bool) -> Probe:
    features = ("<i>force</i>", "heat & light", "time") if continuous else ()
    named: dict[Task, tuple[str, ...]] = {
        "classification": CLASS_NAMES,
        "multi-label": CLASS_NAMES,
        "tagging": (*CLASS_NAMES, "O"),
        "regression": QUANTITIES,
        "step-regression": features or QUANTITIES,
    }
    return Probe(
        task=task,
        sequence_ids=tuple(f"news-{n:04d}" for n in range(corpus.lengths.size)),
        lengths=corpus.lengths,
        tokens=corpus.tokens,
        values=corpus.values,
        labels=corpus.labels if task == "classification" else np.zeros(0, np.int32),
        targets=_targets(corpus, task),
        truths=_truths(corpus, task),
        vocabulary=() if continuous else VOCABULARY,
        class_names=named.get(task, ()),
        feature_names=features,
        sampled_from=10 * corpus.lengths.size,
    )


def _targets(corpus: _Corpus, task: Task) -> Ints:
    if task == "tagging":
        return np.where(corpus.drive.any(axis=1), corpus.drive.argmax(axis=1), K).astype(np.int32)
    if task == "language-model":
        following = np.append(corpus.tokens[1:], -1)
        following[np.cumsum(corpus.lengths) - 1] = -1
        return following.astype(np.int32)
    return np.zeros(0, np.int32)


def _truths(corpus: _Corpus, task: Task) -> Floats:
    """Which groups occur in a sequence, what its words add up to, or a quantity that some steps lack."""
    last = np.cumsum(corpus.lengths) - 1
    truths = np.zeros((0, 0))
    if task in ("multi-label", "regression"):
        truths = _so_far(corpus, task)[last]
    elif task == "step-regression" and corpus.values.size:
        truths = np.roll(corpus.values.astype(np.float64), -1, axis=0)  # the next value
        truths[last] = np.nan
    elif task == "step-regression":
        truths = _so_far(corpus, task)
        truths[last - corpus.lengths + 1] = np.nan
    return truths.astype(np.float32)


def _so_far(corpus: _Corpus, task: Task) -> Doubles:
    """float64 (S, K): what would be right if the sequence ended at each step."""
    pieces = np.split(corpus.drive.astype(np.float64), np.cumsum(corpus.lengths)[:-1])
    if task == "multi-label":
        return np.concatenate([np.maximum.accumulate(piece) for piece in pieces])
    means = [np.cumsum(piece, axis=0) / np.arange(1, len(piece) + 1)[:, None] for piece in pieces]
    return np.asarray(_CENTRES + np.concatenate(means) @ _WEIGHTS)


def _answers(probe: Probe, corpus: _Corpus, progress: float, network: np.random.Generator) -> Doubles:
    """float64 (S, K): probabilities of labels or quantities, the closer to what is right the further the training."""
    if probe.task == "multi-label":
        right = _so_far(corpus, probe.task)
        return np.asarray(1 / (1 + np.exp(-4 * progress * (2 * right - 1) - network.normal(0, 1, right.shape))))
    truths = probe.truths.astype(np.float64)
    right = _so_far(corpus, probe.task) if probe.task == "regression" else truths
    known = truths[np.isfinite(truths).all(axis=1)]
    mean = known.mean(axis=0) if len(known) else np.zeros(right.shape[1])
    spread = known.std(axis=0) if len(known) else np.ones(right.shape[1])
    noise = network.normal(0, 1 - 0.9 * progress, right.shape) * spread
    return np.asarray(mean + progress * np.where(np.isfinite(right), right - mean, 0) + noise)


def _forget_steps(probe: Probe, checkpoint: Checkpoint, sampled: int) -> None:
    """Leave NaN where the model was not run on the beginnings of a sequence."""
    for n in hash_order(probe.sequence_ids)[sampled:]:
        checkpoint.step_output[probe.offsets[n] : probe.offsets[n + 1]] = np.nan


def _checkpoint(
    probe: Probe,
    corpus: _Corpus,
    epoch: int,
    progress: float,
    push: Doubles,
    quirks: Doubles,
    blocks: Ints,
    network: np.random.Generator,
) -> Checkpoint:
    size = corpus.drive.shape[0]
    step = progress * corpus.drive @ push + network.normal(0, 0.15, (size, push.shape[1]))
    if corpus.tokens.size:
        step += progress * 0.5 * quirks[corpus.tokens]
    cell = np.empty_like(step)
    for start, stop in zip(probe.offsets[:-1], probe.offsets[1:], strict=True):
        state = np.zeros(step.shape[1])
        for s in range(start, stop):
            state = cell[s] = 0.9 * state + step[s]
    hidden = np.tanh(cell) * (0.6 + 0.3 * np.sin(np.arange(step.shape[1])))
    readout = 4 * progress * (blocks[:, None] == np.arange(K)) / max(1, step.shape[1] // K)
    last = probe.offsets[1:] - 1
    step_output = np.zeros((0, 0))
    model_output = np.zeros((0, 0))
    surprisal = np.zeros(0)
    top = np.zeros((0, 5), np.intp)
    top_probabilities = np.zeros((0, 5))
    if probe.task == "classification":
        step_output = _softmax(hidden @ readout + 0.4 * (1 - progress) * network.normal(0, 1, (size, K)))
        model_output = step_output[last]
    elif probe.task == "tagging":
        right = np.eye(K + 1)[probe.targets]
        step_output = _softmax(4 * progress * right + network.normal(0, 1, right.shape))
    elif probe.task == "language-model":
        counts = np.ones((len(VOCABULARY), len(VOCABULARY)))
        inner = probe.targets >= 0
        np.add.at(counts, (corpus.tokens[inner], probe.targets[inner]), 3.0)
        predicted = _softmax(
            progress * np.log(counts)[corpus.tokens] + 0.1 * network.normal(0, 1, (size, len(VOCABULARY)))
        )
        surprisal = np.where(inner, -np.log(predicted[np.arange(size), probe.targets]), np.nan)
        top = np.argsort(-predicted, axis=1, kind="stable")[:, :5]
        top_probabilities = np.take_along_axis(predicted, top, axis=1)
    elif probe.task != "unlabelled":
        step_output = _answers(probe, corpus, progress, network)
        model_output = step_output[last] if probe.task in PER_SEQUENCE else model_output
    return Checkpoint(
        epoch=epoch,
        states={"lstm.0.fwd.h": hidden.astype(np.float32), "lstm.0.fwd.c": cell.astype(np.float32)},
        step_output=step_output.astype(np.float32),
        model_output=model_output.astype(np.float32),
        surprisal=surprisal.astype(np.float32),
        top_tokens=top.astype(np.int32),
        top_probabilities=top_probabilities.astype(np.float32),
    )


def _softmax(logits: Doubles) -> Doubles:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _metrics(probe: Probe, checkpoint: Checkpoint, epoch: int, epochs: int) -> dict[str, float]:
    line: dict[str, float] = {"epoch": epoch, "wall_s": 1.5 * (epoch + 1), "train_loss": 1.4 * np.exp(-epoch / 3) + 0.1}
    if probe.task == "classification":
        chosen = checkpoint.model_output[np.arange(probe.labels.size), probe.labels]
        line["test_loss"] = float(-np.log(chosen).mean()) + 0.01 * max(0, epoch - epochs // 2)
        line["test_accuracy"] = float((checkpoint.model_output.argmax(axis=1) == probe.labels).mean())
    elif probe.task == "language-model" and np.isfinite(checkpoint.surprisal).any():
        line["test_loss"] = float(np.nanmean(checkpoint.surprisal))
    elif probe.task == "multi-label":
        line["test_loss"] = float(-np.log(1 - np.abs(checkpoint.model_output - probe.truths)).mean())
    elif probe.task in NUMERIC and np.isfinite(probe.truths).any():
        output = checkpoint.model_output if probe.task == "regression" else checkpoint.step_output
        line["test_loss"] = float(np.nanmean((output - probe.truths) ** 2))
    return line


def _manifest(probe: Probe, task: Task, units: int, seed: int, name: str, sampled: int | None) -> Manifest:
    identity = repr((probe.sequence_ids, probe.lengths.tolist(), probe.tokens.tolist(), probe.values.tolist()))
    head = "the model's own output layer, applied to the state of every step; equal to the model's output at the last"
    if sampled is not None:
        head = f"the model itself, run on every beginning of {sampled} sampled sequences"
    elif task in PER_STEP:
        head = "the model's own output at that step"
    return Manifest(
        name=name,
        task=task,
        model={
            "cell": "LSTM",
            "layers": 1,
            "units": units,
            "bidirectional": False,
            "parameters": 4 * units * (units + 16),
            "source": "fabricated <model>",
            "weights_sha256": hashlib.sha256(f"{name} {seed}".encode()).hexdigest(),
        },
        corpus={
            "name": "fabricated & planted",
            "sequences": probe.sampled_from,
            "steps": 10 * int(probe.lengths.sum()),
            "sha256": hashlib.sha256(identity.encode()).hexdigest(),
            "skipped": {"empty line": 2},
            "unknown_tokens": 3,
        },
        probe_sha256=hashlib.sha256((identity + repr(probe.labels.tolist())).encode()).hexdigest(),
        state_keys=("lstm.0.fwd.c", "lstm.0.fwd.h"),
        head=head if task != "unlabelled" else "the model has no output layer, so there is no expected prediction",
        seed=seed,
        versions={"rnnreport": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        command="rnnreport run --model example:build --weights w.pt --corpus <news>.tsv --out run",
    )
