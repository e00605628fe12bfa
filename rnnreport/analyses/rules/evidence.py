"""What the rules and the findings look at, and where the rules draw their lines."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rnnreport.results.recorded import Checkpoint, Manifest, Probe
from rnnreport.results.schema import (
    Decisions,
    FixedPoints,
    GradientReach,
    Health,
    Lyapunov,
    Machine,
    Performance,
    Unavailable,
    UnitImportance,
    Units,
    Words,
)

# The last two are what capture itself measures on the corpus it is given.
TEST_LOSSES = ("test_loss", "val_loss", "valid_loss", "validation_loss", "eval_loss", "cross_entropy", "rmse")


@dataclass(frozen=True)
class Thresholds:
    """Where the rules draw their lines."""

    rise_of_loss: float = 1.1  # loss of the last epoch over the lowest one
    class_ratio: float = 2.0  # sequences of the most frequent class over those of the rarest
    still_units: int = 0  # that never move
    duplicate_units: int = 0  # that repeat another one
    saturated_share: float = 0.10  # of the units of a bounded state
    stuck_share: float = 0.5  # of the units of a gate
    followed_steps: int = 20  # of a sequence, fewest for a Lyapunov exponent
    remaining_directions: float = 0.05  # participation ratio above 1, relative to that before training


@dataclass(frozen=True)
class Evidence:
    """Everything a rule or a finding may look at."""

    manifest: Manifest
    probe: Probe
    last: Checkpoint
    performance: Performance
    words: Words | Unavailable
    units: dict[str, Units | Unavailable]
    thresholds: Thresholds
    health: Health
    decisions: Decisions | Unavailable
    machine: Machine | Unavailable = field(default_factory=lambda: Unavailable(Machine.analysis, "not asked for"))
    fixed_points: FixedPoints | Unavailable = field(
        default_factory=lambda: Unavailable(FixedPoints.analysis, "not asked for")
    )
    lyapunov: Lyapunov | Unavailable = field(default_factory=lambda: Unavailable(Lyapunov.analysis, "not asked for"))
    importance: UnitImportance | Unavailable = field(
        default_factory=lambda: Unavailable(UnitImportance.analysis, "not asked for")
    )
    reach: GradientReach | Unavailable = field(
        default_factory=lambda: Unavailable(GradientReach.analysis, "not asked for")
    )


def loss_curve(result: Performance, until: int | None = None) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Name, epochs and values of the reported test loss up to an epoch, where at least two epochs have one."""
    name = next((name for name in TEST_LOSSES if name in result.history_names), None)
    if name is None:
        return None
    values = result.history[result.history_names.index(name)]
    known = np.isfinite(values) & (until is None or result.history_epochs <= until)
    return (name, result.history_epochs[known], values[known]) if known.sum() > 1 else None
