"""Weights from a file, without ever running what a pickle holds.

A state dict is found under the usual keys of a training checkpoint and freed of the prefixes that wrappers add. What
is not a state dict is refused with the way out.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnreport.errors import InputError

_NESTS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "model.")
_SHOWN = 5
_REMEDY = "save it with torch.save(model.state_dict(), PATH)"


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a ``.safetensors`` file or of a state dict saved by torch into the model.

    Raises
    ------
    InputError
        If the file is missing, is no state dict, does not fit (names the keys) or holds values that are not finite. The
        model is unchanged then.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights {path} do not exist", "check the path")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _state_dict(_read_torch(path), path)
    expected = model.state_dict()
    candidates = list(_without_prefixes(state))
    best = max(candidates, key=lambda candidate: len(candidate.keys() & expected.keys()))
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


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise InputError(f"{path} needs the package safetensors", "pip install 'rnnreport[safetensors]'") from error
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is not a whole safetensors file: {error}", "save or copy it again") from error


def _read_torch(path: Path) -> Any:
    if path.suffix == ".pt2":
        raise InputError(f"{path} is an exported program, whose layers cannot be observed", _REMEDY)
    if _is_torchscript(path):
        raise InputError(f"{path} is a TorchScript archive, whose layers cannot be observed", _REMEDY)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what matters is raised
            return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        classes = _pickled_classes(path)
        if classes:
            raise InputError(
                f"{path} holds pickled objects ({_listed(classes)}), which can run any code", _REMEDY
            ) from error
        raise InputError(f"{path} is not a file of weights: {_first_line(error)}", _REMEDY) from error
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise InputError(f"{path} cannot be read as weights: {_first_line(error)}", "save or copy it again") from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _pickled_classes(path: Path) -> list[str]:
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # not a zip archive of torch's: the loader's own message is the better one
        return []


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _state_dict(stored: Any, path: Path) -> dict[str, Tensor]:
    """The mapping of names to tensors, however deep under the usual keys."""
    level = stored
    while isinstance(level, Mapping):
        if level and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in level.items()):
            return dict(level)
        nested = [level[key] for key in _NESTS if isinstance(level.get(key), Mapping)]
        if not nested:
            raise InputError(
                f"{path} holds no state dict: its keys are {_listed([str(key) for key in level]) or 'none'}",
                f"{_REMEDY}, or under the key 'state_dict'",
            )
        level = nested[0]
    raise InputError(f"{path} holds {type(level).__name__}, not a state dict", _REMEDY)


def _without_prefixes(state: dict[str, Tensor]) -> Iterable[dict[str, Tensor]]:
    """The state dict as it is, then without "_orig_mod." anywhere, then without each prefix that all keys share."""
    yield state
    state = {key.replace("_orig_mod.", ""): tensor for key, tensor in state.items()}
    yield state
    while shared := [prefix for prefix in _PREFIXES if all(key.startswith(prefix) for key in state)]:
        state = {key.removeprefix(shared[0]): tensor for key, tensor in state.items()}
        yield state


def _refuse_misfit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = [key for key in expected if key not in state]
    unexpected = [key for key in state if key not in expected]
    other_shape = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
        if key in state and not is_lazy(tensor) and state[key].shape != tensor.shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", other_shape))
    complaints = [f"{len(keys)} {kind}: {_listed(keys)}" for kind, keys in kinds if keys]
    if complaints:
        raise InputError(
            f"weights {path} do not fit the model; {'; '.join(complaints)}",
            "give the factory the arguments the model was trained with",
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
