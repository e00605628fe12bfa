"""Trees of continuations: from what capture leaves to the picture, on a fabricated run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.report.trees import Tree, draw_trees, visible
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Continuations, Floats, Ints
from rnnreport.results.schema import ContinuationTrees, Unavailable
from tests.fabricate import HOSTILE, VOCABULARY, fabricate_run
from tests.small import ROUGH


def ints(*values: int) -> Ints:
    return np.array(values, np.int32)


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


def plant(folder: RunFolder, epoch: int = 1) -> None:
    """Two contexts: a fork of two, whose first goes on with a hostile token; and a single token."""
    folder.write_record(
        Continuations(
            epoch=epoch,
            sequences=ints(3, 5),
            lengths=ints(2, 1),
            contexts=ints(0, 0, 0, 1),
            parents=ints(-1, -1, 0, -1),
            tokens=ints(0, 1, VOCABULARY.index(HOSTILE[2]), 2),
            probabilities=floats(0.5, 0.25, 0.5, 0.75),
            branching=2,
            depth=2,
            minimum=0.01,
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = fabricate_run(tmp_path_factory.mktemp("trees") / "run", "language-model", epochs=2, sequences=40, units=8)
    plant(made)
    analyse(made, params=ROUGH)
    return made


def test_nodes_carry_their_tokens_and_contexts(folder: RunFolder) -> None:
    found, probe = folder.result(ContinuationTrees), folder.probe()
    assert isinstance(found, ContinuationTrees)
    assert found.tokens == ("goal", "match", HOSTILE[2], "team")
    assert found.sequence_ids == (probe.sequence_ids[3], probe.sequence_ids[5])
    starts = probe.offsets[[3, 5]]
    assert found.context_tokens == tuple(
        tuple(VOCABULARY[token] for token in probe.tokens[start : start + length])
        for start, length in zip(starts, (2, 1), strict=True)
    )


def test_trees_are_laid_out_by_rows_and_levels(folder: RunFolder) -> None:
    found = folder.result(ContinuationTrees)
    assert isinstance(found, ContinuationTrees)
    first, second = draw_trees(found)
    goal, match, hostile = first.nodes
    assert goal.x == match.x < hostile.x and [node.depth for node in first.nodes] == [0, 0, 1]
    assert goal.y == hostile.y < match.y  # one row for each end
    assert first.root == (goal.y + match.y) / 2 and second.root == second.nodes[0].y
    assert [node.share for node in first.nodes] == ["50.0%", "25.0%", "50.0%"]
    assert [node.path for node in first.nodes] == ["50.0%", "25.0%", "25.0%"]
    assert goal.width == 2 * match.width == 2 * hostile.width
    assert (first.rest, goal.rest, match.rest, second.rest) == ("25.0%", "50.0%", "", "25.0%")
    ends = [[float(part) for part in re.split("[MC ]", node.band) if part] for node in first.nodes]
    assert all(end[-2:] == [round(node.x - 6), node.y] for end, node in zip(ends, first.nodes, strict=True))
    assert all(node.x > 0 and node.y < tree.height for tree in (first, second) for node in tree.nodes)


def test_ends_never_share_a_row() -> None:
    generator = np.random.default_rng(0)
    parents = [-1, -1, -1]
    for _ in range(40):
        parents.append(int(generator.integers(0, len(parents))))
    size = len(parents)
    trees = ContinuationTrees(("s",), (("a",),), ints(*[0] * size), ints(*parents), tuple("x" * size),
                              floats(*[0.1] * size), 9, 9, 0.0, "")  # fmt: skip
    (tree,) = draw_trees(trees)
    assert isinstance(tree, Tree)
    ends = [node.y for place, node in enumerate(tree.nodes) if place not in parents]
    assert min(np.diff(sorted(ends))) >= 20


def test_the_page_holds_escaped_trees(folder: RunFolder) -> None:
    page = render_report(folder)
    assert page.count('class="tree"') == 2
    assert HOSTILE[2] not in page
    assert 'data-token="&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;"' in page


def test_invisible_tokens_are_named() -> None:
    assert [visible(token) for token in (" ", "\n", "", "a b")] == ["␣", "↵", "∅", "a b"]


def test_a_language_model_without_trees_says_why(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", "language-model", epochs=2, sequences=20, units=6)
    plant(folder, epoch=0)  # the last one is 1
    analyse(folder, params=ROUGH)
    found = folder.result(ContinuationTrees)
    assert isinstance(found, Unavailable)
    assert found.reason in render_report(folder).replace("&#39;", "'")


def test_other_tasks_have_no_trees(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", "tagging", epochs=1, sequences=20, units=6)
    analyse(folder, params=ROUGH)
    assert isinstance(folder.result(ContinuationTrees), Unavailable)
    assert "figure-continuations" not in render_report(folder)
