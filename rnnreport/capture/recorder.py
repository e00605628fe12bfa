"""Recording one epoch: states and predictions on the probe set, written to the run folder."""

from __future__ import annotations

import operator
import os
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

import torch
from torch import Tensor, nn

from rnnreport.capture.calling import Adapter
from rnnreport.capture.fingerprints import fingerprints
from rnnreport.capture.gates import read_gates
from rnnreport.capture.heads import HeadFunction
from rnnreport.capture.inspection import Inspection, inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.manifest import info_of, make_manifest, refuse_other_run
from rnnreport.capture.passes import BATCH_SIZE, capture_states
from rnnreport.capture.probe import make_probe
from rnnreport.capture.scores import evaluate
from rnnreport.errors import InputError, RecordingWarning, RnnReportError
from rnnreport.load.corpus import Corpus
from rnnreport.load.importing import failure_of
from rnnreport.load.wrappers import refuse_hidden, unwrapped
from rnnreport.results.folder import RunFolder
from rnnreport.results.locks import locked
from rnnreport.results.recorded import Checkpoint, Gates, Probe, StateKey


@dataclass(frozen=True)
class Observation:
    """A model at one epoch.

    Attributes
    ----------
    checkpoint : Checkpoint
    fingerprints : as ``fingerprints`` gives them
    """

    checkpoint: Checkpoint
    fingerprints: Any


