"""Everything a page needs of a run folder, read once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeVar

from rnnreport.results.folder import RunFolder
from rnnreport.results.naming import input_noun
from rnnreport.results.provenance import StageCard, read_provenance
from rnnreport.results.recorded import Manifest, StateKey
from rnnreport.results.schema import (
    ActiveWords,
    CardDifferences,
    Comparison,
    ContinuationTrees,
    Decisions,
    Dependence,
    Dynamics,
    FixedPoints,
    Formation,
    GateUse,
    GivenDependence,
    GivenPlaces,
    GivenSentences,
    GradientReach,
    Health,
    InputAttribution,
    Integration,
    Jumps,
    LeftOutSteps,
    Lyapunov,
    Machine,
    Memory,
    NodeStates,
    Performance,
    Pictures,
    Probes,
    Projection,
    RawPictures,
    Readable,
    Sequences,
    Similar,
    Summary,
    Unavailable,
    UnitImportance,
    UnitMap,
    Units,
    Words,
)

Result = TypeVar("Result")
_MOST_GATES = 200_000  # mean responses of all gates together that a page carries


@dataclass(frozen=True)
class Run:
    """The results of one run; an analysis that did not apply is an ``Unavailable`` with its reason.

    ``units`` are those of the recorded states and then of the gates, as far as a page can carry these, with a map each.
    """

    manifest: Manifest
    summary: Summary
    performance: Performance | Unavailable
    words: Words | Unavailable
    units: tuple[Units, ...]
    units_missing: str
    unit_maps: tuple[UnitMap | Unavailable, ...]
    gates_left_out: int
    sequences: Sequences | Unavailable
    projection: Projection | Unavailable
    given_places: GivenPlaces | Unavailable
    dynamics: Dynamics | Unavailable
    node_states: NodeStates | Unavailable
    formation: Formation | Unavailable
    further_formation: tuple[Formation, ...]
    pictures: Pictures | Unavailable
    raw_pictures: RawPictures | Unavailable
    active_words: ActiveWords | Unavailable
    probes: Probes | Unavailable
    further_probes: tuple[Probes, ...]
    left_out: LeftOutSteps | Unavailable
    comparison: Comparison | Unavailable
    continuations: ContinuationTrees | Unavailable
    dependence: Dependence | Unavailable
    further_dependence: tuple[Dependence, ...]
    given_dependence: tuple[GivenDependence, ...]
    given: GivenSentences | Unavailable
    decisions: Decisions | Unavailable
    jumps: Jumps | Unavailable
    similar: Similar | Unavailable
    further_similar: tuple[Similar, ...]
    health: Health | Unavailable
    cards: CardDifferences | Unavailable
    provenance: dict[str, StageCard]
    memory: Memory | Unavailable
    machine: Machine | Unavailable
    gates: GateUse | Unavailable
    fixed_points: FixedPoints | Unavailable
    integration: Integration | Unavailable
    lyapunov: Lyapunov | Unavailable
    readable: Readable | Unavailable
    importance: UnitImportance | Unavailable
    attribution: InputAttribution | Unavailable
    reach: GradientReach | Unavailable


def gather(folder: RunFolder) -> Run:
    """Read the results of a run.

    Parameters
    ----------
    folder : RunFolder
        The view of ``as_one`` where they have to fit together.

    Raises
    ------
    InputError
        If one is missing or damaged, or does not fit.
    """
    manifest = folder.manifest()
    sequences, words = folder.result(Sequences), folder.result(Words)  # first: the others belong to them
    states = len(manifest.state_keys)
    units = [folder.result(Units, scope) for scope in range(states)]
    gates = _gates(folder, states)
    carried = sum(gate.response.size for gate in gates.values()) <= _MOST_GATES
    shown = {scope: result for scope, result in enumerate(units) if not isinstance(result, Unavailable)}
    shown |= gates if carried else {}
    has_baseline = folder.has_result(Comparison)
    return Run(
        manifest=manifest,
        summary=folder.summary(),
        performance=folder.result(Performance),
        words=words,
        units=tuple(shown.values()),
        units_missing=next((result.reason for result in units if isinstance(result, Unavailable)), ""),
        unit_maps=tuple(folder.result(UnitMap, scope) for scope in shown),
        gates_left_out=0 if carried else len(gates),
        sequences=sequences,
        projection=folder.result(Projection),
        given_places=_later(folder, GivenPlaces),
        dynamics=folder.result(Dynamics),
        node_states=_later(folder, NodeStates),
        formation=folder.result(Formation),
        further_formation=_of_states(folder, Formation, range(1, states)),
        pictures=folder.result(Pictures),
        raw_pictures=_later(folder, RawPictures),
        active_words=_later(folder, ActiveWords),
        probes=_later(folder, Probes),
        further_probes=_of_states(folder, Probes, range(1, states)),
        left_out=_later(folder, LeftOutSteps),
        comparison=folder.result(Comparison) if has_baseline else Unavailable("comparison", "no baseline was given"),
        continuations=_later(folder, ContinuationTrees),
        dependence=_later(folder, Dependence),
        further_dependence=_of_states(folder, Dependence, range(1, states)),
        given_dependence=_of_states(folder, GivenDependence, range(states)),
        given=_later(folder, GivenSentences),
        decisions=_later(folder, Decisions),
        jumps=_later(folder, Jumps),
        similar=_later(folder, Similar),
        further_similar=_of_states(folder, Similar, range(1, states)),
        health=_later(folder, Health),
        cards=_later(folder, CardDifferences),
        provenance=read_provenance(folder),
        memory=_later(folder, Memory),
        machine=_later(folder, Machine),
        gates=_later(folder, GateUse),
        fixed_points=_later(folder, FixedPoints),
        integration=_later(folder, Integration),
        lyapunov=_later(folder, Lyapunov),
        readable=_later(folder, Readable),
        importance=_later(folder, UnitImportance),
        attribution=_later(folder, InputAttribution),
        reach=_later(folder, GradientReach),
    )


def noun(sequences: Sequences | None) -> str:
    """What a step of the input is called."""
    return input_noun(sequences.token_names) if sequences else "word"


def _gates(folder: RunFolder, first: int) -> dict[int, Units]:
    """Results of the gates by their numbers, which follow those of the states; nothing of a damaged one."""
    numbers = itertools.takewhile(lambda number: folder.has_result(Units, number), itertools.count(first))
    found = {number: folder.result(Units, number) for number in numbers}
    return {number: gate for number, gate in found.items() if not isinstance(gate, Unavailable)}


def _later(folder: RunFolder, kind: type[Result]) -> Result | Unavailable:
    """The result of an analysis that earlier versions lacked."""
    if folder.has_result(kind):
        return folder.result(kind)
    return Unavailable(kind.analysis, "the run was analysed by an earlier version")  # type: ignore[attr-defined]


def _of_states(folder: RunFolder, kind: type[Result], numbers: range) -> tuple[Result, ...]:
    """The results that there are of an analysis of single states; the first state's has no number."""
    found = (folder.result(kind, number or None) for number in numbers if folder.has_result(kind, number or None))
    return tuple(result for result in found if not isinstance(result, Unavailable))


def available(result: Result | Unavailable) -> Result | None:
    """The result, or None where the analysis did not apply."""
    return None if isinstance(result, Unavailable) else result


def probes_of(state: str, run: Run) -> Probes | None:
    """What probes read from a state; None where nothing is known."""
    first = available(run.probes)
    return next((read for read in (*([first] if first else []), *run.further_probes) if read.scope == state), None)


def reason(result: object) -> str:
    """Why an analysis did not apply; "" where it did."""
    return result.reason if isinstance(result, Unavailable) else ""


def state_title(key: str) -> str:
    """A stored state key in words.

    Parameters
    ----------
    key : str, a StateKey as text
    """
    return StateKey.parse(key).title


def model_line(manifest: Manifest) -> str:
    """The model in one line: "LSTM, 1 layer of 32 units, 5,770 parameters"."""
    model = manifest.model
    layers = f"{model['layers']} layer{'s' if model['layers'] != 1 else ''} of {model['units']} units"
    both = "bidirectional " if model["bidirectional"] else ""
    return f"{both}{model['cell']}, {layers}, {model['parameters']:,} parameters"
