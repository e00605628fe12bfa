"""The capture stage: from a model and a corpus to a run folder with a probe set, a manifest and checkpoints."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rnnreport import __version__
from rnnreport.capture.calling import Adapter
from rnnreport.capture.probe import make_probe, probe_sha256
from rnnreport.capture.recorder import Recorder, evaluate
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus
from rnnreport.load.files import sha256_of
from rnnreport.load.weights import load_weights
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Manifest, Probe

_INTEGER = re.compile(r"\d+")


def start_run(
    folder: RunFolder,
    *,
    name: str,
    model: nn.Module,
    probe: Probe,
    corpus_info: dict[str, Any],
    source: str,
    weights_sha256: str,
    seed: int,
    command: str,
    head: str | None = None,
    adapter: Adapter | None = None,
    layers: Sequence[str] = (),
) -> Recorder:
    """Write the probe set and the manifest, and give the recorder for the epochs.

    Parameters
    ----------
    folder : RunFolder
    name : str
        The run's title.
    model : nn.Module
        Run on the probe set to find out what it consists of, and left as it was.
    probe : Probe
    corpus_info : dict
        ``Corpus.info()``, or its like.
    source : str
        Where the model comes from: the factory, or "rnnreport demo".
    weights_sha256 : str
        "" where there is no file.
    seed : int
    command : str
    head, adapter, layers : see ``Recorder``

    Raises
    ------
    InputError
        If the model cannot be recorded on this probe set; nothing is written then.
    """
    recorder = Recorder(model, probe, folder, head=head, adapter=adapter, layers=layers)
    manifest = Manifest(
        name=name,
        task=probe.task,
        model=recorder.inspection.architecture | {"source": source, "weights_sha256": weights_sha256},
        corpus=corpus_info,
        probe_sha256=probe_sha256(probe),
        state_keys=tuple(str(key) for key in recorder.state_keys),
        head=recorder.head,
        seed=seed,
        versions={
            "numpy": np.__version__,
            "python": platform.python_version(),
            "rnnreport": __version__,
            "torch": torch.__version__,
        },
        command=command,
    )
    folder.write_probe(probe)
    folder.write_manifest(manifest)
    return recorder


def capture_run(
    model: nn.Module,
    corpus: Corpus,
    folder: RunFolder,
    *,
    name: str,
    source: str,
    weights: Path | None,
    checkpoints: Sequence[Path] = (),
    head: str | None = None,
    adapter: Adapter | None = None,
    layers: Sequence[str] = (),
    max_steps: int = 50_000,
    seed: int = 0,
    command: str = "",
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
    max_steps : int
        Budget of the probe set.
    name, source, seed, command, head, adapter, layers : see ``start_run``

    Raises
    ------
    InputError
        If the model or a checkpoint cannot be used.
    """
    ordered = epochs_of(checkpoints)
    final = ordered[-1][1] if ordered else weights
    if ordered:
        load_weights(model, ordered[0][1])
    recorder = start_run(
        folder,
        name=name,
        model=model,
        probe=make_probe(corpus, max_steps),
        corpus_info=corpus.info(),
        source=source,
        weights_sha256="" if final is None else sha256_of(final),
        seed=seed,
        command=command,
        head=head,
        adapter=adapter,
        layers=layers,
    )
    epochs: list[tuple[int, Path | None]] = [*ordered] or [(0, None)]
    for epoch, path in epochs:
        if path is not None:
            load_weights(model, path)
        checkpoint = recorder.capture(epoch)
        recorder.write(checkpoint, evaluate(checkpoint, recorder.probe))


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
