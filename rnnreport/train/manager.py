"""The model manager: nets trained as a configuration says, each in a run folder that an interruption leaves usable.

While a training goes on its folder holds ``training.pt``: everything that the next epoch depends on, written after
every epoch and before its states are recorded. It is replaced by ``training.json`` when the training is finished.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnreport.capture.probe import hash_order
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import record_corpus, record_once
from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.corpus import Corpus
from rnnreport.load.weights import load_weights
from rnnreport.progress import note
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.train import fitting
from rnnreport.train.data import SPLITS, Splits, repeats
from rnnreport.train.settings import Settings, plain, settings_from

UNFINISHED, FINISHED, WEIGHTS, VOCABULARY = "training.pt", "training.json", "weights.pt", "vocabulary.json"
SCORED = 2000  # sequences of the training split that are scored after every epoch, if no other split is larger
_MAY_DIFFER = ("settings.name", "settings.training.seeds")


class Training:
    """One net, and all that decides what its next epoch does.

    Parameters
    ----------
    settings : Settings
    splits : Splits
    seed : int
        Of the initial weights, the order of the sequences and the dropout.

    Attributes
    ----------
    epoch : int, how many are done
    history : list of dict, the scores before the first epoch and after each
    best : dict, the weights of the epoch with the lowest validation loss; {} without early stopping
    """

    def __init__(self, settings: Settings, splits: Splits, seed: int) -> None:
        fit = settings.training
        self.settings = settings
        self.examples = {name: fitting.examples(getattr(splits, name)) for name in SPLITS}
        fitting.refuse_imbalance(fit, splits.train.task)
        most = max(SCORED, len(splits.valid.inputs), len(splits.test.inputs))
        # a pass over all of a large training split would take a third of an epoch
        sample = self.examples["train"].take(sorted(hash_order(splits.train.sequence_ids)[:most]))
        self._scored = {**self.examples, "train": sample}
        torch.manual_seed(seed)
        self.net = fitting.build(settings.model, splits.train)
        self.optimiser = fitting.make_optimiser(self.net, fit)
        self.schedule = fitting.make_schedule(self.optimiser, settings.schedule, fit.epochs)
        self.weights: Tensor | None = None
        if fit.balance == "weights":
            self.weights = fitting.class_weights(self.examples["train"], len(splits.train.class_names))
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, the first of equal ones."""
        losses = [scores["valid_loss"] for scores in self.history]
        return losses.index(min(losses))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or enough of them without a lower validation loss."""
        stopping = self.settings.stopping
        waited = self.epoch - self.best_epoch
        return self.epoch == self.settings.training.epochs or (stopping is not None and waited >= stopping.patience)

    def start(self) -> None:
        """Score the net as it was made."""
        self._score("before training")

    def run_epoch(self, label: str) -> None:
        """Train for one epoch and score the net.

        Raises
        ------
        RnnReportError
            If a loss is no longer finite.
        """
        self.epoch += 1
        label = f"{label}epoch {self.epoch}"
        fitting.train_epoch(
            self.net, self.examples["train"], self.settings.training, self.optimiser, self.weights, label
        )
        scores = self._score(label)
        if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.schedule.step(scores["valid_loss"])
        else:
            self.schedule.step()

    def _score(self, label: str) -> dict[str, float]:
        size = self.settings.training.batch_size
        scores = {
            f"{name}_{metric}": value
            for name in SPLITS
            for metric, value in fitting.evaluate(self.net, self._scored[name], size).items()
        }
        if not all(map(math.isfinite, scores.values())):
            raise RnnReportError(
                f"{label}: the loss is no longer finite", "lower training.learning-rate or set training.clip"
            )
        self.history.append(scores)
        if self.settings.stopping and self.best_epoch == self.epoch:
            self.best = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}
        return scores

    def state(self) -> dict[str, Any]:
        """All that changes from epoch to epoch, the random generator included."""
        return {
            "epoch": self.epoch,
            "history": self.history,
            "best": self.best,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "random": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to what ``state`` gave."""
        self.epoch, self.history, self.best = state["epoch"], state["history"], state["best"]
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])


