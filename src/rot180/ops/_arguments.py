"""From the arguments of the public functions to operations, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal, NoReturn, TypedDict, Unpack

from rot180.errors import ArgumentError, ShapeError
from rot180.ops._choices import check_flags, is_among
from rot180.ops._conv import Conv
from rot180.ops._formula import explain, transposed_formula
from rot180.ops._layout import (
    Layout,
    channel_axis,
    check_layout,
    filter_axes,
    spatial,
)
from rot180.ops._numbers import dimensions, resolve_ints
from rot180.ops._op import TensorType, expect_dtype
from rot180.ops._padding import check_padding_mode
from rot180.ops._pool import MaxPool, WindowSum
from rot180.ops._window import Window

_IMAGE: Final[dict[Layout, str]] = {
    "channels_first": "c, *size",
    "channels_last": "*size, c",
}
_FILTER: Final[dict[Layout, str]] = {
    "channels_first": "(k, c/groups, *kernel)",
    "channels_last": "(*kernel, c/groups, k)",
}
_TRANSPOSED_FILTER: Final[dict[Layout, str]] = {
    "channels_first": "(c, k/groups, *kernel)",
    "channels_last": "(*kernel, k/groups, c)",
}


class WindowOptions(TypedDict, total=False):
    """The arguments of a public function that `Window.make` resolves."""

    stride: int | Sequence[int]
    padding: Any
    dilation: int | Sequence[int]
    groups: int
    flip: bool
    padding_mode: str


def check_modes(
    op: str, *, padding_mode: str = "zeros", algorithm: str = "auto"
) -> None:
    """Raises ArgumentError unless the padding mode and the algorithm exist."""
    check_padding_mode(op, padding_mode)
    if not is_among(algorithm, ("auto", "direct")):
        raise ArgumentError(
            f"{op}: algorithm {algorithm!r} is not available\n"
            '  Use algorithm="auto" or algorithm="direct".'
        )


def conv_rank(
    op: str,
    x: TensorType,
    w: TensorType,
    layout: Layout = "channels_first",
    *,
    name: str = "x",
    transposed: bool = False,
) -> tuple[int, bool]:
    """Returns the number of spatial dimensions and whether `x` has an image axis.

    Args:
        op: The function's name, for messages.
        x: Images `(n, c, *size)`, or one image `(c, *size)`.
        w: The filter; sets the number of spatial dimensions.
        layout: Where the channels stand.
        name: What the function calls `x`, for messages.
        transposed: Whether `w` is a transposed convolution's, `(c, k/groups, *kernel)`.

    Raises:
        ShapeError: `w` has no spatial dimensions, or `x` another number of them.
    """
    check_layout(op, layout)
    rank = w.ndim - 2
    filters = (_TRANSPOSED_FILTER if transposed else _FILTER)[layout]
    if rank < 1:
        _refuse_rank_zero(op, name, x, w, layout, filters)
    if x.ndim not in (rank + 1, rank + 2):
        images = _IMAGE[layout]
        raise ShapeError(
            f"{op}: {name} has {x.ndim} axes, w has {w.ndim}\n"
            f"    {name} has shape {x.shape}\n"
            f"    w has shape {w.shape}, that is {dimensions(rank)}\n"
            f"  Pass {name} of shape (n, {images}), or ({images}) for one image: "
            f"{rank + 2} or {rank + 1} axes."
        )
    return rank, x.ndim == rank + 2


def _check_batched(
    op: str,
    name: str,
    operand: TensorType,
    w: TensorType,
    layout: Layout,
    *,
    transposed: bool = False,
) -> None:
    """Raises ShapeError unless `operand` has an image axis and the axes `w` implies."""
    rank, batched = conv_rank(op, operand, w, layout, name=name, transposed=transposed)
    if not batched:
        raise ShapeError(
            f"{op}: {name} has {operand.ndim} axes, w has {w.ndim}\n"
            f"    {name} has shape {operand.shape}\n"
            f"    w has shape {w.shape}, that is {dimensions(rank)}\n"
            f"  Pass {name} with {rank + 2} axes, (n, {_IMAGE[layout]})."
        )


def _refuse_rank_zero(
    op: str, name: str, x: TensorType, w: TensorType, layout: Layout, filters: str
) -> NoReturn:
    first = layout == "channels_first"
    remedy = f"Pass w of shape {filters}."
    if w.ndim == 2:
        remedy = f"For a plain 2-D filter call {_plain_call(op, name, x, w, first)}."
    raise ShapeError(
        f"{op}: w has no spatial axes\n"
        f"    {name} has shape {x.shape}, expected (n, {_IMAGE[layout]})\n"
        f"    w has shape {w.shape}, expected {filters}\n"
        f"  {remedy}"
    )


def _plain_call(op: str, name: str, x: TensorType, w: TensorType, first: bool) -> str:
    """Returns the call of `op` that gives plain matrices their other axes."""
    more = "[None, None]" if first else "[..., None, None]"
    channel = "" if x.ndim != 2 else "[None]" if first else "[..., None]"
    if op == "conv_weight_grad":
        w_shape = (1, 1, *w.shape) if first else (*w.shape, 1, 1)
        return f"{op}(dy{channel}, x{channel}, {w_shape})"
    if op == "conv_input_grad":
        grown = "(1, *x_shape)" if first else "(*x_shape, 1)"
        return f"{op}(dy{channel}, w{more}, {grown if channel else 'x_shape'})"
    return f"{op}({name}{channel}, w{more})"


def _kernel(layout: Layout, w: Sequence[int]) -> tuple[int, ...]:
    return tuple(w[axis] for axis in filter_axes(layout, len(w))[2])


def conv_op(
    op: str,
    x: TensorType,
    w: TensorType,
    b: TensorType | None = None,
    *,
    layout: Layout = "channels_first",
    **options: Unpack[WindowOptions],
) -> Conv:
    """Returns the forward pass for batched `x`, its operands checked.

    Args:
        op: The function's name, for messages.
        x: Images `(n, c, *size)`.
        w: The filter `(k, c/groups, *kernel)`.
        b: The bias `(k,)`.
        layout: Where the channels stand.
        **options: What `Window.make` takes, such as stride and padding.

    Raises:
        ShapeError: The shapes do not fit.
        DTypeError: The dtypes differ or are not supported.
        ArgumentError: An argument is out of range.
    """
    _check_batched(op, "x", x, w, layout)
    size = spatial(layout, x.shape)
    kernel = _kernel(layout, w.shape)
    window = Window.make(op, kernel, input_size=size, **options)
    conv = Conv(window, layout, "y", size, bias=b is not None)
    conv.infer_as(op, x, w, *([] if b is None else [b]))
    return conv


def conv_input_grad_op(
    op: str,
    dy: TensorType,
    w: TensorType,
    x_shape: Sequence[int],
    *,
    layout: Layout = "channels_first",
    **options: Unpack[WindowOptions],
) -> Conv:
    """Returns the input gradient for batched `dy`, its operands checked.

    Args:
        op: The function's name, for messages.
        dy: The output's cotangent, `(n, k, *output)`.
        w: The filter.
        x_shape: The shape of `x`, with its image axis.
        layout: As in the forward pass.
        **options: As in the forward pass.
    """
    _check_batched(op, "dy", dy, w, layout)
    x = TensorType(_shape(op, "x_shape", x_shape), dy.dtype)
    _check_batched(op, "x", x, w, layout)
    size = spatial(layout, x.shape)
    kernel = _kernel(layout, w.shape)
    window = Window.make(op, kernel, input_size=size, **options)
    conv = Conv(window, layout, "x", size)
    dx = conv.infer_as(op, dy, w)
    if dx.shape != x.shape:
        raise ShapeError(
            f"{op}: x_shape is {x.shape}, but dy and w give {dx.shape}\n"
            f"    dy has shape {dy.shape}\n"
            f"    w has shape {w.shape}, and groups is {window.groups}\n"
            "  Pass the shape of the x that was convolved."
        )
    return conv


def conv_weight_grad_op(
    op: str,
    dy: TensorType,
    x: TensorType,
    w_shape: Sequence[int],
    *,
    layout: Layout = "channels_first",
    **options: Unpack[WindowOptions],
) -> Conv:
    """Returns the weight gradient for batched `dy` and `x`, its operands checked.

    Args:
        op: The function's name, for messages.
        dy: The output's cotangent, `(n, k, *output)`.
        x: The input, `(n, c, *size)`.
        w_shape: The shape of `w`.
        layout: As in the forward pass.
        **options: As in the forward pass.
    """
    w = TensorType(_shape(op, "w_shape", w_shape), x.dtype)
    _check_batched(op, "x", x, w, layout)
    _check_batched(op, "dy", dy, w, layout)
    size = spatial(layout, x.shape)
    kernel = _kernel(layout, w.shape)
    window = Window.make(op, kernel, input_size=size, **options)
    conv = Conv(window, layout, "w", size)
    dw = conv.infer_as(op, dy, x)
    if dw.shape != w.shape:
        raise ShapeError(
            f"{op}: w_shape is {w.shape}, but dy and x give {dw.shape}\n"
            f"    dy has shape {dy.shape}\n"
            f"    x has shape {x.shape}, and groups is {window.groups}\n"
            "  Pass the shape of the w that was used."
        )
    return conv


def conv_transpose_op(
    op: str,
    x: TensorType,
    w: TensorType,
    b: TensorType | None = None,
    *,
    output_padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
    layout: Layout = "channels_first",
    **options: Unpack[WindowOptions],
) -> Conv:
    """Returns the transposed convolution for batched `x`, its operands checked.

    It is the input gradient used forward: `x` stands in the place of `dy`, and `w`, of
    shape `(c, k/groups, *kernel)` (channels last `(*kernel, k/groups, c)`), is the
    filter of the convolution that leads from its output to its input. The bias is
    checked here and is not part of the operation.

    Args:
        op: The function's name, for messages.
        x: Images `(n, c, *size)`.
        w: The filter.
        b: The bias `(k,)`.
        output_padding: Positions added at the high end, see
            `Window.transposed_output_size`.
        output_size: The output's spatial extents, in place of `output_padding`.
        layout: Where the channels stand.
        **options: What `Window.make` takes, such as stride and padding.

    Raises:
        ShapeError: The shapes do not fit.
        DTypeError: The dtypes differ or are not supported.
        ArgumentError: An argument is out of range.
    """
    _check_batched(op, "x", x, w, layout, transposed=True)
    window = Window.make(op, _kernel(layout, w.shape), **options)
    expect_dtype(op, "x w b", *([x, w] if b is None else [x, w, b]))
    _check_transposed_channels(op, x, w, window, layout)
    given = spatial(layout, x.shape)
    size = window.transposed_output_size(given, output_padding, output_size, op=op)
    conv = Conv(_matching(window, given, size), layout, "x", size)
    y = conv.infer_as(op, x, w)
    k = y.shape[1] if layout == "channels_first" else y.shape[-1]
    if b is not None and b.shape != (k,):
        raise ShapeError(
            f"{op}: b has shape {b.shape}, not ({k},)\n"
            f"    w has shape {w.shape}, and groups is {window.groups}: {k} channels\n"
            "  Pass one bias for every output channel, a vector."
        )
    return conv


def _check_transposed_channels(
    op: str, x: TensorType, w: TensorType, window: Window, layout: Layout
) -> None:
    """Raises ShapeError unless `x` and `w` have the same channels, in whole groups."""
    x_axis, w_axis = channel_axis(layout, x.ndim), filter_axes(layout, w.ndim)[0]
    c, expected = x.shape[x_axis], w.shape[w_axis]
    formula = transposed_formula(window.rank, layout)
    text = str(formula.bind(**replace(window, flip=False).parameters()))
    if c != expected:
        raise ShapeError(
            explain(
                op,
                f"index 'c' has two extents, {c} and {expected}",
                text,
                [("x", x_axis), ("w", w_axis)],
                [
                    f"x axis {x_axis} is {c}, from shape {x.shape}",
                    f"w axis {w_axis} is {expected}, from shape {w.shape}",
                ],
                f"Pass w of shape {_TRANSPOSED_FILTER[layout]}.",
            )
        )
    if c % window.groups:
        raise ShapeError(
            explain(
                op,
                f"groups={window.groups} does not divide the {c} channels of 'c'",
                text,
                [("x", x_axis), ("w", w_axis)],
                [f"x axis {x_axis} is {c}, from shape {x.shape}"],
                f"Pass groups that divide {c}.",
            )
        )


def _matching(window: Window, given: tuple[int, ...], size: tuple[int, ...]) -> Window:
    """Returns the window under which `size` positions give exactly `given` outputs.

    With an output padding of a stride or more the high padding would admit more; the
    positions it adds are then read as cropped; of none there may be fewer than cropped.
    """
    padding = tuple(
        (low, max(min(high, n * step + span - 1 - low - extent), -low - extent))
        for n, extent, step, span, (low, high) in zip(
            given, size, window.stride, window.span, window.padding, strict=True
        )
    )
    return replace(window, padding=padding)


def pool_op(
    op: str,
    kind: Literal["max", "sum"],
    x: TensorType,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Any = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    layout: Layout = "channels_first",
) -> MaxPool | WindowSum:
    """Returns the pooling of batched `x`, its arguments checked.

    Args:
        op: The function's name, for messages.
        kind: `"max"`, or `"sum"` for average pooling before its division.
        x: Images `(n, c, *size)`.
        kernel_size: One int for all dimensions, or one for each.
        stride: The kernel size if None.
        padding: As in `Window.make`.
        dilation: One int for all dimensions, or one for each.
        ceil_mode: Whether a last window that overhangs the padded input counts too, if
            it starts inside the input or its low padding; as in PyTorch.
        layout: Where the channels stand.

    Raises:
        ShapeError: `x` has no spatial dimensions, or its images are smaller than the
            window.
        ArgumentError: An argument is out of range.
    """
    check_layout(op, layout)
    if x.ndim < 3:
        raise ShapeError(
            f"{op}: x has no spatial axes\n"
            f"    x has shape {x.shape}, expected (n, {_IMAGE[layout]})\n"
            "  Pass x with an image axis, a channel axis and spatial axes."
        )
    size = spatial(layout, x.shape)
    kernel = resolve_ints(op, "kernel_size", kernel_size, len(size))
    window = Window.make(
        op,
        kernel,
        input_size=size,
        stride=kernel if stride is None else stride,
        padding=padding,
        dilation=dilation,
    )
    check_flags(op, ceil_mode=ceil_mode)
    if ceil_mode:
        window = _overhanging(window, size)
    pool = (
        MaxPool(window, layout, size)
        if kind == "max"
        else WindowSum(window, layout, "y", size)
    )
    window.check_fits(size, op=op)
    window.output_size(size, op=op)
    pool.infer(x)
    return pool


def _overhanging(window: Window, size: tuple[int, ...]) -> Window:
    """Returns the window with high padding enough for the last, overhanging one."""
    padding = []
    for extent, step, span, (low, high) in zip(
        size, window.stride, window.span, window.padding, strict=True
    ):
        count = -(-(extent + low + high - span) // step) + 1
        if (count - 1) * step >= extent + low:
            count -= 1
        padding.append((low, max(high, (count - 1) * step + span - extent - low)))
    return replace(window, padding=tuple(padding))


def _shape(op: str, name: str, value: Sequence[int]) -> tuple[int, ...]:
    try:
        shape = resolve_ints(op, name, value, len(value))
    except TypeError:
        shape = (-1,)
    if any(extent < 0 for extent in shape):
        raise ArgumentError(
            f"{op}: {name} {value!r} is not a shape\n"
            "  Pass a tuple of extents, such as x.shape."
        )
    return shape
