"""What the settings files ask of a run, for the commands that judge one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rnnreport.config import read_thresholds

if TYPE_CHECKING:
    from rnnreport.analyses.thresholds import Policy


def policy() -> Policy:
    """The thresholds that hold in the working directory.

    Raises
    ------
    InputError
        If they cannot be understood.
    """
    from rnnreport.analyses.rules import CHECK_IDS
    from rnnreport.analyses.thresholds import parse_policy

    table, source = read_thresholds(Path.cwd())
    return parse_policy(table, source, CHECK_IDS)