class Recorder:
    """Records a model's states on a probe set at every epoch of its training, and leaves the model as it was.

    Two lines in any training loop::

        recorder = rnnreport.Recorder(model, corpus, run="runs/a")
        ...
        recorder.epoch(epoch, loss=loss)

    What can be wrong with the set-up is an error here, before training; what goes wrong later is a warning. In a folder
    that holds a run of the same probe set and kind of model the recording goes on: epochs are added, and an epoch
    recorded again replaces the earlier one. Under ``torch.distributed`` only rank 0 records. Until ``close``, or the
    end of the recorder, no other process may record into the folder; analysing, rendering and watching go on beside it.

    Parameters
    ----------
    model : nn.Module
        Trained elsewhere; run here in eval mode, without gradients. Mode, buffers and random generators are restored.
    probe : Probe or Corpus
        The sequences that are recorded; of a corpus, its probe set (see ``make_probe``).
    run : path
        The run folder. It is made when the first epoch is written.
    name : str, optional
        The run's title; by default the folder's name.
    source, command : str, optional
        Where the model comes from and what was run; by default the model's class and the name of the script.
    weights_sha256 : str, optional
        Hash of the file of weights, where there is one.
    seed : int
        Of the analyses that draw random numbers.
    max_steps : int
        Budget of the probe set that is made of a corpus.
    head : str or function (model, states) -> predictions, optional
        What maps a state to the prediction, where it is not found by itself: the path of a module, or a function of
        states (n, H) that gives what the model returns (n, K).
    adapter : function (model, inputs, lengths) -> output, optional
        For models that are not called as ``model(inputs)`` or ``model(inputs, lengths)``.
    layers : sequence of str
        Paths of further modules whose outputs are states, for cells of other kinds than torch's; they need one vector
        per step. ``"cell"`` records the first tensor that the module returns, ``"cell:h,c"`` two of these names. The
        last one's states are shown first.
    batch_size : int
        Most sequences in one forward pass.

    Raises
    ------
    InputError
        If the model cannot be recorded on this probe set, or the folder holds a run of another probe set or model.
    InUseError
        If another process records into the folder, or replaces it.
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Probe | Corpus,
        run: str | os.PathLike[str],
        *,
        name: str = "",
        source: str = "",
        command: str = "",
        weights_sha256: str = "",
        seed: int = 0,
        max_steps: int = 50_000,
        head: str | HeadFunction | None = None,
        adapter: Adapter | None = None,
        layers: Sequence[str] = (),
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.model = unwrapped(model)
        self.probe = make_probe(probe, max_steps) if isinstance(probe, Corpus) else probe
        self.folder = RunFolder(Path(run))
        self._head = head
        self._adapter = adapter
        self._layers = tuple(layers)
        self._batch_size = batch_size
        self._start = time.monotonic()
        self._lock: Callable[[], object] = lambda: None
        if _rank() > 0:
            return
        self._lock = weakref.finalize(self, _keep_others_out(self.folder.path))
        self._manifest = make_manifest(
            self.model,
            self.probe,
            self.inspection,
            name=name or self.folder.path.resolve().name,
            corpus_info=probe.info() if isinstance(probe, Corpus) else info_of(probe),
            source=source,
            weights_sha256=weights_sha256,
            seed=seed,
            command=command,
        )
        if self.folder.exists():
            refuse_other_run(self.folder, self._manifest)
        self.folder.discard_leftovers()

    def close(self) -> None:
        """Let other processes record into the folder. This happens by itself when nothing refers to the recorder."""
        self._lock()

    @cached_property
    def inspection(self) -> Inspection:
        """What is known about the model."""
        with torch.inference_mode(False), untouched(self.model):
            return inspect_model(self.model, self.probe, self._head, self._adapter, self._batch_size, self._layers)

    @property
    def head(self) -> str:
        """One sentence: how the expected prediction is obtained, or why there is none."""
        return self.inspection.expected.sentence

    @property
    def state_keys(self) -> tuple[StateKey, ...]:
        """Every recorded state, the default one (last layer, forward) first."""
        return tuple(self.inspection.widths)

    def epoch(self, epoch: int, /, **metrics: SupportsFloat) -> None:
        """Record an epoch; whatever goes wrong becomes a ``RecordingWarning`` and the training goes on.

        Only a warnings filter that makes errors of warnings lets it stop the training.

        Parameters
        ----------
        epoch : int
            0 (before training) or more.
        **metrics : numbers, tensors of one element
            Stored beside the epoch. Without any, those of the probe set are (see ``evaluate``).
        """
        try:
            self.record(epoch, **metrics)
        except Exception as error:
            reason = str(error) if isinstance(error, RnnReportError) else failure_of(error)
            warnings.warn(f"epoch {epoch} is not recorded: {reason}", RecordingWarning, stacklevel=2)

    def record(self, epoch: int, /, **metrics: SupportsFloat) -> None:
        """Like ``epoch``, but raises what goes wrong.

        Raises
        ------
        RnnReportError
            If the epoch or a metric is no number, the model fails, or the disk refuses.
        """
        if _rank() > 0:
            return
        given = {name: _number(name, value) for name, value in metrics.items()}
        self.keep(self.observe(epoch), given)

    def observe(self, epoch: int, /) -> Observation:
        """What is recorded of the model as it is now, without writing it.

        Raises
        ------
        InputError
            If the epoch is no number or the model fails.
        """
        return Observation(self.capture(_epoch(epoch)), fingerprints(self.model))

    def keep(self, seen: Observation, metrics: dict[str, float] | None = None) -> None:
        """Write what was observed, here or by a copy of this recorder in another process.

        Raises
        ------
        RnnReportError
            If the disk refuses.
        """
        line = metrics or evaluate(seen.checkpoint, self.probe)
        wall = round(time.monotonic() - self._start, 3)
        self._open()
        # metrics first: an epoch counts as recorded by its states, so none that is recorded ever lacks them
        self.folder.append_metrics(line | {"epoch": seen.checkpoint.epoch, "wall_s": wall}, seen.fingerprints)
        self.folder.write_checkpoint(seen.checkpoint)

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process inspects its own model."""
        return {name: value for name, value in self.__dict__.items() if name not in ("inspection", "_lock")}

    def gates(self, epoch: int, /) -> None:
        """Store the gates of all LSTM and GRU layers on the probe set; what goes wrong becomes a ``RecordingWarning``.

        They take another pass and twice the room of the states of an epoch, so they are kept of one epoch only: call
        this once, after the last one was recorded. A plain RNN has no gates.

        Parameters
        ----------
        epoch : int
            The last one recorded, while the model is still the same.
        """
        try:
            self.record_gates(epoch)
        except Exception as error:
            reason = str(error) if isinstance(error, RnnReportError) else failure_of(error)
            warnings.warn(f"the gates of epoch {epoch} are not recorded: {reason}", RecordingWarning, stacklevel=2)

    def record_gates(self, epoch: int, /) -> None:
        """Like ``gates``, but raises what goes wrong.

        Raises
        ------
        RnnReportError
            If the epoch is not the last one recorded, the model fails, or the disk refuses.
        """
        if _rank() > 0:
            return
        if self.folder.epochs()[-1:] != [_epoch(epoch)]:
            raise InputError(f"epoch {epoch} is not the last one recorded", "record the epoch before its gates")
        refuse_hidden(self.model)
        values = read_gates(self.model, self.probe, self.inspection.convention, self._batch_size)
        if values:
            self.folder.write_record(Gates(_epoch(epoch), values))

    def _open(self) -> None:
        """Make the run folder where there is none; the manifest comes last and marks it complete."""
        if self.folder.exists():
            return
        self.folder.write_probe(self.probe)
        self.folder.write_manifest(self._manifest)

    def capture(self, epoch: int) -> Checkpoint:
        """States and predictions of the model as it is now, on the whole probe set.

        Raises
        ------
        InputError
            If the model fails.
        """
        refuse_hidden(self.model)  # sharded since: a pass on this rank alone would wait for the others
        return capture_states(self.model, self.probe, self.inspection, epoch, self._batch_size)


def _keep_others_out(run: Path) -> Callable[[], None]:
    """Lock a run folder, which may not exist yet, against other recordings; what is returned ends that.

    Raises
    ------
    RnnReportError
        If another process records there, or the disk refuses.
    """
    held = ExitStack()
    try:
        run.absolute().parent.mkdir(parents=True, exist_ok=True)
        held.enter_context(locked(run, "training"))
    except OSError as error:
        raise RnnReportError(
            f"cannot record into {run}: {error.strerror or error}", "free space or choose another place"
        ) from error
    return held.close


def _rank() -> int:
    """This process's rank under ``torch.distributed``; 0 without it."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if distributed else 0


def _epoch(epoch: SupportsIndex) -> int:
    try:
        number = operator.index(epoch)
    except TypeError:
        number = -1
    if number < 0:
        raise InputError(f"epoch {epoch!r} is not a number from 0 up", "count epochs by whole numbers")
    return number


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the metric {name!r} is no number: {error}", "give numbers or tensors of one element"
        ) from error
