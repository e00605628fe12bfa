"""All that is said about the training of one state: MM-PHATE and what is computed from its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnreport.analyses.ablation import left_out_steps
from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.mmphate.active import active_words
from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, beside, training_dynamics
from rnnreport.analyses.mmphate.formation import FormationParams, formation
from rnnreport.analyses.mmphate.growth import Growth
from rnnreport.analyses.mmphate.pictures import PicturesParams, other_pictures, raw_pictures
from rnnreport.analyses.mmphate.probes import ProbeParams, linear_probes
from rnnreport.analyses.rules.evidence import loss_curve
from rnnreport.progress import Stage
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ints, Probe
from rnnreport.results.schema import (
    ActiveWords,
    Formation,
    NodeStates,
    Performance,
    Pictures,
    Probes,
    RawPictures,
    Unavailable,
    Units,
)


@dataclass(frozen=True)
class TrainingParams:
    """Parameters of the analyses of the training."""

    dynamics: DynamicsParams = field(default_factory=DynamicsParams)
    formation: FormationParams = field(default_factory=FormationParams)
    pictures: PicturesParams = field(default_factory=PicturesParams)
    probes: ProbeParams = field(default_factory=ProbeParams)


def write_training(
    folder: RunFolder,
    scope: str,
    probe: Probe,
    step_words: Ints | None,
    params: TrainingParams,
    growth: Growth | None = None,
) -> None:
    """Analyse the training and write the results.

    Parameters
    ----------
    folder : RunFolder
        With the results of the units and of the performance.
    scope : str, a StateKey
    probe : Probe
    step_words : int32 (S,), the word of every recorded step; None where there are no words
    params : TrainingParams
    growth : Growth, optional
        Of a training that goes on; its landmarks are written beside the results.
    """
    if growth is not None:
        growth.reuse.begin_update()
    folder.write_result(left_out_steps(folder, probe, BootstrapParams()))
    found = training_dynamics(folder, scope, probe, params.dynamics, growth)
    if isinstance(found, Unavailable):
        folder.write_result(found)
        for record in (NodeStates, Formation, Pictures, RawPictures, ActiveWords, Probes):
            folder.write_result(Unavailable(record.analysis, found.reason))
        return
    folder.write_result(found.dynamics)
    folder.write_result(found.states)
    if growth is not None and growth.landmarks is not None:
        folder.write_result(growth.landmarks)
    scored = folder.result(Performance)
    losses = loss_curve(scored) if isinstance(scored, Performance) else None
    with Stage("how the representation formed"):
        for number, state in enumerate(folder.manifest().state_keys):
            own = found.of(state) if state in found.states.states else beside(folder, probe, found, state)
            if isinstance(own, Embedded):
                formed = formation(own, _groups(folder, number)[0], losses, params.formation)
                folder.write_result(formed, scope=number or None)
    for number, state in enumerate(folder.manifest().state_keys):
        read = linear_probes(folder, probe, found.dynamics, state, params.probes, growth.reuse if growth else None)
        folder.write_result(read, scope=number or None)
    word_groups = _groups(folder, 0)[1]
    if step_words is None or word_groups is None:
        folder.write_result(Unavailable(ActiveWords.analysis, "there are no inputs whose responses are known"))
    else:
        folder.write_result(active_words(found, probe, step_words, word_groups))
    folder.write_result(other_pictures(found, params.pictures))
    folder.write_result(raw_pictures(found, params.pictures))


def _groups(folder: RunFolder, number: int) -> tuple[Ints | None, Ints | None]:
    """Co-clusters of the units and of the words of a state, as the page shows them first; None where there are none."""
    units = folder.result(Units, scope=number)
    if not isinstance(units, Units):
        return None, None
    mode, k = units.modes.index(units.default_mode), units.ks.tolist().index(units.default_k)
    return units.unit_labels[mode, k], units.word_labels[mode, k]
