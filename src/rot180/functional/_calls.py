"""The short way from a public call to compiled code.

A call that looks like an earlier one - the same shapes, strides, dtypes and options -
finds its compiled entry in a dictionary and skips every check; that is most of what a
small convolution costs. Everything else goes the long way once.
"""

from __future__ import annotations

import operator
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np

from rot180 import autograd, ops, runtime
from rot180.errors import ArgumentError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
_MOST = 1024  # each keeps a kernel in memory, about 50 kB


T = TypeVar("T")


class Calls(dict[Hashable, T], Generic[T]):
    """Compiled calls by what they depend on; forgotten when a setting changes."""

    def __init__(self) -> None:
        super().__init__()
        runtime.on_change(self.clear)

    def remember(self, key: Hashable, call: T) -> None:
        """Keep a call; start afresh when there are too many."""
        if len(self) >= _MOST:
            self.clear()
        self[key] = call


def is_traced(*values: Any) -> bool:
    """Whether any value is being traced."""
    return any(map(ops.is_traced, values))


def type_of(op: str, name: str, value: Any) -> ops.TensorType:
    """The type of an operand of a public function.

    Raises:
        DTypeError: it has no numbers that the library computes with.
    """
    if ops.is_traced(value):
        type_: ops.TensorType = value.type
        return type_
    dtype = value.dtype.newbyteorder("=")
    if dtype.name not in ops.DTYPES:
        raise DTypeError(
            f"{op}: {name} has dtype {dtype.name}\n"
            f"  Convert it with {name}.astype(numpy.float32) or numpy.float64."
        )
    return ops.TensorType(value.shape, dtype.name)


def as_array(value: Any) -> Any:
    """The value itself if it is traced or an array, else the array of it."""
    return value if ops.is_traced(value) else runtime.plain_array(value)


def compute(
    op: ops.Op,
    inputs: tuple[Any, ...],
    *,
    batched: bool = True,
    calls: Calls[runtime.Call] | None = None,
    key: Hashable = None,
    out: Array | None = None,
) -> Any:
    """Trace an op, or run it and remember the way.

    Args:
        op: what to compute.
        inputs: with their image axis.
        batched: whether the result keeps its first axis.
        out: takes the result instead of a new array.
        calls: where to remember the compiled call, or None.
        key: by what to remember it.
    """
    if is_traced(*inputs):
        traced = ops.apply(op, *inputs)
        if batched:
            return traced
        return ops.apply(ops.Reshape(traced.type.shape[1:]), traced)
    prepared = tuple(runtime.as_operand(value) for value in inputs)
    call = autograd.call_for(op, prepared)
    if call is None:
        (result,) = autograd.run(op, *inputs)
        result = result if batched else result[0]
        if out is not None:
            out[...] = result
        return result if out is None else out
    if not batched:
        call = call.unbatched()
    as_given = all(a is b for a, b in zip(prepared, inputs, strict=True))
    if calls is not None and key is not None and as_given:
        calls.remember(key, call)
    return finish(call, prepared, out)


def finish(call: runtime.Call, inputs: tuple[Array, ...], out: Array | None) -> Array:
    """Run a compiled call into a new array or into `out`."""
    result = np.empty(call.shape, call.dtype) if out is None else out
    call.entry(result, *inputs, call.count)
    return result


def named_shape(op: str, operand: str, value: Any) -> tuple[int, ...]:
    """The shape that the argument `<operand>_shape` names.

    Raises:
        ArgumentError: it is not a sequence of ints; the operand itself is a slip.
    """
    shape = getattr(value, "shape", None)
    if shape is not None and not _is_vector_of_ints(value):
        raise ArgumentError(
            f"{op}: {operand}_shape is an array, not a shape\n"
            f"    the array has shape {shape}\n"
            f"  Pass {operand}.shape."
        )
    try:
        return tuple(map(operator.index, value))
    except TypeError:
        raise ArgumentError(
            f"{op}: {operand}_shape {value!r} is not a shape\n"
            "  Pass a tuple of extents, such as x.shape."
        ) from None


def _is_vector_of_ints(value: Any) -> bool:
    return (
        isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu"
    )


def add_axis(value: Any, batched: bool) -> Any:
    """Give a single image an image axis."""
    if batched:
        return value
    if ops.is_traced(value):
        return ops.apply(ops.Reshape((1, *value.type.shape)), value)
    return value[None]


def check_out(op: str, out: Array, result: ops.TensorType, *inputs: Array) -> None:
    """Refuse an `out` that cannot take the result.

    Raises:
        ShapeError: its shape differs.
        DTypeError: its dtype differs.
        ArgumentError: it overlaps an input, or cannot be written as it lies.
    """
    if not isinstance(out, np.ndarray):
        raise ArgumentError(
            f"{op}: out is no array but {type(out).__name__}\n"
            f"  Pass out=numpy.empty({result.shape}, numpy.{result.dtype})."
        )
    if out.shape != result.shape:
        raise ShapeError(
            f"{op}: out has shape {out.shape}, the result {result.shape}\n"
            f"  Pass out=numpy.empty({result.shape}, numpy.{result.dtype})."
        )
    if out.dtype != np.dtype(result.dtype):
        raise DTypeError(
            f"{op}: out has dtype {out.dtype}, the result {result.dtype}\n"
            f"  Pass out=numpy.empty({result.shape}, numpy.{result.dtype})."
        )
    if not (out.flags.c_contiguous and out.flags.writeable and out.flags.aligned):
        raise ArgumentError(
            f"{op}: out is not a contiguous array that can be written to\n"
            f"    strides {out.strides}, writeable: {out.flags.writeable}\n"
            f"  Pass out=numpy.empty({result.shape}, numpy.{result.dtype})."
        )
    if any(np.may_share_memory(out, value) for value in inputs):
        raise ArgumentError(
            f"{op}: out overlaps an operand\n"
            "  The result would be written over what is still to be read; pass an array"
            " of its own."
        )
