"""Settings from files: ``rnnreport.toml``, else ``[tool.rnnreport]`` in ``pyproject.toml``, of the working directory.

A key is the name of an option without its dashes in front (``max-size = 12``) and holds for every command that has it.
The command line and the environment (``RNNREPORT_MAX_SIZE``) come first.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from rnnreport.errors import InputError
from rnnreport.reading import MOST_SETTINGS, parse_toml, read_text


def read_settings(folder: Path, allowed: Collection[str]) -> dict[str, Any]:
    """The settings that hold in a folder.

    Parameters
    ----------
    folder : Path
    allowed : collection of str
        Option names with dashes, for example ``max-size``.

    Returns
    -------
    dict
        Parameter name, with underscores, to value.

    Raises
    ------
    InputError
        If a file is not TOML, or has a key that is no option.
    """
    for source, table in _sources(folder):
        settings = _table(source, table)
        if settings is not None:
            settings.pop("thresholds", None)  # a table of its own, see read_thresholds
            unknown = sorted(set(settings) - set(allowed))
            if unknown:
                raise InputError(
                    f"{source} has the unknown setting {unknown[0]!r}", f"allowed are {', '.join(sorted(allowed))}"
                )
            return {key.replace("-", "_"): value for key, value in settings.items()}
    return {}


def read_thresholds(folder: Path) -> tuple[dict[str, Any], str]:
    """The table ``thresholds`` of the settings that hold in a folder, and where it stands; {} where there is none.

    Raises
    ------
    InputError
        If a file is not TOML, or ``thresholds`` is not a table.
    """
    for source, table in _sources(folder):
        settings = _table(source, table)
        if settings is not None:
            found = settings.get("thresholds", {})
            where = ".".join((*table, "thresholds"))
            if not isinstance(found, dict):
                raise InputError(f"{source}: {where} is not a table", f"write it as [{where}]")
            return found, f"{source} [{where}]"
    return {}, ""


def _sources(folder: Path) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    return (folder / "rnnreport.toml", ()), (folder / "pyproject.toml", ("tool", "rnnreport"))


def _table(source: Path, names: tuple[str, ...]) -> dict[str, Any] | None:
    """The table of that name, or None where there is no such file or table."""
    try:
        table: Any = parse_toml(read_text(source, MOST_SETTINGS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{source} cannot be read: {error}", "correct the file") from error
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    if table is not None and not isinstance(table, dict):
        raise InputError(f"{source}: {'.'.join(names)} is not a table", "write it as [tool.rnnreport]")
    return table
