"""What a run folder says about itself, and whether a recording may go on in one."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rnnreport import __version__
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.probe import probe_sha256
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Manifest, Probe

_SHAPE = ("cell", "layers", "units", "bidirectional", "parameters")


def make_manifest(
    model: nn.Module,
    probe: Probe,
    found: Inspection,
    *,
    name: str,
    corpus_info: dict[str, Any],
    source: str,
    weights_sha256: str,
    seed: int,
    command: str,
) -> Manifest:
    """The manifest of a run.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
        Of this model on this probe set.
    name, weights_sha256, seed : see ``Manifest``
    corpus_info : dict
        ``Corpus.info()``, or its like.
    source, command : str
        "" for the model's class and the name of the running script.
    """
    origin = source or f"{type(model).__module__}:{type(model).__qualname__}"
    return Manifest(
        name=name,
        task=probe.task,
        model=found.architecture | {"source": origin, "weights_sha256": weights_sha256},
        corpus=corpus_info,
        probe_sha256=probe_sha256(probe),
        state_keys=tuple(str(key) for key in found.widths),
        head=found.expected.sentence,
        seed=seed,
        versions={
            "numpy": np.__version__,
            "python": platform.python_version(),
            "rnnreport": __version__,
            "torch": torch.__version__,
        },
        command=command or Path(sys.argv[0]).name,
    )


def info_of(probe: Probe) -> dict[str, Any]:
    """The ``corpus`` entry of a manifest where nothing but the probe set is known."""
    return {
        "name": "probe set",
        "sequences": len(probe.lengths),
        "steps": int(probe.lengths.sum()),
        "sha256": "",
        "skipped": {},
        "unknown_tokens": 0,
    }


def refuse_other_run(folder: RunFolder, manifest: Manifest) -> None:
    """Recording may go on in a folder only with the probe set and the kind of model it was begun with.

    Raises
    ------
    InputError
        If the folder holds a run of another probe set or another model.
    """
    earlier = folder.manifest()
    if earlier.probe_sha256 != manifest.probe_sha256:
        raise InputError(
            f"{folder.path} was recorded on another probe set",
            "epochs can only be compared on the same sequences: give another folder, or the corpus of before",
        )
    before, now = ([each.state_keys, *(each.model.get(part) for part in _SHAPE)] for each in (earlier, manifest))
    if before != now:
        raise InputError(
            f"{folder.path} was recorded from another model: {_in_words(earlier)}, now {_in_words(manifest)}",
            "give another folder",
        )


def _in_words(manifest: Manifest) -> str:
    model = manifest.model
    return f"{model['cell']} {model['layers']} x {model['units']} of {model['parameters']:,} parameters"
