"""What the analyses leave on disk, as frozen dataclasses; axes are named by the letters of ``recorded.py``."""

from __future__ import annotations

from rnnreport.results.schema.cards import CardDifferences
from rnnreport.results.schema.causes import GradientReach, InputAttribution, UnitImportance
from rnnreport.results.schema.comparison import (
    Changes,
    Comparison,
    Confusions,
    Effects,
    Likeness,
    MachineDiff,
    MatchedClusters,
    SideBySide,
    Slices,
)
from rnnreport.results.schema.decisions import Decisions
from rnnreport.results.schema.fixed_points import FixedPoints, Integration, Lyapunov
from rnnreport.results.schema.gates import GateUse
from rnnreport.results.schema.health import FAULTS, Health
from rnnreport.results.schema.jumps import Jumps
from rnnreport.results.schema.machine import Machine
from rnnreport.results.schema.memory import Memory
from rnnreport.results.schema.probes import LeftOutSteps, Probes
from rnnreport.results.schema.readable import Readable
from rnnreport.results.schema.sequences import (
    ContinuationTrees,
    Dependence,
    GivenDependence,
    GivenPlaces,
    GivenSentences,
    Projection,
    Sequences,
)
from rnnreport.results.schema.similar import Similar
from rnnreport.results.schema.summary import Check, Performance, Summary, Unavailable
from rnnreport.results.schema.training import ActiveWords, Dynamics, Formation, NodeStates, Pictures, RawPictures
from rnnreport.results.schema.units import WEIGHTINGS, UnitMap, Units, Words

__all__ = [
    "FAULTS",
    "WEIGHTINGS",
    "ActiveWords",
    "CardDifferences",
    "Changes",
    "Check",
    "Comparison",
    "Confusions",
    "ContinuationTrees",
    "Decisions",
    "Dependence",
    "Dynamics",
    "Effects",
    "FixedPoints",
    "Formation",
    "GateUse",
    "GivenDependence",
    "GivenPlaces",
    "GivenSentences",
    "GradientReach",
    "Health",
    "InputAttribution",
    "Integration",
    "Jumps",
    "LeftOutSteps",
    "Likeness",
    "Lyapunov",
    "Machine",
    "MachineDiff",
    "MatchedClusters",
    "Memory",
    "NodeStates",
    "Performance",
    "Pictures",
    "Probes",
    "Projection",
    "RawPictures",
    "Readable",
    "Sequences",
    "SideBySide",
    "Similar",
    "Slices",
    "Summary",
    "Unavailable",
    "UnitImportance",
    "UnitMap",
    "Units",
    "Words",
]
