"""A run as it was at an earlier epoch, so that two checkpoints of one run can be compared like two runs."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.analyses.sequences import SequenceParams, read_sequences
from rnnreport.analyses.units import UnitParams, analyse_units
from rnnreport.analyses.words import WordParams, find_words
from rnnreport.errors import InputError
from rnnreport.progress import Stage
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Unavailable, Units

_WRITTEN = re.compile(r"(.+)@(\d+)")


def split_epoch(given: Path) -> tuple[Path, int | None]:
    """The folder and the epoch of ``RUN@EPOCH``; no epoch where there is none, or a folder has that very name."""
    found = None if given.exists() else _WRITTEN.fullmatch(str(given))
    return (Path(found[1]), int(found[2])) if found else (given, None)


def as_of(folder: RunFolder, epoch: int, scratch: Path) -> RunFolder:
    """Make a run folder that ends at an epoch, with the results that a comparison page reads.

    Parameters
    ----------
    folder : RunFolder
    epoch : int, a recorded one
    scratch : Path
        Empty folder. Its states are links to those of ``folder``, copies where the file system has none.

    Raises
    ------
    InputError
        If the epoch was not recorded.
    """
    recorded = folder.epochs()
    if epoch not in recorded:
        raise InputError(
            f"{folder.path} has no recorded epoch {epoch}", f"choose one of {', '.join(map(str, recorded)) or 'none'}"
        )
    earlier = RunFolder(scratch)
    (scratch / "states").mkdir(parents=True)
    manifest = folder.manifest()
    for name in ("probe.npz", "probe.json", "speech.npz", "speech.json"):
        if (folder.path / name).exists():
            _link(folder.path / name, scratch / name)
    for path in (folder.path / "states" / f"epoch-{one:06d}" for one in recorded if one <= epoch):
        for suffix in (".npz", ".json"):
            _link(path.with_name(path.name + suffix), scratch / "states" / (path.name + suffix))
    for line in folder.metrics():
        if line["epoch"] <= epoch:
            earlier.append_metrics(line, folder.fingerprints(line["epoch"]))
    earlier.write_manifest(replace(manifest, name=f"{manifest.name}, epoch {epoch}"))
    with Stage(f"{folder.path.name} at epoch {epoch}"), threadpool_limits(1):
        _analyse(earlier)
    return earlier


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        shutil.copy(source, target)


def _analyse(folder: RunFolder) -> None:
    """The displayed sequences, the words, and the units of the first state."""
    manifest, probe = folder.manifest(), folder.probe()
    last, scope = folder.checkpoint(folder.epochs()[-1]), manifest.state_keys[0]
    sample = display_sample(probe, SampleParams())
    folder.write_result(read_sequences(folder, manifest, probe, sample, SequenceParams()))
    found = find_words(probe, sample, WordParams(), None, folder.parts_of_speech())
    if isinstance(found, Unavailable):
        folder.write_result(found)
        folder.write_result(Unavailable(Units.analysis, found.reason), scope=0)
        return
    words, step_words = found
    folder.write_result(words)
    units = analyse_units(scope, last.states[scope], last.epoch, probe, sample, step_words, UnitParams())
    folder.write_result(units, scope=0)
