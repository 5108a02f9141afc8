"""Pointwise ops and copies on operands that lie somewhere, made a formula of places."""

from __future__ import annotations

from typing import Any

from rot180 import ops, schedules
from rot180.lower._operand import Operand
from rot180.ops import TensorType
from rot180.program import Buffer, Number
from rot180.schedules import CHOOSING, Pointwise, Step

Operands = tuple[Operand, ...]
Strides = tuple[int, ...]


def elementwise(
    name: str, fns: tuple[str, ...], inputs: Operands, out: Operand
) -> Pointwise:
    """A function of arrays that repeat along axes they lack, then of its result."""
    shape = out.type.shape
    rows = [_spread(operand, shape) for operand in inputs]
    steps = schedules.chained(fns, len(inputs))
    result = len(inputs) + len(steps) - 1
    return _formula(name, shape, (out,), inputs, [out.strides, *rows], steps, (result,))


def _formula(
    name: str,
    shape: tuple[int, ...],
    outs: Operands,
    inputs: Operands,
    rows: list[Strides],
    steps: tuple[Step, ...],
    results: tuple[int, ...],
) -> Pointwise:
    """Give a formula its buffers: axes in the first result's order, then merged.

    Args:
        rows: the strides of outputs and inputs along `shape`.
    """
    order = sorted(range(len(shape)), key=lambda axis: -abs(rows[0][axis]))
    shape = tuple(shape[axis] for axis in order)
    rows = [tuple(row[axis] for axis in order) for row in rows]
    merged, strides = _merge(shape, rows)
    sizes = (None, *merged[1:])
    buffers = tuple(
        Buffer(f"a{number}", operand.type.dtype, sizes, row, offset=operand.offset)
        for number, (operand, row) in enumerate(
            zip((*outs, *inputs), strides, strict=True)
        )
    )
    cut = len(outs)
    return Pointwise(name, buffers[:cut], buffers[cut:], steps, results)


def _spread(operand: Operand, shape: tuple[int, ...]) -> Strides:
    """Strides along `shape`, 0 where the operand repeats."""
    missing = len(shape) - len(operand.type.shape)
    own = (1,) * missing + operand.type.shape
    steps = (0,) * missing + operand.strides
    return tuple(
        0 if have == 1 and want != 1 else step
        for have, want, step in zip(own, shape, steps, strict=True)
    )


def _merge(
    shape: tuple[int, ...], rows: list[Strides]
) -> tuple[tuple[int, ...], list[Strides]]:
    """Merge neighbouring axes that every operand walks through in one step."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in rows]
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        here = [row[axis] for row in rows]
        joins = bool(sizes) and all(
            kept[-1] == step * extent for kept, step in zip(steps, here, strict=True)
        )
        if joins:
            sizes[-1] *= extent
            for kept, step in zip(steps, here, strict=True):
                kept[-1] = step
            continue
        sizes.append(extent)
        for kept, step in zip(steps, here, strict=True):
            kept.append(step)
    if not sizes:
        return (1,), [(1,) for _ in rows]
    return tuple(sizes), [tuple(kept) for kept in steps]


def pointwise(op: Any, inputs: Operands, outputs: Operands) -> Pointwise:
    """One formula of the table; one that only chooses settles what it has chosen."""
    fns: tuple[str, ...] = (op.fn,)
    if op.fn in CHOOSING and outputs[0].type.is_floating:
        fns = (op.fn, "settle")
    return elementwise(op.fn, fns, inputs, outputs[0])


def one_hot(op: Any, inputs: Operands, outputs: Operands) -> Pointwise:
    """Labels in a column beside the row of class numbers, which the caller adds."""
    labels, classes = inputs
    column = Operand(
        TensorType((*labels.type.shape, 1), labels.type.dtype), (*labels.strides, 1)
    )
    fns = ("equal", f"cast_{op.dtype}")
    return elementwise("one_hot", fns, (column, classes), outputs[0])


def flip(op: Any, inputs: Operands, outputs: Operands) -> Pointwise:
    """A copy from the last element backwards."""
    (x,) = inputs
    strides, offset = list(x.strides), 0
    for axis in op.axes:
        offset += (x.type.shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return elementwise(
        "flip", (), (Operand(x.type, tuple(strides), offset),), outputs[0]
    )


def copy(op: Any, inputs: Operands, outputs: Operands) -> Pointwise:
    """The elements as they are."""
    return elementwise("copy", (), inputs, outputs[0])


def fused(op: ops.Fused, inputs: Operands, outputs: Operands) -> Pointwise:
    """Several formulas at each place, each rounding as it does alone."""
    rows = [_along(out, _wide_axes(out), len(op.shape)) for out in outputs]
    rows += [
        _along(operand, axes, len(op.shape))
        for operand, axes in zip(inputs, op.reads, strict=True)
    ]
    steps, numbers = _settled(op)
    results = tuple(number for number, _ in op.results)
    results = tuple(_as_number(numbers[number]) for number in results)
    return _formula("fused", op.shape, outputs, inputs, rows, steps, results)


def _wide_axes(operand: Operand) -> tuple[int | None, ...]:
    """Each axis of extent above 1 goes along the next axis of the places."""
    count = iter(range(len(operand.type.shape)))
    return tuple(None if e == 1 else next(count) for e in operand.type.shape)


def _along(operand: Operand, axes: tuple[int | None, ...], rank: int) -> Strides:
    strides = [0] * rank
    for axis, stride in zip(axes, operand.strides, strict=True):
        if axis is not None:
            strides[axis] = stride
    return tuple(strides)


def _as_number(value: int | Number) -> int:
    assert isinstance(value, int)  # a result is computed
    return value


def _settled(op: ops.Fused) -> tuple[tuple[Step, ...], list[int | Number]]:
    """The steps, with "settle" where a result may be a denormal number.

    The processor flushes what it computes. What is chosen among flushed numbers is
    flushed already; what LLVM may take for a copy is not: a product with 1, a sum with
    0.

    Returns:
        the steps, and for each value of the op the value that it became.
    """
    steps: list[Step] = []
    values: list[int | Number] = list(range(len(op.reads)))
    flushed = [False] * len(values)
    for scalar in op.steps:
        if scalar.fn == ops.NUMBER:
            values.append(Number(scalar.value, op.dtype))
            flushed.append(True)
            continue
        operands = tuple(values[o] for o in scalar.operands)
        steps.append(Step(scalar.fn, operands))
        if not _is_flushed(scalar, operands, [flushed[o] for o in scalar.operands]):
            steps.append(Step("settle", (len(op.reads) + len(steps) - 1,)))
        values.append(len(op.reads) + len(steps) - 1)
        flushed.append(True)
    return tuple(steps), values


def _is_flushed(
    scalar: ops.Scalar, operands: tuple[int | Number, ...], flushed: list[bool]
) -> bool:
    """Whether no denormal number comes out."""
    literals = [isinstance(o, Number) for o in operands]
    if all(literals):
        return False  # LLVM computes it, without flushing
    if scalar.fn in CHOOSING:
        return all(flushed)
    copies = any(isinstance(o, Number) and abs(o.value) in (0, 1) for o in operands)
    return not copies or all(flushed)
