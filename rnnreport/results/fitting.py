"""Whether records fit together, and hold what pages ask for, where lines of ``shapes.py`` cannot say so.

Later stages index one array by another: what does not fit would fail there, or mix up sequences without failing.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from rnnreport.results.causes import UnitAblation
from rnnreport.results.recorded import Manifest, Probe, StateKey
from rnnreport.results.schema import Summary
from rnnreport.results.typed import typed, typed_entries

_MODEL = {
    "cell": str,
    "layers": int,
    "units": int | str,
    "bidirectional": bool,
    "parameters": int,
    "source": str,
    "weights_sha256": str,
}
_CORPUS = {
    "name": str,
    "sequences": int,
    "steps": int,
    "sha256": str,
    "skipped": dict[str, int],
    "unknown_tokens": int,
}
_VERDICT = Literal["pass", "warn", "fail", "no data"]
_RULE = Literal["pass", "warn", "fail", "no data", "set", ""]  # see ``Check``
_METRIC = {"value": float | None, "low": float | None, "high": float | None, "n": int, "unit": str}
_FINDING = {"text": str, "anchor": str}


def refuse_unfit(record: Any) -> None:
    """Raise where the parts of a probe set do not fit its task, or the runs of an ablation one another.

    Of a manifest and of a summary, where an entry that pages ask for is missing or of another type.

    Parameters
    ----------
    record : a dataclass of ``recorded.py``, ``causes.py`` or ``schema``
        Whose shapes are right.

    Raises
    ------
    ValueError
    """
    if isinstance(record, Probe):
        _refuse_unfit_probe(record)
    elif isinstance(record, UnitAblation) and not record.reason:
        _refuse_unfit_ablation(record)
    elif isinstance(record, Manifest):
        _refuse_unfit_manifest(record)
    elif isinstance(record, Summary):
        _refuse_unfit_summary(record)


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
    _expect(kinds[:1].tolist() == ["none"] and (kinds == "none").sum() == 1, "kinds do not begin with the only 'none'")
    _expect((kinds == "all").sum() == 1, "kinds have no single 'all'")
    _expect(held.any() and np.array_equal(found.members[held], np.arange(held.sum())), "members are not all, in order")
    _expect(np.array_equal(np.unique(found.groups), np.arange(held.sum())), "groups are not those that were held")
    _expect(bool((units >= 0).all() and (units < found.unit.size).all()), "members are not all units")
    _expect(sizes["most"].size > 0 and bool((np.diff(sizes["most"]) > 0).all()), "sizes are not rising")
    _expect(np.array_equal(sizes["most"], sizes["least"]), "sizes are not the same of 'most' and 'least'")
    whole = sizes["random"].size and not sizes["random"].size % sizes["most"].size
    _expect(bool(whole), "sizes of 'random' are not those of whole orders")


def _refuse_unfit_manifest(manifest: Manifest) -> None:
    for key in manifest.state_keys:
        StateKey.parse(key)
    typed_entries(manifest.model, _MODEL, "model")
    typed_entries(manifest.corpus, _CORPUS, "corpus")


def _refuse_unfit_summary(summary: Summary) -> None:
    typed_entries(summary.model, _MODEL, "model")
    typed(summary.verdict, _VERDICT, "verdict")
    for check in summary.checks:
        typed(check.verdict, _VERDICT, "verdict")
        typed(check.rule, _RULE, "rule")
    for name, entry in summary.metrics.items():
        typed_entries(entry, _METRIC, f"metrics[{name[:40]!r}]")
    for finding in summary.findings:
        typed_entries(finding, _FINDING, "a finding")


def _expect(holds: bool, told: str) -> None:
    if not holds:
        raise ValueError(told)
