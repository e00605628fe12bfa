"""Analyses: functions of recorded arrays and a frozen parameter object; each returns a record of ``results``."""

from __future__ import annotations

from rnnreport.analyses.comparison import CompareParams, compare, side_by_side
from rnnreport.analyses.pipeline import AnalysisParams, analyse
from rnnreport.analyses.summary import SummaryParams, summarise

__all__ = ["AnalysisParams", "CompareParams", "SummaryParams", "analyse", "compare", "side_by_side", "summarise"]
