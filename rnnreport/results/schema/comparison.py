"""Runs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class Comparison:
    """Two or more runs on the same probe set; the first is the baseline.

    Attributes
    ----------
    runs : tuple of str, length R, their titles
    cells : tuple of str, length R, for example "LSTM 1 x 32"
    scopes : tuple of str, length R, the StateKey compared
    metric_names : tuple of str
    metrics : float64 (R, len(metric_names), 3): value, low, high (95%)
    paired : tuple of dict, one per run after the first: "run", "baseline", "metric", "difference", "low", "high",
        "n", "significant"; for classification and multi-label also "only_baseline_right", "only_run_right", "p_value"
        (exact McNemar)
    sequence_ids : tuple of str, length N
    labels : int32 (N,); (0,) without labels
    predicted : int32 (R, N); (0, 0) unless classification
    confidence : float32 (R, N); likewise
    class_names : tuple of str
    similarity : float64 (R, R), linear CKA of the states at the last epoch over all steps
    epochs : int32 (E,), epochs recorded by every run
    similarity_by_epoch : float64 (R, E), linear CKA with the baseline at the same epoch
    history : tuple of dict, per run: metric name to list of [epoch, value]
    guide : str
    """

    analysis: ClassVar[str] = "comparison"
    runs: tuple[str, ...]
    cells: tuple[str, ...]
    scopes: tuple[str, ...]
    metric_names: tuple[str, ...]
    metrics: Doubles
    paired: tuple[dict[str, Any], ...]
    sequence_ids: tuple[str, ...]
    labels: Ints
    predicted: Ints
    confidence: Floats
    class_names: tuple[str, ...]
    similarity: Doubles
    epochs: Ints
    similarity_by_epoch: Doubles
    history: tuple[dict[str, Any], ...]
    guide: str
