"""Rules about what the model answers: its scores, its losses, its classes, and a baseline."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.analyses.quantities import r2_in_words
from rnnreport.analyses.rules.evidence import Evidence, loss_curve
from rnnreport.analyses.scores import SHARES, Errors, score
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE
from rnnreport.results.schema import Check

_TOLERANCE = 1e-5  # of a probability, or of a quantity relative to the largest one


def prediction_is_verified(evidence: Evidence) -> Check:
    """Warn unless the expected prediction of the last step equals the model's own output, wherever there is one."""
    last, probe = evidence.last, evidence.probe
    id, title, anchor = "prediction-verified", "Expected predictions are the model's own", "sequences"
    count = probe.lengths.size
    if probe.task == "unlabelled":
        return Check(id, title, "no data", None, None, 0, anchor, evidence.manifest.head)
    if probe.task not in PER_SEQUENCE:
        known = last.step_output.size or last.surprisal.size
        verdict, text = (
            ("pass", "they come from the model itself, step by step") if known else ("warn", evidence.manifest.head)
        )
        return Check(id, title, verdict, None, None, int(probe.lengths.sum()), anchor, text)
    size = float(np.nanmax(np.abs(last.model_output), initial=0.0)) if probe.task in NUMERIC else 1.0
    limit = _TOLERANCE * size
    if not last.step_output.size or not last.model_output.size:
        return Check(id, title, "warn", None, limit, count, anchor, evidence.manifest.head)
    ends = last.step_output[probe.offsets[1:] - 1]
    expected = np.isfinite(ends).all(axis=1)  # the others were not sampled for it
    if not expected.any():
        return Check(id, title, "warn", None, limit, 0, anchor, "no sequence has a finite expected prediction")
    difference = float(np.abs(ends[expected] - last.model_output[expected]).max())
    compared = int(expected.sum())
    of = "" if compared == count else f" of {count:,}"
    text = f"at the last step of {compared:,}{of} sequences they differ by {difference:.1e} at most"
    verdict = "pass" if difference <= limit else "warn"  # a difference of NaN is no agreement
    return Check(id, title, verdict, difference, limit, compared, anchor, text)


def beats_the_majority(evidence: Evidence) -> Check:
    """The model against the best answer that looks at no input: a class, a set of labels, a mean, an even guess."""
    task = evidence.probe.task
    if task == "language-model":
        return _beats_even_guess(evidence)
    if task in NUMERIC:
        return _beats_the_mean(evidence)
    several = task == "multi-label"
    name, what = ("exact_match", "exact matches") if several else ("accuracy", "accuracy")
    title = "Better than the most frequent set of labels" if several else "Better than the most frequent class"
    anchor, metrics = "overview", evidence.performance.metrics
    found, majority = metrics.get(name), metrics.get("majority_share")
    if not found or not majority:
        return Check("beats-majority", title, "no data", None, None, 0, anchor, "there are no labels to score against")
    share, low, high = majority["value"], found["low"], found["high"]
    n = found["n"]
    if low is None:
        text = "one sequence is not enough for an interval"
        return Check("beats-majority", title, "no data", found["value"], share, n, anchor, text)
    text = (
        f"{what} {found['value']:.1%} (95% interval {low:.1%} to {high:.1%}, n = {n:,}) against a majority share of "
        f"{share:.1%}"
    )
    return Check("beats-majority", title, _verdict(low, high, share), found["value"], share, n, anchor, text)


def _beats_the_mean(evidence: Evidence) -> Check:
    id, title, anchor = "beats-mean", "Better than always predicting the mean", "overview"
    errors = score(evidence.probe, evidence.last)
    if not isinstance(errors, Errors):
        return Check(id, title, "no data", None, 0, 0, anchor, "there are no targets to score against")
    n, wrong = len(errors.error), int((~np.isfinite(errors.error)).any(axis=1).sum())
    if wrong:
        text = f"{wrong:,} of {n:,} predictions are not finite"
        return Check(id, title, "fail", None, 0, n, anchor, text)
    metrics = evidence.performance.metrics
    found = metrics.get("r2")
    if found is None:
        return Check(id, title, "no data", None, 0, n, anchor, "the targets are all the same")
    value, low, high = found["value"], found["low"], found["high"]
    if low is None:
        return Check(id, title, "no data", value, 0, n, anchor, "too few sequences for an interval")
    text = (
        f"R² {r2_in_words(value)} (95% interval {r2_in_words(low)} to {r2_in_words(high)}, n = {n:,}); the root mean "
        f"square error is {metrics['rmse']['value']:.4g}, that of the mean {metrics['mean_rmse']['value']:.4g}"
    )
    return Check(id, title, _verdict(low, high, 0), value, 0, n, anchor, text)


