"""Options that several commands share, and what is made of their text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from rnnreport.budget import BUDGETS

# every option of every command can be set as RNNREPORT_<OPTION>
ENVIRONMENT = {"auto_envvar_prefix": "RNNREPORT"}

_SECRET = re.compile(r"secret|passw|credential|api[_-]?key|(access|auth)[_-]?token", re.IGNORECASE)

force = click.option("--force", is_flag=True, help="Replace an existing output.")
max_size = click.option(
    "--max-size", type=click.FloatRange(min=0, min_open=True), metavar="MB", help="Largest page allowed, instead of 20."
)
mmphate_engine = click.option(
    "--mmphate-engine",
    type=click.Choice(["rnnreport", "phate"]),
    default="rnnreport",
    show_default=True,
    help="Who lays out MM-PHATE: our own engine, or phate, to check it (slower; see its licence).",
)
mmphate_nodes = click.option(
    "--mmphate-nodes",
    type=click.IntRange(min=100, max=100_000),
    metavar="N",
    help="Most nodes (epochs x steps x units) in MM-PHATE, instead of 6,000 of 20 epochs, 10 steps and 32 units.",
)
scheduler = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Hand the independent parts of the work to the Dask cluster there, tcp://HOST:8786; the same bytes. Workers "
    "need the same versions and files.",
)
run_argument = click.argument("run", type=click.Path(path_type=Path))


class _Option(click.Option):
    """An option under a heading of the help."""

    def __init__(self, *names: Any, heading: str, **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.heading = heading


class CaptureCommand(click.Command):
    """A command whose help has its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                headings.setdefault(getattr(parameter, "heading", "Output"), []).append(record)
        for heading, records in headings.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _names(_context: click.Context, _parameter: click.Parameter, given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(name.strip() for name in given.split(","))


_model = partial(click.option, cls=_Option, heading="Model")
_corpus = partial(click.option, cls=_Option, heading="Corpus")

_CAPTURE = [
    _model(
        "--model",
        required=True,
        metavar="MOD:FACTORY",
        help="Function or class that makes the model. It is your code, and it is run; modules are looked for in the "
        "working directory first.",
    ),
    _model(
        "--model-arg",
        multiple=True,
        metavar="KEY=VALUE",
        help="Argument of the factory; the value is read as JSON, else as text. Repeatable.",
    ),
    _model(
        "--model-args",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Arguments from a .json or .toml file; --model-arg overrides it.",
    ),
    _model(
        "--weights",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="State dict by torch.save or .safetensors; or the folder of a checkpoint with one.",
    ),
    _model(
        "--checkpoints",
        metavar="GLOB",
        help="State dicts, one per epoch, the number in the name; the last one is the model reported.",
    ),
    _model(
        "--safe-global",
        multiple=True,
        metavar="MOD:CLASS",
        help="Class that files of weights may hold besides tensors, if you trust them. Repeatable.",
    ),
    _model("--adapter", metavar="MOD:FUNC", help="Function that calls a model of unusual signature."),
    _model("--head", metavar="PATH|MOD:FUNC", help="What maps a state to the prediction, if not found."),
    _model(
        "--layer",
        multiple=True,
        metavar="PATH[:NAMES]",
        help="Module whose output is a state, for cells of your own; PATH:h,c names several. Repeatable.",
    ),
    _corpus(
        "--corpus",
        required=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=".txt, .tsv, .csv, .jsonl or .npz.",
    ),
    _corpus(
        "--tokenizer",
        default="whitespace",
        show_default=True,
        metavar="NAME",
        help="whitespace, word, char, or MOD:FUNCTION.",
    ),
    _corpus(
        "--vocabulary",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Tokens in the order of ids, .json or .txt.",
    ),
    _corpus(
        "--sentence",
        multiple=True,
        metavar="TEXT",
        help="Sentence to read besides those of the corpus; it counts in no number. Repeatable.",
    ),
    _corpus(
        "--pos",
        metavar="MOD:FUNC",
        help="Function from the tokens of a sequence to their parts of speech, which colour the words.",
    ),
    _corpus("--classes", metavar="A,B", callback=_names, help="Class names in the order of the model's outputs."),
    _corpus(
        "--sequence-length",
        type=click.IntRange(min=2),
        default=64,
        show_default=True,
        metavar="N",
        help="Tokens per sequence of running text.",
    ),
    _corpus(
        "--max-steps",
        type=click.IntRange(min=1),
        default=50_000,
        show_default=True,
        metavar="N",
        help="Most steps recorded; sequences are sampled above it.",
    ),
    click.option(
        "--budget",
        type=click.Choice(BUDGETS),
        default="standard",
        show_default=True,
        help="What may be spent on running the model again (memory, dynamics, importance): nothing, seconds, minutes.",
    ),
    click.option("--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Run folder to make."),
    force,
    click.option("--name", help="Title of the run; the folder's name where it is not given."),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Kept in run.json."
    ),
]


def capture_command(function: Callable[..., Any]) -> click.Command:
    """Make the command ``run`` or ``capture`` of a function: which model, on what, to where."""
    for option in reversed(_CAPTURE):
        function = option(function)
    return click.command(
        cls=CaptureCommand,
        context_settings=ENVIRONMENT,
        options_metavar="--model MOD:FACTORY --corpus FILE --out RUN [OPTIONS]",
    )(function)


def command_line() -> str:
    """The command as typed, with absolute paths cut to their names, for the run's manifest."""
    typed: list[str] = click.get_current_context().find_root().obj
    words = (Path(word).name if Path(word).is_absolute() else without_secret(word) for word in typed)
    return shlex.join(["rnnreport", *words])


def without_secret(word: str) -> str:
    """The text, without the value where it is KEY=VALUE and the key speaks of a secret."""
    key, given, _ = word.partition("=")
    return f"{key}=..." if given and _SECRET.search(key) else word
