"""What is drawn of a network as a dynamical system, without a browser."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from rnnreport.report.figures.fixed_points import dimension_picture, spectrum_picture


@pytest.mark.parametrize(("expected", "kept", "numbers"), [(2, 12, 12), (25, 25, 8), (25, 12, 12)])
def test_the_expected_dimensions_are_marked_where_they_lie(expected, kept, numbers):
    shares = np.linspace(0.3, 1, kept)
    found = SimpleNamespace(expected=expected, explained={"trained": shares}, slow={"trained": 40})
    picture = dimension_picture(found)
    dots = [float(x) for x in re.findall(r'<circle class="trained" cx="([\d.]+)"', picture)]
    marks = [float(x) for x in re.findall(r'<line class="aim" x1="([\d.]+)"', picture)]
    assert marks == ([dots[expected - 1]] if expected <= kept else [])  # nowhere, rather than at another number
    assert len(dots) == kept and len(re.findall(r'<text [^>]*text-anchor="middle">\d+</text>', picture)) == numbers


def test_values_grow_as_was_counted_before_they_were_rounded():
    values = np.array([[[1.0, 0.0], [1.0, 0.0], [0.5, 0.0]]], np.float32)
    found = SimpleNamespace(eigenvalues=values, unstable=np.array([1], np.int32))
    assert re.findall(r'<circle class="(in|out)"', spectrum_picture(found, 0)) == ["out", "in", "in"]
