"""What pages say of each task in words: tables without scripts, names of metrics, the static pictures."""

import re
import typing
from html.parser import HTMLParser

import numpy as np
import pytest

from rnnreport.analyses import analyse, compare
from rnnreport.report import IndexEntry, render_comparison, render_index, render_report, render_summary_markdown
from rnnreport.report.environment import number
from rnnreport.report.fallback import agreement_svg
from rnnreport.report.gather import gather
from rnnreport.report.place import template_folder
from rnnreport.report.tables import label_rows, sequence_rows
from rnnreport.report.tasks import TASKS, Kind, metric_name
from rnnreport.results.recorded import Task
from rnnreport.results.schema import Performance, Sequences
from tests.fabricate import fabricate_run
from tests.small import ROUGH


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One small analysed run for each of the tasks whose answers are labels or quantities."""
    folder = tmp_path_factory.mktemp("tasks")
    made = {}
    for task in ("multi-label", "regression", "step-regression"):
        made[task] = fabricate_run(folder / task, task, epochs=1, sequences=12, units=6, gain=0.5, name=f"a {task}")
        analyse(made[task], params=ROUGH)
    return made


class Text(HTMLParser):
    """The text of the tables of a page, row by row."""

    def __init__(self, page):
        super().__init__()
        self.rows = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_every_task_is_known_to_the_page_and_to_its_scripts():
    assert set(TASKS) == set(typing.get_args(Task))
    scripts = (template_folder() / "assets" / "tasks.js").read_text()
    assert set(re.findall(r"^RR\.kinds\.(\w+) =", scripts, re.MULTILINE)) == set(typing.get_args(Kind))
    assert {view.kind for view in TASKS.values()} == set(typing.get_args(Kind))


def test_labels_are_counted_most_frequent_first(runs):
    counts = runs["multi-label"].result(Performance).label_counts
    rows = label_rows(gather(runs["multi-label"]))
    assert [row["there"] for row in rows] == sorted((counts[:, 0] + counts[:, 2]).tolist(), reverse=True)
    for row in rows:
        found, extra, missed, absent = counts[row["place"]]
        assert row["total"] == found + extra + missed + absent == 12
        assert row["recall"] == pytest.approx(found / (found + missed))
        assert row["precision"] == pytest.approx(found / (found + extra))
    assert label_rows(gather(runs["regression"])) == []


def test_answers_in_words(runs):
    for task, run in runs.items():
        found, rows = run.result(Sequences), sequence_rows(gather(run))
        assert all(len(row["answers"]) == len(TASKS[task].answers) for row in rows)
        names, starts = found.class_names, np.concatenate([[0], np.cumsum(found.lengths)])
        for q, row in enumerate(rows):
            if task == "multi-label":
                expected = [
                    ", ".join(names[k] for k in np.flatnonzero(x[q] >= 0.5)) for x in (found.truths, found.outputs)
                ]
                assert list(row["answers"]) == [text or "none" for text in expected]
            elif task == "regression":
                assert row["answers"][1] == "; ".join(
                    f"{name} {number(value)}" for name, value in zip(names, found.outputs[q], strict=True)
                )
            else:
                wrong = (found.step_output[-1] - found.truths)[starts[q] : starts[q + 1], 1]
                assert row["answers"][0].endswith(f"{names[1]} {number(float(np.sqrt(np.nanmean(wrong**2))))}")


@pytest.mark.parametrize("task", ["multi-label", "regression", "step-regression"])
def test_metrics_are_named_in_words_everywhere(runs, task, tmp_path):
    run = runs[task]
    other = fabricate_run(tmp_path / "other", task, epochs=1, seed=1, sequences=12, units=6, name="other")
    analyse(other, params=ROUGH)
    metrics = run.summary().metrics
    pages = {
        "report": render_report(run),
        "comparison": render_comparison([run, other], compare([run, other])),
        "summary": re.sub(r"\\(.)", r"\1", render_summary_markdown(run)),
    }
    for kind, page in pages.items():
        own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
        for name in metrics:
            assert metric_name(name, task) in own, (kind, name)
            if "_" in name:
                assert name not in own, (kind, name)
    rows = Text(render_index([IndexEntry("a.html", run.summary())])).rows
    assert rows[1][2] == TASKS[task].title
    leading = "exact_match" if task == "multi-label" else "rmse"
    assert metric_name(leading) in rows[0]


def test_a_metric_may_mean_something_else_in_another_task():
    assert metric_name("majority_share", "multi-label") != metric_name("majority_share", "classification")
    assert metric_name("majority_share") == "share of the most frequent class"
    assert metric_name("a_metric_of_your_own") == "a metric of your own"


def test_the_static_scatter_has_the_diagonal_and_the_known_items():
    truth = np.array([0.0, 1.0, np.nan, 4.0], np.float32)
    output = np.array([0.0, 3.0, 2.0, 1.0], np.float32)
    picture = agreement_svg("<b>price</b>", truth, output)
    assert "<b>" not in picture
    steps = np.array(re.findall(r"m(-?\d*\.?\d+) ?(-?\d*\.?\d+)h0", picture), dtype=float)
    points = steps.cumsum(axis=0)
    ends = re.search(r'points="(.*?)"', picture)[1].split()
    (x0, y0), (x1, y1) = ([float(value) for value in end.split(",")] for end in ends)
    assert len(points) == 3
    np.testing.assert_allclose((points[:, 0] - x0) / (x1 - x0) * 4, truth[[0, 1, 3]], atol=0.02)
    np.testing.assert_allclose((points[:, 1] - y0) / (y1 - y0) * 4, output[[0, 1, 3]], atol=0.02)
    assert agreement_svg("x", truth * np.nan, output) == ""
