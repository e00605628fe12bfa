"""How fabricated runs are analysed where maps and co-clusters are not what is looked at: rougher, in less time."""

from __future__ import annotations

from rnnreport.analyses import AnalysisParams
from rnnreport.analyses.cocluster import CoclusterParams
from rnnreport.analyses.projection import ProjectionParams
from rnnreport.analyses.units import UnitParams

ROUGH = AnalysisParams(
    units=UnitParams(CoclusterParams(seeds=(0, 1), starts=1)),  # from two starts, not from 15
    projection=ProjectionParams(landmarks=60),  # of PHATE, instead of 300
)
