"""Run an op on arrays: bind, choose, compile once, call.

Kernels are remembered by what they depend on, which excludes the number of images; the
newest thousand or so stay, with a bounded number of calls over them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180 import ops, reference
from rot180.autograd._layout import Order, strides_of
from rot180.errors import CompileError
from rot180.ops import TensorType
from rot180.runtime import (
    Call,
    as_operand,
    fall_back,
    fork_safe_lock,
    is_compiling,
    kernel,
    on_change,
)

if TYPE_CHECKING:
    from rot180.lower import Operand
    from rot180.schedules import Bound

Array = np.ndarray[Any, Any]
_CALLS = 1024
_APART = 64
# What says that nothing can be compiled: LLVM fails or is missing.  A want of memory or
# of a file passes: it costs that call, and is raised.
_UNABLE = (CompileError, ImportError)


_lock = fork_safe_lock()
_calls: OrderedDict[Any, Call] = OrderedDict()
_generation = [0]


def _forget() -> None:
    with _lock:
        _calls.clear()
        _generation[0] += 1


on_change(_forget)


Orders = tuple[Order | None, ...]
Places = tuple[Array | None, ...]


def run(op: ops.Op, *arrays: Array) -> tuple[Array, ...]:
    """Compute an op.

    Args:
        op: what to compute.
        arrays: the op's inputs; any strides and byte order.

    Raises:
        ShapeError, DTypeError: the inputs do not fit the op.
    """
    return _run(op, arrays, (), ())


def _run(
    op: ops.Op, arrays: tuple[Array, ...], orders: Orders, places: Places
) -> tuple[Array, ...]:
    prepared = tuple(as_operand(array) for array in arrays)
    plain = _views(op, prepared)
    if plain is not None:
        return plain
    if op.checks_values:
        prepared = _with_classes(op, prepared)
    call = call_for(op, prepared, orders)
    if call is None:
        return _without_kernel(op, arrays)
    results = _results(call, orders, places)
    call.entry(*results, *prepared, call.count)
    return results


def _results(call: Call, orders: Orders, places: Places) -> tuple[Array, ...]:
    """The arrays given for the results, new ones where none is given."""
    if not places:
        return tuple([np.empty(shape, dtype) for shape, dtype in call.outputs])
    return tuple(
        [
            empty(shape, dtype, order) if place is None else place
            for (shape, dtype), order, place in zip(
                call.outputs, orders, places, strict=True
            )
        ]
    )


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], order: Order | None) -> Array:
    """A new array whose axes lie in memory in an order, None for row by row."""
    if order is None:
        return np.empty(shape, dtype)
    lying: Array = np.empty([shape[axis] for axis in order], dtype)
    return lying.transpose(np.argsort(order))


def _with_classes(op: ops.Op, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    if isinstance(op, ops.OneHot):
        return (*arrays, _classes(op.classes, arrays[0].dtype.char))
    return arrays


def run_placed(
    op: ops.Op, arrays: tuple[Array, ...], orders: Orders, places: Places
) -> tuple[tuple[Array, ...], Call | None]:
    """Compute an op as a program wants its results.

    Args:
        op: what to compute.
        arrays: the op's inputs.
        orders: for each result the order of its axes in memory, None for row by row.
        places: for each result an array that may take it, or None.

    Returns:
        the results, and the compiled call if it may be made again on arrays of the same
        types.
    """
    op.check_values(*arrays)
    results = _run(op, arrays, orders, places)
    call = None if op.checks_values else _calls.get(_call_key(op, arrays, orders))
    return results, call


def generation() -> int:
    """A number that changes when settings change and no call holds any more."""
    return _generation[0]


def call_for(op: ops.Op, arrays: tuple[Array, ...], orders: Orders = ()) -> Call | None:
    """The compiled call for arrays like these; None where no kernel applies."""
    key = _call_key(op, arrays, orders)
    call = _calls.get(key)
    if call is None:
        call = _make_call(op, arrays, orders)
        if call is not None:
            with _lock:
                _calls[key] = call
                if len(_calls) > _CALLS:
                    _calls.popitem(last=False)
    return call


def _call_key(op: ops.Op, arrays: tuple[Array, ...], orders: Orders) -> Any:
    laid = orders if any(orders) else ()
    return op, laid, tuple([(a.shape, a.strides, a.dtype) for a in arrays])


def _operand(array: Array) -> Operand:
    from rot180.lower import Operand  # what compiles is loaded when it is needed

    strides = tuple(s // array.itemsize for s in array.strides)
    return Operand(ops.type_of(array), strides)


def _make_call(op: ops.Op, arrays: tuple[Array, ...], orders: Orders) -> Call | None:
    from rot180.lower import Operand, bind

    operands = tuple(map(_operand, arrays))
    outputs = infer(op, *(operand.type for operand in operands))
    if not is_compiling() or is_empty(operands, outputs):
        return None
    laid = orders or (None,) * len(outputs)
    results = tuple(
        Operand(type_, strides_of(type_.shape, order, 1))
        for type_, order in zip(outputs, laid, strict=True)
    )
    bound = bind(op, operands, results)
    try:
        entry = kernel(bound)
    except _UNABLE as error:
        fall_back(error)
        return None
    if isinstance(op, ops.MaxPool) and any(map(any, op.window.padding)):
        entry = _preferring_inside(op, entry)
    shapes = tuple((t.shape, np.dtype(t.dtype)) for t in outputs)
    return Call(entry, shapes, _count(bound, operands, outputs), *shapes[0])


def _preferring_inside(
    op: ops.MaxPool, entry: Callable[..., None]
) -> Callable[..., None]:
    """The entry, whose index is inside `x` where nothing exceeds minus infinity.

    To the kernel what stands outside is minus infinity too, and may come first.
    """

    def call(y: Array, index: Array, x: Array, count: int) -> None:
        entry(y, index, x, count)
        lost = np.isneginf(y)
        if lost.any():
            np.copyto(index, _first_inside(op), where=lost)

    return call


def _first_inside(op: ops.MaxPool) -> Array:
    """The first tap inside `x` by position, 0 where there is none."""
    window, rank = op.window, op.window.rank
    number, some = np.zeros((1,) * rank, "int32"), np.ones((1,) * rank, bool)
    for dim, (extent, places) in enumerate(
        zip(op.input_size, op.output_size, strict=True)
    ):
        taps, step = window.kernel_size[dim], window.dilation[dim]
        starts = np.arange(places) * window.stride[dim] - window.padding[dim][0]
        tap = np.maximum(-(starts // step), 0)
        inside = (tap < taps) & (starts + tap * step < extent)
        column = [-1 if d == dim else 1 for d in range(rank)]
        number = number * taps + tap.reshape(column)
        some = some & inside.reshape(column)
    table = np.where(some, number, 0).astype("int32")
    return table[..., None] if op.layout == "channels_last" else table


def infer(op: ops.Op, *inputs: TensorType) -> tuple[TensorType, ...]:
    """The op's output types; `OneHot` has the class numbers as a second input here."""
    return op.infer(*inputs[:1]) if isinstance(op, ops.OneHot) else op.infer(*inputs)


