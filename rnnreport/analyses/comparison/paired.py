"""The difference between two runs over the same items: interval, exact McNemar test."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, ratio_interval, resampled_sums
from rnnreport.analyses.comparison.runs import Read
from rnnreport.analyses.quantities import error_sums, root_mean_square
from rnnreport.analyses.scores import Errors, Scores
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Doubles, Task

_PAIRED = {"language-model": "cross_entropy", "multi-label": "exact_match"}  # what is compared; otherwise accuracy


def compared_metric(task: Task) -> str:
    """What two runs are compared by where their answers are right or wrong."""
    return _PAIRED.get(task, "mean_square_error" if task in NUMERIC else "accuracy")


def paired_difference(baseline: Read, run: Read, params: BootstrapParams) -> dict[str, Any] | None:
    """Difference run - baseline over the same items, with its interval over the same resamples of sequences.

    Of cross-entropy for a language model, of the root mean square error for quantities, of exact matches for several
    labels, of accuracy otherwise. None where one of them cannot be scored, or a single sequence leaves nothing to
    resample.
    """
    one, two, count = baseline.scores, run.scores, baseline.probe.lengths.size
    task, extra = baseline.probe.task, {}
    if isinstance(one, Errors) and isinstance(two, Errors):
        metric = "rmse"
        value, low, high = _rmse_difference(one, two, count, params)
    elif isinstance(one, Scores) and isinstance(two, Scores):
        metric = compared_metric(task)
        change = two.loss - one.loss if metric == "cross_entropy" else two.right - one.right
        value, low, high = ratio_interval(*two.per_sequence(change, count), params)
        extra = mcnemar(one.right > 0, two.right > 0) if task in PER_SEQUENCE else {}
    else:
        return None
    if not np.isfinite([value, low, high]).all():
        return None
    # Both have to agree: the percentile interval alone is too short when few sequences changed.
    outside = low > 0 or high < 0
    return {
        "run": run.manifest.name,
        "baseline": baseline.manifest.name,
        "metric": metric,
        "difference": value,
        "low": low,
        "high": high,
        "n": int(two.sequence.size),
        **extra,
        "significant": bool(outside and extra.get("p_value", 0.0) < 1 - params.coverage),
    }


def _rmse_difference(baseline: Errors, run: Errors, count: int, params: BootstrapParams) -> tuple[float, float, float]:
    """Both errors are taken of the same resamples, so that what makes a sequence hard for both cancels."""
    numbers, first = error_sums(baseline, count)
    second = error_sums(run, count)[1]
    columns = [column[numbers > 0] for column in (numbers, first, second)]

    def difference(totals: Doubles) -> Doubles:
        return root_mean_square(totals[[0, 2]]) - root_mean_square(totals[[0, 1]])

    value = float(difference(np.array([[column.sum()] for column in columns]))[0])
    return value, *percentile_interval(difference(resampled_sums(columns, params)), params)


def mcnemar(baseline_right: NDArray[np.bool_], run_right: NDArray[np.bool_]) -> dict[str, Any]:
    """Exact McNemar test: could the sequences that only one run gets right be split like this by chance?"""
    from scipy.stats import binomtest

    only_baseline = int((baseline_right & ~run_right).sum())
    only_run = int((run_right & ~baseline_right).sum())
    changed = only_baseline + only_run
    p_value = float(binomtest(only_run, changed).pvalue) if changed else 1.0
    return {"only_baseline_right": only_baseline, "only_run_right": only_run, "p_value": p_value}
