"""The meaning of every operation in NumPy: plain loops over taps, never optimised.

Nothing here uses the adjoint, the rewriting to gather or the kernels, so that it can
judge them. A tap of a window pairs a slice of the input with a slice of the output;
every sliding operation is a loop over taps with one line inside.

What stands outside an operand of a convolution is a zero that is multiplied: with a NaN
or an infinity as the other factor it gives NaN. The forward pass and the gradient of
the weights read zeros around `x`, that of the input zeros around `dy`: there a tap
reaches all positions of `dx` that it could reach from anywhere. Of an operand without
positions nothing is multiplied.

A denormal number is a zero, as operand and as result; between the two, as in the sum of
a window, it is what it is in NumPy.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from rot180.errors import InternalError
from rot180.ops import (
    NUMBER,
    BatchNorm,
    Broadcast,
    ChannelSum,
    Conv,
    Flip,
    Full,
    Fused,
    Identity,
    Layout,
    LogSoftmax,
    MaxPool,
    MaxSelect,
    OneHot,
    Op,
    Pointwise,
    Reduce,
    Reshape,
    Slice,
    StopGradient,
    TensorType,
    Transpose,
    Unslice,
    Window,
    WindowSum,
    type_of,
)

__all__ = ["evaluate"]

Array = NDArray[Any]
Index = tuple[Any, ...]


def evaluate(op: Op, *arrays: Any) -> tuple[Array, ...]:
    """Returns the outputs of `op` on arrays, as new contiguous arrays.

    Exact where the arithmetic is, as on small integers held in floats.

    Args:
        op: Any operation of `rot180.ops`.
        *arrays: Its inputs, of any strides and byte order.

    Raises:
        ShapeError: The shapes do not fit.
        DTypeError: The dtypes do not fit.
    """
    inputs = [_native(array) for array in arrays]
    types = op.infer(*(type_of(array) for array in inputs))
    settled = (lambda a: a) if isinstance(op, _MOVING) else _settled
    with np.errstate(all="ignore"):
        outputs = _meaning(op, *map(settled, inputs))
    results = []
    for output, expected in zip(outputs, types, strict=True):
        result = settled(np.array(output, dtype=expected.dtype, order="C"))
        if result.shape != expected.shape:
            raise InternalError(
                f"reference: {op} gave shape {result.shape}, expected {expected.shape}"
            )
        results.append(result)
    return tuple(results)


def _native(array: Any) -> Array:
    values = np.asarray(array)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


# What only moves numbers, denormal or not.
_MOVING: Final = (
    Broadcast, Flip, Full, Identity, Reshape, Slice, StopGradient, Transpose, Unslice
)  # fmt: skip


def _settled(values: Array) -> Array:
    """Returns the values, but a zero of its sign for each denormal number."""
    if values.dtype.kind != "f":
        return values
    small = np.abs(values) < np.finfo(values.dtype).tiny
    return np.where(small, np.copysign(0, values), values) if small.any() else values


@singledispatch
def _meaning(op: Op, *inputs: Array) -> tuple[Array, ...]:
    raise InternalError(f"reference: no meaning is written for {type(op).__name__}")


def _taps(
    window: Window, input_size: tuple[int, ...], output_size: tuple[int, ...]
) -> Iterator[tuple[int, tuple[int, ...], Index, Index]]:
    """Yields each tap's number and position, and where it pairs input with output.

    A tap r pairs output position p with input position p*stride + r*dilation - pad, for
    those p whose input position exists. The slices index the last axes; they are empty
    for a tap that pairs nothing.
    """
    if 0 in input_size or 0 in output_size:
        return
    taps = itertools.product(*(range(k) for k in window.kernel_size))
    for number, tap in enumerate(taps):
        pairs = [
            _paired(extent, count, step, r * dilation - low)
            for extent, count, step, r, dilation, (low, _) in zip(
                input_size,
                output_size,
                window.stride,
                tap,
                window.dilation,
                window.padding,
                strict=True,
            )
        ]
        yield number, tap, (..., *(x for x, _ in pairs)), (..., *(y for _, y in pairs))


def _paired(extent: int, count: int, step: int, offset: int) -> tuple[slice, slice]:
    """Returns the input and output slices with input = output*step + offset."""
    inside = range(count)[max(-(offset // step), 0) :]
    inside = inside[: max((extent - 1 - offset) // step + 1 - inside.start, 0)]
    if not inside:
        return slice(0, 0), slice(0, 0)
    first, last = inside[0], inside[-1]
    start, stop = first * step + offset, last * step + offset + 1
    return slice(start, stop, step), slice(first, last + 1)


def _with_zeros(op: Conv, images: Array, around: Literal["x", "y"]) -> Array:
    """Returns images with the zeros around them that a pass over the other side reads.

    They cover the positions p*stride + r*dilation - pad of `x` for all p and r, or the
    positions p of `y` for all of these that lie inside `x`.
    """
    widths = []
    for extent, count, step, span, (low, _) in _dimensions(op):
        first, last = -low, (count - 1) * step + span - 1 - low
        if around == "y":
            first, last, extent = (
                (low - span + 1) // step,
                (extent - 1 + low) // step,
                count,
            )
        widths.append((max(-first, 0), max(last - extent + 1, 0)))
    around_all = [(0, 0)] * (images.ndim - len(widths)) + widths
    shape = (n + a + b for n, (a, b) in zip(images.shape, around_all, strict=True))
    TensorType(tuple(shape), images.dtype.name)  # or it is too large, in our words
    return np.pad(images, around_all)


def _dimensions(op: Conv) -> Iterator[tuple[int, int, int, int, tuple[int, int]]]:
    """Yields each dimension's input and output extent, stride, span and padding."""
    window = op.window
    yield from zip(
        op.input_size,
        op.output_size,
        window.stride,
        window.span,
        window.padding,
        strict=True,
    )


