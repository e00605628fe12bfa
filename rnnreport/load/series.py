"""Series of numbers in ``.npz`` archives without pickled objects.

Either ``X`` (N, T, D), with ``length`` (N,) when the series differ in length (what lies beyond is never read), or
``values`` (S, D) with ``length`` (N,), the series one after the other. ``scale`` (D,) multiplies the channels.
``feature_names`` (D,) and ``ids`` (N,) may name the channels and the series.

At most one array says what is right; without one the corpus is unlabelled:

- ``y`` (N,), the class of each series: an index into ``class_names``, or names or numbers of their own;
- ``labels`` (N, K), 0 or 1: which of K labels each series has;
- ``targets`` (N, K) or (N,), K quantities for each series;
- ``step_targets``, K quantities for each step, NaN where a step has none: laid out as the values, (N, T, K) or (N, T)
  beside ``X``, (S, K) or (S,) beside ``values``.

``class_names`` (K,) may name the classes, labels or quantities.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.errors import InputError
from rnnreport.load.answers import Answers, Classes, refuse_only_gaps
from rnnreport.load.files import SourceFile
from rnnreport.load.labels import ClassIndex, names_of, order_of, sorted_classes
from rnnreport.reading import MOST_BYTES, read_arrays
from rnnreport.results.recorded import Floats, Ints

Arrays = dict[str, NDArray[Any]]

_ANSWERS = ("y", "labels", "targets", "step_targets")
_USED = ("X", "values", "length", "scale", *_ANSWERS, "class_names", "feature_names", "ids")


@dataclass(frozen=True)
class Series:
    """What an archive holds.

    Attributes
    ----------
    sequence_ids : tuple of str, length N
    values : tuple of N float32 (T, D)
    answers : Answers
    feature_names : tuple of str, length D
    skipped : dict of reason to count
    """

    sequence_ids: tuple[str, ...]
    values: tuple[Floats, ...]
    answers: Answers
    feature_names: tuple[str, ...]
    skipped: dict[str, int]


def read_series(source: SourceFile, classes: tuple[str, ...] | None) -> Series:
    """Read an ``.npz`` corpus.

    Raises
    ------
    InputError
        If the archive is damaged or holds objects, an array has the wrong shape, a value is not finite, a label is none
        of ``classes``, or two arrays say what is right.
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
    return Series(
        sequence_ids=tuple(ids[number] for number in kept),
        values=tuple(_finite(source, pieces[number] * scale, ids[number]) for number in kept),
        answers=_answers(source, arrays, ids, [len(piece) for piece in pieces], classes),
        feature_names=_names(source, arrays, "feature_names", features)
        or tuple(f"x{number}" for number in range(features)),
        skipped={"empty series": len(pieces) - len(kept)} if len(kept) < len(pieces) else {},
    )


def _read(source: SourceFile) -> Arrays:
    try:
        return read_arrays(io.BytesIO(source.data), MOST_BYTES, _USED)
    except ValueError as error:
        raise InputError(
            f"{source.path} is not an .npz of plain arrays: {error}", "write it with numpy.savez, without object arrays"
        ) from error


def _pieces(source: SourceFile, arrays: Arrays) -> list[NDArray[Any]]:
    """The series as views, N arrays (T, D)."""
    if "X" in arrays:
        block = _numeric(source, arrays, "X", 3)
        steps = np.full(len(block), block.shape[1])
        lengths = _lengths(source, arrays, len(block), block.shape[1]) if "length" in arrays else steps
        pieces = [series[:length] for series, length in zip(block, lengths, strict=True)]
    elif "values" in arrays and "length" in arrays:
        block = _numeric(source, arrays, "values", 2)
        lengths = _lengths(source, arrays, arrays["length"].size, len(block))
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


def _lengths(source: SourceFile, arrays: Arrays, count: int, most: int) -> NDArray[np.int64]:
    lengths = arrays["length"]
    if lengths.shape != (count,) or lengths.dtype.kind not in "iu" or lengths.min(initial=0) < 0:
        raise InputError(
            f"{source.path}: 'length' is {lengths.dtype} {lengths.shape}", f"it must be {count} counts of steps"
        )
    if lengths.max(initial=0) > most:  # before they are added up, which might go round
        name = "X" if "X" in arrays else "values"
        raise InputError(f"{source.path}: 'length' exceeds the {most} steps of {name!r}", "correct 'length'")
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


def _answers(source: SourceFile, arrays: Arrays, ids: tuple[str, ...], lengths: list[int], classes: Classes) -> Answers:
    """The answers of the series that are not empty."""
    given = [name for name in _ANSWERS if name in arrays]
    if len(given) > 1:
        raise InputError(f"{source.path} has both {given[0]!r} and {given[1]!r}", "keep the one with the right answers")
    if not given:
        return Answers("unlabelled", ())
    kept = [number for number, length in enumerate(lengths) if length]
    if given == ["y"]:
        numbers, names = _classes(source, arrays, ids, classes)
        return Answers("classification", names, labels=numbers[kept])
    if given == ["labels"]:
        matrix, names = _label_matrix(source, arrays, ids, classes)
        return Answers("multi-label", names, truths=tuple(matrix[kept]))
    pieces = _target_pieces(source, arrays, given[0], lengths)
    names, order = _ordered(source, arrays, given[0], pieces[0].shape[-1], classes)
    missing = given == ["step_targets"]
    truths = tuple(_numbers(source, given[0], pieces[number], ids[number], missing)[..., order] for number in kept)
    if missing:
        refuse_only_gaps(truths, str(source.path))
    return Answers("step-regression" if missing else "regression", names, truths=truths)