def _verdict(low: float, high: float, bar: float) -> str:
    """Where an interval lies: above the bar, below it, or across."""
    return "pass" if low > bar else "fail" if high < bar else "warn"


def _beats_even_guess(evidence: Evidence) -> Check:
    title, anchor = "Better than an even guess", "overview"
    perplexity = evidence.performance.metrics.get("perplexity")
    size = len(evidence.probe.vocabulary)
    if not perplexity:
        return Check("beats-even-guess", title, "no data", None, size, 0, anchor, "no next token could be scored")
    value, n = perplexity["value"], perplexity["n"]
    text = f"perplexity {value:,.1f} over {n:,} tokens, with a vocabulary of {size:,}"
    return Check("beats-even-guess", title, "pass" if value < size else "fail", value, size, n, anchor, text)


def classes_are_balanced(evidence: Evidence) -> Check:
    """Warn where one class is much more frequent than another: its answer may be preferred, its words better known."""
    title, anchor, probe = "Classes are about as frequent", "overview", evidence.probe
    limit = evidence.thresholds.class_ratio
    if probe.task != "classification" or len(probe.class_names) < 2:
        return Check("class-balance", title, "no data", None, limit, 0, anchor, "there are no classes of sequences")
    counts = np.bincount(probe.labels, minlength=len(probe.class_names))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    ratio = float(counts[most] / counts[fewest]) if counts[fewest] else None
    shares = f"“{probe.class_names[most]}” {counts[most]:,}, “{probe.class_names[fewest]}” {counts[fewest]:,}"
    text = f"{shares} of {counts.sum():,} sequences" + (f": {ratio:.1f} to 1" if ratio is not None else "")
    verdict = "pass" if ratio is not None and ratio <= limit else "warn"
    return Check("class-balance", title, verdict, ratio, limit, int(counts.sum()), anchor, text)


def loss_did_not_rise(evidence: Evidence) -> Check:
    """Warn where the test loss of the epoch reported is clearly above its lowest value up to there."""
    title, anchor, limit = "No overfitting in the test loss", "training", evidence.thresholds.rise_of_loss
    curve = loss_curve(evidence.performance, evidence.last.epoch)
    if curve is None:
        text = "fewer than two epochs report a test loss"
        return Check("loss-rise", title, "no data", None, limit, 0, anchor, text)
    name, epochs, losses = curve
    best = int(losses.argmin())
    ratio = float(losses[-1] / losses[best]) if losses[best] > 0 else 1.0
    text = f"{name} ends at {losses[-1]:.3g}; its lowest is {losses[best]:.3g} at epoch {epochs[best]}"
    return Check("loss-rise", title, "warn" if ratio > limit else "pass", ratio, limit, losses.size, anchor, text)


def not_worse_than_baseline(paired: dict[str, Any] | None) -> Check:
    """Warn where the run is significantly worse than its baseline on the same sequences.

    A warning and no failure, because another seed of the same configuration may differ as much.

    Parameters
    ----------
    paired : dict, as in ``Comparison.paired``; None where the two could not be compared
    """
    id, title, anchor = "worse-than-baseline", "Not worse than the baseline", "comparison"
    if paired is None:
        return Check(id, title, "no data", None, 0, 0, anchor, "there is nothing that both runs could be scored by")
    change, low, high, n = (paired[part] for part in ("difference", "low", "high", "n"))
    worse = paired["significant"] and (change < 0) == (paired["metric"] in SHARES)
    how = "no significant change"
    if paired["significant"]:
        how = f"significantly {'worse' if worse else 'better'}"
    scale, points = (100, " points") if paired["metric"] in SHARES else (1, "")
    interval = f"95% interval {scale * low:+.4g} to {scale * high:+.4g}, n = {n:,}"
    metric = paired["metric"].replace("_", " ")
    text = f"{metric} {scale * change:+.4g}{points} against “{paired['baseline']}” ({interval}): {how}"
    return Check(id, title, "warn" if worse else "pass", change, 0, n, anchor, text)
