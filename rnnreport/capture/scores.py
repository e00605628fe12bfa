"""The metrics of an epoch, from the model's own outputs on the probe set."""

from __future__ import annotations

import numpy as np

from rnnreport.results.recorded import NUMERIC, PER_STEP, Checkpoint, Doubles, Floats, Ints, Probe

_LEAST = np.finfo(np.float32).tiny  # smaller probabilities count as this one: 87.3 nats


def evaluate(checkpoint: Checkpoint, probe: Probe) -> dict[str, float]:
    """Scores of a checkpoint on the probe set.

    Classification, tagging, language model: accuracy (share) and cross_entropy (nats), over sequences, steps or
    predicted tokens. Multi-label: exact_match (share of sequences with all labels right) and cross_entropy (nats per
    label). Regression: rmse and mae over all quantities that have a target. Empty without labels.
    """
    if probe.task == "unlabelled":
        return {}
    if probe.task == "language-model":
        return _of_tokens(checkpoint, probe)
    output = checkpoint.step_output if probe.task in PER_STEP else checkpoint.model_output
    if probe.task in NUMERIC:
        return _of_quantities(output, probe.truths)
    if probe.task == "multi-label":
        return _of_labels(output, probe.truths)
    return _of_classes(output, probe.targets if probe.task in PER_STEP else probe.labels)


def _of_tokens(checkpoint: Checkpoint, probe: Probe) -> dict[str, float]:
    answered = probe.targets >= 0
    if not answered.any():
        return {}
    right = checkpoint.top_tokens[answered, 0] == probe.targets[answered]
    surprisal = checkpoint.surprisal[answered].astype(np.float64)
    return {"accuracy": float(right.mean()), "cross_entropy": float(surprisal.mean())}


def _of_classes(output: Floats, truth: Ints) -> dict[str, float]:
    chosen = output[np.arange(len(truth)), truth]
    right = (output.argmax(axis=1) == truth) & np.isfinite(chosen)
    return {"accuracy": float(right.mean()), "cross_entropy": float(_surprisal(chosen).mean())}


def _of_labels(output: Floats, truth: Floats) -> dict[str, float]:
    right = ((output >= 0.5) == (truth >= 0.5)) & np.isfinite(output)
    of_truth = np.where(truth >= 0.5, output, 1 - output)
    return {"exact_match": float(right.all(axis=1).mean()), "cross_entropy": float(_surprisal(of_truth).mean())}


def _of_quantities(output: Floats, truth: Floats) -> dict[str, float]:
    known = np.isfinite(truth)
    if not known.any():
        return {}
    error = output[known].astype(np.float64) - truth[known]
    return {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}


def _surprisal(probabilities: Floats) -> Doubles:
    return np.asarray(-np.log(np.maximum(probabilities.astype(np.float64), _LEAST)))
