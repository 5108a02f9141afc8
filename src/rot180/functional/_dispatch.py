"""The one place where a public function meets arrays or traced tensors."""

from typing import Any

import numpy as np

from rot180 import autograd, ops, runtime
from rot180.functional._calls import as_array


def run_or_trace(op: ops.Op, *inputs: Any) -> tuple[Any, ...]:
    """Returns the outputs of `op`: recorded if any input is traced, else computed."""
    if any(map(ops.is_traced, inputs)):
        return ops.apply_all(op, *inputs)
    arrays = [runtime.plain_array(value) for value in inputs]
    if op.is_composite:
        outputs: tuple[Any, ...] = _run_composite(op, *arrays)
        return outputs
    return autograd.run(op, *arrays)


def one(op: ops.Op, *inputs: Any) -> Any:
    """Returns the output of `op`, which has exactly one."""
    (output,) = run_or_trace(op, *inputs)
    return output


def pointwise(fn: str, *operands: Any) -> Any:
    """Returns a formula of the table, Python numbers taking the others' dtype."""
    return one(ops.Pointwise(fn), *alike(*operands))


def alike(*operands: Any) -> tuple[Any, ...]:
    """Returns operands of which Python numbers and lists have the others' dtype.

    Raises:
        ArgumentError: One is neither an array nor numbers.
        DTypeError: The others' dtype cannot hold a number.
    """
    known = [as_array(v) if hasattr(v, "dtype") else v for v in operands]
    peer = next((v for v in known if ops.is_traced(v)), None)
    if peer is None:
        peer = next((v for v in known if hasattr(v, "dtype")), np.zeros(()))
    return tuple(_like(peer, v) for v in known)


def _like(peer: Any, value: Any) -> Any:
    if hasattr(value, "dtype"):
        return value
    kind = ops.type_of(peer)
    if ops.is_traced(peer) and kind.is_floating and isinstance(value, int | float):
        return ops.scalar_like(peer, value)
    for number in as_array(value).ravel().tolist():
        ops.check_number(number, kind.dtype)
    return np.asarray(value, kind.dtype)


@autograd.jit
def _run_composite(op: ops.Op, *arrays: Any) -> tuple[Any, ...]:
    return ops.apply_all(op, *arrays)
