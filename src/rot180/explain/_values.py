"""The numbers that are given: random, from arrays, from a file."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from rot180.errors import ArgumentError, DataError, ShapeError
from rot180.explain._equations import Number, Position
from rot180.explain._tensors import Tensor

# Magnitude of the largest number that may be given.
MOST: Final = 1e9
# Bytes of the largest file that is read.
_MOST_BYTES: Final = 10**7
Numbers: TypeAlias = dict[Position, Number]


def random_numbers(tensor: Tensor, seed: int) -> Numbers:
    """Returns small integers; the same for a name and seed, whatever else is."""
    numbers = random.Random(f"{seed} {tensor.name}")  # noqa: S311 - nothing secret
    return {cell.at: numbers.randint(-4, 5) for cell in tensor.cells()}


def given_numbers(tensor: Tensor, array: Any) -> Numbers:
    """Returns the numbers of an array, of nested lists, or of a flat list.

    Raises:
        ShapeError: There are not as many as the tensor holds.
        ArgumentError: One is not a finite number.
    """
    shape, flat = _flat(array)
    if shape != (len(flat),) and _long(shape) != _long(tensor.shape):
        _refuse_shape(tensor, shape)
    if len(flat) != tensor.size:
        _refuse_shape(tensor, shape)
    for value in flat:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= MOST:
            raise ArgumentError(
                f"explain: {tensor.name} holds {str(value)[:40]!r}\n"
                f"  Pass finite numbers up to {MOST:g}."
            )
    return dict(zip((cell.at for cell in tensor.cells()), flat, strict=True))


def _refuse_shape(tensor: Tensor, shape: tuple[int, ...]) -> None:
    raise ShapeError(
        f"explain: {tensor.name} has shape {tensor.shape}, its values {shape}\n"
        f"  Pass {tensor.size} numbers, in that shape or in one row."
    )


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(extent for extent in shape if extent != 1)


def _flat(array: Any) -> tuple[tuple[int, ...], list[Any]]:
    """Returns shape and numbers of nested sequences, or of an array."""
    if hasattr(array, "tolist"):
        array = array.tolist()
    if not isinstance(array, list | tuple):
        return (), [array]
    rows = [_flat(row) for row in array]
    shapes = {shape for shape, _ in rows}
    if len(shapes) > 1:
        raise ShapeError(
            "explain: the rows of the values have different lengths\n"
            "  Pass a whole array."
        )
    inner = shapes.pop() if shapes else ()
    return (len(rows), *inner), [number for _, row in rows for number in row]


def parameters_of(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters that the shapes of `X` and `F` stand for.

    `X` is `(h, w)`, `(c, h, w)` or `(n, c, h, w)`, `F` is `(r, s)` or `(k, c, r, s)`;
    with one dimension less, `(w,)`, `(c, w)`, `(n, c, w)` and `(r,)`, `(k, c, r)`. A
    flat `X` of an image says nothing.
    """
    shapes = {name: _flat(arrays[name])[0] for name in "XF" if name in arrays}
    x, w = shapes.get("X", ()), shapes.get("F", ())
    rank = {1: 1, 3: 1}.get(len(w), 2) if w else {1: 1}.get(len(x), 2)
    found: dict[str, Any] = {}
    if x:
        found["input"] = x[-rank:]
        c = x[-rank - 1] if len(x) > rank else 1
        found["channels"] = (c, w[0] if len(w) > rank else c if c > 1 else 1)
        found["images"] = x[0] if len(x) > rank + 1 else 1
    if w:
        found["kernel"] = w[-rank:]
    return found


def read_file(path: Path) -> dict[str, Any]:
    """Returns the arrays of a `.npy` file, which is `X`, or of a `.npz` file, by name.

    Raises:
        DataError: The file cannot be read, or is too large.
    """
    import numpy as np

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"X": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"explain: {path} cannot be read: {error}\n"
            "  Pass a file written by numpy.save, which is X, or by numpy.savez with "
            "arrays named X, F, dO."
        ) from error
