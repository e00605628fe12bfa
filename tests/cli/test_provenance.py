"""What a run says about how it was made: settings, commit, machine, timings, and what differs from the baseline."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from rnnreport.results.folder import RunFolder
from rnnreport.results.provenance import StageCard, read_provenance, write_provenance
from rnnreport.results.schema import CardDifferences
from tests.cli.test_open import MODEL

ARGUMENTS = ["--model", "made_model:Reader", "--corpus", "corpus.tsv"]


@pytest.fixture
def project(rnnreport, tmp_path):
    """A model and a corpus in a git repository, in the working directory of the command."""
    Path("made_model.py").write_text(MODEL)
    Path("corpus.tsv").write_text("text\tlabel\na b\tyes\nb a\tno\nb b a\tno\n")
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "start"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return rnnreport


def card(run: str = "run", stage: str = "capture") -> StageCard:
    return read_provenance(RunFolder(Path(run)))[stage]


def test_settings_name_their_origins(project, monkeypatch, tmp_path):
    Path("rnnreport.toml").write_text("sequence-length = 12\n")
    monkeypatch.setenv("RNNREPORT_SEED", "3")
    weights = tmp_path / "elsewhere" / "corpus.tsv"
    weights.parent.mkdir()
    weights.write_text(Path("corpus.tsv").read_text())
    assert project("capture", "--model", "made_model:Reader", "--corpus", weights, "--out", "run").code == 0
    found = card().settings
    assert found["model"] == ["made_model:Reader", "command line"]
    assert found["seed"] == [3, "environment"]
    assert found["sequence-length"] == [12, "settings file"]
    assert found["tokenizer"] == ["whitespace", "default"]
    assert found["corpus"] == ["corpus.tsv", "command line"]  # without the folder
    text = (Path("run") / "provenance.json").read_text() + (Path("run") / "run.json").read_text()
    assert str(tmp_path) not in text and "nobody" not in text


def test_commit_and_changes(project, tmp_path):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    assert project("capture", *ARGUMENTS, "--out", "run").code == 0
    assert (card().commit, card().dirty) == (commit, False)  # the run itself is no change
    Path("made_model.py").write_text(MODEL + "\n")
    assert project("capture", *ARGUMENTS, "--out", "run", "--force").code == 0
    assert (card().commit, card().dirty) == (commit, True)


def test_without_git_there_is_no_commit(rnnreport, monkeypatch):
    Path("made_model.py").write_text(MODEL)
    Path("corpus.tsv").write_text("text\tlabel\na b\tyes\nb a\tno\n")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert rnnreport("capture", *ARGUMENTS, "--out", "run").code == 0
    assert (card().commit, card().dirty) == ("", False)


def test_secrets_are_left_out(project):
    outcome = project("capture", *ARGUMENTS, "--model-arg", "api_key=hunter2", "--out", "run")
    assert outcome.code != 0  # the model takes no such argument; what it prints is its own
    from rnnreport.cli.options import without_secret

    assert without_secret("api_key=hunter2") == "api_key=..."
    assert without_secret("tokens=30") == "tokens=30"
    assert without_secret("secretly") == "secretly"


def test_the_page_shows_machine_timings_and_what_differs(project):
    assert project("run", *ARGUMENTS, "--out", "first").code == 0
    assert project("run", *ARGUMENTS, "--seed", "5", "--baseline", "first", "--out", "second").code == 0
    found = RunFolder(Path("second")).result(CardDifferences)
    assert isinstance(found, CardDifferences)
    assert set(found.names) == {"seed", "--seed"} and "probe set, SHA-256" in found.same
    assert found.before[found.names.index("seed")] == "0" and found.now[found.names.index("seed")] == "5"
    page = Path("second/report.html").read_text()
    section = page[page.index('<section id="provenance"') :]
    assert section.index('id="cards"') < section.index(">command<")
    for stage in ("capture", "analyse"):
        assert f"seconds, {stage}" in section
    assert "capture" in card("second").seconds and "state health" in card("second", "analyse").seconds
    shown = card("second")
    assert f"the model on cpu with {shown.threads} thread" in section and shown.platform in section
    assert re.search(r"scikit-learn \d", section) and "command line" in section


def test_only_the_lines_of_seconds_differ_between_two_runs(project):
    pages = []
    for _ in range(2):
        assert project("run", *ARGUMENTS, "--out", "run", "--force").code == 0
        pages.append(
            re.sub(r'(<th scope="row">seconds, \w+</th><td>)[^<]*', r"\1", Path("run/report.html").read_text())
        )
    # --force stands in both commands
    assert pages[0] == pages[1]


def test_render_needs_no_card(rnnreport, runs):
    assert not (runs[0] / "provenance.json").exists()
    assert rnnreport("render", runs[0]).code == 0
    (runs[0] / "provenance.json").write_text("{")
    assert rnnreport("render", runs[0], "--force").code == 2


def test_analysing_again_replaces_the_card_of_the_stage(rnnreport, runs):
    folder = RunFolder(runs[0])
    assert rnnreport("analyse", runs[0], "--force").code == 0
    first = read_provenance(folder)
    assert set(first) == {"analyse"}
    write_provenance(folder, "capture", first["analyse"])
    assert set(read_provenance(folder)) == {"analyse", "capture"}
    assert json.loads((runs[0] / "provenance.json").read_text())["analyse"]["threads"] == 1