def train_run(
    settings: Settings, splits: Splits, path: Path, *, seed: int, name: str, command: str = "", label: str = ""
) -> RunFolder:
    """Train one net and record every epoch, from where an earlier call with the same settings was interrupted.

    Parameters
    ----------
    settings : Settings
    splits : Splits
    path : Path
        The run folder; new, or that of the earlier call. A finished one is left as it is.
    seed : int
    name, command : str
        For the page.
    label : str
        Begins the lines of progress.

    Raises
    ------
    InputError
        If the folder is that of another training.
    RnnReportError
        If the net cannot be trained on, or the disk refuses.
    """
    identity = identity_of(settings, splits, seed)
    refuse_other_training(path, identity)
    if (path / FINISHED).is_file():
        note(f"{label}finished before, in {path}")
        (path / UNFINISHED).unlink(missing_ok=True)
        return RunFolder(path)
    with _threads(settings.training.threads):
        training = Training(settings, splits, seed)
        _begin(training, path, identity, label)
        recorder = Recorder(
            training.net,
            getattr(splits, settings.record.split),
            path,
            name=name,
            source="rnnreport train",
            command=command,
            seed=seed,
            max_steps=settings.record.max_steps,
        )
        if splits.train.vocabulary:
            store.write_text(path / VOCABULARY, store.to_json(splits.train.vocabulary))
        if training.epoch not in recorder.folder.recorded_epochs():
            recorder.record(training.epoch, **training.history[-1])
        while not training.finished:
            training.run_epoch(label)
            _save(training, path, identity)
            recorder.record(training.epoch, **training.history[-1])
            note(f"{label}epoch {training.epoch}/{settings.training.epochs}: {_in_words(training.history[-1])}")
        _finish(training, recorder, getattr(splits, settings.record.split), identity, label)
    return recorder.folder


def trained(run: str) -> nn.Module:
    """The net of a finished training: ``rnnreport run --model rnnreport.train.manager:trained --model-arg run=RUN``.

    Parameters
    ----------
    run : str
        The run folder.

    Raises
    ------
    InputError
        If it is not that of a finished training.
    """
    path = Path(run)
    log = store.read_json(path / FINISHED)
    settings = settings_from(log["settings"], str(path / FINISHED))
    net = fitting.build(settings.model, RunFolder.open(path).probe())
    load_weights(net, path / WEIGHTS)
    return net


def identity_of(settings: Settings, splits: Splits, seed: int) -> dict[str, Any]:
    """What makes a training this one, as JSON values: settings, seed, and what was trained on."""
    return {"settings": plain(settings), "seed": seed, "splits": _described(splits)}


def refuse_strangers(path: Path) -> None:
    """Raise where a folder holds anything but what a training leaves, wherever it was interrupted.

    Parameters
    ----------
    path : Path
        Of the run folder, which may not exist.

    Raises
    ------
    InputError
    """
    if not path.exists():
        return
    names = {entry.name for entry in path.iterdir() if entry.suffix != ".tmp"} if path.is_dir() else {path.name}
    begun = names <= {UNFINISHED, VOCABULARY, "probe.npz", "probe.json"}
    if not begun and not ("run.json" in names and names & {UNFINISHED, FINISHED}):
        raise InputError(
            f"{path} exists and is no training", "it is left alone even with --force; choose another --out"
        )


