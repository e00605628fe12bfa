"""The declared rules of the verdict: each looks at the evidence and returns one check."""

from __future__ import annotations

from collections.abc import Callable

from rnnreport.analyses.rules.answers import (
    beats_the_majority,
    classes_are_balanced,
    loss_did_not_rise,
    prediction_is_verified,
)
from rnnreport.analyses.rules.evidence import Evidence
from rnnreport.analyses.rules.states import (
    differences_do_not_grow,
    gates_move,
    gradients_reach,
    state_is_used,
    state_keeps_its_directions,
    states_are_finite,
    units_are_free,
    units_differ,
    units_move,
)
from rnnreport.results.schema import Check

RULES: tuple[Callable[[Evidence], Check], ...] = (
    states_are_finite,
    prediction_is_verified,
    beats_the_majority,
    classes_are_balanced,
    loss_did_not_rise,
    units_move,
    units_differ,
    units_are_free,
    gates_move,
    state_keeps_its_directions,
    state_is_used,
    gradients_reach,
    differences_do_not_grow,
)

CHECK_IDS = (
    "states-finite",
    "prediction-verified",
    "beats-majority",
    "beats-mean",
    "beats-even-guess",
    "class-balance",
    "loss-rise",
    "still-units",
    "duplicate-units",
    "saturated-units",
    "stuck-gates",
    "collapsed-state",
    "state-used",
    "gradient-reach",
    "growing-differences",
    "worse-than-baseline",
)
