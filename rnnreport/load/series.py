"""Series of numbers in ``.npz`` archives without pickled objects.

Either ``X`` (N, T, D), with ``length`` (N,) when the series differ in length (what lies beyond is never read), or
``values`` (S, D) with ``length`` (N,), the series one after the other. ``scale`` (D,) multiplies the channels. ``y``
(N,) holds the class of each series: an index into ``class_names``, or names or numbers of their own. Without ``y`` the
corpus is unlabelled. ``feature_names`` (D,) and ``ids`` (N,) may name the channels and the series.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.errors import InputError
from rnnreport.load.files import SourceFile
from rnnreport.load.labels import ClassIndex, sorted_classes
from rnnreport.results.recorded import Floats, Ints

Arrays = dict[str, NDArray[Any]]

_USED = ("X", "values", "length", "scale", "y", "class_names", "feature_names", "ids")


@dataclass(frozen=True)
class Series:
    """What an archive holds.

    Attributes
    ----------
    sequence_ids : tuple of str, length N
    values : tuple of N float32 (T, D)
    labels : int32 (N,), or None where there are no labels
    class_names, feature_names : tuple of str, lengths K and D
    skipped : dict of reason to count
    """

    sequence_ids: tuple[str, ...]
    values: tuple[Floats, ...]
    labels: Ints | None
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    skipped: dict[str, int]


def read_series(source: SourceFile, classes: tuple[str, ...] | None) -> Series:
    """Read an ``.npz`` corpus.

    Raises
    ------
    InputError
        If the archive is damaged or holds objects, an array has the wrong shape, a value is not finite, or a label is
        none of ``classes``.
    """
    arrays = _read(source)
    pieces = _pieces(source, arrays)
    features = pieces[0].shape[1]
    scale = _vector(source, arrays, "scale", features) if "scale" in arrays else np.ones(1)
    ids = _names(source, arrays, "ids", len(pieces)) or tuple(f"series {number}" for number in range(len(pieces)))
    if len(set(ids)) < len(ids):
        raise InputError(f"{source.path}: an id in 'ids' appears twice", "make ids unique")
    kept = [number for number, piece in enumerate(pieces) if len(piece)]
    if not kept:
        raise InputError(f"{source.path} is empty", "give a corpus with at least one series")
    labels, class_names = _labels(source, arrays, ids, classes)
    return Series(
        sequence_ids=tuple(ids[number] for number in kept),
        values=tuple(_finite(source, pieces[number] * scale, ids[number]) for number in kept),
        labels=None if labels is None else labels[kept],
        class_names=class_names,
        feature_names=_names(source, arrays, "feature_names", features)
        or tuple(f"x{number}" for number in range(features)),
        skipped={"empty series": len(pieces) - len(kept)} if len(kept) < len(pieces) else {},
    )


def _read(source: SourceFile) -> Arrays:
    try:
        if not zipfile.is_zipfile(io.BytesIO(source.data)):
            raise ValueError("not an archive")
        with np.load(io.BytesIO(source.data), allow_pickle=False) as archive:
            return {name: archive[name] for name in _USED if name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{source.path} is not an .npz of plain arrays: {error}", "write it with numpy.savez, without object arrays"
        ) from error


def _pieces(source: SourceFile, arrays: Arrays) -> list[NDArray[Any]]:
    """The series as views, N arrays (T, D)."""
    if "X" in arrays:
        block = _numeric(source, arrays, "X", 3)
        lengths = _lengths(source, arrays, len(block)) if "length" in arrays else np.full(len(block), block.shape[1])
        if lengths.max(initial=0) > block.shape[1]:
            raise InputError(f"{source.path}: 'length' exceeds the {block.shape[1]} steps of 'X'", "correct 'length'")
        pieces = [series[:length] for series, length in zip(block, lengths, strict=True)]
    elif "values" in arrays and "length" in arrays:
        block = _numeric(source, arrays, "values", 2)
        lengths = _lengths(source, arrays, len(arrays["length"]))
        if lengths.sum() != len(block):
            raise InputError(
                f"{source.path}: 'length' sums to {lengths.sum()}, 'values' has {len(block)} steps", "correct 'length'"
            )
        pieces = np.split(block, np.cumsum(lengths)[:-1])
    else:
        raise InputError(f"{source.path} has neither 'X' nor 'values' and 'length'", "name the arrays like this")
    if not pieces or block.shape[-1] == 0:
        raise InputError(f"{source.path} is empty", "give a corpus with at least one series")
    return pieces


def _numeric(source: SourceFile, arrays: Arrays, name: str, axes: int) -> NDArray[Any]:
    array = arrays[name]
    if array.ndim != axes or array.dtype.kind not in "biuf":
        expected = "(N, T, D)" if axes == 3 else "(S, D)"
        raise InputError(
            f"{source.path}: {name!r} is {array.dtype} {array.shape}", f"it must be real numbers of shape {expected}"
        )
    return array


def _lengths(source: SourceFile, arrays: Arrays, count: int) -> NDArray[np.int64]:
    lengths = arrays["length"]
    if lengths.shape != (count,) or lengths.dtype.kind not in "iu" or lengths.min(initial=0) < 0:
        raise InputError(
            f"{source.path}: 'length' is {lengths.dtype} {lengths.shape}", f"it must be {count} counts of steps"
        )
    return lengths.astype(np.int64)


def _vector(source: SourceFile, arrays: Arrays, name: str, size: int) -> NDArray[np.float64]:
    vector = arrays[name]
    if vector.shape != (size,) or vector.dtype.kind not in "iuf":
        raise InputError(f"{source.path}: {name!r} is {vector.dtype} {vector.shape}", f"it must be {size} numbers")
    return vector.astype(np.float64)


def _names(source: SourceFile, arrays: Arrays, name: str, size: int) -> tuple[str, ...]:
    if name not in arrays:
        return ()
    if arrays[name].shape != (size,):
        raise InputError(f"{source.path}: {name!r} has shape {arrays[name].shape}", f"it must be {size} names")
    return tuple(str(item) for item in arrays[name].tolist())


def _finite(source: SourceFile, values: NDArray[Any], name: str) -> Floats:
    with np.errstate(over="ignore"):  # told just below
        series = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(series).all():
        step, feature = np.argwhere(~np.isfinite(series))[0]
        raise InputError(
            f"{source.path}: {name} has a value that is not finite (step {step}, feature {feature})",
            "repair or drop the series",
        )
    return series


def _labels(
    source: SourceFile, arrays: Arrays, ids: tuple[str, ...], classes: tuple[str, ...] | None
) -> tuple[Ints | None, tuple[str, ...]]:
    if "y" not in arrays:
        return None, ()
    y = arrays["y"]
    if y.shape != (len(ids),) or y.dtype.kind not in "iubU":
        raise InputError(
            f"{source.path}: 'y' is {y.dtype} {y.shape}", f"it must be {len(ids)} class numbers or class names"
        )
    listed = (
        tuple(str(name) for name in np.atleast_1d(arrays["class_names"]).tolist()) if "class_names" in arrays else ()
    )
    if listed and y.dtype.kind in "iu" and (y.min() < 0 or y.max() >= len(listed)):
        wrong = int(np.argmax((y < 0) | (y >= len(listed))))
        raise InputError(
            f"{source.path}: {ids[wrong]} has class {y[wrong]}, 'class_names' has {len(listed)} names", "correct 'y'"
        )
    names = [listed[number] if listed and y.dtype.kind in "iu" else str(number) for number in y.tolist()]
    index = ClassIndex(classes or listed or sorted_classes(set(names)))
    numbers = [index.encode([name], f"{source.path}: {place}") for name, place in zip(names, ids, strict=True)]
    return np.concatenate(numbers), index.names
