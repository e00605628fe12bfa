"""The recipes for GitHub and GitLab: their schemas, their shell, and the comment they write."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rnnreport.cli import cli
from rnnreport.report.markdown import marker

RECIPES = Path(__file__).resolve().parents[2] / ".github" / "recipes"
GITHUB = sorted(RECIPES.glob("github-*.yml"))


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def scripts() -> list[tuple[str, str]]:
    """Every shell script, with the name of its file."""
    found = [(path.name, step["run"]) for path in GITHUB for step in steps(path) if "run" in step]
    jobs = yaml.safe_load((RECIPES / "gitlab-ci.yml").read_text(encoding="utf-8"))
    lines = [job["script"] for job in jobs.values() if isinstance(job, dict)]
    return [*found, *(("gitlab-ci.yml", "\n".join(script)) for script in lines)]


@pytest.mark.parametrize("path", GITHUB, ids=lambda path: path.name)
def test_github_recipes_are_workflows(path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    assert subprocess.run(check, capture_output=True, text=True).returncode == 0


def lint(*paths: Path) -> tuple[int, set[str]]:
    """Exit status and kinds of findings of zizmor, without a question to the network."""
    config = Path(__file__).with_name("zizmor.yml")
    check = [shutil.which("zizmor", path=Path(sys.executable).parent) or "zizmor", "--offline", "--no-progress"]
    done = subprocess.run(
        [*check, "--format", "json", "--config", str(config), *map(str, paths)], capture_output=True, text=True
    )
    return done.returncode, {finding["ident"] for finding in json.loads(done.stdout)}


def test_the_workflows_pass_a_linter_of_workflows() -> None:
    assert lint(*GITHUB) == (0, set())


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        (
            "        with:\n          persist-credentials: false # the token stays out of the artifacts\n",
            "",
            "artipacked",
        ),
        ("actions/setup-python@v6", "someone/setup-python@v6", "unpinned-uses"),
        ("pip install -r requirements.txt", "echo ${{ github.head_ref }}", "template-injection"),
        ("name: rnnreport\non:", "name: rnnreport\non:\n  pull_request_target:", "dangerous-triggers"),
    ],
)
def test_the_linter_of_workflows_sees_what_is_dangerous(tmp_path: Path, right: str, wrong: str, kind: str) -> None:
    text = (RECIPES / "github-report.yml").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "broken.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    status, found = lint(tmp_path / "broken.yml")
    assert status > 0 and kind in found


def test_the_gitlab_recipe_is_one() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci"]
    done = subprocess.run(
        [*check, "--data-transform", "gitlab-ci", str(RECIPES / "gitlab-ci.yml")], capture_output=True
    )
    assert done.returncode == 0


def test_the_linter_sees_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(GITHUB[0].read_text(encoding="utf-8").replace("runs-on:", "run-on:"), encoding="utf-8")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(broken)]
    assert subprocess.run(check, capture_output=True).returncode == 1


def test_the_shell_is_shell_and_calls_what_exists() -> None:
    called = set()
    for name, script in scripts():
        plain = re.sub(r"\$\{\{.*?\}\}", "expression", script)
        done = subprocess.run(["bash", "-n"], input=plain, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), name
        for line in re.findall(r"^\s*(rnnreport .*?)(?: #|$)", plain, flags=re.MULTILINE):
            command, *words = shlex.split(line)[1:]
            known = {option for parameter in cli.commands[command].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, line
            called.add(command)
    assert called == {"run", "check", "index"}


def test_no_workflow_that_may_write_runs_code_of_a_pull_request() -> None:
    for path in GITHUB:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        rights = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
        writes = any("write" in right.values() for right in rights)
        checks_out = any("actions/checkout" in step.get("uses", "") for step in steps(path))
        assert not (writes and checks_out), path.name
        for step in steps(path):  # what comes from outside reaches the shell as a variable, never as text of the script
            inline = set(re.findall(r"\$\{\{\s*(.*?)\s*\}\}", step.get("run", "")))
            assert not inline, path.name


class Forge:
    """A `gh` that knows comments and notes what it is asked."""

    def __init__(self, folder: Path, comments: list[dict[str, Any]], summary: str) -> None:
        self.folder = folder
        (folder / "comments.json").write_text(json.dumps(comments), encoding="utf-8")
        (folder / "summary.md").write_text(summary, encoding="utf-8")
        tool = folder / "gh"
        tool.write_text(
            f"""#!{sys.executable}
import json, os, pathlib, shutil, sys
here = pathlib.Path({str(folder)!r})
words = sys.argv[1:]
if words[:2] == ["run", "download"]:
    os.makedirs("report"); shutil.copy(here / "summary.md", "report/summary.md")
elif "--method" in words:
    body = pathlib.Path(words[words.index("--field") + 1].removeprefix("body=@")).read_text()
    with open(here / "written.jsonl", "a") as log: log.write(json.dumps([words[2], words[3], body]) + "\\n")
elif words[-3].endswith("/pulls"):
    print(7)
else:
    for one in json.loads((here / "comments.json").read_text()):
        if one["user"]["type"] == "Bot" and one["body"].startswith(os.environ["marker"]): print(one["id"])
""",
            encoding="utf-8",
        )
        tool.chmod(0o755)

    def comment(self) -> list[list[str]]:
        (step,) = steps(RECIPES / "github-comment.yml")
        work = self.folder / "work"
        work.mkdir()
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", "REPO": "me/net", "RUN": "5", "SHA": "abc"}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in (self.folder / "written.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("there", [False, True])
def test_one_comment_is_written_and_then_updated(tmp_path: Path, there: bool) -> None:
    first = marker("my net")
    comments = [
        {"id": 1, "user": {"type": "User"}, "body": f"{first}\nfrom somebody who copied the marker"},
        {"id": 2, "user": {"type": "Bot"}, "body": "another bot"},
        {"id": 3, "user": {"type": "Bot"}, "body": f"{marker('another net')}\nother"},
    ]
    comments += [{"id": 4, "user": {"type": "Bot"}, "body": f"{first}\nold"}] if there else []
    summary = f"{first}\n## new `$(touch hacked)`\n"
    written = Forge(tmp_path, comments, summary).comment()
    place = ["PATCH", "repos/me/net/issues/comments/4"] if there else ["POST", "repos/me/net/issues/7/comments"]
    assert written == [[*place, summary]]
    assert not list(tmp_path.rglob("hacked"))
