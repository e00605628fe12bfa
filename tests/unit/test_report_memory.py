"""The pictures of how long a network remembers: what is drawn where, and that names are only ever text."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from rnnreport.report.figures.memory import Axis, effect_picture, memory_axis, unit_picture, unit_rows
from rnnreport.report.packing.memory import memory_context
from rnnreport.results.schema import Memory

KEY = "<b>rnn</b>.0.fwd.h"


def memory(times: list[float], **others: Any) -> Memory:
    curve = np.array([[0, 1, 1, 1, 20], [1, 0.8, 0.7, 0.9, 20], [4, 0.2, 0.1, 0.3, 12]], np.float64)
    given: dict[str, Any] = {
        "scope": KEY,
        "curves": {"state": curve, "output": curve},
        "horizons": {"state": np.array([1.0, 1, 4]), "output": np.array([4.0, 1, 4])},
        "gate_times": {KEY: np.array(times, np.float32)},
        "gate_medians": {KEY: np.array([2.0, 1, 3])},
        "decay_times": {KEY: np.array(times, np.float32)},
        "decay_medians": {KEY: np.full(3, np.nan)},
        "longest": 4,
        "lengths": np.array([3.0, 5, 5]),
        "finding": "",
        "guide": "how",
    }
    return Memory(**{**given, **others})


def test_the_axis_begins_at_nothing_and_puts_what_is_beyond_into_the_margin() -> None:
    axis = Axis(100)
    places = [axis.x(steps) for steps in (0, 1, 10, 100)]
    assert places == sorted(places)
    assert axis.x(101) == axis.x(float("inf")) > places[-1]
    ticks = axis.ticks()
    assert ticks[0] == 0
    assert all(axis.x(b) - axis.x(a) > 24 for a, b in itertools.pairwise(ticks))


def test_every_defined_unit_has_a_dot_with_its_number_and_time() -> None:
    found = memory([1.5, float("nan"), float("inf"), 3.0])
    rows = unit_rows(found, [KEY])
    assert [row.place for row in rows] == [0, 0]
    axis = memory_axis(found, rows)
    text = str(unit_picture(found, rows, axis))
    assert text.count('data-units="0 2 3"') == 2
    assert 'data-times="1.5 ∞ 3"' in text
    first = re.findall(r'class="dots" d="(.*?)"', text)[0]
    across = [float(x) for x, _ in re.findall(r"M([\d.]+) ([\d.]+)h0", first)]
    assert across == pytest.approx([axis.x(1.5), axis.x(float("inf")), axis.x(3)], abs=0.06)
    assert "<b>" not in text
    assert "&lt;b&gt;rnn" in text


def test_curves_end_where_they_were_looked_at_and_horizons_are_marked() -> None:
    found = memory([1.0, 2.0])
    axis = memory_axis(found, unit_rows(found, []))
    text = str(effect_picture(found, axis))
    assert [float(x) for x in re.findall(r'circle class="end \w+" cx="([\d.]+)"', text)] == pytest.approx(
        [axis.x(1), axis.x(4)], abs=0.06
    )
    assert text.count('class="band') == 2


def test_the_title_says_how_far_and_the_note_with_what_certainty() -> None:
    context = memory_context(cast(Any, SimpleNamespace(memory=memory([1.0, 2.0]), units=[])))["memory"]
    assert (
        context["title"]
        == "A changed input is still felt in the prediction 4 steps later, the longest distance measured"
    )
    assert "the state 1 (1 to 4), n = 20" in context["note"]
    assert "the prediction at least 4 (1 to 4), n = 20" in context["note"]
    units_only = memory([1.0], curves={}, horizons={})
    context = memory_context(cast(Any, SimpleNamespace(memory=units_only, units=[])))["memory"]
    assert context["title"] == "How long units keep what they hold"
    assert context["effects"] is None