def _conv_taps(
    op: Conv, around: Literal["x", "y"]
) -> Iterator[tuple[tuple[int, ...], Index, Index]]:
    """Yields each tap, and where it pairs `x` with `y`, one of them with its zeros."""
    if 0 in op.input_size or 0 in op.output_size:
        return
    pair = _from_outputs if around == "x" else _from_inputs
    for tap in itertools.product(*(range(k) for k in op.window.kernel_size)):
        pairs = [
            pair(extent, count, step, span, low, r * dilation)
            for (extent, count, step, span, (low, _)), r, dilation in zip(
                _dimensions(op), tap, op.window.dilation, strict=True
            )
        ]
        yield tap, (..., *(x for x, _ in pairs)), (..., *(y for _, y in pairs))


def _from_outputs(
    extent: int, count: int, step: int, span: int, low: int, at: int
) -> tuple[slice, slice]:
    """Pairs every output with an input, which may be a zero around it."""
    start = at - low + max(low, 0)
    return slice(start, start + (count - 1) * step + 1, step), slice(None)


def _from_inputs(
    extent: int, count: int, step: int, span: int, low: int, at: int
) -> tuple[slice, slice]:
    """Pairs every input that the tap can reach with an output, or a zero around it."""
    first = (at - low) % step
    start = (first + low - at) // step + max(-((low - span + 1) // step), 0)
    places = len(range(first, extent, step))
    return slice(first, None, step), slice(start, start + places)


