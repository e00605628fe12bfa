"""The numbers of a page: packed by the report, unpacked here from the description alone."""

import base64
import gzip
import json
import re
from unittest import mock

import numpy as np
import pytest
from bokeh.plotting import figure
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnreport.report.bokeh_items import plot_item
from rnnreport.report.payload import Payload


def unpack(payload, name):
    described, _, block = gzip.decompress(base64.b64decode(payload.block({"kind": "x"}))).partition(b"\n")
    entry = json.loads(described)["arrays"][name]
    kind, length = np.dtype(entry["type"]), int(np.prod(entry["shape"]))
    planes = np.frombuffer(block, np.uint8, length * kind.itemsize, entry["at"]).reshape(kind.itemsize, length)
    codes = np.ascontiguousarray(planes.T).view(kind).reshape(entry["shape"])
    if "stride" in entry:
        assert entry["stride"] == codes[0].size
        steps = codes[1:].astype(np.int64)
        signed = np.where(steps % 2, -(steps + 1) // 2, steps // 2)
        codes = np.concatenate([codes[:1], signed]).cumsum(axis=0).astype(kind)  # modulo the range of the type
    if "weights" in entry:
        codes, weights = codes.copy(), unpack(payload, entry["weights"]).astype(int)
        for row in codes:
            for c, own in enumerate(weights):
                told = (512 + 64 * own[0] + own[1 : c + 1] @ row[:c].astype(int)) // 1024
                rest = int(row[c])
                row[c] = (int(told) + (rest >> 1 ^ -(rest & 1))) % 256
    if "step" not in entry:
        return codes
    low, step = (unpack(payload, part) if isinstance(part, str) else part for part in (entry["low"], entry["step"]))
    return np.where(codes == np.iinfo(codes.dtype).max, np.nan, low + codes * step)


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_reals_come_back_within_half_a_code(bits, changes):
    values = np.random.default_rng(0).normal(size=(7, 5, 3)).astype(np.float32)
    values[2, 1, 0] = np.nan
    payload = Payload()
    payload.add_integers("before", np.arange(3))  # so that the array does not start at 0
    payload.add_reals("x", values, bits=bits, changes=changes)
    found = unpack(payload, "x")
    half = (np.nanmax(values) - np.nanmin(values)) / (2**bits - 2) / 2
    assert np.nanmax(np.abs(found - values)) <= half * 1.001
    assert np.array_equal(np.isnan(found), np.isnan(values))


@pytest.mark.parametrize("bits", [6, 8, 12, 16])
def test_columns_come_back_within_half_a_code_of_their_own_range(bits):
    values = (np.random.default_rng(0).normal(size=(7, 40, 3)) * [1e-3, 1, 1e4]).astype(np.float32)
    values[2, 1, 0] = np.nan
    values[:, :, 1] = 5.0
    payload = Payload()
    payload.add_columns("x", values, bits=bits)
    found = unpack(payload, "x")
    spans = np.nanmax(values, axis=(0, 1)) - np.nanmin(values, axis=(0, 1))
    assert (np.nanmax(np.abs(found - values), axis=(0, 1)) <= spans / (2**bits - 2) / 2 * 1.01 + 1e-6).all()
    assert np.array_equal(np.isnan(found), np.isnan(values))


def test_columns_that_resemble_each_other_come_back_the_same_and_are_smaller():
    random = np.random.default_rng(0)
    values = (random.normal(size=(3000, 3)) @ random.normal(size=(3, 12)) + 0.05 * random.normal(size=(3000, 12))) * 5
    values[:, 4] = 1.0
    values[:, 7] = values[:, 6]
    values[random.random(values.shape) < 0.01] = np.nan
    found, sizes = [], []
    for related in (False, True):
        payload = Payload()
        payload.add_columns("x", values, bits=8, related=related)
        found.append(unpack(payload, "x"))
        sizes.append(len(payload.block({})))
    np.testing.assert_array_equal(*found)
    assert sizes[1] < 0.8 * sizes[0]


def test_columns_that_tell_nothing_travel_as_they_are():
    payload = Payload()
    payload.add_columns("x", np.random.default_rng(0).normal(size=(20, 30)), bits=8, related=True)
    assert '"weights"' not in gzip.decompress(base64.b64decode(payload.block({}))).partition(b"\n")[0].decode()


def test_weights_that_would_take_more_room_than_the_columns_are_not_sought():
    """To find them takes the fourth power of the columns: 87 s of a page of two layers of 650 units."""
    payload = Payload()
    with mock.patch("rnnreport.report.payload._told", side_effect=AssertionError("sought")):
        payload.add_columns("x", np.random.default_rng(0).normal(size=(300, 200)), bits=8, related=True)
    assert unpack(payload, "x").shape == (300, 200)


def test_changes_make_what_moves_little_smaller():
    random = np.random.default_rng(0)
    walk = random.normal(size=(1, 4000)) + 0.01 * random.normal(size=(8, 4000)).cumsum(axis=0)
    sizes = {}
    for changes in (False, True):
        payload = Payload()
        payload.add_reals("x", walk, bits=12, changes=changes)
        sizes[changes] = len(payload.block({}))
    assert sizes[True] < 0.75 * sizes[False]


def test_columns_of_nothing():
    payload = Payload()
    payload.add_columns("x", np.zeros((0, 0), np.float32))
    assert unpack(payload, "x").shape == (0, 0)


def test_what_is_printed_comes_back_exactly():
    values = np.array([[0.1, np.nan], [-3e7, 0.0]], np.float32)
    payload = Payload()
    payload.add_integers("before", np.arange(3))
    payload.add_exact("x", values)
    np.testing.assert_array_equal(unpack(payload, "x"), values)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=40))