def _listed(arrays: Arrays) -> tuple[str, ...]:
    return tuple(str(name) for name in np.atleast_1d(arrays["class_names"]).tolist()) if "class_names" in arrays else ()


def _classes(
    source: SourceFile, arrays: Arrays, ids: tuple[str, ...], classes: Classes
) -> tuple[Ints, tuple[str, ...]]:
    y = arrays["y"]
    if y.shape != (len(ids),) or y.dtype.kind not in "iubU":
        raise InputError(
            f"{source.path}: 'y' is {y.dtype} {y.shape}",
            f"it must be {len(ids)} class numbers or class names (quantities are called 'targets')",
        )
    listed = _listed(arrays)
    if listed and y.dtype.kind in "iu" and (y.min() < 0 or y.max() >= len(listed)):
        wrong = int(np.argmax((y < 0) | (y >= len(listed))))
        raise InputError(
            f"{source.path}: {ids[wrong]} has class {y[wrong]}, 'class_names' has {len(listed)} names", "correct 'y'"
        )
    names = [listed[number] if listed and y.dtype.kind in "iu" else str(number) for number in y.tolist()]
    index = ClassIndex(classes or listed or sorted_classes(set(names)))
    numbers = [index.encode([name], f"{source.path}: {place}") for name, place in zip(names, ids, strict=True)]
    return np.concatenate(numbers), index.names


def _label_matrix(
    source: SourceFile, arrays: Arrays, ids: tuple[str, ...], classes: Classes
) -> tuple[Floats, tuple[str, ...]]:
    matrix = arrays["labels"]
    if matrix.shape[:-1] != (len(ids),) or not matrix.size or matrix.dtype.kind not in "iubf":
        raise InputError(
            f"{source.path}: 'labels' is {matrix.dtype} {matrix.shape}",
            f"it must be 0 or 1 of shape ({len(ids)}, K) (one class for each series is called 'y')",
        )
    wrong = np.argwhere((matrix != 0) & (matrix != 1))
    if len(wrong):
        number, column = wrong[0]
        raise InputError(
            f"{source.path}: {ids[number]} has {matrix[number, column]} in column {column} of 'labels'",
            "it must be 0 or 1",
        )
    names, order = _ordered(source, arrays, "labels", matrix.shape[1], classes)
    return matrix.astype(np.float32)[:, order], names


def _ordered(
    source: SourceFile, arrays: Arrays, answer: str, width: int, classes: Classes
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the columns in the model's order, and where these columns are in the file."""
    listed = _listed(arrays)
    if not listed:
        word = "label" if answer == "labels" else "target"
        return names_of(word, width, classes, str(source.path)), list(range(width))
    if len(listed) != width:
        raise InputError(
            f"{source.path}: {answer!r} has {width} columns, 'class_names' {len(listed)} names", "give each its name"
        )
    order = order_of(listed, classes, f"{source.path}: 'class_names'")
    return tuple(listed[number] for number in order), order


def _target_pieces(source: SourceFile, arrays: Arrays, name: str, lengths: list[int]) -> list[NDArray[Any]]:
    """Of each series, (K,) or (T, K)."""
    array = arrays[name]
    block = arrays["X"] if "X" in arrays else arrays["values"]
    shape = (len(lengths),) if name == "targets" else block.shape[:-1]
    if array.shape == shape:
        array = array[..., None]
    if array.shape[:-1] != shape or not array.shape[-1] or array.dtype.kind not in "biuf":
        sizes = ", ".join(map(str, shape))
        raise InputError(
            f"{source.path}: {name!r} is {array.dtype} {arrays[name].shape}",
            f"it must be real numbers of shape ({sizes}, K) or ({sizes}{',' * (len(shape) == 1)})",
        )
    if name == "targets":
        return list(array)
    if "X" in arrays:
        return [targets[:length] for targets, length in zip(array, lengths, strict=True)]
    return np.split(array, np.cumsum(lengths)[:-1])


def _numbers(source: SourceFile, name: str, targets: NDArray[Any], series: str, missing: bool) -> Floats:
    with np.errstate(over="ignore"):  # told just below
        numbers = targets.astype(np.float32)
    bad = np.argwhere(~(np.isfinite(numbers) | (missing & np.isnan(targets))))
    if len(bad):
        *step, column = bad[0]
        where = f"step {step[0]}, column {column}" if step else f"column {column}"
        raise InputError(
            f"{source.path}: {series} has a value in {name!r} that is not finite ({where})",
            "give numbers, or NaN where a step has none" if missing else "give numbers, or drop the series",
        )
    return numbers
