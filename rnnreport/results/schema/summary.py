"""How good the model is, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from rnnreport.results.recorded import FORMAT_VERSION, Doubles, Floats, Ints, Task


@dataclass(frozen=True)
class Unavailable:
    """An analysis whose preconditions do not hold. The page prints the reason in its place."""

    analysis: str
    reason: str


@dataclass(frozen=True)
class Performance:
    """How good the model is on the probe set at the last recorded epoch, and along training.

    Attributes
    ----------
    metrics : dict of name to {"value", "low", "high", "n", "unit"}; low and high bound a 95% cluster bootstrap over
        sequences. Classification and tagging: accuracy, cross_entropy, majority_share. Language model: cross_entropy,
        perplexity, accuracy. Multi-label: exact_match, micro_f1, cross_entropy (per label), majority_share (of the
        most frequent set of labels). Regression: rmse, mae, r2, mean_rmse (of always predicting the mean), over all
        quantities.
    confusion : int32 (K, K), rows actual, columns predicted (classification, tagging); otherwise (0, 0)
    label_counts : int32 (K, 4), true positives, false positives, false negatives, true negatives of each label at
        probability 0.5 (multi-label); otherwise (0, 4)
    truth, output : float32 (I, K), targets and predictions of evenly spaced scored items (regression and
        step-regression); otherwise (0, 0)
    class_names : tuple of str, length K
    history_names : tuple of str: the metrics of metrics.jsonl
    history_epochs : int32 (E,)
    history : float64 (len(history_names), E), NaN where an epoch lacks the metric
    guide : str
    """

    analysis: ClassVar[str] = "performance"
    metrics: dict[str, dict[str, Any]]
    confusion: Ints
    label_counts: Ints
    truth: Floats
    output: Floats
    class_names: tuple[str, ...]
    history_names: tuple[str, ...]
    history_epochs: Ints
    history: Doubles
    guide: str


@dataclass(frozen=True)
class Check:
    """One declared rule and its outcome.

    ``verdict`` is "pass", "warn", "fail" or "no data". ``rule`` is the verdict of the rule itself where the settings
    may have changed it, "set" where the check is a limit of a metric that the settings ask for, and otherwise "".
    ``asked`` is what the settings say of the check, in words; "" where they say nothing.
    """

    id: str
    title: str
    verdict: str
    value: float | None
    threshold: float | None
    n: int
    anchor: str
    text: str
    rule: str = ""
    asked: str = ""

    @property
    def words(self) -> str:
        """What was found, and what the settings say of it."""
        return f"{self.text}; {self.asked}" if self.asked else self.text


@dataclass(frozen=True)
class Summary:
    """``summary.json``: the report for machines, and the head of the page.

    ``findings`` are plain sentences with the anchor of the figure that shows each.
    """

    run: str
    task: Task
    verdict: str
    model: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    checks: tuple[Check, ...]
    findings: tuple[dict[str, str], ...] = field(default_factory=tuple)
    format_version: int = FORMAT_VERSION
