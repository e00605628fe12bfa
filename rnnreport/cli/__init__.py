"""The command line. Only click is imported before a command runs, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rnnreport import __version__
from rnnreport.cli import capture, check, compare, demo, index, stages, train, watch
from rnnreport.config import read_settings
from rnnreport.errors import RnnReportError, TerminatedError, printable
from rnnreport.interrupts import ending_cleanly
from rnnreport.progress import silence

_INTERRUPTED = 130


class Program(click.Group):
    """The group of all commands; shows tracebacks where they are asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.UsageError):
            raise
        except Exception:
            if ctx.params["debug"]:
                traceback.print_exc()
            raise


@click.group(cls=Program, context_settings={"auto_envvar_prefix": "RNNREPORT", "max_content_width": 100})
@click.version_option(__version__, prog_name="rnnreport")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, quiet: bool, debug: bool) -> None:
    """One self-contained HTML report of a PyTorch recurrent network's hidden states.

    Every option can also be set as environment variable RNNREPORT_OPTION, or in rnnreport.toml or [tool.rnnreport] of
    pyproject.toml in the working directory.

    Exit codes: 0 ok, 1 failure, 2 wrong usage or input, 3 a threshold failed, 130 interrupted, 143 terminated.
    """
    silence(quiet)
    context.default_map = _defaults()


for _command in (
    demo.demo,
    train.train,
    capture.run,
    capture.capture,
    stages.analyse,
    stages.render,
    compare.compare,
    watch.watch,
    check.check,
    index.index,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of those of the process.

    Returns
    -------
    int
        The exit code.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with ending_cleanly():
            code = cli.main(typed, prog_name="rnnreport", standalone_mode=False, obj=typed)
    except (KeyboardInterrupt, click.exceptions.Abort):  # click's name for Ctrl-C
        click.echo("rnnreport: interrupted", err=True)
        return _INTERRUPTED
    except TerminatedError as error:
        click.echo("rnnreport: terminated", err=True)
        return error.exit_code
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "rnnreport"
        return _fail(f"{' '.join(error.format_message().split())} (see {where} --help)", error.exit_code)
    except RnnReportError as error:
        return _fail(str(error), error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", RnnReportError.exit_code)
    except Exception as error:
        text = " ".join(str(error).split())
        return _fail(f"unexpected {type(error).__name__}: {text} (see --debug)", RnnReportError.exit_code)
    return code if isinstance(code, int) else 0


def _fail(text: str, code: int) -> int:
    click.echo(f"rnnreport: error: {printable(text)}", err=True)
    return code


def _defaults() -> dict[str, dict[str, Any]]:
    """What the settings files say, for each command that has such an option."""
    options = {
        name: {parameter.name for parameter in command.params if isinstance(parameter, click.Option) and parameter.name}
        for name, command in cli.commands.items()
    }
    allowed = {option.replace("_", "-") for names in options.values() for option in names}
    settings = read_settings(Path.cwd(), allowed)
    return {name: {key: settings[key] for key in names & settings.keys()} for name, names in options.items()}
