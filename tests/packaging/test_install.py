"""sdist, wheel and editable install find their templates and render, in fresh environments away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

BLOCKER = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn", "phate", "graphtools", "openTSNE", "scipy"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@dataclass(frozen=True)
class Environment:
    """A fresh environment that sees the dependencies of this one, but not its rnnreport."""

    folder: Path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        away = self.folder / "elsewhere"
        away.mkdir(exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | variables
        return subprocess.run(command, cwd=away, env=environment, capture_output=True, check=False)

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def install(self, *arguments: str) -> None:
        done = self.run(
            *(sys.executable, "-m", "pip", "--python", self.program("python"), "install", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--no-index", *arguments),
        )
        assert done.returncode == 0, done.stderr.decode()

    def package(self) -> Path:
        done = self.run(self.program("python"), "-c", "import rnnreport; print(rnnreport.__file__)")
        return Path(done.stdout.decode().strip()).parent


def fresh_environment(folder: Path) -> Environment:
    venv.create(folder, with_pip=False)
    own = next((folder / "lib").glob("python*")) / "site-packages"
    (own / "dependencies.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    return Environment(folder)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory, root) -> tuple[Path, Path]:
    """The sdist, and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="session", params=["sdist", "wheel", "editable"])
def installed(request, tmp_path_factory, root) -> Environment:
    environment = fresh_environment(tmp_path_factory.mktemp(request.param))
    if request.param == "editable":
        environment.install("-e", str(root))
    else:
        sdist, wheel = request.getfixturevalue("distributions")
        environment.install(str(sdist if request.param == "sdist" else wheel))
    return environment


@pytest.fixture(scope="session")
def page(analysed_runs, root) -> bytes:
    """The page as this environment renders it."""
    done = subprocess.run(
        [sys.executable, "-m", "rnnreport", "render", str(analysed_runs[0]), "--out", "-"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    return done.stdout


def templates(root: Path) -> set[str]:
    return {
        path.relative_to(root / "templates").as_posix() for path in (root / "templates").rglob("*") if path.is_file()
    }


def test_contents(distributions, root):
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        listed = {name.partition("/")[2] for name in archive.getnames()}
    expected = {f"templates/{name}" for name in templates(root)}
    files = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml")
    assert expected | set(files) <= listed
    assert not [name for name in listed if name.startswith(("sample_reports", ".venv"))]
    listed = set(zipfile.ZipFile(wheel).namelist())
    assert {f"rnnreport/{name}" for name in expected} | {"rnnreport/py.typed"} <= listed
    assert not [name for name in listed if name.startswith(("templates/", "tests/"))]


def test_it_is_the_installed_package_that_runs(installed, root):
    inside = installed.package().is_relative_to(installed.folder)
    assert inside or installed.package() == root / "rnnreport"
    assert inside == ("editable" not in installed.folder.name)


def test_render(installed, analysed_runs, page):
    done = installed.run(installed.program("rnnreport"), "render", str(analysed_runs[0]), "--out", "-")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == page


def test_render_without_torch_gives_the_same_bytes(installed, analysed_runs, page, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    blocked = {"PYTHONPATH": str(tmp_path)}
    assert installed.run(installed.program("python"), "-c", "import torch", **blocked).returncode == 1
    done = installed.run(installed.program("rnnreport"), "render", str(analysed_runs[0]), "--out", "-", **blocked)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == page


def test_every_dependency_is_pinned(root):
    """Everything pyproject.toml asks for has its exact version in constraints.txt."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["safetensors"],
        *(name for group in project["dependency-groups"].values() for name in group),
    ]
    lines = (root / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    assert {re.match(r"[\w.-]+", name)[0].lower().replace("_", "-") for name in asked} <= pinned
    assert all("==" in line and "+" not in line for line in lines)
    assert "torch==2.13.0" in lines
