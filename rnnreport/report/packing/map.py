"""What of the maps of states travels to the browser.

A map is drawn some 500 pixels wide: a code of 12 bits is an eighth of a pixel, and one pixel where a map is enlarged
eight times. States placed into a map have 11 bits, a quarter and two pixels, in three dimensions, where nothing is
enlarged, 10; a dot is six pixels wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.figures.maps import Square
from rnnreport.report.payload import Payload
from rnnreport.results.recorded import Floats
from rnnreport.results.schema import GivenPlaces, Projection

PLACE_BITS = 12
_PLACED_BITS = {2: 11, 3: 10}  # by dimensions
_SAME = 0.1  # places that differ by less lie on the same code: a code is some 0.5


def pack_projection(projection: Projection, given: GivenPlaces | None, payload: Payload) -> dict[str, Any]:
    """Pack the maps and the states placed into them, those of the sentences given by hand among them.

    Returns
    -------
    dict
        ``methods``: of each its ``name`` and the names of its arrays ``flat`` (P, 2), ``space`` (P, 3) and ``placed``
        (E, P, ``columns``), None where there is none; a plane of three columns is the first two times ``scale``, and so
        is the plane where ``flat`` is None; ``given`` (G, ``columns``) likewise. ``epochs``, ``strangeness`` and
        ``baseline`` as in ``Projection``; ``givenStrangeness``.
    """
    return {
        "methods": [
            _pack_method(place, name, projection, given.placed.get(name) if given else None, payload)
            for place, name in enumerate(projection.methods)
        ],
        "givenStrangeness": _short(given.strangeness) if given else None,
        "epochs": projection.placed_epochs.tolist(),
        "strangeness": [_short(value) for value in projection.strangeness],
        "baseline": projection.baseline,
    }


def _short(value: float) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None


def _pack_method(
    place: int, name: str, projection: Projection, given: Floats | None, payload: Payload
) -> dict[str, Any]:
    flat = projection.coordinates[place]
    packed: dict[str, Any] = dict.fromkeys(("flat", "space", "placed", "given")) | {"name": name, "scale": 1.0}
    square = plane = Square.around(flat)
    drawn, turned = plane.place(flat), None
    if name in projection.space_methods:
        space = projection.space[projection.space_methods.index(name)]
        square = Square.around(space)
        turned = square.place(space)
        payload.add_reals(f"map.{place}.space", turned, bits=PLACE_BITS)
        scale = plane.factor / (square.factor or 1.0)
        packed |= {"space": f"map.{place}.space", "scale": float(f"{scale:.6g}")}
    if turned is None or not np.allclose(packed["scale"] * turned[:, :2], drawn, rtol=0, atol=_SAME, equal_nan=True):
        payload.add_reals(f"map.{place}", drawn, bits=PLACE_BITS)
        packed["flat"] = f"map.{place}"
    guests = {"placed": projection.placed.get(name), "given": given}
    for kind, others in guests.items():
        if others is None:
            continue
        columns = others.shape[-1]
        places = (square if columns == 3 else plane).place(others)
        bits = _PLACED_BITS[columns] if kind == "placed" else PLACE_BITS
        payload.add_reals(f"map.{place}.{kind}", places, bits=bits, changes=kind == "placed")
        packed |= {kind: f"map.{place}.{kind}", "columns": columns}
    return packed
