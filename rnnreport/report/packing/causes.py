"""What the page says of why the model answers as it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.environment import number, power_of_ten, signed
from rnnreport.report.figures.attribution import agreement_picture
from rnnreport.report.figures.importance import importance_bars, importance_curve, written
from rnnreport.report.figures.reach import reach_curves, reach_legend, reach_matrix, reach_range
from rnnreport.report.gather import Run, available, reason, state_title
from rnnreport.report.payload import Payload
from rnnreport.report.trees import visible
from rnnreport.results.schema import InputAttribution, UnitImportance

_LEVEL = 0.05  # of p-values by Holm
_MANY = 0.1  # share of unreliable sequences from which all of it is called so


def importance_context(run: Run) -> dict[str, Any]:
    """What the template of the frame on units needs."""
    found = available(run.importance)
    if found is None:
        return {"importance": None, "importance_missing": reason(run.importance)}
    scopes = [units.scope for units in run.units]
    sure = int((found.p_values < _LEVEL).sum())
    return {
        "importance": {
            "title": _title(found),
            "note": _note(found),
            "guide": found.guide,
            "bars": importance_bars(found, scopes),
            "bars_title": f"{sure:,} of {len(found.rise):,} {found.parts} matter beyond doubt",
            "curve": importance_curve(found),
            "curve_title": f"The {found.metric}, with units held",
        },
        "importance_missing": "",
    }


def _title(found: UnitImportance) -> str:
    units = found.unit.size
    if np.isnan(found.enough[0]):
        return f"Holding all {units:,} units at their mean costs nothing beyond doubt"
    what = f"the {found.metric}" if found.metric != "loss" else "what the state tells of the next token"
    carried = "unit carries" if found.enough[0] == 1 else "units carry"
    return f"{found.enough[0]:,.0f} of {units:,} {carried} 90% of {what}"


def _note(found: UnitImportance) -> str:
    write = written(found.metric)
    whole, constant = (
        f"{write(value)} ({write(low)} to {write(high)})" if np.isfinite(low) else write(value)
        for value, low, high in (found.whole.tolist(), found.constant.tolist())
    )
    said = [
        f"{found.metric}{', nats per token' if found.metric == 'loss' else ''}: {whole} as it is, {constant} with all "
        f"held, n = {found.judged:,} sequences (bars: {found.sequences:,})"
    ]
    if np.isfinite(found.enough[1]):
        keep, lose = (f"{low:.0f} to {high:.0f}" for _, low, high in (found.enough, found.needed))
        said.append(
            f"{keep} units keep 90% of the difference, without the {lose} first ones 90% is lost (95% intervals)"
        )
    if np.isfinite(found.agreement[0]):
        rho, low, high, units = found.agreement.tolist()
        interval = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
        said.append(
            f"rank correlation of a unit's cost with the size of its readout {rho:.2f}{interval}, n = {units:.0f} units"
        )
    return " · ".join(said)


def attribution_context(run: Run) -> dict[str, Any]:
    """What the template of the frame on inputs needs."""
    found = available(run.attribution)
    if found is None:
        return {"attribution": None, "attribution_missing": reason(run.attribution)}
    return {
        "attribution": {
            "title": _attribution_title(found),
            "note": _attribution_note(found),
            "guide": found.guide,
            "unreliable": found.unreliable > _MANY * found.explained,
            "rows": _word_rows(found),
            "picture": agreement_picture(found),
            "near": f"the last {found.near} steps up to the answer; " if found.near else "",
            "agreement": _agreement_title(found),
        },
        "attribution_missing": "",
    }


def pack_attribution(found: InputAttribution, payload: Payload) -> dict[str, Any]:
    """Pack what the steps of the displayed sequences add.

    Returns
    -------
    dict
        ``names``, ``steps``, ``quantity`` and ``tolerance`` as in ``InputAttribution``.
    """
    for name in ("sequences", "lengths", "steps"):
        payload.add_integers(f"attribution.{name}", getattr(found, name))
    for name in ("value", "baseline", "errors", "agreements"):
        payload.add_exact(f"attribution.{name}", getattr(found, name))
    for name in ("gradients", "occlusion"):
        payload.add_reals(f"attribution.{name}", getattr(found, name), bits=12)
    return {
        "names": list(found.names),
        "quantity": found.quantity,
        "perStep": found.per_step,
        "tolerance": found.tolerance,
    }


def reach_context(run: Run) -> dict[str, Any]:
    """What the template of the frame on gradients needs."""
    found = available(run.reach)
    if found is None:
        return {"reach": None, "reach_missing": reason(run.reach)}
    low, high = reach_range(found)
    factor, left = found.factors[0], found.remaining[0]
    interval = f" ({number(factor[1])} to {number(factor[2])})" if np.isfinite(factor[1]) else ""
    rows = "one row for each of a few losses" if found.per_step else "one row per sequence"
    return {
        "reach": {
            "title": f"Each step back multiplies the gradient by {number(factor[0], 2)}: {found.verdicts[0]} over "
            f"{found.span:,} {'step' if found.span == 1 else 'steps'}",
            "note": f"factor per step {number(factor[0])}{interval}, 95% interval; {number(left[0], 2)} of it left "
            f"after {found.span:,} steps, the length of the middle sequence; n = {found.sequences:,} sequences, "
            "last epoch",
            "guide": found.guide,
            "matrix": reach_matrix(found),
            "matrix_title": f"Derivative of the loss by {state_title(found.scopes[0])}",
            "matrix_note": f"{rows}; faint {power_of_ten(round(low))}, strong {power_of_ten(round(high))}",
            "curves": reach_curves(found),
            "legend": reach_legend(found),
        },
        "reach_missing": "",
    }


def _attribution_title(found: InputAttribution) -> str:
    """The word that adds most beyond doubt."""
    sure = np.flatnonzero((found.p_values < _LEVEL) & (found.means[:, 0] > 0))
    if not sure.size:
        return "No single input adds to an answer beyond doubt"
    best = int(sure[found.means[sure, 0].argmax()])
    towards = found.groups[found.group[best]]
    towards = f"“{visible(towards)}”" if len(found.groups) > 1 or not found.near else towards
    value, low, high = (number(part, 2) for part in found.means[best].tolist())
    return (
        f"“{visible(found.words[best])}” speaks most for {towards}: each occurrence adds {value} (95% interval {low} "
        f"to {high}, n = {found.occurrences[best]:,} in {found.word_sequences[best]:,} sequences)"
    )


def _attribution_note(found: InputAttribution) -> str:
    what = "answers at one step of a sequence each" if found.per_step else "answers"
    said = [
        f"n = {found.explained:,} {what}, last epoch; baseline: the mean input of the probe set at every step",
        f"median completeness error {_share(found.median_error)}; "
        f"{found.unreliable:,} unreliable ({found.tolerance:.0%} or more), left out of the table",
    ]
    if found.skipped:
        said.append(f"{found.skipped:,} sequences were too long or beyond the budget")
    return " · ".join(said)


def _share(value: float) -> str:
    return f"{value:.2%}" if value < 1 else "above 100%"


def _agreement_title(found: InputAttribution) -> str:
    rho, low, high, sequences = found.agreement.tolist()
    if not sequences:
        return "Too few steps for a rank correlation"
    interval = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
    return f"Rank correlation within a sequence {rho:.2f}{interval}, n = {sequences:.0f}"


def _word_rows(found: InputAttribution) -> list[dict[str, Any]]:
    """For every answer the words that raise and that lower it, in the order of the result."""
    rows = []
    for place, name in enumerate(found.groups):
        own = np.flatnonzero(found.group == place).tolist()
        rows.append(
            {
                "name": name,
                "size": int(found.sizes[place]),
                "raises": [_word(found, n) for n in own if found.means[n, 0] > 0],
                "lowers": [_word(found, n) for n in own if found.means[n, 0] < 0],
            }
        )
    return rows


def _word(found: InputAttribution, place: int) -> dict[str, Any]:
    value, low, high = found.means[place].tolist()
    doubt = found.p_values[place]
    return {
        "word": visible(found.words[place]),
        "value": signed(value, 2),
        "sure": bool(doubt < _LEVEL),
        "detail": f"{low:+.2f} to {high:+.2f} (95%), {found.occurrences[place]:,} times in "
        f"{found.word_sequences[place]:,} sequences, p = {doubt:.2g} (Holm, {found.tested:,} tested)",
    }
