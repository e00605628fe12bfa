"""What a comparison reads of each run, once."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.scores import Errors, Scores, score
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Manifest, Probe
from rnnreport.results.schema import Performance


@dataclass(frozen=True)
class Read:
    """One run: its records, the last recorded epoch, and how good it is there."""

    folder: RunFolder
    manifest: Manifest
    probe: Probe
    epochs: tuple[int, ...]
    last: Checkpoint
    scores: Scores | Errors | None
    performance: Performance
    weights: dict[str, str] = field(
        default_factory=dict
    )  # hashes of the weights at the last epoch, where they are known

    @property
    def scope(self) -> str:
        """The state that is shown first."""
        return self.manifest.state_keys[0]

    def at(self, epoch: int) -> Checkpoint:
        """What was recorded at an epoch."""
        return self.last if epoch == self.last.epoch else self.folder.checkpoint(epoch)


def read(folder: RunFolder, params: PerformanceParams) -> Read:
    """Read a run that has recorded epochs; its results, if there are any, have to fit it."""
    folder, recorded = folder.as_one(), folder.epochs()
    probe, last = folder.probe(), folder.checkpoint(recorded[-1])
    scored = performance(probe, last, folder.metrics(), params)
    weights = folder.fingerprints(recorded[-1])
    return Read(folder, folder.manifest(), probe, tuple(recorded), last, score(probe, last), scored, weights)