def refuse_other_training(path: Path, identity: dict[str, Any]) -> None:
    """Raise where a folder holds another training, finished or not; the title and the other seeds may differ.

    Parameters
    ----------
    path : Path
        Of the run folder, which may not exist.
    identity : dict
        By ``identity_of``.

    Raises
    ------
    InputError
        Names the first thing that differs.
    """
    if (path / FINISHED).is_file():
        earlier = store.read_json(path / FINISHED)
    elif (path / UNFINISHED).is_file():
        earlier = json.loads(_read(path / UNFINISHED)["identity"])
    else:
        return
    before, now = _flat(earlier), _flat(identity)
    for key in sorted(before.keys() | now.keys()):
        compared = key.startswith(("seed", "settings.", "splits.")) and key not in _MAY_DIFFER
        if compared and before.get(key) != now.get(key):
            raise InputError(
                f"{path} holds another training: {key.removeprefix('settings.')} was {before.get(key, 'not set')}, "
                f"now {now.get(key, 'not set')}",
                "choose another --out, or replace it with --force",
            )


def _described(splits: Splits) -> dict[str, Any]:
    """What was trained on, so that it is not taken for something else later."""
    found: dict[str, Any] = {}
    for name in SPLITS:
        corpus = getattr(splits, name)
        ids = hashlib.sha256("\n".join(corpus.sequence_ids).encode("utf-8", errors="surrogatepass")).hexdigest()
        found[name] = corpus.info() | {"ids_sha256": ids}
        if name != "train":
            found[name]["also_in_training"] = repeats(splits, name)
    return found


def _begin(training: Training, path: Path, identity: dict[str, Any], label: str) -> None:
    """Go on from what an earlier call left, or score and save the net as it was made."""
    if not (path / UNFINISHED).is_file():
        training.start()
        _save(training, path, identity)
        return
    training.restore(_read(path / UNFINISHED))
    note(f"{label}goes on after epoch {training.epoch}")


def _save(training: Training, path: Path, identity: dict[str, Any]) -> None:
    _write(path / UNFINISHED, training.state() | {"identity": store.to_json(identity)})


def _read(path: Path) -> dict[str, Any]:
    """What ``_save`` wrote."""
    try:
        found: Any = torch.load(path, weights_only=True)
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise InputError(f"{path} is damaged: {error}", "begin anew with --force") from error
    if not isinstance(found, dict) or "identity" not in found:
        raise InputError(f"{path} is not what a training leaves", "choose another --out")
    return found


def _write(path: Path, value: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    store.write_bytes(path, buffer.getvalue())


def _finish(training: Training, recorder: Recorder, recorded: Corpus, identity: dict[str, Any], label: str) -> None:
    """Leave the weights that are kept, and a run that reports on them. Every step can be repeated."""
    folder = recorder.folder
    kept = training.best_epoch if training.settings.stopping else training.epoch
    if kept < training.epoch:
        note(f"{label}stopped at epoch {training.epoch}; the weights are those of epoch {kept}")
        training.net.load_state_dict(training.best)
    _write(folder.path / WEIGHTS, training.net.state_dict())
    digest = hashlib.sha256((folder.path / WEIGHTS).read_bytes()).hexdigest()
    manifest = folder.manifest()
    marked = {"kept_epoch": kept} if kept < training.epoch else {}
    folder.write_manifest(replace(manifest, model=manifest.model | {"weights_sha256": digest} | marked))
    record_once(recorder, kept, training.settings.record.budget)
    record_corpus(recorder, recorded)
    history = [{"epoch": epoch, **scores} for epoch, scores in enumerate(training.history)]
    store.write_json(folder.path / FINISHED, {**identity, "kept_epoch": kept, "history": history})
    (folder.path / UNFINISHED).unlink()
    note(f"{label}kept epoch {kept}: {_in_words(training.history[kept])}")


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with the keys joined by dots."""
    if not isinstance(value, dict):
        return {path: value}
    parts = ((f"{path}.{key}" if path else key, item) for key, item in value.items())
    return {name: found for key, item in parts for name, found in _flat(item, key).items()}


def _in_words(scores: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in scores.items())


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """The order in which numbers are added, and so the last bits, depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
