"""How a run was made, against how its baseline was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class CardDifferences:
    """What differs between the reproducibility cards of a run and its baseline.

    Attributes
    ----------
    baseline : str, its title
    names : tuple of str, what differs
    before, now : tuple of str, the values of the baseline and of the run, "" where one has none
    same : tuple of str, what both have and does not differ
    """

    analysis: ClassVar[str] = "cards"
    baseline: str
    names: tuple[str, ...]
    before: tuple[str, ...]
    now: tuple[str, ...]
    same: tuple[str, ...]
