"""Two or more runs on one probe set: metrics side by side, paired differences, similarity of the states."""

from rnnreport.analyses.comparison.build import CompareParams, compare, side_by_side
from rnnreport.analyses.comparison.epoch import as_of, split_epoch
from rnnreport.analyses.comparison.probes import refuse_incomparable
from rnnreport.analyses.comparison.similarity import linear_cka

__all__ = [
    "CompareParams",
    "as_of",
    "compare",
    "linear_cka",
    "refuse_incomparable",
    "side_by_side",
    "split_epoch",
]
