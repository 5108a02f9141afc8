"""The numbers that are given: random, from arrays, from a file."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias
from zipfile import ZipFile, is_zipfile

from rot180.errors import ArgumentError, DataError, ShapeError
from rot180.explain._equations import Number, Position
from rot180.explain._tensors import Tensor

# Magnitude of the largest number that may be given.
MOST: Final = 1e9
_SMALL: Final = (-4, -3, -2, -1, 1, 2, 3, 4, 5)
# Bytes of the largest file that is read: of more numbers than are ever explained.
_MOST_BYTES: Final = 10**6
Numbers: TypeAlias = dict[Position, Number]


def random_numbers(tensor: Tensor, seed: int) -> Numbers:
    """Returns small integers; the same for a name and seed, whatever else is.

    None is 0, at which ReLU has no derivative.
    """
    numbers = random.Random(f"{tensor.name}, {seed}")  # noqa: S311 - nothing secret
    return {cell.at: numbers.choice(_SMALL) for cell in tensor.cells()}


def given_numbers(tensor: Tensor, array: Any) -> Numbers:
    """Returns the numbers of an array, of nested lists, or of a flat list.

    Raises:
        ShapeError: There are not as many as the tensor holds.
        ArgumentError: One is not a finite number.
    """
    shape = _shape(array)
    is_row = len(shape) == 1
    if math.prod(shape) != tensor.size or not (
        is_row or _long(shape) == _long(tensor.shape)
    ):
        _refuse_shape(tensor, shape)
    _, flat = _flat(array)
    for value in flat:
        if not isinstance(value, int | float) or not abs(value) <= MOST:
            raise ArgumentError(
                f"explain: {tensor.name} holds {str(value)[:40]!r}\n"
                f"  Pass finite numbers up to {MOST:g}."
            )
    plain = (int(value) if isinstance(value, bool) else value for value in flat)
    return dict(zip((cell.at for cell in tensor.cells()), plain, strict=True))


def _refuse_shape(tensor: Tensor, shape: tuple[int, ...]) -> None:
    raise ShapeError(
        f"explain: {tensor.name} has shape {tensor.shape}, its values {shape}\n"
        f"  Pass {tensor.size} numbers, in that shape or in one row."
    )


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(extent for extent in shape if extent != 1)


def _shape(array: Any) -> tuple[int, ...]:
    """Returns the shape of an array, which may be large, or of nested sequences."""
    return tuple(array.shape) if hasattr(array, "shape") else _flat(array)[0]


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


def parameters_of(
    arrays: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the parameters that the shapes of `X` and `F` stand for.

    `X` is `(h, w)`, `(c, h, w)` or `(n, c, h, w)`, `F` is `(r, s)` or `(k, c, r, s)`,
    transposed `(c, k, r, s)`; with one dimension less, `(w,)`, `(c, w)`, `(n, c, w)`
    and `(r,)`, `(k, c, r)`. Channels that stand last are where the layout has them.
    What has fewer dimensions than that, such as one row for an image, says nothing.

    Args:
        arrays: The given numbers, by tensor.
        known: The parameters that are given besides.
    """
    shapes = {name: _shape(arrays[name]) for name in "XF" if name in arrays}
    if known.get("layout") == "channels_last":
        shapes = {name: _channels_first(name, shape) for name, shape in shapes.items()}
    x, w = shapes.get("X", ()), shapes.get("F", ())
    rank = _rank(x, w, known.get("input"))
    found: dict[str, Any] = {}
    channels: list[int | None] = [None, None]
    if len(x) >= rank:
        found["input"] = x[-rank:]
        channels[0] = x[-rank - 1] if len(x) > rank else 1
        found["images"] = x[0] if len(x) > rank + 1 else 1
    if len(w) >= rank:
        found["kernel"] = w[-rank:]
    if len(w) == rank + 2:
        lead, inner = w[0], w[1] * known.get("groups", 1)
        pair = (lead, inner) if known["layer"] == "conv_transpose" else (inner, lead)
        channels = [channels[0] or pair[0], pair[1]]
    if channels[0] is not None:
        found["channels"] = (channels[0], channels[1] or channels[0])
    return found


def _channels_first(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns a shape whose channels stood last, with them first."""
    if name == "F":
        return (*shape[:-3:-1], *shape[:-2]) if len(shape) > 2 else shape
    lead, size = (shape[:1], shape[1:-1]) if len(shape) > 3 else ((), shape[:-1])
    return (*lead, *shape[-1:], *size) if len(shape) > 2 else shape


def _rank(x: Sequence[int], w: Sequence[int], size: Any) -> int:
    """How many dimensions an image has: as told, or as the filter says, or `X`."""
    if size is not None:
        return len(size) if isinstance(size, tuple) else 1
    return {1: 1, 3: 1}.get(len(w), 2) if w else {1: 1}.get(len(x), 2)


def read_file(path: Path) -> dict[str, Any]:
    """Returns the arrays of a `.npy` file, which is `X`, or of a `.npz` file, by name.

    Raises:
        DataError: The file cannot be read, is too large, or holds no real numbers.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise OSError("it is no regular file")  # a pipe may never answer
        if _size(path) > _MOST_BYTES:
            raise OSError(f"it has more than {_MOST_BYTES:,} bytes")
        with path.open("rb") as file:
            arrays = _arrays(file)
    except OSError as error:
        _refuse_file(path, f"cannot be read: {error.strerror or error}", error)
    except Exception as error:  # whatever NumPy or zipfile make of it, it is the file
        _refuse_file(path, "is no file of NumPy's", error)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            _refuse_file(path, f"holds {name} of dtype {array.dtype}, no numbers")
    return arrays


def _arrays(file: Any) -> dict[str, Any]:
    import numpy as np

    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return {"X": _widened(loaded)}
    return {name: _widened(loaded[name]) for name in loaded.files}


def _widened(array: Any) -> Any:
    """bfloat16, stored as two bytes without a meaning, as the float32 it is half of."""
    if array.dtype.str[1:] != "V2" or array.dtype.names:
        return array
    return (array.view("<u2").astype("u4") << 16).view("f4")


def _size(path: Path) -> int:
    """Returns how many bytes a file holds, unpacked where it is a ZIP file."""
    size = path.stat().st_size
    if size > _MOST_BYTES or not is_zipfile(path):
        return size
    with ZipFile(path) as packed:
        return sum(member.file_size for member in packed.infolist())


def _refuse_file(path: Path, why: str, cause: Exception | None = None) -> NoReturn:
    raise DataError(
        f"explain: {path} {why}\n"
        "  Pass a file written by numpy.save, which is X, or by numpy.savez with "
        "arrays named X, F, dO."
    ) from cause
