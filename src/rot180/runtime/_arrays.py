"""What a caller's value is as an operand."""

from __future__ import annotations

from typing import Any

import numpy as np

from rot180.errors import ArgumentError

Array = np.ndarray[Any, Any]


def plain_array(value: Any) -> Array:
    """The value as an array of NumPy's own class, whose strides are its memory's.

    Raises:
        ArgumentError: It is a masked array, which would lose its mask, or makes none.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(
            f"a masked array of shape {value.shape} is no operand: its mask has no "
            "meaning here\n  Fill it first, for example array.filled(0)."
        )
    try:
        array: Array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"a {type(value).__name__} makes no array: {error}\n"
            "  Pass an array, or lists of numbers of equal lengths."
        ) from error
    return array


def as_operand(value: Any) -> Array:
    """The array itself, or a copy that kernels can address; they need no alignment."""
    array = plain_array(value)
    if not array.dtype.isnative:
        return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    if array.flags.c_contiguous or _is_addressable(array):
        return array
    return np.ascontiguousarray(array)


def _is_addressable(array: Array) -> bool:
    """Whether strides are whole elements, and no two places are the same memory."""
    size = array.itemsize
    covered = size
    for stride, extent in sorted(zip(array.strides, array.shape, strict=True)):
        if stride <= 0 or stride % size or (extent > 1 and stride < covered):
            return False
        covered = max(covered, stride * extent)
    return True
