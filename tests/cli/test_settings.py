"""Command line before environment before file before default."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from rnnreport.cli import cli


def limit_of(outcome) -> str:
    """The page limit in force, as the refusal of a page tells it."""
    return outcome.error.partition("more than ")[2].partition(" MB")[0]


def test_precedence(rnnreport, runs, monkeypatch):
    Path("pyproject.toml").write_text("[tool.rnnreport]\nmax-size = 0.1\n[tool.other]\nx = 1\n")
    assert limit_of(rnnreport("render", runs[0])) == "0.1"
    Path("rnnreport.toml").write_text("max-size = 0.2\n")
    assert limit_of(rnnreport("render", runs[0])) == "0.2"
    monkeypatch.setenv("RNNREPORT_MAX_SIZE", "0.3")
    assert limit_of(rnnreport("render", runs[0])) == "0.3"
    assert limit_of(rnnreport("render", runs[0], "--max-size", "0.4")) == "0.4"
    assert rnnreport("render", runs[0], "--max-size", "15").code == 0


def test_flags_and_texts_from_the_file(rnnreport, runs):
    Path("rnnreport.toml").write_text('force = true\nout = "page.html"\n')
    Path("page.html").write_text("old")
    assert rnnreport("render", runs[0]).out == "page.html\n"
    assert Path("page.html").read_text() != "old"


def test_an_unknown_key_names_the_allowed_ones(rnnreport):
    Path("rnnreport.toml").write_text("max_size = 3\n")
    outcome = rnnreport("render", "run")
    assert outcome.code == 2
    assert "unknown setting 'max_size'" in outcome.error
    assert "max-size" in outcome.error
    assert "model-arg" in outcome.error


@pytest.mark.parametrize("text", ["max-size = ", "\udcff", "max-size = 'much'"])
def test_a_bad_file_is_one_line_and_two(rnnreport, text):
    Path("rnnreport.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    outcome = rnnreport("render", "run")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_every_option_is_set_by_its_own_name():
    for command in cli.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"--{option.name.replace('_', '-')}" in option.opts


def test_a_text_where_several_are_allowed(rnnreport):
    Path("rnnreport.toml").write_text('model-arg = "units=5"\n')
    outcome = rnnreport("run", "--model", "a:b", "--corpus", "c.tsv", "--out", "run")
    assert outcome.code == 2
    assert "--model-arg" in outcome.error


def test_a_table_that_is_none(rnnreport):
    Path("pyproject.toml").write_text("[tool]\nrnnreport = 3\n")
    assert "is not a table" in rnnreport("render", "run").error


def test_help_does_not_depend_on_settings(rnnreport):
    Path("rnnreport.toml").write_text("nonsense = 1\n")
    assert rnnreport("--help").code == 0
