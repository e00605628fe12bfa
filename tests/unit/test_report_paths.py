"""Paths of pictures: short, and where they belong."""

import math
import re

import pytest

from rnnreport.report.figures.paths import dots, line


def places(path, decimals):
    """Where a path of relative steps leads, in units of the last decimal."""
    steps = re.findall(r"-?(?:\d+\.?\d*|\.\d+)", path.replace("h0", ""))
    numbers = [round(float(step) * 10**decimals) for step in steps]
    x = y = 0
    found = []
    for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
        x, y = x + dx, y + dy
        found.append((x, y))
    return found


@pytest.mark.parametrize("decimals", [0, 1])
def test_places_come_back_to_the_decimal(decimals):
    given = [(120.04, 33.3), (0.31, 7.96), (119.6, -2.0), (-4.25, 0.04), (120.04, 33.3)]
    whole = [(round(x * 10**decimals), round(y * 10**decimals)) for x, y in given]
    assert places(line(given, decimals), decimals) == whole
    assert places(dots(given, decimals), decimals) == sorted(set(whole))


def test_paths_are_short_and_begin_where_they_should():
    assert line([(10, 20), (10.5, 19.5), (10, 21)]) == "m10 20l.5-.5-.5 1.5"
    assert dots([(3, 4), (2.96, 4), (1, 9)]) == "m1 9h0m2-5h0"


def test_what_is_nowhere_is_left_out():
    assert line([]) == dots([]) == dots([(math.nan, 1.0)]) == ""
    assert line([(1, 2), (math.inf, 0), (2, 2)]) == "m1 2l1 0"
