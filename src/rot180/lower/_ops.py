"""From an op and the arrays' places in memory to what is scheduled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rot180 import ops
from rot180.errors import InternalError
from rot180.lower._contraction import plain
from rot180.lower._elementwise import copy, flip, fused, one_hot, pointwise
from rot180.lower._operand import Operand
from rot180.notation import contraction as parse
from rot180.program import (
    Access,
    Affine,
    Apply,
    Buffer,
    Expression,
    Load,
    Number,
    Position,
    Program,
)
from rot180.schedules import Bound, RowWise


def bind(
    op: ops.Op, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Bound:
    """What computes `op` on operands that lie like this.

    Raises:
        InternalError: no kernel computes this op.
    """
    make = _BINDERS.get(type(op))
    if make is None:
        raise InternalError(f"no kernel computes {op}")
    return make(op, inputs, outputs)


# ---------------------------------------------------------------- sliding sums


def _conv(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Program:
    names = (op.out, *ops.ROLES[op.out])
    operands = dict(zip(names, (outputs[0], *inputs[:2]), strict=True))
    groups = op.window.groups
    buffers = {name: _conv_view(op, name, operands[name]) for name in names}
    buffers |= {f"d{name}": buffer for name, buffer in buffers.items()}
    rank = op.window.rank
    sizes = dict(zip(ops.positions(rank), op.output_size, strict=True))
    sizes |= dict(zip(ops.taps(rank), op.window.kernel_size, strict=True))
    k, c = _channels(op, operands)
    sizes |= {"g": groups} if groups > 1 else {}
    sizes |= {"k": k, "c": c}
    order: tuple[str, ...] = names
    bias = None
    if op.bias:
        bias = Buffer("b", inputs[2].type.dtype, (k,), inputs[2].strides)
        if groups > 1:
            step = inputs[2].strides[0]
            bias = Buffer("b", bias.dtype, (groups, k), (k * step, step))
        order = (*names, "b")
    return plain(f"conv_{op.out}", op.contraction, buffers, sizes, order, bias=bias)


def _channels(op: Any, operands: Mapping[str, Operand]) -> tuple[int, int]:
    """Extents of k and c in one group."""
    shape = operands["w"].type.shape
    k_axis, c_axis, _ = ops.filter_axes(op.layout, len(shape))
    return shape[k_axis] // op.window.groups, shape[c_axis]


def _conv_view(op: Any, name: str, operand: Operand) -> Buffer:
    """An operand with its channel axis split into groups, the image axis unknown."""
    shape: list[int | None] = list(operand.type.shape)
    strides = list(operand.strides)
    groups = op.window.groups
    if name == "w":
        axis, split = ops.filter_axes(op.layout, len(shape))[0], groups > 1
    else:
        axis, split = ops.channel_axis(op.layout, len(shape)), groups > 1
        shape[0] = None
    if split:
        extent = shape[axis]
        assert extent is not None
        inner = extent // groups
        shape[axis : axis + 1] = [groups, inner]
        strides[axis : axis + 1] = [strides[axis] * inner, strides[axis]]
    return Buffer(name, operand.type.dtype, tuple(shape), tuple(strides))


def _image_view(name: str, operand: Operand) -> Buffer:
    shape = (None, *operand.type.shape[1:])
    return Buffer(name, operand.type.dtype, shape, operand.strides)


def _window_sizes(op: Any, operand: Operand) -> dict[str, int]:
    rank = op.window.rank
    sizes = dict(zip(ops.positions(rank), op.output_size, strict=True))
    sizes |= dict(zip(ops.taps(rank), op.window.kernel_size, strict=True))
    axis = ops.channel_axis(op.layout, rank + 2)
    return sizes | {"c": operand.type.shape[axis]}


def _window_sum(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Program:
    other = "x" if op.out == "y" else "y"
    buffers = {
        op.out: _image_view(op.out, outputs[0]),
        other: _image_view(other, inputs[0]),
    }
    buffers |= {f"d{name}": buffer for name, buffer in buffers.items()}
    sizes = _window_sizes(op, inputs[0])
    order = (op.out, other)
    return plain("window_sum", op.contraction, buffers, sizes, order)


def _max_pool(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Program:
    buffers = {"x": _image_view("x", inputs[0]), "y": _image_view("y", outputs[0])}
    where = _image_view("where", outputs[1])

    def value(
        factors: tuple[Access, ...], places: Mapping[str, Affine]
    ) -> tuple[Expression, ...]:
        return Load(factors[0]), Position(_tap(op, places))

    return plain(
        "max_pool",
        op.contraction,
        buffers,
        _window_sizes(op, inputs[0]),
        ("y", "where", "x"),
        value=value,
        second=where,
        kind="argmax",
    )


def _max_select(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Program:
    """The adjoint of a window's sum, of which only the chosen tap counts."""
    total = ops.WindowSum(op.window, op.layout, op.out, op.input_size)
    other = "x" if op.out == "y" else "y"
    buffers = {
        op.out: _image_view(op.out, outputs[0]),
        other: _image_view(other, inputs[0]),
    }
    buffers |= {f"d{name}": buffer for name, buffer in buffers.items()}
    where = _image_view("where", inputs[1])
    small = "dy" if op.out == "x" else "y"

    def value(
        factors: tuple[Access, ...], places: Mapping[str, Affine]
    ) -> tuple[Expression, ...]:
        (factor,) = factors
        axes = factor.axes if small == "dy" else _out_axes(total, places)
        chosen = Access(where, axes, factor.check, -1.0)
        dtype = factor.buffer.dtype
        here = Apply(
            "cast_" + dtype,
            (Apply("equal", (Load(chosen), Position(_tap(op, places)))),),
        )
        return (Apply("where", (here, Load(factor), Number(0.0, dtype))),)

    return plain(
        "max_select",
        total.contraction,
        buffers,
        _window_sizes(op, inputs[0]),
        (op.out, other, "where"),
        value=value,
    )


