"""Which part may import what, by reading the source and by looking at what really gets loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "rnnreport"
STANDARD = frozenset(sys.stdlib_module_names)
TORCH = {"torch", "safetensors"}
LEARNING = {"phate", "graphtools", "sklearn", "openTSNE"}
PAGES = {"bokeh", "jinja2"}

# folder: packages it never imports, not even inside a function
FORBIDDEN = {
    "report": TORCH | LEARNING | {"scipy", "click"},
    "analyses": TORCH | PAGES | {"click"},
    "capture": LEARNING | PAGES | {"click"},
    "load": LEARNING | PAGES | {"click"},
    "results": TORCH | LEARNING | PAGES | {"click", "scipy"},
}
# file: what it may import all the same, inside a function
ALLOWED = {"analyses/mmphate/device.py": {"torch"}}
# folder: parts of rnnreport it may know; the pipeline goes one way
KNOWS = {
    "results": {"results", "errors", "interrupts", "reading"},
    "load": {"load", "results", "errors", "progress", "reading"},
    "capture": {"capture", "parallel", "load", "results", "errors", "progress", "formulas", "budget"},
    "analyses": {"analyses", "interrupts", "parallel", "results", "errors", "progress", "formulas", "budget"},
    "report": {"report", "results", "errors", "progress"},
}


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at any depth, except for type checking only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_checker_sees_nested_and_conditional_imports(tmp_path):
    source = tmp_path / "module.py"
    source.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bokeh\ndef f():\n    from torch import nn\n"
    )
    assert imports(source) == {"typing.TYPE_CHECKING", "torch.nn"}


@pytest.mark.parametrize("folder", sorted(FORBIDDEN))
def test_forbidden_packages(folder):
    files = sorted((PACKAGE / folder).rglob("*.py"))
    assert files
    wrong = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in files
        for name in imports(path)
        if name.partition(".")[0] in FORBIDDEN[folder] - ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set())
    }
    assert not wrong


def test_what_is_allowed_is_needed():
    for file, names in ALLOWED.items():
        assert names <= {name.partition(".")[0] for name in imports(PACKAGE / file)}


@pytest.mark.parametrize("folder", sorted(KNOWS))
def test_the_pipeline_goes_one_way(folder):
    wrong = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in (PACKAGE / folder).rglob("*.py")
        for name in imports(path)
        if name.startswith("rnnreport.") and name.split(".")[1] not in KNOWS[folder] | {"__version__"}
    }
    assert not wrong


def test_results_need_only_numpy():
    outside = {
        name.partition(".")[0] for path in (PACKAGE / "results").rglob("*.py") for name in imports(path)
    } - STANDARD
    assert outside == {"numpy", "rnnreport"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("rnnreport", TORCH | LEARNING | PAGES | {"numpy", "click"}),
        ("rnnreport.cli", TORCH | LEARNING | PAGES | {"numpy"}),
        ("rnnreport.results.folder", TORCH | LEARNING | PAGES | {"scipy"}),
        ("rnnreport.report", TORCH | LEARNING | {"scipy"}),
        ("rnnreport.analyses", TORCH | PAGES | {"phate", "graphtools", "openTSNE", "matplotlib"}),
    ],
)
def test_what_an_import_really_loads(module, absent):
    script = f"import sys, {module}; print(*sorted({absent!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_public_names_are_where_they_are_said_to_be():
    import rnnreport

    for name in rnnreport.__all__:
        assert getattr(rnnreport, name)
    assert set(rnnreport._HOMES) == set(rnnreport.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rnnreport.nonsense
