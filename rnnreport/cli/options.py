"""Options that several commands share, and what is made of their text."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

# every option of every command can be set as RNNREPORT_<OPTION>
ENVIRONMENT = {"auto_envvar_prefix": "RNNREPORT"}

force = click.option("--force", is_flag=True, help="Replace an existing output.")
max_size = click.option(
    "--max-size", type=click.FloatRange(min=0, min_open=True), metavar="MB", help="Largest page allowed, instead of 20."
)
run_argument = click.argument("run", type=click.Path(path_type=Path))


def _arguments(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    return dict(_argument(text) for text in given)


def _argument(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _names(_context: click.Context, _parameter: click.Parameter, given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(name.strip() for name in given.split(","))


_CAPTURE = [
    click.option(
        "--model",
        required=True,
        metavar="MOD:FACTORY",
        help="Function that returns the model; it is your code, and it is run. The working directory is importable.",
    ),
    click.option(
        "--model-arg",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_arguments,
        help="Argument of the factory; the value is read as JSON, else as text. Repeatable.",
    ),
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        help="State dict, by torch.save or .safetensors.",
    ),
    click.option(
        "--checkpoints",
        metavar="GLOB",
        help="State dicts, one per epoch, the number in the name; the last one is the model reported.",
    ),
    click.option("--corpus", required=True, type=click.Path(path_type=Path), help=".txt, .tsv, .csv, .jsonl or .npz."),
    click.option(
        "--tokenizer",
        default="whitespace",
        show_default=True,
        metavar="NAME",
        help="whitespace, word, char, or MOD:FUNCTION.",
    ),
    click.option("--vocabulary", type=click.Path(path_type=Path), help="Tokens in the order of ids, .json or .txt."),
    click.option("--classes", metavar="A,B", callback=_names, help="Class names in the order of the model's outputs."),
    click.option(
        "--sequence-length",
        type=click.IntRange(min=2),
        default=64,
        show_default=True,
        metavar="N",
        help="Tokens per sequence of running text.",
    ),
    click.option("--head", metavar="NAME", help="Module that maps a state to class scores, if not found."),
    click.option("--adapter", metavar="MOD:FUNC", help="Function that calls a model of unusual signature."),
    click.option(
        "--layer",
        "layers",
        multiple=True,
        metavar="PATH",
        help="Module whose output is a state, one vector per step, for cells of your own. Repeatable.",
    ),
    click.option("--name", help="Title of the run; the folder's name where it is not given."),
    click.option(
        "--max-steps",
        type=click.IntRange(min=1),
        default=50_000,
        show_default=True,
        metavar="N",
        help="Most steps recorded; sequences are sampled above it.",
    ),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Kept in run.json."
    ),
    click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Run folder to make."),
    force,
]


def capture_options(function: Function) -> Function:
    """Add the options of ``run`` and ``capture``: which model, on what, to where."""
    for option in reversed(_CAPTURE):
        function = option(function)
    return function


def command_line() -> str:
    """The command as typed, with absolute paths cut to their names, for the run's manifest."""
    typed: list[str] = click.get_current_context().find_root().obj
    words = (Path(word).name if Path(word).is_absolute() else word for word in typed)
    return shlex.join(["rnnreport", *words])
