"""How a language model goes on: trees of its most probable next tokens after a few contexts.

Every probability is the model's own, run on the context and the path together from the start of the sequence. A path
that is less probable than a declared minimum ends, so a level never has more than ``1 / minimum`` nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, a_parameter, step_budget
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import attributes_kept, untouched
from rnnreport.capture.probe import hash_order
from rnnreport.results.recorded import Continuations, Floats, Ints, Probe


@dataclass(frozen=True)
class ContinuationParams:
    """Contexts and their most tokens; next tokens of a node, levels, and the least probable path that is followed."""

    contexts: int = 6
    most_tokens: int = 32
    branching: int = 4
    depth: int = 4
    minimum: float = 0.01


@dataclass(frozen=True)
class _Nodes:
    """Nodes of one tree, int32, int32 and float32 (n,): parents by place in the tree, -1 for the context."""

    parents: Ints
    tokens: Ints
    probabilities: Floats


def read_continuations(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: ContinuationParams | None = None
) -> Continuations | None:
    """Grow a tree after the beginning of each of the first sequences, by the hash of their ids; model left as it was.

    A context is half of its sequence, of which the page shows the rest, and at most ``most_tokens``.

    Returns
    -------
    Continuations, or None where the model predicts no next token

    Raises
    ------
    InputError
        If the model fails.
    """
    if probe.task != "language-model" or found.reader is None:
        return None
    params = params or ContinuationParams()
    places = np.array(hash_order(probe.sequence_ids)[: params.contexts], np.int32)
    lengths = np.clip(probe.lengths[places] // 2, 1, params.most_tokens).astype(np.int32)
    contexts = [probe.tokens[start : start + n] for start, n in zip(probe.offsets[places], lengths, strict=True)]
    with torch.inference_mode(False), untouched(model):
        trees = [_grow(model, probe, found, context, params) for context in contexts]
    return Continuations(
        epoch=epoch,
        sequences=places,
        lengths=lengths,
        contexts=np.repeat(np.arange(len(trees), dtype=np.int32), [len(tree.tokens) for tree in trees]),
        parents=np.concatenate([tree.parents for tree in trees]),
        tokens=np.concatenate([tree.tokens for tree in trees]),
        probabilities=np.concatenate([tree.probabilities for tree in trees]),
        branching=params.branching,
        depth=params.depth,
        minimum=params.minimum,
    )


def _grow(model: nn.Module, probe: Probe, found: Inspection, context: Ints, params: ContinuationParams) -> _Nodes:
    """One tree, level by level. The first level is whole, however improbable."""
    levels: list[_Nodes] = []
    paths, likely, places = context[None], np.ones(1), np.full(1, -1)  # of the level before
    for depth in range(params.depth):
        probabilities, tokens = _most_probable(model, probe, found, paths, params.branching)
        joint = likely[:, None] * probabilities
        kept = (joint >= params.minimum) | (depth == 0)
        row, _ = np.nonzero(kept)
        levels.append(_Nodes(places[row].astype(np.int32), tokens[kept], probabilities[kept]))
        first = sum(len(level.tokens) for level in levels[:-1])
        paths = np.concatenate([paths[row], tokens[kept][:, None]], axis=1)
        likely, places = joint[kept], first + np.arange(len(row))
        if not len(row):
            break
    return _Nodes(
        np.concatenate([level.parents for level in levels]),
        np.concatenate([level.tokens for level in levels]),
        np.concatenate([level.probabilities for level in levels]),
    )


def _most_probable(model: nn.Module, probe: Probe, found: Inspection, paths: Ints, count: int) -> tuple[Floats, Ints]:
    """Probabilities and ids (n, count) of the most probable tokens after each path (n, T), best first."""
    assert found.reader is not None
    like, size = a_parameter(model), max(1, step_budget(probe) // paths.shape[1])
    best: list[tuple[Tensor, Tensor]] = []
    for start in range(0, len(paths), size):
        part = paths[start : start + size]
        rows: NDArray[np.int64] = np.arange(part.size).reshape(part.shape)  # only their shape is read
        batch = Batch(np.arange(len(part)), rows, torch.from_numpy(part.astype(np.int64)).to(like.device))
        with attributes_kept(model):
            predictions = found.reader.predictions(found.convention.run(model, batch), batch)[:, -1]
        found_here = found.reader.probabilities(predictions).topk(min(count, predictions.shape[1]), dim=1)
        best.append((found_here.values.cpu(), found_here.indices.cpu()))
    values, tokens = (torch.cat(parts).numpy() for parts in zip(*best, strict=True))
    return values.astype(np.float32), tokens.astype(np.int32)
