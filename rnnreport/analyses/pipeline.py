"""All analyses of one run, in order, each written to the run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from rnnreport.analyses.attribution import AttributionTableParams, input_attribution
from rnnreport.analyses.cards import card_differences
from rnnreport.analyses.comparison import CompareParams, refuse_incomparable, side_by_side
from rnnreport.analyses.continuations import continuation_trees
from rnnreport.analyses.decisions import DecisionParams, decision_timeline
from rnnreport.analyses.fixed_points import fixed_points
from rnnreport.analyses.gates import GateParams, gate_use
from rnnreport.analyses.gradient_reach import ReachParams, gradient_reach
from rnnreport.analyses.health import HealthParams, state_health
from rnnreport.analyses.importance import ImportanceParams, unit_importance
from rnnreport.analyses.integration import integration_test
from rnnreport.analyses.jumps import JumpParams, largest_jumps
from rnnreport.analyses.lyapunov import lyapunov_spectrum
from rnnreport.analyses.machine import MachineParams, state_machine
from rnnreport.analyses.memory import MemoryParams, memory_horizon
from rnnreport.analyses.mmphate.dynamics import DynamicsParams
from rnnreport.analyses.mmphate.embed import EmbedParams, Engine
from rnnreport.analyses.mmphate.growth import Growth
from rnnreport.analyses.mmphate.pictures import PicturesParams
from rnnreport.analyses.mmphate.stage import TrainingParams, write_training
from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.projection import Guest, ProjectionParams, project
from rnnreport.analyses.readable import ReadableParams, readable_properties
from rnnreport.analyses.salience import write_dependence
from rnnreport.analyses.sample import Sample, SampleParams, display_sample
from rnnreport.analyses.scores import expected_classes
from rnnreport.analyses.sentences import given_sentences
from rnnreport.analyses.sequences import SequenceParams, read_sequences
from rnnreport.analyses.similar import SimilarParams, similar_states
from rnnreport.analyses.summary import SummaryParams, summarise
from rnnreport.analyses.unit_map import UnitMapParams, map_units
from rnnreport.analyses.units import UnitParams, analyse_units, earlier_responses
from rnnreport.analyses.words import WordParams, find_words
from rnnreport.errors import InputError
from rnnreport.parallel import Spread, one_by_one
from rnnreport.progress import Stage, track
from rnnreport.results.folder import RunFolder
from rnnreport.results.provenance import StageCard, write_provenance
from rnnreport.results.recorded import Checkpoint, CorpusResponses, Floats, Gates, Ints, Manifest, Probe
from rnnreport.results.renewal import renewed
from rnnreport.results.schema import Jumps, Similar, Unavailable, UnitMap, Units, Words

_NODES_WATCHED = 500  # laid out by other methods than MM-PHATE

# the StateKey of a state or gate, its values, its responses over the whole corpus, and at earlier epochs (None: a gate)
_Vector = tuple[str, Floats, CorpusResponses | None, dict[int, Floats] | None]


@dataclass(frozen=True)
class AnalysisParams:
    """Parameters of every analysis; the defaults are those of the report."""

    sample: SampleParams = field(default_factory=SampleParams)
    performance: PerformanceParams = field(default_factory=PerformanceParams)
    words: WordParams = field(default_factory=WordParams)
    units: UnitParams = field(default_factory=UnitParams)
    unit_map: UnitMapParams = field(default_factory=UnitMapParams)
    sequences: SequenceParams = field(default_factory=SequenceParams)
    decisions: DecisionParams = field(default_factory=DecisionParams)
    jumps: JumpParams = field(default_factory=JumpParams)
    similar: SimilarParams = field(default_factory=SimilarParams)
    projection: ProjectionParams = field(default_factory=ProjectionParams)
    training: TrainingParams = field(default_factory=TrainingParams)
    health: HealthParams = field(default_factory=HealthParams)
    memory: MemoryParams = field(default_factory=MemoryParams)
    gates: GateParams = field(default_factory=GateParams)
    machine: MachineParams = field(default_factory=MachineParams)
    readable: ReadableParams = field(default_factory=ReadableParams)
    importance: ImportanceParams = field(default_factory=ImportanceParams)
    attribution: AttributionTableParams = field(default_factory=AttributionTableParams)
    reach: ReachParams = field(default_factory=ReachParams)
    compare: CompareParams = field(default_factory=CompareParams)
    summary: SummaryParams = field(default_factory=SummaryParams)

    @classmethod
    def of_mmphate(cls, engine: Engine = "rnnreport", nodes: int | None = None) -> AnalysisParams:
        """The defaults, with MM-PHATE laid out by this engine, of at most so many nodes where a number is given."""
        dynamics = DynamicsParams.of_nodes(nodes) if nodes else DynamicsParams()
        return cls(training=TrainingParams(replace(dynamics, embed=EmbedParams(engine=engine))))

    @classmethod
    def while_training(cls, nodes: int | None = None) -> AnalysisParams:
        """What is made again after every epoch of a training: fewer maps and points by other methods than MM-PHATE."""
        made = cls.of_mmphate(nodes=nodes)
        training = replace(made.training, pictures=PicturesParams(nodes=_NODES_WATCHED))
        return replace(made, training=training, projection=ProjectionParams.while_training())


def analyse(
    folder: RunFolder,
    baseline: RunFolder | None = None,
    params: AnalysisParams | None = None,
    growth: Growth | None = None,
    card: Callable[[], StageCard] | None = None,
    spread: Spread = one_by_one,
) -> None:
    """Run every analysis and write its result, then the summary. They replace earlier ones when all are done.

    Parameters
    ----------
    folder : RunFolder
        With at least one recorded epoch.
    baseline : RunFolder, optional
        A run on the same probe set to compare with.
    params : AnalysisParams, optional
    growth : Growth, optional
        What MM-PHATE of a training that goes on is updated from; otherwise it is made from scratch.
    card : function, optional
        Called at the end for what ``provenance.json`` says of this stage.
    spread : Spread
        Over the states and gates whose units are analysed.

    Raises
    ------
    InputError
        If nothing was recorded, or the probe set of the baseline differs.
    InUseError
        If another process makes or reads the results of this run.
    """
    params = params or AnalysisParams()
    recorded = folder.epochs()
    if not recorded:
        raise InputError(f"{folder.path} has no recorded epoch", "capture the run again")
    # One thread: sums in a fixed order, so that the same input gives the same bytes.
    with threadpool_limits(1), renewed(folder) as making:
        made = making.as_one()
        if baseline is not None:
            refuse_incomparable(baseline, made)
            made.write_result(card_differences(baseline, made))
        probe, last = made.probe(), made.checkpoint(recorded[-1])
        _analyse_run(made, made.manifest(), probe, last, params, baseline, growth, spread)
        if baseline is not None:
            with Stage("comparison"):
                for result in side_by_side([baseline, made], params.compare).records:
                    made.write_result(result)
        made.write_summary(summarise(made, params.summary, baseline))
        if card is not None:
            write_provenance(made, "analyse", card())


def _analyse_run(
    folder: RunFolder,
    manifest: Manifest,
    probe: Probe,
    last: Checkpoint,
    params: AnalysisParams,
    baseline: RunFolder | None,
    growth: Growth | None,
    spread: Spread,
) -> None:
    sample = display_sample(probe, params.sample)
    scope = manifest.state_keys[0]
    with Stage("state health"):
        folder.write_result(state_health(folder, params.health))
    with Stage("metrics and sequences"):
        folder.write_result(performance(probe, last, folder.metrics(), params.performance))
        folder.write_result(read_sequences(folder, manifest, probe, sample, params.sequences))
        folder.write_result(decision_timeline(probe, last, params.decisions))
        folder.write_result(continuation_trees(folder, probe))
        write_dependence(folder, sample, len(manifest.state_keys), continuous=probe.continuous)
    with Stage("how long it remembers"):
        folder.write_result(memory_horizon(folder, probe, params.memory))
    with Stage("which units matter"):
        folder.write_result(unit_importance(folder, probe, params.importance))
        folder.write_result(gradient_reach(folder, probe, params.reach))
    step_words = _write_units(folder, manifest, probe, sample, last, params, spread)
    _write_jumps(folder, scope, probe, sample, last, step_words, params.jumps)
    words = folder.result(Words)
    names = words.names if isinstance(words, Words) else ()
    folder.write_result(input_attribution(folder, probe, sample, step_words, names, params.attribution))
    folder.write_result(state_machine(scope, last, probe, step_words, names, sample.steps, params.machine))
    folder.write_result(gate_use(folder, probe, step_words, params.gates))
    folder.write_result(readable_properties(folder, probe, step_words, params.readable))
    folder.write_result(given_sentences(folder, manifest))
    with Stage("similar states"):
        _write_similar(folder, manifest, probe, sample, last, params.similar)
    with Stage(f"map of {sample.steps.size:,} states"):
        epochs = params.projection.kept_epochs(folder.epochs(), sample.steps.size)[:-1]
        earlier = [(epoch, folder.checkpoint(epoch).states[scope]) for epoch in epochs]
        guest = _guest(baseline) if baseline else None
        hand = folder.sentences()
        given = hand[2].states.get(scope) if hand else None
        maps = project(scope, last.states[scope], probe, sample, params.projection, earlier, guest, given)
        for result in maps:
            folder.write_result(result)
    with Stage("fixed points, integration, Lyapunov spectrum"):
        folder.write_result(fixed_points(folder, probe, sample, last, maps[0], mapping=params.projection))
        folder.write_result(integration_test(folder, probe))
        folder.write_result(lyapunov_spectrum(folder))
    write_training(folder, scope, probe, step_words, params.training, growth)


def _guest(baseline: RunFolder) -> Guest:
    baseline, manifest = baseline.as_one(), baseline.manifest()
    last = baseline.checkpoint(baseline.epochs()[-1])
    return Guest(manifest.name, last.states[manifest.state_keys[0]])


def _write_units(
    folder: RunFolder,
    manifest: Manifest,
    probe: Probe,
    sample: Sample,
    last: Checkpoint,
    params: AnalysisParams,
    spread: Spread,
) -> Ints | None:
    """Write what units answer to; int32 (S,), the word of every recorded step, or None where there are no words."""
    with Stage("words"):
        found = find_words(probe, sample, params.words, folder.corpus_responses(0), folder.parts_of_speech())
    keys = list(enumerate(manifest.state_keys))
    if isinstance(found, Unavailable):
        folder.write_result(found)
        for number, _ in keys:
            folder.write_result(Unavailable(Units.analysis, found.reason), scope=number)
            folder.write_result(Unavailable(UnitMap.analysis, found.reason), scope=number)
        return None
    words, step_words = found
    folder.write_result(words)
    gates, streamed = _gates(folder), {one.scope: one for one in folder.corpus_gates()}
    widths = {key: last.states[key].shape[1] for _, key in keys}
    earlier = earlier_responses(folder, widths, probe, step_words, len(words.names), params.units)
    vectors: list[_Vector] = [
        (key, last.states[key], folder.corpus_responses(number), earlier[key]) for number, key in keys
    ]
    vectors += [(key, values, streamed.get(key), None) for key, values in gates.items()]
    shared = (last.epoch, probe, sample, step_words, params)
    found_units = track(spread(_units_of, shared, vectors), "responses and co-clusters", len(vectors))
    for number, results in enumerate(found_units):
        for result in results:
            folder.write_result(result, scope=number)
    return step_words


def _units_of(
    shared: tuple[int, Probe, Sample, Ints, AnalysisParams], vector: _Vector
) -> tuple[Units | Unavailable, UnitMap | Unavailable]:
    """What the units of one state or gate answer to, and their map."""
    (epoch, probe, sample, step_words, params), (key, states, responses, earlier) = shared, vector
    with threadpool_limits(1):
        found = analyse_units(
            key, states, epoch, probe, sample, step_words, params.units, responses, earlier, gate=earlier is None
        )
        return found, map_units(key, states, params.unit_map)


def _write_similar(
    folder: RunFolder, manifest: Manifest, probe: Probe, sample: Sample, last: Checkpoint, params: SimilarParams
) -> None:
    """Of every recorded state, as far as comparing all with all is cheap, but of the first one always."""
    spent, classes = 0, expected_classes(probe, last)
    for number, key in enumerate(manifest.state_keys):
        cost = sample.steps.size**2 * last.states[key].shape[1]
        if number and spent + cost > params.most_products:
            reason = (
                f"comparing all {sample.steps.size:,} displayed states of this kind with each other would take long"
            )
            folder.write_result(Unavailable(Similar.analysis, reason), scope=number)
            continue
        spent += cost
        found = similar_states(key, last.states[key], classes, probe, sample, params)
        folder.write_result(found, scope=number or None)


def _write_jumps(
    folder: RunFolder,
    scope: str,
    probe: Probe,
    sample: Sample,
    last: Checkpoint,
    step_words: Ints | None,
    params: JumpParams,
) -> None:
    """Jumps are told apart by token, or by prototype of a continuous input."""
    words = folder.result(Words)
    if not probe.continuous:
        found = largest_jumps(scope, probe, last, sample, probe.tokens, probe.vocabulary, params)
    elif isinstance(words, Words) and step_words is not None:
        found = largest_jumps(scope, probe, last, sample, step_words, words.names, params)
    else:
        found = Unavailable(Jumps.analysis, "the input has no prototypes by which jumps could be told apart")
    folder.write_result(found)


def _gates(folder: RunFolder) -> dict[str, Floats]:
    """Name to float32 (S, H): the gates of the last epoch whose responses to the analysed words are known."""
    gates = folder.record(Gates)
    if gates is None:
        return {}
    streamed = {one.scope for one in folder.corpus_gates()}
    return {key: values for key, values in gates.values.items() if not folder.corpus_responses(0) or key in streamed}
