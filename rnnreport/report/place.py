"""Where the templates lie."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import rnnreport
from rnnreport.errors import RnnReportError


@functools.cache
def template_folder() -> Path:
    """Find the templates: inside the installed package, or beside it in a checkout of this project.

    Raises
    ------
    RnnReportError
        If the installation lacks them.
    """
    package = Path(rnnreport.__file__).parent
    if (package / "templates" / "report.html.j2").is_file():
        return package / "templates"
    if _is_our_checkout(package.parent):
        return package.parent / "templates"
    raise RnnReportError(f"no templates beside {package}", "reinstall rnnreport")


def _is_our_checkout(folder: Path) -> bool:
    """Whether the folder's pyproject.toml is ours: a stray site-packages/templates must not be picked up."""
    project = folder / "pyproject.toml"
    if not project.is_file():
        return False
    name = tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name")
    return bool(name == "rnnreport")