def _out_axes(op: Any, places: Mapping[str, Affine]) -> tuple[Affine, ...]:
    return tuple(Affine(((axis.terms[0][0], 1),)) for axis in op.contraction.out.axes)


def _tap(op: Any, places: Mapping[str, Affine]) -> Affine:
    """The number of a tap in row-major order."""
    total = Affine()
    letters = ops.taps(op.window.rank)
    for letter, size in zip(letters, op.window.kernel_size, strict=True):
        total = total * size + places[letter]
    return total


def _channel_sum(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Program:
    shape = inputs[0].type.shape
    axis = ops.channel_axis(op.layout, len(shape))
    return _leading_sum("channel_sum", inputs[0], outputs[0], (axis,))


def _leading_sum(
    name: str, source: Operand, out: Operand, kept: tuple[int, ...]
) -> Program:
    """A sum over the first axis and others; with nothing kept, a lane of extent 1."""
    rank = len(source.type.shape)
    letters = ["n", *(f"i{axis}" for axis in range(1, rank))]
    names = [letters[axis] for axis in kept] or ["unit"]
    buffers = {"x": _image_view("x", source)}
    shape, strides = out.type.shape or (1,), out.strides or (1,)
    buffers["y"] = Buffer("y", out.type.dtype, shape, strides)
    text = f"y[{', '.join(names)}] += x[{', '.join(letters)}] for {', '.join(names)}"
    sizes = {letters[a]: source.type.shape[a] for a in range(1, rank)} | (
        {} if kept else {"unit": 1}
    )
    return plain(name, parse(text), buffers, sizes, ("y", "x"))


# ---------------------------------------------------------------- rows


def _reduce(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> Program | RowWise:
    (source,) = inputs
    rank = len(source.type.shape)
    kept = tuple(axis for axis in range(rank) if axis not in op.axes)
    trailing = kept == tuple(range(len(kept))) and kept
    if trailing:
        return _rows(op.kind, op.kind, source, outputs[0], len(kept))
    if op.kind != "sum" or 0 in kept:
        raise InternalError(f"{op} needs its kept axes in front")
    return _leading_sum("reduce", source, outputs[0], kept)


def _rows(name: str, fn: str, source: Operand, out: Operand, kept: int) -> RowWise:
    width = math.prod(source.type.shape[kept:])
    x = Buffer("x", source.type.dtype, (None, width), (width, 1))
    y = Buffer("y", out.type.dtype, (None,), (1,))
    if out.type.shape == source.type.shape:
        y = Buffer("y", out.type.dtype, x.shape, x.strides)
    return RowWise(name, y, x, fn)


def _log_softmax(
    op: Any, inputs: tuple[Operand, ...], outputs: tuple[Operand, ...]
) -> RowWise:
    kept = len(inputs[0].type.shape) - 1
    return _rows("log_softmax", "log_softmax", inputs[0], outputs[0], kept)


_BINDERS: dict[type[ops.Op], Callable[..., Bound]] = {
    ops.Conv: _conv,
    ops.WindowSum: _window_sum,
    ops.MaxPool: _max_pool,
    ops.MaxSelect: _max_select,
    ops.ChannelSum: _channel_sum,
    ops.Pointwise: pointwise,
    ops.Reduce: _reduce,
    ops.LogSoftmax: _log_softmax,
    ops.OneHot: one_hot,
    ops.Flip: flip,
    ops.Broadcast: copy,
    ops.Fused: fused,
    ops.Identity: copy,
}
