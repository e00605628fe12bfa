"""The panels of the formation: what is drawn, where, and what is left out."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from rnnreport.report.figures.formation import Panel, formation_panels
from rnnreport.results.schema import Formation, Probes

EPOCHS = np.array([0, 2, 4, 10], np.int32)
FORMED = Formation(
    scope="rnn.0.fwd.h",
    epochs=EPOCHS,
    steps=np.arange(3, dtype=np.int32),
    units=np.arange(2, dtype=np.int32),
    within_step=np.full((2, 4, 3), np.nan, np.float32),
    within_unit=np.arange(16, dtype=np.float32).reshape(2, 4, 2),
    alignment=np.full((2, 4), np.nan, np.float32),
    change=np.array([[np.nan, 3, 1, 1], [np.nan, 2, 1, 0]], np.float32),
    purity=np.array([[0.9, 0.9, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]], np.float32),
    chance=0.25,
    similarity=np.array([0.5, 0.8, 0.97, 1], np.float32),
    participation=np.array([1, 2, 3, 4], np.float32),
    settled={"epoch": 4, "low": 2, "high": 4, "similarity": 0.95, "resamples": 100, "sequences": 30},
    jumps=({"epoch": 2, "after": 0, "support": 1.0},),
    flagged={"purity": (0, 2), "alignment": ()},
    finding="",
    params={},
    guide="",
)


def panels(formed: Formation = FORMED, losses: tuple[str, ...] = ("<b>test</b> loss",)) -> dict[str, Panel]:
    curves = {name: (np.array([0, 5, 10], np.int32), np.array([2.0, 1.0, 0.5])) for name in losses}
    return {panel.id: panel for panel in formation_panels(formed, curves, {})}


def test_curves_lie_on_the_axis_of_epochs() -> None:
    found = panels()
    points = [tuple(map(float, pair.split(","))) for pair in re.findall(r"[\d.]+,[\d.]+", found["participation"].svg)]
    assert [x for x, _ in points] == [0, 200, 400, 1000]
    assert points[0][1] == 94 and points[-1][1] == 6
    assert (found["participation"].low, found["participation"].high) == (1, 4)
    assert (found["participation"].first, found["participation"].last) == (0, 10)


def test_what_is_not_defined_is_left_out() -> None:
    assert set(panels()) == {"loss", "similarity", "change", "participation", "purity", "within-unit"}
    assert "loss" not in panels(losses=())
    change = panels()["change"].svg
    assert change.count("<polyline") == 2 and "nan" not in change
    assert panels(replace(FORMED, chance=None))["purity"].low == 0.5
    once = replace(FORMED, change=np.array([[np.nan, 3, np.nan, np.nan]] * 2, np.float32))
    assert "change" not in panels(once)  # a single point is no line


def test_turning_points_and_flags_are_marked() -> None:
    found = panels()
    assert all(panel.svg.count('class="jump" x1="200.0"') == 1 for panel in found.values())
    assert 'class="doubt" x="197.0"' in found["similarity"].svg and 'class="level"' in found["similarity"].svg
    flags = re.findall(r'class="flag" x="([\d.]+)" y="0" width="([\d.]+)"', found["purity"].svg)
    assert flags == [("0.0", "100.0"), ("100.0", "200.0")]
    assert 'class="flag"' not in found["similarity"].svg


def test_every_loss_has_a_style_and_its_name_stays_text() -> None:
    loss = panels(losses=("train loss", "<b>test</b> loss"))["loss"]
    assert loss.names == (("activity", "train loss"), ("picture", "<b>test</b> loss"))
    assert "<b>" not in loss.svg and loss.svg.count("<polyline") == 2


def test_probes_are_drawn_with_interval_and_control() -> None:
    accuracy = np.array([[0.2, 0.4], [0.4, 0.6], [0.6, 0.8], [0.8, 1.0]], np.float32)
    mean = accuracy.mean(axis=1)
    probes = Probes(
        scope="rnn.0.fwd.h",
        epochs=EPOCHS,
        steps=np.arange(2, dtype=np.int32),
        accuracy=accuracy,
        control=np.full((4, 2), 0.1, np.float32),
        mean=np.stack([mean, mean - 0.05, mean + 0.1]),
        information=accuracy,
        noise=np.full(4, 0.05, np.float32),
        most_frequent=np.array([0.3, 0.5], np.float32),
        entropy=2.0,
        what="class",
        measure="share",
        sequences=50,
        classes=4,
        finding="",
        params={},
        guide="",
    )
    found = {panel.id: panel for panel in formation_panels(FORMED, {}, {}, probes)}
    read = found["read"]
    assert (read.low, read.high) == (np.float32(0.1), float(mean[3] + 0.1))  # the control, and the end of the interval
    assert read.svg.count("<polyline") == 2 and dict(read.names)["third"] == "labels shuffled"
    ends = re.search(r'class="around" points="([^"]+)"', read.svg)
    assert ends is not None
    corners = [tuple(map(float, pair.split(","))) for pair in ends[1].split()]
    assert [x for x, _ in corners] == [0, 200, 400, 1000, 1000, 400, 200, 0]
    assert all(low > high for (_, low), (_, high) in zip(corners[:4], corners[:3:-1], strict=True))
    assert 'class="level"' in read.svg and "information" in found


def test_losses_and_shares_have_a_panel_each_on_the_axis_of_all() -> None:
    losses = {"train loss": (np.array([0, 12], np.int32), np.array([2.0, 1.0]))}
    scores = {name: (np.array([0, 20], np.int32), np.array([0.1, 0.9])) for name in ("test accuracy", "train accuracy")}
    found = {panel.id: panel for panel in formation_panels(FORMED, losses, scores)}
    assert list(found)[:2] == ["loss", "score"]
    assert {(panel.first, panel.last) for panel in found.values()} == {(0, 20)}
    assert [name for _, name in found["score"].names] == ["test accuracy", "train accuracy"]
    assert (found["score"].low, found["score"].high) == (0.1, 0.9)
    assert "score" not in {panel.id for panel in formation_panels(FORMED, losses, {})}
