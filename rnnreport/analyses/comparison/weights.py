"""Which weights two runs have in common: a copy, fine-tuned or damaged in part, or a network trained separately."""

from __future__ import annotations

from dataclasses import dataclass

from rnnreport.analyses.comparison.runs import Read
from rnnreport.results.recorded import StateKey


@dataclass(frozen=True)
class CommonWeights:
    """Names of the tensors that are equal in both runs, and of those that differ; both empty where hashes lack."""

    same: tuple[str, ...]
    other: tuple[str, ...]
    copied: bool

    def sentence(self, most: int = 4) -> str:
        """What differs, in words."""
        if not self.other:
            return f"all {len(self.same)} tensors of weights are the baseline's"
        named = ", ".join(self.other[:most]) + (f" and {len(self.other) - most} more" if len(self.other) > most else "")
        of = f"{len(self.other)} of {len(self.same) + len(self.other)} tensors"
        return f"the weights are the baseline's but for {named} ({of})"


def common_weights(baseline: Read, run: Read) -> CommonWeights:
    """Compare two runs by the hashes of their weights.

    A run counts as a copy if it shares weights of a recurrent layer, or of two other modules. One module alone may be
    shared by networks trained separately: frozen, pre-trained embeddings.

    Parameters
    ----------
    baseline, run : Read
    """
    names = [name for name in baseline.weights if name in run.weights]
    same = tuple(name for name in names if baseline.weights[name] == run.weights[name])
    layers = tuple(f"{StateKey.parse(key).module}." for key in run.manifest.state_keys)
    modules = {name.rpartition(".")[0] for name in same}
    copied = any(name.startswith(layers) for name in same) or len(modules) > 1
    return CommonWeights(same, tuple(name for name in names if name not in same), copied)
