"""Pooling and its gradients on arrays or traced tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from rot180 import ops
from rot180.errors import ArgumentError, DTypeError, ShapeError
from rot180.functional._calls import add_axis, as_array, named_shape, type_of
from rot180.functional._dispatch import pointwise, run_or_trace
from rot180.ops import Layout

Ints = int | Sequence[int]


def max_pool(
    x: Any,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    layout: Layout = "channels_first",
    return_indices: bool = False,
) -> Any:
    """The largest value of every window.

        y[n, c, p] max= x[n, c, p*stride + r*dilation - pad]

    Positions outside `x` read as minus infinity, and lose to one inside; a NaN exceeds
    every number, and the last NaN stands; of equal values the first in row-major order.
    Denormal numbers count as zero, as in every function.

    Args:
        x: `(n, c, *size)`, or one image where `kernel_size` names its dimensions;
            float32 or float64. Channels last `(n, *size, c)`.
        kernel_size: One int for all dimensions, or one for each.
        stride: Step between windows; the kernel size if None.
        padding: As in `conv`; a window of padding alone gives minus infinity.
        dilation: Step between positions of a window.
        ceil_mode: Whether a last window that overhangs counts too, as in PyTorch.
        layout: Where the channels stand.
        return_indices: Whether to return the number of the tap too, int32, counted
            in row-major order of the kernel.

    Returns:
        `y`, `(n, c, *output)`, or `(y, index)`.

    Raises:
        ShapeError: `x` has no spatial axes, or its images are smaller than the window.
        DTypeError: The dtype is not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        Dumoulin and Visin, arXiv 1603.07285, section 3.
    """
    ops.check_flags("max_pool", return_indices=return_indices)
    op, images, batched = _checked("max_pool", "max", as_array(x), kernel_size, stride,
                                   padding, dilation, ceil_mode, layout)  # fmt: skip
    found = tuple(_plain(v, batched) for v in run_or_trace(op, images))
    return found if return_indices else found[0]


def max_pool_backward(
    dy: Any,
    x: Any,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    layout: Layout = "channels_first",
    indices: Any = None,
) -> Any:
    """The gradient of `max_pool`: `dy` goes to where each maximum came from.

    Args:
        dy: The gradient of the output.
        x: The input of `max_pool`.
        kernel_size: As in `max_pool`.
        stride: As in `max_pool`.
        padding: As in `max_pool`.
        dilation: As in `max_pool`.
        ceil_mode: As in `max_pool`.
        layout: As in `max_pool`.
        indices: What `max_pool(..., return_indices=True)` gave; else found again.

    Returns:
        `dx`, of the shape of `x`; where windows overlap, contributions add.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtypes differ, or are not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        The chain rule; ties as PyTorch, the first of equals.
    """
    name = "max_pool_backward"
    x, dy = as_array(x), as_array(dy)
    op, images, batched = _checked(name, "max", x, kernel_size, stride, padding,
                                   dilation, ceil_mode, layout)  # fmt: skip
    slopes = _slopes(name, op, add_axis(dy, batched), type_of(name, "x", images))
    index = (
        run_or_trace(op, images)[1] if indices is None else add_axis(indices, batched)
    )
    select = ops.MaxSelect(op.window, layout, "x", op.input_size)
    return _plain(run_or_trace(select, slopes, index)[0], batched)


def avg_pool(
    x: Any,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: Layout = "channels_first",
) -> Any:
    """The mean of every window.

        y[n, c, p] = (sum over r of x[n, c, p*stride + r - pad]) / count[p]

    Args:
        x: As in `max_pool`.
        kernel_size: One int for all dimensions, or one for each.
        stride: Step between windows; the kernel size if None.
        padding: As in `conv`; a window of padding alone gives 0.
        ceil_mode: Whether a last window that overhangs counts too, as in PyTorch.
        count_include_pad: Whether padded positions count in the divisor.
        divisor_override: The divisor of every window instead.
        layout: Where the channels stand.

    Returns:
        `y`, `(n, c, *output)`.

    Raises:
        ShapeError: `x` has no spatial axes, or its images are smaller than the window.
        DTypeError: The dtype is not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        Dumoulin and Visin, arXiv 1603.07285, section 3.
    """
    op, images, batched = _checked("avg_pool", "sum", as_array(x), kernel_size, stride,
                                   padding, 1, ceil_mode, layout)  # fmt: skip
    divisor = _divisor(op, images, padding, count_include_pad, divisor_override)
    return _plain(pointwise("div", run_or_trace(op, images)[0], divisor), batched)


def avg_pool_backward(
    dy: Any,
    x_shape: Sequence[int],
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: Layout = "channels_first",
) -> Any:
    """The gradient of `avg_pool`: every window hands its share to its positions.

    Args:
        dy: The gradient of the output.
        x_shape: The shape of the input.
        kernel_size: As in `avg_pool`.
        stride: As in `avg_pool`.
        padding: As in `avg_pool`.
        ceil_mode: As in `avg_pool`.
        count_include_pad: As in `avg_pool`.
        divisor_override: As in `avg_pool`.
        layout: As in `avg_pool`.

    Returns:
        `dx`, of shape `x_shape`.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtype is not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        The chain rule.
    """
    name = "avg_pool_backward"
    dy = as_array(dy)
    shape = named_shape(name, "x", x_shape)
    type_ = ops.TensorType(shape, type_of(name, "dy", dy).dtype)
    batched = _is_batched(len(type_.shape), kernel_size)
    if not batched:
        type_ = ops.TensorType((1, *type_.shape), type_.dtype)
    op = _op(name, "sum", type_, kernel_size, stride, padding, 1, ceil_mode,
             layout)  # fmt: skip
    slopes = _slopes(name, op, add_axis(dy, batched), type_)
    divisor = _divisor(op, slopes, padding, count_include_pad, divisor_override)
    share = pointwise("div", slopes, divisor)
    return _plain(run_or_trace(replace(op, out="x"), share)[0], batched)


def _slopes(op: str, pool: ops.Op, slopes: Any, x: ops.TensorType) -> Any:
    """`slopes`, if they have the shape and dtype of the output of `pool`."""
    dy, (y, *_) = type_of(op, "dy", slopes), pool.infer(x)
    if dy.shape != y.shape:
        raise ShapeError(
            f"{op}: dy has shape {dy.shape}, the output {y.shape}\n"
            "  Pass the gradient of the output, and the options of the forward pass."
        )
    if dy.dtype != y.dtype:
        raise DTypeError(
            f"{op}: dy is {dy.dtype}, x is {y.dtype}\n"
            f"  Convert one of them, for example dy.astype('{y.dtype}')."
        )
    return slopes


def _checked(
    name: str, kind: Literal["max", "sum"], x: Any, kernel_size: Any, *options: Any
) -> tuple[Any, Any, bool]:
    """The op, `x` with an image axis, and whether it had one."""
    images, batched = _images(x, kernel_size)
    op = _op(name, kind, type_of(name, "x", images), kernel_size, *options)
    return op, images, batched


def _images(x: Any, kernel_size: Any) -> tuple[Any, bool]:
    """`x` with an image axis, and whether it had one."""
    batched = _is_batched(len(x.shape), kernel_size)
    return add_axis(x, batched), batched


def _is_batched(ndim: int, kernel_size: Any) -> bool:
    """Whether there is an image axis; a single kernel size leaves no doubt."""
    try:
        return ndim != len(kernel_size) + 1
    except TypeError:
        return True


def _plain(value: Any, batched: bool) -> Any:
    if batched:
        return value
    if ops.is_traced(value):
        return ops.apply(ops.Reshape(value.type.shape[1:]), value)
    return value[0]


def _op(
    name: str,
    kind: Literal["max", "sum"],
    type_: ops.TensorType,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    layout: Layout,
) -> Any:
    return ops.pool_op(
        name,
        kind,
        type_,
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        layout=layout,
    )


def _divisor(
    op: ops.WindowSum, images: Any, padding: Any, include: bool, override: int | None
) -> Any:
    """The number of positions that each window counts, to divide by."""
    if override is not None:
        if not isinstance(override, int | np.integer) or override == 0:
            raise ArgumentError(
                f"avg_pool: divisor_override is {override!r}\n"
                "  Pass an int other than 0, or None."
            )
        return np.full((1,), override, type_of("avg_pool", "x", images).dtype)
    counted = ops.counted_padding(op, padding, count_include_pad=include)
    return _counts(op, counted, type_of("avg_pool", "x", images).dtype)


@lru_cache(maxsize=256)
def _counts(
    op: ops.WindowSum, counted: tuple[tuple[int, int], ...], dtype: str
) -> np.ndarray[Any, Any]:
    table = np.ones((1,) * op.window.rank)
    rows = ops.pool_counts(op.window, op.input_size, counted)
    for dim, row in enumerate(rows):
        shape = [1] * op.window.rank
        shape[dim] = -1
        table = table * np.reshape(row, shape)
    table = np.maximum(table, 1)
    if op.layout == "channels_last":
        table = table[..., None]
    return table.astype(dtype)
