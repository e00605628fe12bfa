"""Rows of the tables of a comparison: findings, similarity of states, groups of sequences, words, kept rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnreport.report.environment import number, percent
from rnnreport.report.gather import available, state_title
from rnnreport.report.titles import changes_title
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import (
    Changes,
    Comparison,
    Confusions,
    Effects,
    Likeness,
    MachineDiff,
    MatchedClusters,
    SideBySide,
    Slices,
    Unavailable,
)

Result = TypeVar("Result")

SIGNIFICANT = 0.05
_MOST_SLICES = 40  # per run; those without significance beyond them are left out
_MOST_WORDS = 30
_MOST_CLASSES = 30


def gather_side_by_side(folder: RunFolder) -> SideBySide | None:
    """The stored comparison of a run with its baseline; None where it was given none."""
    if not folder.has_result(Comparison):
        return None
    comparison = available(folder.result(Comparison))
    if comparison is None:
        return None
    return SideBySide(
        comparison,
        _stored(folder, Likeness),
        _stored(folder, Slices),
        _stored(folder, Effects),
        _stored(folder, MatchedClusters),
        _stored(folder, Changes),
        _stored(folder, MachineDiff),
        _stored(folder, Confusions),
    )


def _stored(folder: RunFolder, kind: type[Result]) -> Result | Unavailable:
    if folder.has_result(kind):
        return folder.result(kind)
    return Unavailable(kind.analysis, "the run was compared by an earlier version")  # type: ignore[attr-defined]


def compared_tables(
    details: SideBySide | None, flips: Sequence[dict[str, Any]] = (), noun: str = "word"
) -> dict[str, Any]:
    """The rows of every table, by name, empty where there is nothing to say.

    Parameters
    ----------
    details : SideBySide, optional
    flips : rows of the changed predictions, as in ``tables.flip_rows``
    noun : str, what a step of the input is called

    Returns
    -------
    dict
        Rows: ``findings``, ``likeness``, ``slices``, ``effects``, ``kept``; ``confusions``; ``seeds``, titles of the
        runs behind the noise floor; ``groups``, of each changed sequence the groups it is in; ``guides``; and what
        their headings say.
    """
    changes, alike, slices, effects, clusters = _parts(details)
    machines = available(details.machines) if details else None
    runs = details.comparison.runs if details else ()
    return {
        "findings": _findings(changes) if changes else [],
        "findings_title": changes_title(changes, details.comparison) if details and changes else "",
        "seeds": [details.comparison.runs[place] for place in changes.seeds] if details and changes else [],
        "likeness": (likeness := _likeness_rows(alike, changes) if alike else []),
        "likeness_title": _likeness_title(likeness, details.comparison.runs) if details and alike else "",
        "alike": alike,
        "slices": (listed := _slice_rows(slices) if slices else []),
        "slices_title": _differing(listed, "groups of sequences", runs),
        "groups": {row["place"]: _groups_of(slices, row["place"]) for row in flips} if slices else {},
        "slice_metric": slices.metric if slices else "",
        "slices_left_out": max(0, len(slices.names) - _MOST_SLICES) if slices else 0,
        "effects": (moving := _effect_rows(effects) if effects else []),
        "effects_title": _differing(moving, f"{noun}s", runs),
        "words": len(effects.words) if effects else 0,
        "effect": effects,
        "machines": machines,
        "machine_lines": _machine_lines(details.comparison.runs, machines) if details and machines else [],
        "kept": (kept := _kept_rows(clusters) if clusters else []),
        "kept_title": _kept_title(kept, details.comparison.runs) if details and kept else "",
        "confusions": _confusions(available(details.confusions), details.comparison.runs) if details else None,
        "guides": {
            part.analysis: part.guide
            for part in (changes, alike, slices, effects, clusters, machines)
            if part is not None
        },
    }


def _parts(
    details: SideBySide | None,
) -> tuple[Changes | None, Likeness | None, Slices | None, Effects | None, MatchedClusters | None]:
    """What there is of a comparison."""
    if details is None:
        return None, None, None, None, None
    return (
        available(details.changes),
        available(details.likeness),
        available(details.slices),
        available(details.effects),
        available(details.clusters),
    )


def _findings(changes: Changes) -> list[dict[str, Any]]:
    return [
        {"run": entry["run"], "verdict": verdict, "sentences": entry["sentences"]}
        for entry, verdict in zip(changes.found, changes.verdicts, strict=True)
    ]


def _likeness_rows(alike: Likeness, changes: Changes | None) -> list[dict[str, Any]]:
    """One row for each run after the first and state that both have."""
    rows = []
    judged = changes is not None and changes.seeds.size > 0
    for run in range(1, len(alike.counterparts)):
        for place, state in enumerate(alike.states):
            counterpart = alike.counterparts[run][place]
            if not counterpart:
                continue
            bound = float(changes.angle_bound[place]) if changes and judged else float("nan")
            angle = round(float(alike.angle[0, run, place]), 6)
            rows.append(
                {
                    "run": run,
                    "state": state_title(state),
                    "units": alike.widths[[0, run], place].tolist(),
                    "cka": float(alike.cka[0, run, place]),
                    "angle": angle,
                    "bound": bound,
                    "beyond": bool(angle > bound),
                    "judged": judged,
                    "neighbours": float(alike.neighbours[run, place]),
                    "matched": float(alike.matched[run, place]),
                    "dynamics": float(alike.dynamics[run, place]),
                    "halves": float(alike.dynamics_halves[place]),
                    "chance": float(alike.matched_chance[run, place]),
                }
            )
    return rows


def _likeness_title(rows: Sequence[dict[str, Any]], runs: Sequence[str]) -> str:
    """Where the states are least like those of the baseline."""
    known = [row for row in rows if np.isfinite(row["cka"])]
    if not known:
        return "No two states can be compared"
    least = min(known, key=lambda row: row["cka"])
    where = least["state"] if len(runs) == 2 else runs[least["run"]]
    return f"The states are least like those of {runs[0]} in {where}: linear CKA {number(least['cka'])}"


def _differing(rows: Sequence[dict[str, Any]], what: str, runs: Sequence[str]) -> str:
    """How many of the rows listed differ for certain; of several runs each has its rows."""
    certain = sum(row["certain"] for row in rows)
    named = f"{f'{certain:,}' if certain else 'None'} of the {len(rows):,}"
    if len(runs) > 2:
        return f"{named} differences of {what} from {runs[0]} {'are' if certain > 1 else 'is'} significant"
    return f"{named} {what} listed {'differ' if certain > 1 else 'differs'} significantly"


def _kept_title(rows: Sequence[dict[str, Any]], runs: Sequence[str]) -> str:
    """Which run keeps most of its state."""
    rates = {run: row["rate"][0] for run, row in zip(runs, rows, strict=True) if np.isfinite(row["rate"][0])}
    if not rates:
        return "Of no run is it known how much of its state a step keeps"
    most = max(rates, key=lambda run: rates[run])
    return f"{most} keeps most of its state at a step: {percent(rates[most])}"


def _slice_rows(slices: Slices) -> list[dict[str, Any]]:
    """The groups of every run after the first, significant ones first, then by the size of the difference."""
    rows = []
    for run in range(len(slices.difference)):
        for place in _order(slices.adjusted[run], slices.difference[run])[:_MOST_SLICES]:
            rows.append(
                {
                    "run": run + 1,
                    "place": int(place),
                    "kind": slices.kinds[place],
                    "name": slices.names[place],
                    "n": int(slices.sequences[place]),
                    "values": [float(slices.values[0, place]), float(slices.values[run + 1, place])],
                    "difference": float(slices.difference[run, place]),
                    "low": float(slices.low[run, place]),
                    "high": float(slices.high[run, place]),
                    "adjusted": float(slices.adjusted[run, place]),
                    "flips": [int(slices.only_baseline_right[run, place]), int(slices.only_run_right[run, place])],
                    "certain": bool(slices.adjusted[run, place] < SIGNIFICANT),
                }
            )
    return rows


def _groups_of(slices: Slices, sequence: int) -> str:
    return " ".join(map(str, np.flatnonzero(slices.members[:, sequence])))


def _effect_rows(effects: Effects) -> list[dict[str, Any]]:
    """The words of every run after the first, each at the output at which the runs differ most surely."""
    rows = []
    outputs = len(effects.outputs)
    for run in range(len(effects.difference)):
        adjusted, difference = effects.adjusted[run], effects.difference[run]
        # without outputs the jump alone is compared
        chosen = [
            int(_order(adjusted[word, :outputs], difference[word, :outputs])[0]) if outputs else 0
            for word in range(len(effects.words))
        ]
        at = np.arange(len(effects.words)), np.array(chosen)
        for word in _order(adjusted[at], difference[at])[:_MOST_WORDS]:
            k = chosen[word]
            values = effects.effect[:, word, k] if outputs else effects.jump[:, word]
            rows.append(
                {
                    "run": run + 1,
                    "word": effects.words[word],
                    "n": int(effects.counts[word]),
                    "output": effects.outputs[k] if outputs else "",
                    "values": [float(values[0]), float(values[run + 1])],
                    "spread": [float(effects.spread[r, word, k]) for r in (0, run + 1)] if outputs else [],
                    "difference": float(difference[word, k]),
                    "low": float(effects.difference_low[run, word, k]),
                    "high": float(effects.difference_high[run, word, k]),
                    "adjusted": float(adjusted[word, k]),
                    "turned": bool(outputs and effects.turned[run, word, k]),
                    "jumps": [float(effects.jump[0, word]), float(effects.jump[run + 1, word])],
                    "certain": bool(adjusted[word, k] < SIGNIFICANT),
                }
            )
    return rows


def _order(adjusted: NDArray[np.floating], difference: NDArray[np.floating]) -> NDArray[np.int64]:
    """Places, the surest first; equally sure ones by the size of their difference; undefined ones last."""
    return np.lexsort((-np.abs(np.nan_to_num(difference)), np.nan_to_num(adjusted, nan=2.0)))


def _machine_lines(runs: Sequence[str], machines: MachineDiff) -> list[str]:
    """How far the machine of each run can be trusted."""
    return [
        f"{run} {states}, {machines.fidelity[place, 0]:.1%}, {machines.stability[place]:.2f}"
        for place, (run, states) in enumerate(zip(runs, machines.states, strict=True))
    ]


def _kept_rows(clusters: MatchedClusters) -> list[dict[str, Any]]:
    """The kept rate of every run, and how much its clusters of words are those of the first."""
    return [
        {
            "state": state_title(clusters.scopes[run]),
            "rate": [float(value) for value in clusters.kept_rate[run]],
            "clusters": int(clusters.ks[run]),
            "agreement": float(clusters.agreement[run]),
        }
        for run in range(len(clusters.scopes))
    ]


def _confusions(found: Confusions | None, runs: Sequence[str]) -> dict[str, Any] | None:
    """The confusion matrices of every run, in shares of one scale; None of too few or too many classes."""
    if found is None or not 1 < len(found.class_names) <= _MOST_CLASSES:
        return None
    counts = found.counts.astype(np.int64)
    wrong = counts * (1 - np.eye(len(found.class_names), dtype=np.int64))
    return {
        "title": _confusion_change(found.class_names, wrong, runs),
        "names": found.class_names,
        "items": found.items,
        "n": int(counts[0].sum()),
        "counts": counts.tolist(),
        "changed": (counts != counts[0]).any(axis=0).tolist(),
        "most_wrong": max(1, int(wrong.max())),
        "most_right": max(1, int(counts.max())),
    }


def _confusion_change(names: Sequence[str], wrong: NDArray[np.int64], runs: Sequence[str]) -> str:
    """The mistake whose frequency differs most from the first run, in words."""
    apart = np.abs(wrong - wrong[0])
    if not apart.any():
        return "All runs confuse the same classes equally often"
    run, actual, predicted = (int(place) for place in np.unravel_index(apart.argmax(), apart.shape))
    before, after = int(wrong[0, actual, predicted]), int(wrong[run, actual, predicted])
    one = f"“{names[actual]}” is taken for “{names[predicted]}”"
    return f"{one} {after:,} times by {runs[run]}, {before:,} times by {runs[0]}"
