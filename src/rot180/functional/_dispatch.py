"""The one place where a public function meets arrays or traced tensors."""

from typing import Any

import numpy as np

from rot180 import autograd, ops, runtime
from rot180.errors import ArgumentError


def run_or_trace(op: ops.Op, *inputs: Any) -> tuple[Any, ...]:
    """Returns the outputs of `op`: recorded if any input is traced, else computed."""
    if any(map(ops.is_traced, inputs)):
        return ops.apply_all(op, *inputs)
    arrays = [runtime.plain_array(value) for value in inputs]
    if isinstance(op, ops.Composite):
        outputs: tuple[Any, ...] = _run_composite(op, *arrays)
        return outputs
    return runtime.run(op, *arrays)


def one(op: ops.Op, *inputs: Any) -> Any:
    """Returns the output of `op`, which has exactly one."""
    (output,) = run_or_trace(op, *inputs)
    return output


def pointwise(fn: str, *operands: Any) -> Any:
    """Returns a formula of the table, Python numbers taking the others' dtype."""
    peer = next((v for v in operands if ops.is_traced(v)), None)
    if peer is None:
        peer = next((v for v in operands if hasattr(v, "dtype")), np.float64(0))
    return one(ops.Pointwise(fn), *(_like(fn, peer, v) for v in operands))


def _like(fn: str, peer: Any, value: Any) -> Any:
    """Returns Python numbers as a tensor or an array of the dtype of `peer`.

    Raises:
        ArgumentError: `value` is no number and holds none, or one too large.
    """
    if hasattr(value, "dtype"):
        return value
    kind = ops.type_of(peer)
    try:
        if ops.is_traced(peer) and kind.is_floating and np.isscalar(value):
            return ops.scalar_like(peer, _number(value))
        return np.asarray(_number(value), kind.dtype)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(
            f"{fn}: {value!r} is no {kind.dtype} number, nor an array of them\n"
            f"  Pass a number, or numpy.asarray(values, numpy.{kind.dtype})."
        ) from None


def _number(value: Any) -> Any:
    """A number as it is, lists of numbers as an array."""
    if isinstance(value, int | float):
        return value
    array = runtime.plain_array(value)
    if array.dtype.kind not in "fiub" or not array.size:
        raise TypeError
    return array


@autograd.jit
def _run_composite(op: ops.Op, *arrays: Any) -> tuple[Any, ...]:
    return ops.apply_all(op, *arrays)
