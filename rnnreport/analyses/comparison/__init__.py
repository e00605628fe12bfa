"""Two or more runs on one probe set: metrics side by side, paired differences, similarity of the states."""

from rnnreport.analyses.comparison.build import CompareParams, SideBySide, compare, side_by_side
from rnnreport.analyses.comparison.probes import refuse_unequal
from rnnreport.analyses.comparison.similarity import linear_cka

__all__ = ["CompareParams", "SideBySide", "compare", "linear_cka", "refuse_unequal", "side_by_side"]
