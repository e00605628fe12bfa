"""``module:name`` strings: how a user points at code of their own."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from rnnreport.errors import InputError


def import_callable(spec: str, purpose: str) -> Callable[..., Any]:
    """Import the function or class that ``module:name`` names, looking in the working directory first.

    Parameters
    ----------
    spec : str
        For example ``"models:build"`` or ``"package.models:Net.default"``.
    purpose : str
        What it is wanted for, in the user's words ("model", "tokenizer", "adapter").

    Raises
    ------
    InputError
        If the string is malformed, the module or the name is missing, the import fails or the object is not callable.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise InputError(f"{purpose} {spec!r} is not of the form module:name", "write for example my_models:build")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise InputError(f"{purpose} {spec!r} names a file, not a module", f"write {dotted}:{attribute}")
    _working_directory_first()
    module = _import_module(module_name, spec, purpose)
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        raise InputError(
            f"{purpose} {spec!r}: {_origin(module)} has no attribute {attribute!r}", "check the name after the colon"
        ) from error
    if not callable(found):
        raise InputError(
            f"{purpose} {spec!r} is {type(found).__name__}, not callable", "name a function or a class after the colon"
        )
    return found  # type: ignore[no-any-return]  # getattr cannot know


def failure_of(error: BaseException) -> str:
    """One line about an exception raised by a user's code: type, message and the place that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _working_directory_first() -> None:
    """Stays for the whole process: a factory may import its neighbours only when it is called."""
    here = str(Path.cwd())
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)


def _import_module(name: str, spec: str, purpose: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(
                f"{purpose} {spec!r}: there is no module {error.name!r}",
                "run in the folder that holds it, or install it",
            ) from error
        raise InputError(f"{purpose} {spec!r}: importing {name} fails: {failure_of(error)}", "install it") from error
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{purpose} {spec!r}: importing {name} fails: {failure_of(error)}",
            "the module must be importable without running a program",
        ) from error


def _origin(module: Any) -> str:
    return str(getattr(module, "__file__", None) or module.__name__)
