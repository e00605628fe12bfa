"""The command reference: the help of every command, as the second part of ``rnnreport/cli/README.md``.

``python -m tests.cli.reference`` writes it anew; ``test_reference.py`` fails where it is stale.
"""

from __future__ import annotations

from pathlib import Path

import click

from rnnreport.cli import cli

PAGE = Path(__file__).resolve().parents[2] / "rnnreport" / "cli" / "README.md"
MARKER = "<!-- From here on written by `python -m tests.cli.reference`. -->\n"
_WIDTH = 98


def reference(page: str) -> str:
    """The page with the part below the marker made anew."""
    own, marker, _ = page.partition(MARKER)
    program = click.Context(cli, info_name="rnnreport", terminal_width=_WIDTH)
    parts = [_shown("rnnreport", cli.get_help(program))]
    for name, command in cli.commands.items():
        context = click.Context(command, info_name=name, parent=program, terminal_width=_WIDTH)
        parts.append(_shown(f"rnnreport {name}", command.get_help(context)))
    return own + marker + "".join(parts)


def _shown(title: str, text: str) -> str:
    return f"\n### {title}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