def is_empty(operands: tuple[Operand, ...], outputs: tuple[TensorType, ...]) -> bool:
    """Whether an operand or an output has no elements, so that no kernel runs."""
    types = [*(o.type for o in operands), *outputs]
    return any(0 in t.shape for t in types)


def _count(
    bound: Bound, operands: tuple[Operand, ...], outputs: tuple[TensorType, ...]
) -> int:
    from rot180.program import Program
    from rot180.schedules import RowWise

    if isinstance(bound, Program):
        return operands[0].type.shape[0] if operands[0].type.shape else 1
    buffer = bound.source if isinstance(bound, RowWise) else bound.out
    total = math.prod(
        (operands[0].type if isinstance(bound, RowWise) else outputs[0]).shape
    )
    return total // math.prod(e for e in buffer.shape if e is not None)


# ---------------------------------------------------------------- without a kernel


def _views(op: ops.Op, arrays: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """Ops that move no numbers, or that only copy from a view of their input."""
    match op:
        case ops.Reshape(shape):
            return (_copied(arrays[0])[0].reshape(shape),)
        case ops.Identity() | ops.StopGradient():
            return (arrays[0],)
        case ops.Full(shape, dtype, value):
            return (np.full(shape, value, dtype),)
        case ops.Transpose(axes):
            return _copied(arrays[0].transpose(axes))
        case ops.Slice():
            return _copied(as_operand(arrays[0][op.index(arrays[0].shape)]))
        case ops.Unslice(part, shape):
            whole = np.zeros(shape, arrays[0].dtype)
            whole[part.index(shape)] = arrays[0]
            return (whole,)
        case ops.LogSoftmax() if not arrays[0].flags.c_contiguous:
            return run(op, *_copied(arrays[0]))
        case ops.Reduce(kind, axes):
            return _in_front(op, kind, axes, arrays[0])
    return None


def _in_front(
    op: ops.Op, kind: str, axes: tuple[int, ...], x: Array
) -> tuple[Array, ...] | None:
    """A reduction whose kept axes are neither all in front nor behind a reduced one."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    if not axes:
        return (x,)
    if kept == list(range(len(kept))) and kept and x.flags.c_contiguous:
        from rot180.lower import LONG  # what compiles is loaded when it is needed

        shape, length = x.shape[: len(kept)], math.prod(x.shape[len(kept) :])
        if kind == "sum" and length > LONG and x.size:
            return (_long_rows(x.reshape(-1, length)).reshape(shape),)
        return None
    if kind == "sum" and 0 not in kept:
        return None
    (moved,) = _copied(x.transpose(*kept, *axes))
    if not kept:
        (result,) = run(ops.Reduce(kind, (1,)), moved.reshape(1, -1))  # type: ignore[arg-type]
        return (result.reshape(()),)
    return run(ops.Reduce(kind, tuple(range(len(kept), x.ndim))), moved)  # type: ignore[arg-type]


def _long_rows(x: Array) -> Array:
    """The sum of each long row: of every 64th element first, in leaves and a tree."""
    rows, length = x.shape
    whole = length - length % _APART
    apart = x[:, :whole].reshape(rows, -1, _APART).transpose(1, 0, 2)
    (sums,) = run(ops.Reduce("sum", (0,)), apart)
    (total,) = run(ops.Reduce("sum", (1,)), np.hstack([sums, x[:, whole:]]))
    return total


def _copied(view: Array) -> tuple[Array, ...]:
    """A contiguous copy, made by a kernel."""
    if view.flags.c_contiguous:
        return (view,)
    call = call_for(ops.Identity(), (view,))
    if call is None:
        return (np.ascontiguousarray(view),)
    result = np.empty(view.shape, view.dtype)
    call.entry(result, view, call.count)
    return (result,)


@lru_cache(maxsize=64)
def _classes(count: int, char: str) -> Array:
    return np.arange(count, dtype=char)


def _without_kernel(op: ops.Op, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """Nothing to sum: zeros; no compiler: the reference."""
    types = op.infer(
        *(TensorType(a.shape, a.dtype.name) for a in map(np.asarray, arrays))
    )
    if all(0 in t.shape for t in types):
        return tuple(np.empty(t.shape, t.dtype) for t in types)
    operands = tuple(_operand(as_operand(array)) for array in arrays)
    if not is_compiling() or not is_empty(operands, types):
        return reference.evaluate(op, *arrays)
    return empty_sum(op, arrays, types)


def empty_sum(
    op: ops.Op, arrays: tuple[Array, ...], types: tuple[TensorType, ...]
) -> tuple[Array, ...]:
    """What an op gives when it has nothing to sum: zeros, and the bias.

    Raises:
        CompileError: the op is no sum.
    """
    results = tuple(np.zeros(t.shape, t.dtype) for t in types)
    match op:
        case ops.Conv(bias=True, layout=layout):
            shape = [1] * len(types[0].shape)
            shape[ops.channel_axis(layout, len(shape))] = -1
            results[0][...] = arrays[2].reshape(shape)
        case ops.MaxPool():
            if results[0].size:
                results[0][...] = -np.inf
        case ops.Pointwise() | ops.LogSoftmax():
            raise CompileError(f"{op} on {types} has elements but no operands")
    return results
