"""Weights into a model: freed of the prefixes that wrappers add, and only if they fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnreport.errors import InputError
from rnnreport.load.checkpoints import listed, read_state_dict

_PREFIXES = ("module.", "model.", "net.")


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a ``.safetensors`` file or of a state dict saved by torch into the model.

    Parameters
    ----------
    model : nn.Module
    path : Path
        The file, or the folder of a checkpoint that holds it.

    Raises
    ------
    InputError
        If the file is missing, is no state dict, does not fit (names the keys) or holds values that are not finite. The
        model is unchanged then.
    """
    path = Path(path)
    expected = model.state_dict()
    candidates = _without_prefixes(read_state_dict(path))
    best = max(candidates, key=lambda candidate: len(candidate.keys() & expected.keys()))
    best = _with_ties(best, model, path)
    _refuse_misfit(best, expected, path)
    refuse_non_finite({name: best[name] for name, _ in model.named_parameters() if name in best}, str(path))
    model.load_state_dict(best)


def refuse_non_finite(tensors: Mapping[str, Tensor], origin: str) -> None:
    """Raise for the first tensor with NaN or infinite values.

    Raises
    ------
    InputError
        Names the tensor and counts its bad values.
    """
    for name, tensor in tensors.items():
        if is_lazy(tensor) or not tensor.is_floating_point():
            continue
        bad = int((~torch.isfinite(tensor.detach())).sum())
        if bad:
            raise InputError(
                f"weights {origin}: {name} has {bad} of {tensor.numel()} values that are not finite",
                "take a checkpoint from before training diverged",
            )


def _without_prefixes(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The state dict as it is, then without "_orig_mod." anywhere, then what is under the usual prefixes, without them.

    What is beside a prefix is left out: a training module also keeps the weights of its loss, for example.
    """
    yield state
    yield from _under_prefixes({key.replace("_orig_mod.", ""): tensor for key, tensor in state.items()})


def _under_prefixes(state: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    yield state
    for prefix in _PREFIXES:
        part = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
        if part:
            yield from _under_prefixes(part)


def _with_ties(state: dict[str, Tensor], model: nn.Module, path: Path) -> dict[str, Tensor]:
    """A tensor that the model has under several names may be stored once, as safetensors does, or equal each time."""
    complete, names_of = dict(state), dict[int, list[str]]()
    for name, tensor in model.state_dict(keep_vars=True).items():
        names_of.setdefault(id(tensor), []).append(name)
    for names in names_of.values():
        stored = [name for name in names if name in state]
        for name in stored[1:]:
            if not torch.equal(state[name], state[stored[0]]):
                raise InputError(
                    f"weights {path} do not fit the model: {stored[0]} and {name} differ, and are one in the model",
                    "build the model without tied weights",
                )
        complete |= {name: state[stored[0]] for name in names if stored}
    return complete


def _refuse_misfit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    other_shape = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and not is_lazy(tensor) and state[key].shape != tensor.shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", other_shape))
    complaints = [f"{len(keys)} {kind}: {listed(keys)}" for kind, keys in kinds if keys]
    if complaints:
        raise InputError(
            f"weights {path} do not fit the model; {'; '.join(complaints)}",
            "give the factory the arguments the model was trained with",
        )
