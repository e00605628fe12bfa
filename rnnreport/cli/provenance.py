"""What a command knows of how it was called, for the card of the stage in the run folder."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnreport.cli import options
from rnnreport.progress import stage_seconds
from rnnreport.versions import installed

if TYPE_CHECKING:
    from rnnreport.results.provenance import StageCard

_ORIGINS = {
    "COMMANDLINE": "command line",
    "ENVIRONMENT": "environment",
    "DEFAULT_MAP": "settings file",
    "DEFAULT": "default",
}


def card(*, threads: int, device: str = "", **seconds: float) -> StageCard:
    """The card of the command that runs, with these seconds and those of the parts that ended since the last card."""
    from rnnreport.results.provenance import StageCard

    commit, dirty = _git()
    return StageCard(
        command=options.command_line(),
        settings=_settings(click.get_current_context()),
        threads=threads,
        device=device,
        platform=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        versions=installed(),
        commit=commit,
        dirty=dirty,
        seconds={name: round(took, 1) for name, took in {**seconds, **stage_seconds()}.items()},
    )


def _settings(context: click.Context) -> dict[str, Any]:
    """Every option with its value and where that came from; flags that are off and options not given are left out."""
    found = {}
    for parameter in context.command.params:
        name = str(parameter.name)
        value, source = context.params.get(name), context.get_parameter_source(name)
        if source is None or value is None or value is False or value == ():
            continue
        found[name.replace("_", "-")] = [_shown(value), _ORIGINS.get(source.name, "default")]
    return found


def _shown(value: Any) -> Any:
    """A value without what is nobody's business: absolute paths keep their names only."""
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    if isinstance(value, (int, float)):
        return value
    text = options.without_secret(str(value))
    return Path(text).name if Path(text).is_absolute() else text


def _git() -> tuple[str, bool]:
    """Commit of the working directory, and whether tracked files differ from it; ("", False) without a repository."""
    commit = _asked("rev-parse", "HEAD")
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        return "", False
    return commit, bool(_asked("status", "--porcelain", "--untracked-files=no"))


def _asked(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
