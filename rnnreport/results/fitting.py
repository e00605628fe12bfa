"""Whether what was recorded fits together where lines of ``shapes_recorded.py`` cannot say so.

Later stages index one array by another: what does not fit would fail there, or mix up sequences without failing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.results.causes import UnitAblation
from rnnreport.results.recorded import Probe


def refuse_unfit(record: Any) -> None:
    """Raise where the parts of a probe set do not fit its task, or the runs of an ablation one another.

    Parameters
    ----------
    record : a dataclass of ``recorded.py`` or ``causes.py``
        Whose shapes are right.

    Raises
    ------
    ValueError
    """
    if isinstance(record, Probe):
        _refuse_unfit_probe(record)
    elif isinstance(record, UnitAblation) and not record.reason:
        _refuse_unfit_ablation(record)


def _refuse_unfit_probe(probe: Probe) -> None:
    _expect(len(set(probe.sequence_ids)) == len(probe.sequence_ids), "sequence_ids are not all different")
    if probe.continuous:
        _expect(len(probe.values) > 0, "values are none")
    else:
        _expect(probe.tokens.size > 0, "tokens are none")
    rows = probe.lengths.sum(dtype=np.int64) if probe.task == "step-regression" else probe.lengths.size
    _expect(len(probe.truths) in (0, rows), "truths are not those of all answers")


def _refuse_unfit_ablation(found: UnitAblation) -> None:
    kinds = np.array(found.kinds)
    held, units = kinds == ("group" if "group" in found.kinds else "unit"), found.members[kinds == "unit"]
    sizes = {kind: found.sizes[kinds == kind] for kind in ("most", "least", "random")}
    _expect(found.items.sum() > 0, "items are none")
    _expect(kinds[:1].tolist() == ["none"] and (kinds == "none").sum() == 1, "kinds do not begin with the only 'none'")
    _expect((kinds == "all").sum() == 1, "kinds have no single 'all'")
    _expect(held.any() and np.array_equal(found.members[held], np.arange(held.sum())), "members are not all, in order")
    _expect(bool((found.groups < held.sum()).all()), "groups are not those that were held")
    _expect(bool((units >= 0).all() and (units < found.unit.size).all()), "members are not all units")
    _expect(sizes["most"].size > 0 and bool((np.diff(sizes["most"]) > 0).all()), "sizes are not rising")
    _expect(np.array_equal(sizes["most"], sizes["least"]), "sizes are not the same of 'most' and 'least'")
    whole = sizes["random"].size and not sizes["random"].size % sizes["most"].size
    _expect(bool(whole), "sizes of 'random' are not those of whole orders")


def _expect(holds: bool, told: str) -> None:
    if not holds:
        raise ValueError(told)
