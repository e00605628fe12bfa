"""The state dict in a file of weights, without ever running what a pickle holds.

It is found under the usual keys of a training checkpoint. What is no state dict is refused with the way out.
"""

from __future__ import annotations

import pickle
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.errors import InputError
from rnnreport.load.importing import import_callable

_IN_FOLDER = ("model.safetensors", "pytorch_model.bin")  # as the Hugging Face Trainer names them
_NESTS = ("state_dict", "model_state_dict", "model_state", "model", "module", "network", "net", "weights")
_SHOWN = 5
_REMEDY = "save it with torch.save(model.state_dict(), PATH)"
# modules that torch refuses whatever is allowed, or whose functions run any code; no way out is offered
_DANGEROUS = frozenset({"builtins", "nt", "os", "posix", "runpy", "shutil", "subprocess", "sys"})
# NumPy's functions that make scalars and arrays again, under their names in NumPy 1 and 2
_NUMPY_FUNCTIONS = frozenset(
    f"numpy.{core}.multiarray:{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")
)
_BLOCKED = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
_REASON = re.compile(r"WeightsUnpickler error:\s*(.+)")


def weights_file(path: Path) -> Path:
    """The file of weights itself, where the folder of a checkpoint is given.

    Raises
    ------
    InputError
        If it does not exist, or a folder holds no weights.
    """
    if path.is_dir():
        found = [path / name for name in _IN_FOLDER if (path / name).is_file()]
        if not found:
            raise InputError(f"the folder {path} holds neither {' nor '.join(_IN_FOLDER)}", "name the file of weights")
        return found[0]
    if not path.is_file():
        raise InputError(f"weights {path} do not exist", "check the path")
    return path


def allowing(specs: Iterable[str]) -> AbstractContextManager[Any]:
    """A context in which files of weights may also hold objects of these classes.

    Parameters
    ----------
    specs : iterable of str
        ``module:Class``, imported now. What the script that was run stored as ``__main__.Class`` counts as well.

    Raises
    ------
    InputError
        If one cannot be imported, or is no class: a function could do anything with what the file holds.
    """
    names: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = []
    for spec in specs:
        found = import_callable(spec, "safe global")
        if not _can_be_allowed(spec, found):
            raise InputError(f"safe global {spec!r} cannot be allowed: it could run any code", "only classes can be")
        names += [(found, spec.replace(":", ".")), (found, f"__main__.{found.__name__}")]
        if found is np.dtype:  # each type of number has a class of its own, made by its instances
            names += [getattr(np.dtypes, kind) for kind in np.dtypes.__all__]
    return torch.serialization.safe_globals(names)


def _can_be_allowed(spec: str, found: Any) -> bool:
    return (isinstance(found, type) or spec in _NUMPY_FUNCTIONS) and re.split("[.:]", spec)[0] not in _DANGEROUS


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The names and tensors of a file by ``torch.save``, of ``.safetensors`` or of the folder of a checkpoint.

    Raises
    ------
    InputError
        If the file is missing, damaged or no state dict.
    """
    path = weights_file(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else _state_dict(_read_torch(path), path)


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


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
    _refuse_programs(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what matters is raised
            return torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise _refusal(path, str(error)) from error
    except Exception as error:  # a damaged file makes torch raise nearly anything
        raise InputError(f"{path} cannot be read as weights: {_first_line(error)}", "save or copy it again") from error


def _refuse_programs(path: Path) -> None:
    members: list[zipfile.ZipInfo] = []
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a whole archive: {error}", "save or copy it again") from error
    names, kind = [member.filename for member in members], None
    if path.suffix == ".pt2" or any(name.endswith(("/archive_format", "exported_program.json")) for name in names):
        kind = "an exported program"
    elif any(name.endswith("/constants.pkl") for name in names):
        kind = "a TorchScript archive"
    if kind:
        raise InputError(f"{path} is {kind}, whose layers cannot be observed", f"of the Python model, {_REMEDY}")
    if sum(member.file_size for member in members) > path.stat().st_size:  # torch.save compresses nothing
        raise InputError(f"{path} is an archive that would become larger than it is", _REMEDY)


def _refusal(path: Path, message: str) -> InputError:
    """Why torch read no weights, and what would have to be trusted."""
    blocked = _blocked(path, message)
    if not blocked:
        found = _REASON.search(message)
        return InputError(f"{path} is not a file of weights: {found[1] if found else message.splitlines()[0]}", _REMEDY)
    what = f"{path} holds pickled objects ({listed(blocked)}), which can run any code"
    specs = [":".join(name.rsplit(".", 1)) for name in blocked]
    if not all(_can_be_allowed(spec, _if_imported(spec)) for spec in specs):
        return InputError(what, _REMEDY)
    options = " ".join(f"--safe-global {spec.replace('__main__:', 'SCRIPT:')}" for spec in specs)
    script = ", SCRIPT being the module that was run to train" if "SCRIPT:" in options else ""
    return InputError(what, f"{_REMEDY}; or, if you trust who made the file, add {options}{script}")


def _if_imported(spec: str) -> Any:
    """What a name means, where its module is imported already; else a class is taken for granted."""
    module, _, name = spec.partition(":")
    return object if module == "__main__" else getattr(sys.modules.get(module), name, object)


def _blocked(path: Path, message: str) -> list[str]:
    """All that the file names and that is not allowed; only the first of it in a file older than torch 1.6."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it reads zip archives only
        names = _BLOCKED.findall(message)
    return sorted(name if "." in name else f"builtins.{name}" for name in names)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _state_dict(stored: Any, path: Path) -> dict[str, Tensor]:
    """The mapping of names to tensors, however deep under the usual keys."""
    level = stored
    while isinstance(level, Mapping):
        if level and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in level.items()):
            return dict(level)
        nested = [level[key] for key in _NESTS if isinstance(level.get(key), Mapping | nn.Module)]
        if not nested:
            raise InputError(
                f"{path} holds no state dict: its keys are {listed([str(key) for key in level]) or 'none'}",
                f"{_REMEDY}, or under the key 'state_dict'",
            )
        level = nested[0]
    if isinstance(level, nn.Module):  # its classes have been allowed
        return level.state_dict()
    raise InputError(f"{path} holds {type(level).__name__}, not a state dict", _REMEDY)
