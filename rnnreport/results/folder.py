"""The run folder: where each record of ``recorded.py`` and ``schema`` lies.

RUN/
  run.json              Manifest
  probe.npz .json       Probe
  metrics.jsonl         one line per epoch, written before its states: {"epoch": 3, "wall_s": 1.5, "loss": 0.4, ...}
                        and "weights", an object of names and short hashes of the tensors of weights
  states/epoch-000003.npz .json       Checkpoint
  gates.npz .json       Gates of the last epoch
  continuations.npz .json             Continuations of a language model
  salience.npz .json    Salience of the default state; salience-1 and so on of the other states
  perturbation.npz .json              Perturbation
  ablation.npz .json    Ablation
  unit-ablation.npz .json             UnitAblation
  attribution.npz .json               Attribution
  gradient-flow.npz .json             GradientFlow
  fixed-points integration stretching .npz .json      FixedPointSearch, IntegrationProbe, Stretching
  sentences/            probe, states and written: Probe, Checkpoint and Sentences, where sentences were given
  speech.npz .json      PartsOfSpeech, where a function gave them
  corpus/responses-0.npz .json        CorpusResponses of a state, where the probe set is a sample of the corpus
  corpus/gates-0.npz .json            likewise of a gate
  results/ANALYSIS.npz .json          one result (or Unavailable) per analysis; per-state ones carry a number
  summary.json          Summary
  summary.md report.html
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rnnreport.errors import InputError
from rnnreport.results import metrics, placing, store
from rnnreport.results.causes import Attribution, GradientFlow, UnitAblation
from rnnreport.results.fitting import refuse_unfit
from rnnreport.results.recorded import (
    FORMAT_VERSION,
    Ablation,
    Checkpoint,
    Continuations,
    CorpusResponses,
    Gates,
    Manifest,
    PartsOfSpeech,
    Perturbation,
    Probe,
    Salience,
    Sentences,
)
from rnnreport.results.recorded_dynamics import FixedPointSearch, IntegrationProbe, Stretching
from rnnreport.results.schema import Summary, Unavailable
from rnnreport.results.unfit import Known, refuse_misfit

Record = TypeVar("Record")


class OfOneEpoch(Protocol):
    """What is recorded of one epoch only."""

    @property
    def epoch(self) -> int:
        """Number of the epoch."""


Dated = TypeVar("Dated", bound=OfOneEpoch)
_OF_LAST_EPOCH: dict[type[Any], str] = {
    Gates: "gates",
    Continuations: "continuations",
    Perturbation: "perturbation",
    Ablation: "ablation",
    UnitAblation: "unit-ablation",
    Attribution: "attribution",
    GradientFlow: "gradient-flow",
    FixedPointSearch: "fixed-points",
    IntegrationProbe: "integration",
    Stretching: "stretching",
}

_WEIGHTS = "weights"  # key of the hashes in a line of metrics
_EPOCH_FILE = re.compile(r"epoch-(\d{6,9})\.json", re.ASCII)


class RunFolder:
    """Reads and writes one run folder. Nothing is cached: every call looks at the disk.

    Parameters
    ----------
    path : Path
    made : Path, optional
        Where results, summary and provenance are instead, while they are made anew (see ``renewal``).
    """

    def __init__(self, path: Path, made: Path | None = None) -> None:
        self.path = Path(path)
        self.made = made or self.path
        self._known: Known | None = None
        self._known_given: Known | None = None  # of the sentences given by hand, which have a probe set of their own

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run folder.

        Raises
        ------
        InputError
            If ``path`` is not one, or was written by a newer version.
        """
        folder = cls(path)
        if not folder.exists():
            raise InputError(
                f"{path} is not a run folder: it has no run.json",
                "make one with `rnnreport run` or `rnnreport capture`",
            )
        folder.refuse_links()
        folder.manifest()
        return folder

    def refuse_links(self) -> None:
        """Refuse what leads out of the folder: reading it would publish, and writing it change, a file elsewhere.

        Raises
        ------
        InputError
        """
        inside = self.path.resolve()
        for place, folders, files in os.walk(self.path):
            for path in (Path(place, name) for name in (*folders, *files)):
                if path.is_symlink() and not path.resolve().is_relative_to(inside):
                    raise InputError(f"{path} is a link out of the run folder", "replace it by what it points to")

    def __fspath__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether there is a run at this place: its manifest is written last."""
        return (self.path / "run.json").is_file()

    def as_one(self) -> RunFolder:
        """A view whose results have to fit together: each is held against those that were read through it before.

        For one look at a run. Results that replace others meanwhile may not fit these.
        """
        view = RunFolder(self.path, self.made)
        states = self.manifest().state_keys
        view._known, view._known_given = Known(states), Known(states)
        return view

    def manifest(self) -> Manifest:
        """The manifest of the run."""
        path = self.path / "run.json"
        with self._told(path):
            version = store.peek(path, "format_version")
            if version != FORMAT_VERSION:
                raise InputError(
                    f"{path} has format version {version}, this rnnreport reads {FORMAT_VERSION}",
                    "use the version that wrote it, or capture again",
                )
            manifest = store.from_plain(store.read_json(path), Manifest, path)
            refuse_unfit(manifest)
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Store the manifest; with it the folder counts as a run."""
        store.write_json(self.path / "run.json", manifest)

    def discard_leftovers(self) -> None:
        """Remove what a killed recording left of files it was writing."""
        for folder in (self.path, self.path / "states"):
            placing.discard_leftovers(folder)

    def probe(self) -> Probe:
        """The probe set."""
        return self._load(self.path / "probe", Probe)

    def write_probe(self, probe: Probe) -> None:
        """Store the probe set."""
        store.save(self.path / "probe", probe)

    def epochs(self) -> list[int]:
        """Recorded epochs up to the one whose weights are reported, increasing.

        That is the last one, unless a training went on and then kept earlier weights.
        """
        recorded = self.recorded_epochs()
        kept = self.manifest().model.get("kept_epoch") if self.exists() else None
        return [epoch for epoch in recorded if epoch <= kept] if isinstance(kept, int) else recorded

    def recorded_epochs(self) -> list[int]:
        """All recorded epochs, increasing. A checkpoint counts once its .json is there (it is written last).

        An empty one, which a power failure may leave, does not count.
        """
        folder = self.path / "states"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        found = [match for match in map(_EPOCH_FILE.fullmatch, names) if match]
        return sorted(int(match.group(1)) for match in found if (folder / match.string).stat().st_size)

    def checkpoint(self, epoch: int) -> Checkpoint:
        """What was recorded at an epoch."""
        path = self._checkpoint_path(epoch)
        found = self._load(path, Checkpoint)
        if found.epoch != epoch:
            raise store.DamagedError(f"{path}.json is of epoch {found.epoch}", self._remedy(path))
        return found

    def checkpoints(self) -> Iterator[Checkpoint]:
        """The checkpoints of ``epochs``, in their order, one at a time in memory."""
        return (self.checkpoint(epoch) for epoch in self.epochs())

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store what was recorded at an epoch."""
        store.save(self._checkpoint_path(checkpoint.epoch), checkpoint)

    def _checkpoint_path(self, epoch: int) -> Path:
        return self.path / "states" / f"epoch-{epoch:06d}"

    def _of_last_epoch(
        self, path: Path, kind: type[Dated], state: int | None = None, *, given: bool = False
    ) -> Dated | None:
        """What is recorded of one epoch only; None where it was not, or at an earlier one."""
        if not path.with_name(path.name + ".json").exists():
            return None
        found = self._load(path, kind, state, given=given)
        return found if [found.epoch] == self.epochs()[-1:] else None

    def record(self, kind: type[Dated]) -> Dated | None:
        """What is recorded of one epoch only, by its class; None where it was not, or of an earlier epoch."""
        return self._of_last_epoch(self.path / _OF_LAST_EPOCH[kind], kind)

    def write_record(self, record: OfOneEpoch) -> None:
        """Store what is recorded of one epoch only; it replaces that of an earlier one."""
        store.save(self.path / _OF_LAST_EPOCH[type(record)], record)

    def salience(self, state: int = 0, *, given: bool = False) -> Salience | None:
        """What a state (its number in the manifest) depends on; None where that was not recorded at the last epoch.

        ``given``: in the sentences given by hand.
        """
        return self._of_last_epoch(self._salience_path(state, given), Salience, state, given=given)

    def write_salience(self, salience: Salience, state: int = 0, *, given: bool = False) -> None:
        """Store what a state depends on."""
        store.save(self._salience_path(state, given), salience)

    def _salience_path(self, state: int, given: bool) -> Path:
        return (self.path / "sentences" if given else self.path) / (f"salience-{state}" if state else "salience")

    def parts_of_speech(self) -> PartsOfSpeech | None:
        """The parts of speech of the probe set; None where no function gave them."""
        path = self.path / "speech"
        return self._load(path, PartsOfSpeech) if path.with_name(path.name + ".json").exists() else None

    def write_parts_of_speech(self, parts: PartsOfSpeech) -> None:
        """Store the parts of speech of the probe set."""
        store.save(self.path / "speech", parts)

    def sentences(self) -> tuple[Sentences, Probe, Checkpoint] | None:
        """Sentences given by hand; None where there are none, or not of the last epoch."""
        path = self.path / "sentences"
        if not (path / "written.json").exists():
            return None
        probe = self._load(path / "probe", Probe, given=True)
        states = self._load(path / "states", Checkpoint, given=True)
        written = self._load(path / "written", Sentences, given=True)
        return (written, probe, states) if [states.epoch] == self.epochs()[-1:] else None

    def write_sentences(self, sentences: Sentences, probe: Probe, states: Checkpoint) -> None:
        """Store sentences given by hand."""
        path = self.path / "sentences"
        store.save(path / "probe", probe)
        store.save(path / "states", states)
        store.save(path / "written", sentences)

    def corpus_responses(self, scope: int) -> CorpusResponses | None:
        """Responses over the whole corpus of a state (its number in the manifest); None where they were not needed."""
        path = self.path / "corpus" / f"responses-{scope}"
        return self._load(path, CorpusResponses, scope) if path.with_name(path.name + ".json").exists() else None

    def write_corpus_responses(self, responses: CorpusResponses, scope: int) -> None:
        """Store the responses of a state over the whole corpus."""
        store.save(self.path / "corpus" / f"responses-{scope}", responses)

    def corpus_gates(self) -> list[CorpusResponses]:
        """Responses of the gates over the whole corpus; none where they were not needed."""
        found = len(list((self.path / "corpus").glob("gates-*.json")))
        return [self._load(self.path / "corpus" / f"gates-{number}", CorpusResponses) for number in range(found)]

    def write_corpus_gates(self, responses: CorpusResponses, number: int) -> None:
        """Store the responses of a gate over the whole corpus; gates are counted from 0."""
        store.save(self.path / "corpus" / f"gates-{number}", responses)

    def append_metrics(self, line: dict[str, Any], weights: dict[str, str] | None = None) -> None:
        """Append one epoch's metrics, with the hashes of its weights where they are known.

        Raises
        ------
        RnnReportError
            If the disk refuses.
        """
        metrics.append_line(self._metrics_path, line | {_WEIGHTS: weights} if weights else line)

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics of every recorded epoch, increasing.

        Raises
        ------
        InputError
            If a line cannot be used, or is damaged.
        """
        return [{name: value for name, value in line.items() if name != _WEIGHTS} for line in self._lines()]

    def fingerprints(self, epoch: int) -> dict[str, str]:
        """Name to hash of the weights of an epoch, of those that are not constant; none where they are not known.

        Raises
        ------
        InputError
            As ``metrics``.
        """
        found = next((line.get(_WEIGHTS) for line in self._lines() if line["epoch"] == epoch), None)
        return {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}

    def _lines(self) -> list[dict[str, Any]]:
        return metrics.read_lines(self._metrics_path, self._remedy(self._metrics_path))

    @property
    def _metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    def result(self, kind: type[Record], scope: int | None = None) -> Record | Unavailable:
        """The stored result of an analysis, or the reason why there is none.

        Parameters
        ----------
        kind : a result class of ``schema``
        scope : int, optional
            Number of the state key in the manifest, for analyses made once per state.

        Raises
        ------
        DamagedError
            If it is missing or damaged, or its parts do not fit together.
        """
        path = self._result_path(kind.analysis, scope)  # type: ignore[attr-defined]  # every result class names its analysis
        marker = path.with_name(path.name + ".json")
        with self._told(marker):
            unavailable = store.peek(marker, "record") == Unavailable.__name__
        return self._load(path, Unavailable) if unavailable else self._load(path, kind, scope or 0)

    def has_result(self, kind: type[Any], scope: int | None = None) -> bool:
        """Whether an analysis has left a result, or the reason why there is none."""
        path = self._result_path(kind.analysis, scope)
        return path.with_name(path.name + ".json").exists()

    def write_result(self, result: Any, scope: int | None = None) -> None:
        """Store a result (or Unavailable); ``scope`` as in ``result``."""
        store.save(self._result_path(result.analysis, scope), result)

    def _result_path(self, analysis: str, scope: int | None) -> Path:
        return self.made / "results" / (analysis if scope is None else f"{analysis}-{scope}")

    def summary(self) -> Summary:
        """The summary of the run."""
        path = self.made / "summary.json"
        with self._told(path):
            summary = store.from_plain(store.read_json(path), Summary, path)
            refuse_unfit(summary)
        return summary

    def write_summary(self, summary: Summary) -> None:
        """Store the summary."""
        store.write_json(self.made / "summary.json", summary)

    def _load(self, path: Path, kind: type[Record], state: int | None = None, *, given: bool = False) -> Record:
        """Read a record; ``state``: number of the state that it is of; ``given``: of the sentences given by hand."""
        with self._told(path.with_name(path.name + ".json")):
            found = store.load(path, kind)
            refuse_misfit(found, state, self._known_given if given else self._known)
            refuse_unfit(found)
            return found

    @contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        """Say in which file there is what cannot be used, and how it is made anew."""
        try:
            yield
        except store.DamagedError as error:
            raise store.DamagedError(error.what, self._remedy(path)) from error
        except ValueError as error:
            raise store.DamagedError(f"{path}: {error}", self._remedy(path)) from error

    def _remedy(self, path: Path) -> str:
        if path.is_relative_to(self.made / "results") or path.name == "summary.json":
            return f"rebuild it with `rnnreport analyse {self.path} --force`"
        try:
            command = str(store.peek(self.path / "run.json", "command") or "")
        except store.DamagedError:
            command = ""
        ours = _is_ours(command)  # it may be a stranger's, and whoever reads this may run it
        return f"record the run again, with `{command}` and --force" if ours else "record the run again"


def _is_ours(command: str) -> bool:
    """Whether a command runs rnnreport and, every word quoted, nothing else."""
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return words[:1] == ["rnnreport"] and command == shlex.join(words) and len(command) <= 500