@settings(max_examples=60, deadline=None)
def test_integers_come_back_exactly(values):
    payload = Payload()
    payload.add_integers("x", np.array(values, dtype=np.int64))
    assert unpack(payload, "x").tolist() == values


@pytest.mark.parametrize("changes", [False, True])
@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [3.0, 3.0], [np.inf, 1.0]])
def test_degenerate_reals(values, changes):
    payload = Payload()
    payload.add_reals("x", np.array(values), changes=changes)
    expected = [value if np.isfinite(value) else np.nan for value in values]
    np.testing.assert_array_equal(unpack(payload, "x"), expected)


def test_the_description_comes_back_and_cannot_end_its_line_or_element():
    hostile = {"</script><script>alert(1)</script>": ["<!--", "]]>", "&lt;", "\u2028", "\n", "\ud800"]}
    payload = Payload()
    payload.add_integers("x", np.arange(3))
    block = payload.block(hostile)
    assert re.fullmatch("[A-Za-z0-9+/=]+", block)
    described, end, arrays = gzip.decompress(base64.b64decode(block)).partition(b"\n")
    assert (end, arrays) == (b"\n", bytes([0, 1, 2]))
    arrays = {"x": {"type": "uint8", "shape": [3], "at": 0}}
    assert json.loads(described) == {**hostile, "arrays": arrays}


def test_plot_items_do_not_depend_on_what_was_built_before():
    def build():
        plot = figure(width=100, height=100)
        plot.scatter([1, 2], [3, 4])
        return plot

    first = json.dumps(plot_item(build(), "a"))
    figure().line([0, 1], [0, 1])  # moves Bokeh's counter
    assert json.dumps(plot_item(build(), "a")) == first
    assert json.dumps(plot_item(build(), "b")) != first


def test_every_id_a_plot_item_names_is_defined():
    plot = figure()
    plot.line([0, 1], [0, 1])
    item = plot_item(plot, "p")
    defined, named = set(), set()

    def walk(node):
        if isinstance(node, dict):
            if isinstance(node.get("id"), str):
                (defined if "type" in node else named).add(node["id"])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(item)
    assert named <= defined
    assert item["root_id"] in defined
