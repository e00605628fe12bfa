"""The capture stage: from a model and a corpus to a run folder with a probe set, a manifest and checkpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnnreport.budget import Budget, within
from rnnreport.capture.ablation import AblationParams, read_ablation
from rnnreport.capture.attribution import AttributionParams, read_attribution
from rnnreport.capture.calling import Adapter
from rnnreport.capture.continuations import read_continuations
from rnnreport.capture.fixed_points import FixedPointParams, read_fixed_points
from rnnreport.capture.gradient_flow import GradientFlowParams, read_gradient_flow
from rnnreport.capture.heads import HeadFunction
from rnnreport.capture.integration import IntegrationParams, read_integration
from rnnreport.capture.perturbation import PerturbationParams, read_perturbation
from rnnreport.capture.probe import make_probe
from rnnreport.capture.recorder import Observation, Recorder
from rnnreport.capture.salience import FURTHER, SalienceParams, read_salience
from rnnreport.capture.sentences import capture_sentences
from rnnreport.capture.speech import Tagger, tag_probe
from rnnreport.capture.streaming import stream_responses
from rnnreport.capture.stretching import StretchingParams, read_stretching
from rnnreport.capture.unit_ablation import UnitAblationParams, read_unit_ablation
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from rnnreport.load.files import sha256_of
from rnnreport.load.weights import load_weights
from rnnreport.load.wrappers import unwrapped
from rnnreport.parallel import Spread, one_by_one
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ints, Sentences

_INTEGER = re.compile(r"\d+")


def capture_run(
    model: nn.Module,
    corpus: Corpus,
    folder: RunFolder,
    *,
    name: str,
    source: str,
    weights: Path | None,
    checkpoints: Sequence[Path] = (),
    head: str | HeadFunction | None = None,
    adapter: Adapter | None = None,
    layers: Sequence[str] = (),
    tagger: Tagger | None = None,
    sentences: tuple[Sentences, Sequence[Ints]] | None = None,
    max_steps: int = 50_000,
    budget: Budget = "standard",
    seed: int = 0,
    command: str = "",
    spread: Spread = one_by_one,
) -> None:
    """The whole capture stage.

    Parameters
    ----------
    model : nn.Module
        With its weights loaded; with ``checkpoints`` it ends up with those of the last one.
    corpus : Corpus
    folder : RunFolder
    weights : Path or None
        The file the weights came from, for the manifest; without checkpoints they are recorded as epoch 0.
    checkpoints : sequence of Path
        Files of weights, one per epoch: the last integer in the file's name, or its position where a name has none.
    tagger : function from the tokens of a sequence to a tag for each, optional
        Gives the parts of speech of the probe set.
    sentences : by ``read_sentences``, optional
        Further sentences, recorded at the last epoch and counted nowhere.
    max_steps : int
        Budget of the probe set. Where a corpus of tokens is larger, the responses of the units are streamed over all of
        it with the last weights.
    budget : Budget
        Of what runs the model again at the last epoch.
    spread : Spread
        Over the checkpoints, and over the shards of a large corpus.
    name, source, seed, command, head, adapter, layers : see ``Recorder``

    Raises
    ------
    InputError
        If the model or a checkpoint cannot be used.
    """
    model = unwrapped(model)
    ordered = epochs_of(checkpoints)
    final = ordered[-1][1] if ordered else weights
    if ordered:
        load_weights(model, ordered[0][1])
    recorder = Recorder(
        model,
        corpus,
        folder.path,
        name=name,
        source=source,
        command=command,
        weights_sha256="" if final is None else sha256_of(final),
        seed=seed,
        max_steps=max_steps,
        head=head,
        adapter=adapter,
        layers=layers,
    )
    parts = tag_probe(tagger, recorder.probe) if tagger else None
    epochs: list[tuple[int, Path | None]] = [*ordered] or [(0, None)]
    shared = (recorder, torch.get_num_threads(), torch.serialization.get_safe_globals())
    for seen in spread(_at_epoch, shared, epochs):
        recorder.keep(seen)
    if ordered:
        load_weights(model, ordered[-1][1])  # the last epoch may have been recorded elsewhere
    last, probe = epochs[-1][0], recorder.probe
    record_once(recorder, last, budget)
    if parts:
        folder.write_parts_of_speech(parts)
    if sentences:
        written, inputs = sentences
        given, states = capture_sentences(model, probe, recorder.inspection, last, inputs)
        folder.write_sentences(written, given, states)
        for number, key in enumerate(recorder.inspection.widths):
            found = read_salience(model, given, recorder.inspection, states, FURTHER, key)
            folder.write_salience(found, number, given=True)
    record_corpus(recorder, corpus, spread)


def _at_epoch(shared: tuple[Recorder, int, list[Any]], item: tuple[int, Path | None]) -> Observation:
    """The model with the weights of one file, in this process or another, which has its own copy of the recorder."""
    (recorder, threads, trusted), (epoch, path) = shared, item
    torch.set_num_threads(threads)  # on which the last bits depend
    _ = recorder.inspection  # of the weights that it was made with
    if path is not None:
        known = torch.serialization.get_safe_globals()  # torch forgets at the end of a context also what held before it
        with torch.serialization.safe_globals([one for one in trusted if one not in known]):
            load_weights(recorder.model, path)
    return recorder.observe(epoch)


def record_once(recorder: Recorder, epoch: int, budget: Budget = "standard") -> None:
    """What is recorded of one epoch only: gates, how a language model goes on, on what states depend and how long.

    Parameters
    ----------
    recorder : Recorder
        Whose model has the weights of this epoch.
    epoch : int
        The last one recorded.
    budget : Budget
        Of what runs the model again.
    """
    folder, probe, found = recorder.folder, recorder.probe, recorder.inspection
    recorder.record_gates(epoch)
    if continuations := read_continuations(recorder.model, probe, found, epoch):
        folder.write_record(continuations)
    checkpoint = folder.checkpoint(epoch)
    folder.write_record(read_ablation(recorder.model, probe, found, epoch, within(AblationParams(), budget)))
    for number, key in enumerate(found.widths):
        params = within(FURTHER if number else SalienceParams(), budget)
        folder.write_salience(read_salience(recorder.model, probe, found, checkpoint, params, key), number)
    perturbing = within(PerturbationParams(), budget)
    folder.write_record(read_perturbation(recorder.model, probe, found, checkpoint, perturbing))
    holding = within(UnitAblationParams(), budget)
    folder.write_record(read_unit_ablation(recorder.model, probe, found, checkpoint, holding))
    explaining = within(AttributionParams(), budget)
    folder.write_record(read_attribution(recorder.model, probe, found, epoch, explaining))
    following = within(GradientFlowParams(), budget)
    folder.write_record(read_gradient_flow(recorder.model, probe, found, epoch, following))
    folder.write_record(read_fixed_points(recorder.model, probe, found, epoch, within(FixedPointParams(), budget)))
    folder.write_record(read_integration(recorder.model, probe, found, epoch, within(IntegrationParams(), budget)))
    folder.write_record(read_stretching(recorder.model, probe, found, epoch, within(StretchingParams(), budget)))


def record_corpus(recorder: Recorder, corpus: Corpus, spread: Spread = one_by_one) -> None:
    """Stream the responses over a whole corpus of tokens, where the probe set is only a part of it.

    Parameters
    ----------
    recorder : Recorder
        Whose model has the weights that are reported.
    corpus : Corpus
        What the probe set was drawn from.
    spread : Spread
        Over the shards of the corpus.
    """
    probe = recorder.probe
    if probe.sampled_from == len(probe.sequence_ids) or probe.continuous:
        return
    whole = make_probe(corpus, max_steps=sum(map(len, corpus.inputs)))
    streamed = stream_responses(recorder.model, whole, recorder.inspection, spread=spread)
    for number, responses in enumerate(streamed.states):
        recorder.folder.write_corpus_responses(responses, number)
    for number, responses in enumerate(streamed.gates):
        recorder.folder.write_corpus_gates(responses, number)


def epochs_of(checkpoints: Sequence[Path]) -> list[tuple[int, Path]]:
    """Files in the order of their epochs.

    Raises
    ------
    InputError
        If two files are of the same epoch.
    """
    numbers = [_INTEGER.findall(path.stem) for path in checkpoints]
    if all(numbers):
        pairs = sorted((int(found[-1]), path) for found, path in zip(numbers, checkpoints, strict=True))
    else:
        pairs = list(enumerate(checkpoints))
    for (first, path), (second, other) in pairwise(pairs):
        if first == second:
            raise InputError(f"{path} and {other} are both of epoch {first}", "end the names with different numbers")
    return pairs
