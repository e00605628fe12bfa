"""How fabricated runs are analysed where their co-clusters are not what is looked at: from two starts, not from 15."""

from __future__ import annotations

from rnnreport.analyses import AnalysisParams
from rnnreport.analyses.cocluster import CoclusterParams
from rnnreport.analyses.units import UnitParams

FEW_STARTS = AnalysisParams(units=UnitParams(CoclusterParams(seeds=(0, 1), starts=1)))