def _grouped_image(layout: Layout, groups: int, image: Array) -> Array:
    """Returns images as (n, g, channels of a group, *positions)."""
    if layout == "channels_last":
        image = np.moveaxis(image, -1, 1)
    n, c, *size = image.shape
    return image.reshape(n, groups, c // groups, *size)


def _plain_image(layout: Layout, image: Array) -> Array:
    """Returns grouped images in their layout, the inverse of `_grouped_image`."""
    n, g, c, *size = image.shape
    image = image.reshape(n, g * c, *size)
    return np.moveaxis(image, 1, -1) if layout == "channels_last" else image


def _grouped_filter(layout: Layout, groups: int, w: Array) -> Array:
    """Returns a filter as (g, output channels of a group, input channels, *taps)."""
    if layout == "channels_last":
        w = np.moveaxis(w, (-1, -2), (0, 1))
    k, c, *kernel = w.shape
    return w.reshape(groups, k // groups, c, *kernel)


def _plain_filter(layout: Layout, w: Array) -> Array:
    """Returns a grouped filter in its layout, the inverse of `_grouped_filter`."""
    g, k, c, *kernel = w.shape
    w = w.reshape(g * k, c, *kernel)
    return np.moveaxis(w, (0, 1), (-1, -2)) if layout == "channels_last" else w


def _read_at(window: Window, tap: tuple[int, ...]) -> Index:
    """Returns where the filter holds a tap: backwards if the window flips."""
    if not window.flip:
        return (..., *tap)
    return (..., *(k - 1 - r for k, r in zip(window.kernel_size, tap, strict=True)))


@_meaning.register
def _conv(op: Conv, *inputs: Array) -> tuple[Array, ...]:
    passes: dict[str, Callable[..., Array]] = {
        "y": _conv_forward,
        "x": _conv_input_grad,
        "w": _conv_weight_grad,
    }
    return (passes[op.out](op, *inputs),)


def _conv_forward(op: Conv, x: Array, w: Array, b: Array | None = None) -> Array:
    window, layout = op.window, op.layout
    xs = _grouped_image(layout, window.groups, x)
    ws = _grouped_filter(layout, window.groups, w)
    ys = np.zeros((*xs.shape[:2], ws.shape[1], *op.output_size), x.dtype)
    xs = _with_zeros(op, xs, "x")
    for tap, x_at, y_at in _conv_taps(op, "x"):
        values = ws[_read_at(window, tap)]
        ys[y_at] += np.einsum("ngc...,gkc->ngk...", xs[x_at], values)
    if b is not None:
        ys += b.reshape(1, window.groups, -1, *(1 for _ in op.output_size))
    return _plain_image(layout, ys)


def _conv_input_grad(op: Conv, dy: Array, w: Array) -> Array:
    window, layout = op.window, op.layout
    dys = _grouped_image(layout, window.groups, dy)
    ws = _grouped_filter(layout, window.groups, w)
    dxs = np.zeros((*dys.shape[:2], ws.shape[2], *op.input_size), dy.dtype)
    dys = _with_zeros(op, dys, "y")
    for tap, x_at, y_at in _conv_taps(op, "y"):
        values = ws[_read_at(window, tap)]
        dxs[x_at] += np.einsum("ngk...,gkc->ngc...", dys[y_at], values)
    return _plain_image(layout, dxs)


def _conv_weight_grad(op: Conv, dy: Array, x: Array) -> Array:
    window, layout = op.window, op.layout
    dys = _grouped_image(layout, window.groups, dy)
    xs = _grouped_image(layout, window.groups, x)
    dws = np.zeros(
        (window.groups, dys.shape[2], xs.shape[2], *window.kernel_size), x.dtype
    )
    at = string.ascii_uppercase[: window.rank]
    xs = _with_zeros(op, xs, "x")
    for tap, x_at, y_at in _conv_taps(op, "x"):
        dws[_read_at(window, tap)] = np.einsum(
            f"ngk{at},ngc{at}->gkc", dys[y_at], xs[x_at]
        )
    return _plain_filter(layout, dws)


@_meaning.register
def _channel_sum(op: ChannelSum, dy: Array) -> tuple[Array, ...]:
    channels = 1 if op.layout == "channels_first" else dy.ndim - 1
    axes = tuple(axis for axis in range(dy.ndim) if axis != channels)
    return (dy.sum(axis=axes, dtype=dy.dtype),)


def _first(layout: Layout, image: Array) -> Array:
    """Returns images with their channels first."""
    return image if layout == "channels_first" else np.moveaxis(image, -1, 1)


def _back(layout: Layout, image: Array) -> Array:
    """Returns images with channels first in their layout."""
    return image if layout == "channels_first" else np.moveaxis(image, 1, -1)


@_meaning.register
def _window_sum(op: WindowSum, operand: Array) -> tuple[Array, ...]:
    given = _first(op.layout, operand)
    size = op.output_size if op.out == "y" else op.input_size
    result = np.zeros((*given.shape[:2], *size), operand.dtype)
    for _, _, x_at, y_at in _taps(op.window, op.input_size, op.output_size):
        read, write = (x_at, y_at) if op.out == "y" else (y_at, x_at)
        result[write] += given[read]
    return (_back(op.layout, result),)


@_meaning.register
def _max_pool(op: MaxPool, x: Array) -> tuple[Array, ...]:
    given = _first(op.layout, x)
    best = np.full((*given.shape[:2], *op.output_size), -np.inf, x.dtype)
    index = np.zeros(best.shape, np.int32)
    for number, _, x_at, y_at in _taps(op.window, op.input_size, op.output_size):
        value = np.full_like(best, -np.inf)
        value[y_at] = given[x_at]
        better = (value > best) | np.isnan(value)
        best = np.where(better, value, best)
        index[better] = number
    lost = np.isneginf(best)  # nothing exceeds what stands outside: the first inside
    for number, _, _, y_at in [*_taps(op.window, op.input_size, op.output_size)][::-1]:
        index[y_at] = np.where(lost[y_at], number, index[y_at])
    return _back(op.layout, best), _back(op.layout, index)


@_meaning.register
def _max_select(op: MaxSelect, operand: Array, index: Array) -> tuple[Array, ...]:
    given, chosen = _first(op.layout, operand), _first(op.layout, index)
    size = op.output_size if op.out == "y" else op.input_size
    result = np.zeros((*given.shape[:2], *size), operand.dtype)
    for number, _, x_at, y_at in _taps(op.window, op.input_size, op.output_size):
        here = chosen[y_at] == number
        read, write = (x_at, y_at) if op.out == "y" else (y_at, x_at)
        result[write] += np.where(here, given[read], 0)
    return (_back(op.layout, result),)


_POINTWISE: Final[dict[str, Callable[..., Array]]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "square": lambda a: a * a,
    "maximum": np.maximum,
    "relu": lambda a: np.maximum(a, 0),
    "relu_grad": lambda dy, x: np.where(x > 0, dy, 0),
    "greater": lambda a, b: a > b,
    "equal": lambda a, b: a == b,
    "where": lambda c, a, b: np.asarray(np.where(c != 0, a, b)),
}


@_meaning.register
def _pointwise(op: Pointwise, *inputs: Array) -> tuple[Array, ...]:
    return (_POINTWISE[op.fn](*inputs),)


@_meaning.register
def _fused(op: Fused, *inputs: Array) -> tuple[Array, ...]:
    values = [_at_places(x, op.shape, r) for x, r in zip(inputs, op.reads, strict=True)]
    for step in op.steps:
        if step.fn == NUMBER:
            values.append(np.full(op.shape, step.value, op.dtype))
        else:
            values += evaluate(Pointwise(step.fn), *(values[i] for i in step.operands))
    return tuple(np.broadcast_to(values[i], op.shape).reshape(s) for i, s in op.results)


def _at_places(x: Array, shape: tuple[int, ...], axes: tuple[int | None, ...]) -> Array:
    """The operand with one axis for each of `shape`, of extent 1 where it repeats."""
    column = [1] * len(shape)
    for extent, axis in zip(x.shape, axes, strict=True):
        if axis is not None:
            column[axis] = extent
    return x.reshape(column)


@_meaning.register
def _reduce(op: Reduce, x: Array) -> tuple[Array, ...]:
    if op.kind == "sum":
        return (x.sum(axis=op.axes, dtype=x.dtype),)
    return (x.max(axis=op.axes),)


@_meaning.register
def _broadcast(op: Broadcast, x: Array) -> tuple[Array, ...]:
    return (np.broadcast_to(x, op.shape),)


@_meaning.register
def _reshape(op: Reshape, x: Array) -> tuple[Array, ...]:
    return (x.reshape(op.shape),)


@_meaning.register
def _transpose(op: Transpose, x: Array) -> tuple[Array, ...]:
    return (x.transpose(op.axes),)


@_meaning.register
def _slice(op: Slice, x: Array) -> tuple[Array, ...]:
    return (x[op.index(x.shape)],)


@_meaning.register
def _unslice(op: Unslice, x: Array) -> tuple[Array, ...]:
    result = np.zeros(op.shape, x.dtype)
    result[op.slice.index(op.shape)] = x
    return (result,)


@_meaning.register
def _flip(op: Flip, x: Array) -> tuple[Array, ...]:
    return (np.flip(x, op.axes),)


@_meaning.register(Identity)
@_meaning.register(StopGradient)
def _identity(op: Op, x: Array) -> tuple[Array, ...]:
    return (x,)


@_meaning.register
def _full(op: Full) -> tuple[Array, ...]:
    return (np.full(op.shape, op.value, op.dtype),)


@_meaning.register
def _one_hot(op: OneHot, labels: Array) -> tuple[Array, ...]:
    return (labels[..., None] == np.arange(op.classes),)


@_meaning.register
def _log_softmax(op: LogSoftmax, x: Array) -> tuple[Array, ...]:
    if x.size == 0:
        return (x,)
    shifted = x - x.max(axis=-1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)),)


@_meaning.register
def _batch_norm(op: BatchNorm, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
    given = _first(op.layout, x)
    axes = (0, *range(2, given.ndim))
    column = (1, -1, *(1 for _ in given.shape[2:]))
    count = max(given.size // max(given.shape[1], 1), 1)
    mean = given.sum(axis=axes) / count
    centred = given - mean.reshape(column)
    var = (centred * centred).sum(axis=axes) / count
    scaled = centred / np.sqrt(var.reshape(column) + op.eps) * w.reshape(column)
    return _back(op.layout, scaled + b.reshape(column)), mean, var
