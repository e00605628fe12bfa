"""What the page says of the state machine, and what of it travels to the browser (``templates/assets/machine.js``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnreport.report.figures.machine import machine_picture
from rnnreport.report.gather import Run, available, reason, state_title
from rnnreport.report.payload import Payload
from rnnreport.report.trees import gap_between, shortened, visible
from rnnreport.results.schema import Machine
from rnnreport.results.schema.machine import FAITHFUL, letter


def pack_machine(found: Machine, payload: Payload) -> dict[str, Any]:
    """Pack the state of every displayed step."""
    payload.add_integers("machine.displayed", found.displayed)
    return {
        "answers": list(found.answers),
        "classes": found.classes.tolist(),
        "steps": found.steps.tolist(),
        "total": int((found.step_states >= 0).sum()),
    }


def machine_context(run: Run, colours: Sequence[str]) -> dict[str, Any]:
    """What the template of the state machine needs.

    Parameters
    ----------
    run : Run
    colours : of the classes
    """
    found = available(run.machine)
    if found is None:
        return {"machine": None, "machine_missing": reason(run.machine)}
    names = [shortened(visible(name)) for name in found.names]
    return {
        "machine": {
            "title": _title(found),
            "finding": found.finding,
            "note": _note(found),
            "guide": found.guide,
            "picture": machine_picture(found, names, colours),
            "rows": [_row(found, names, state) for state in range(len(found.answers))],
            "letters": [letter(state) for state in range(len(found.answers))],
            "unstable": not found.stable,
        },
        "machine_missing": "",
    }


def _title(found: Machine) -> str:
    k, tried = len(found.answers), int(found.curve[:, 0].max())
    states, share = f"{k} states" if k > 1 else "one state", f"{found.fidelity[0]:.1%} of the steps"
    if found.fidelity[0] >= FAITHFUL:
        return f"The network behaves like an automaton of {states} in {share}"
    return f"No automaton of up to {tried} states tells what the network does: that of {k} agrees in {share}"


def _note(found: Machine) -> str:
    value, low, high = found.fidelity
    steps, sequences = found.held_out
    said = [
        f"fidelity {value:.1%} (95% interval {low:.1%} to {high:.1%}) on n = {steps:,} held-out steps of {sequences:,} "
        "sequences",
        f"the most frequent prediction alone {found.baseline:.1%}",
        f"states read off the network's own vector {found.own:.1%}",
        f"agreement of {found.params['seeds']} seeds (adjusted Rand index) {found.stability:.2f}"
        + ("" if found.stable else ": unstable"),
        f"{found.tested:,} patterns tested (Holm)",
        state_title(found.scope),
        "last epoch",
    ]
    return " · ".join(said)


def _row(found: Machine, names: Sequence[str], state: int) -> dict[str, Any]:
    """One state of the table."""
    gap = gap_between(names)
    own = [one for one in found.patterns if one["state"] == state]
    following = [
        {"to": int(target), "count": int(count), "causes": [names[token] for token in causes if token >= 0][:3]}
        for (source, target, count), causes in zip(found.edges, found.causes.tolist(), strict=True)
        if source == state and target != state
    ]
    return {
        "kind": int(found.classes[state]),
        "answer": shortened(visible(found.answers[state])),
        "share": float(found.shares[state]),
        "steps": int(found.steps[state]),
        "patterns": [
            {
                "text": gap.join(names[token] for token in one["tokens"]),
                "hits": one["hits"],
                "times": one["times"],
                "p": one["p"],
            }
            for one in own
        ],
        "following": following[:2],
    }
