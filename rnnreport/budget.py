"""How much may be spent on what runs the model again, differentiates it or searches its dynamics.

Each such recording has parameters of its own with a field ``multiplications``, at most so many in all, which takes a
few seconds at the standard budget. A budget multiplies them all by one number, so that it is declared once per run.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeVar, get_args

Budget = Literal["quick", "standard", "full"]
BUDGETS: tuple[Budget, ...] = get_args(Budget)
LEFT_OUT = "the budget was quick; the standard one computes it"  # the reason of a recording without multiplications

_SHARES: dict[Budget, float] = {"quick": 0, "standard": 1, "full": 10}

Params = TypeVar("Params")


def within(params: Params, budget: Budget) -> Params:
    """The same parameters with the multiplications of a budget.

    Parameters
    ----------
    params : a frozen dataclass with a field ``multiplications``, that of the standard budget
    budget : Budget
    """
    given: Any = params
    changed: Params = dataclasses.replace(given, multiplications=given.multiplications * _SHARES[budget])
    return changed
