"""Convolution and its gradients on arrays or traced tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

from rot180 import ops, runtime
from rot180.errors import ArgumentError, ShapeError
from rot180.functional._calls import (
    Calls,
    add_axis,
    as_array,
    check_out,
    compute,
    finish,
    named_shape,
    type_of,
)
from rot180.ops import Layout

Ints = int | Sequence[int]

_WINDOW = ("stride", "padding", "dilation", "groups", "flip", "layout")
# The order in which keys hold them.
_OPTIONS = (*_WINDOW, "padding_mode", "algorithm")

_forward: Calls[runtime.Call] = Calls()
_input_grad: Calls[runtime.Call] = Calls()
_weight_grad: Calls[runtime.Call] = Calls()
_bias_grad: Calls[runtime.Call] = Calls()
_backward: Calls[tuple[runtime.Call | None, ...]] = Calls()


def conv(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    flip: bool = False,
    layout: Layout = "channels_first",
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Slide the filter `w` over `x`, in any number of spatial dimensions.

        y[n, k, p] += x[n, c, p*stride + r*dilation - pad] * w[k, c, r]

    Positions outside `x` are zeros that are multiplied: a NaN or infinite weight makes
    NaN of them. This is the correlation of neural networks; with `flip` it is the true
    convolution, the filter rotated by 180 degrees.

    Args:
        x: `(n, c, *size)`, or `(c, *size)` for one image; float32 or float64. With
            `layout="channels_last"`, `(n, *size, c)`.
        w: `(k, c/groups, *kernel)`, of the dtype of `x`; its axes set the number of
            spatial dimensions. Channels last, `(*kernel, c/groups, k)`.
        b: `(k,)`, added to every position; or None.
        stride: Step between output positions; one int for all dimensions, alone or in a
            sequence; or one per dimension.
        padding: An int, alone or in a sequence; one per dimension; `(low, high)` per
            dimension, negative ones crop; or `"valid"`, `"same"`, `"same_lower"`,
            `"full"`, `"causal"`.
        dilation: Step between filter taps.
        groups: Number of channel groups that do not see each other.
        padding_mode: `"zeros"`.
        flip: Whether the filter is read backwards.
        layout: `"channels_first"` or `"channels_last"`, where the channels stand.
        algorithm: `"auto"` or `"direct"`.
        out: A contiguous array that takes the result and overlaps no operand.

    Returns:
        `y`, `(n, k, *output)` in the layout of `x`; with no image axis if `x` had none.
        An extent of the output is 0 where no window fits.
        One image alone, or any number of threads, gives the same bits. Denormal numbers
        count as zero, as in every function.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtypes differ, or are not float32 or float64.
        ArgumentError: An option is out of range, or `out` cannot take the result.

    Source:
        Dumoulin and Visin, arXiv 1603.07285, for the arithmetic of windows.
    """
    try:
        bias = None if b is None else (b.__class__, b.shape, b.strides, b.dtype)
        key = (
            x.__class__, x.shape, x.strides, x.dtype, w.__class__, w.shape, w.strides,
            w.dtype, bias, stride if stride.__class__ is int else repr(stride),
            padding if padding.__class__ is int else repr(padding),
            dilation if dilation.__class__ is int else repr(dilation),
            groups if groups.__class__ is int else repr(groups),
            flip if flip.__class__ is bool else repr(flip),
            layout, padding_mode, algorithm,
        )  # fmt: skip
        call = _forward[key]
    except (KeyError, TypeError, AttributeError):
        call = key = None  # type: ignore[assignment]
    if call is not None and out is None:
        y = np.empty(call.shape, call.dtype)
        if b is None:
            call.entry(y, x, w, call.count)
        else:
            call.entry(y, x, w, b, call.count)
        return y
    options = (stride, padding, dilation, groups, flip, layout, padding_mode, algorithm)
    x, w, b = as_array(x), as_array(w), None if b is None else as_array(b)
    ops.check_modes("conv", padding_mode=padding_mode, algorithm=algorithm)
    types = type_of("conv", "x", x), type_of("conv", "w", w)
    _, batched = ops.conv_rank("conv", *types, layout)
    images = add_axis(x, batched)
    kinds = type_of("conv", "x", images), types[1]
    bias_kind = None if b is None else type_of("conv", "b", b)
    op = ops.conv_op("conv", *kinds, bias_kind, **_window(options))
    inputs = (images, w) if b is None else (images, w, b)
    if out is None:
        key = _key_or_none(_key, x, w, b, options)
        return compute(op, inputs, batched=batched, calls=_forward, key=key)
    return _into(op, "conv", out, inputs, batched)


def _key(x: Any, w: Any, b: Any, options: tuple[Any, ...]) -> Any:
    """What `conv` looks up; the gradients' is `_fast_key`."""
    bias = None if b is None else (b.__class__, b.shape, b.strides, b.dtype)
    return (*_lying(x), *_lying(w), bias, *_told(options))


def _lying(array: Any) -> tuple[Any, ...]:
    """How an array lies; its class too, as strides of a subclass may not be true."""
    return array.__class__, array.shape, array.strides, array.dtype


def _told(options: tuple[Any, ...]) -> tuple[Any, ...]:
    """Options such that only those alike to the letter are equal: 1.0 is not 1."""
    *window, flip, layout, padding_mode, algorithm = options
    ints = (o if o.__class__ is int else repr(o) for o in window)
    flipped = flip if flip.__class__ is bool else repr(flip)
    return (*ints, flipped, layout, padding_mode, algorithm)


def _key_or_none(make: Callable[..., Any], *values: Any) -> Any:
    """The key under which a call is remembered, None where it cannot be."""
    try:
        key = make(*values)
        hash(key)
    except (TypeError, AttributeError):
        return None
    return key


def _window(options: tuple[Any, ...]) -> dict[str, Any]:
    """By name, those of the options that make a window, and the layout."""
    return dict(zip(_WINDOW, options, strict=False))


def _into(
    op: ops.Conv, name: str, out: Any, inputs: tuple[Any, ...], batched: bool
) -> Any:
    (result,) = op.infer(*(type_of(name, "operand", v) for v in inputs))
    if not batched:
        result = ops.TensorType(result.shape[1:], result.dtype)
    check_out(name, out, result, *inputs)
    return compute(op, inputs, batched=batched, out=out)


def conv_input_grad(
    dy: Any,
    w: Any,
    x_shape: Sequence[int],
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    flip: bool = False,
    layout: Layout = "channels_first",
    algorithm: str = "auto",
) -> Any:
    """The gradient of `conv` by its input.

    The rotated filter slides over the whole padded `dy`: a full convolution.

        dx[n, c, p*stride + r*dilation - pad] += dy[n, k, p] * w[k, c, r]

    Positions outside `dy` are zeros that are multiplied: a NaN or infinite weight
    reaches positions at the border with which it has no product in the forward pass.

    Args:
        dy: The gradient of the output, `(n, k, *output)`, or without `n`.
        w: The filter, as in `conv`, of the same dtype.
        x_shape: The shape of the input.
        stride: As in `conv`.
        padding: As in `conv`.
        dilation: As in `conv`.
        groups: As in `conv`.
        padding_mode: As in `conv`.
        flip: As in `conv`.
        layout: As in `conv`.
        algorithm: As in `conv`.

    Returns:
        `dx`, of shape `x_shape`.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtypes differ, or are not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        "Forward And Backpropagation in Convolutional Neural Network" by
        2017csm1006 on Medium, generalised by leaving out a factor of the sum.
    """
    options = (stride, padding, dilation, groups, flip, layout, padding_mode, algorithm)
    try:
        call = _input_grad[_fast_key(dy, w, x_shape, options)]
    except (KeyError, TypeError, AttributeError):
        pass
    else:
        return finish(call, (dy, w), None)
    name = "conv_input_grad"
    dy, w = as_array(dy), as_array(w)
    ops.check_modes(name, padding_mode=padding_mode, algorithm=algorithm)
    slopes, batched = _slopes(name, dy, w, layout)
    shape = named_shape(name, "x", x_shape)
    op = _input_grad_op(name, slopes, w, shape if batched else (1, *shape), options)
    key = _key_or_none(_fast_key, dy, w, x_shape, options)
    return compute(op, (slopes, w), batched=batched, calls=_input_grad, key=key)


def conv_weight_grad(
    dy: Any,
    x: Any,
    w_shape: Sequence[int],
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    flip: bool = False,
    layout: Layout = "channels_first",
    algorithm: str = "auto",
) -> Any:
    """The gradient of `conv` by its filter: the correlation of `x` with `dy`.

        dw[k, c, r] += x[n, c, p*stride + r*dilation - pad] * dy[n, k, p]

    Positions outside `x` are zeros that are multiplied, as in `conv`.

    Args:
        dy: The gradient of the output, `(n, k, *output)`, or without `n`.
        x: The input, as in `conv`, of the same dtype.
        w_shape: The shape of the filter.
        stride: As in `conv`.
        padding: As in `conv`.
        dilation: As in `conv`.
        groups: As in `conv`.
        padding_mode: As in `conv`.
        flip: As in `conv`.
        layout: As in `conv`.
        algorithm: As in `conv`.

    Returns:
        `dw`, of shape `w_shape`; zeros for no images at all. Any number of threads
        gives the same bits.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtypes differ, or are not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        "Forward And Backpropagation in Convolutional Neural Network" by
        2017csm1006 on Medium, generalised by leaving out a factor of the sum.
    """
    options = (stride, padding, dilation, groups, flip, layout, padding_mode, algorithm)
    try:
        call = _weight_grad[_fast_key(dy, x, w_shape, options)]
    except (KeyError, TypeError, AttributeError):
        pass
    else:
        return finish(call, (dy, x), None)
    name = "conv_weight_grad"
    dy, x = as_array(dy), as_array(x)
    ops.check_modes(name, padding_mode=padding_mode, algorithm=algorithm)
    shape = named_shape(name, "w", w_shape)
    w = ops.TensorType(shape, type_of(name, "x", x).dtype)
    _, batched = ops.conv_rank(name, type_of(name, "x", x), w, layout)
    images, slopes = add_axis(x, batched), add_axis(dy, batched)
    types = type_of(name, "dy", slopes), type_of(name, "x", images)
    op = ops.conv_weight_grad_op(name, *types, w.shape, **_window(options))
    key = _key_or_none(_fast_key, dy, x, w_shape, options)
    return compute(op, (slopes, images), calls=_weight_grad, key=key)


def _fast_key(a: Any, b: Any, shape: Any, options: tuple[Any, ...]) -> Any:
    return (*_lying(a), *_lying(b), repr(shape), _told(options))


def _slopes(name: str, dy: Any, w: Any, layout: Layout) -> tuple[Any, bool]:
    """`dy` with an image axis, and whether it had one."""
    types = type_of(name, "dy", dy), type_of(name, "w", w)
    _, batched = ops.conv_rank(name, *types, layout, name="dy")
    return add_axis(dy, batched), batched


def _input_grad_op(
    name: str, slopes: Any, w: Any, shape: tuple[int, ...], options: tuple[Any, ...]
) -> ops.Conv:
    types = type_of(name, "dy", slopes), type_of(name, "w", w)
    return ops.conv_input_grad_op(name, *types, shape, **_window(options))


def _conv_bias_grad(dy: Any, rank: int, layout: Layout) -> Any:
    """The gradient of `conv` by its bias: the sum over images and positions."""
    try:
        call = _bias_grad[_bias_key(dy, rank, layout)]
    except (KeyError, TypeError, AttributeError):
        pass
    else:
        return finish(call, (dy,), None)
    images = add_axis(dy, len(dy.shape) == rank + 2)
    key = _key_or_none(_bias_key, dy, rank, layout)
    op = ops.ChannelSum(layout)
    return compute(op, (images,), calls=_bias_grad, key=key)


def _bias_key(dy: Any, rank: int, layout: Layout) -> Any:
    return (*_lying(dy), rank, layout)


def conv_backward(
    dy: Any,
    x: Any,
    w: Any,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    flip: bool = False,
    layout: Layout = "channels_first",
    algorithm: str = "auto",
    needs: Sequence[str] = ("input", "weight", "bias"),
) -> tuple[Any, Any, Any]:
    """All gradients of `conv` at once.

    Args:
        dy: The gradient of the output, `(n, k, *output)`, or without `n`.
        x: The input, as in `conv`.
        w: The filter, as in `conv`.
        stride: As in `conv`.
        padding: As in `conv`.
        dilation: As in `conv`.
        groups: As in `conv`.
        padding_mode: As in `conv`.
        flip: As in `conv`.
        layout: As in `conv`.
        algorithm: As in `conv`.
        needs: Which gradients to compute, of `"input"`, `"weight"` and `"bias"`.

    Returns:
        `(dx, dw, db)`, of the shapes of `x`, `w` and `(k,)`, None where not needed.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtypes differ, or are not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        As `conv_input_grad` and `conv_weight_grad`.
    """
    try:
        key = (
            dy.__class__, dy.shape, dy.strides, dy.dtype, x.__class__, x.shape,
            x.strides, x.dtype, w.__class__, w.shape, w.strides, w.dtype,
            stride if stride.__class__ is int else repr(stride),
            padding if padding.__class__ is int else repr(padding),
            dilation if dilation.__class__ is int else repr(dilation),
            groups if groups.__class__ is int else repr(groups),
            flip if flip.__class__ is bool else repr(flip),
            layout, padding_mode, algorithm, needs,
        )  # fmt: skip
        calls = _backward.get(key)
    except (TypeError, AttributeError):
        calls = key = None
    if calls is not None:
        by_x, by_w, by_b = calls
        dx = None if by_x is None else finish(by_x, (dy, w), None)
        dw = None if by_w is None else finish(by_w, (dy, x), None)
        return dx, dw, None if by_b is None else finish(by_b, (dy,), None)
    given, (dy, x, w) = (dy, x, w), map(as_array, (dy, x, w))
    _check_needs(needs)
    _check_image_axis(dy, x, w)
    ops.check_modes("conv_backward", padding_mode=padding_mode, algorithm=algorithm)
    options = (stride, padding, dilation, groups, flip, layout, padding_mode, algorithm)
    named = dict(zip(_OPTIONS, options, strict=True))
    dx = conv_input_grad(dy, w, x.shape, **named) if "input" in needs else None
    dw = conv_weight_grad(dy, x, w.shape, **named) if "weight" in needs else None
    rank = len(w.shape) - 2
    if dx is None and dw is None:
        _check_dy(dy, x, w, options)
    db = _conv_bias_grad(dy, rank, layout) if "bias" in needs else None
    if key is not None and all(map(operator.is_, given, (dy, x, w))):
        _remember_backward(key, dy, x, w, options, needs)
    return dx, dw, db


def _remember_backward(
    key: Any, dy: Any, x: Any, w: Any, options: tuple[Any, ...], needs: Sequence[str]
) -> None:
    """Keep the calls that the parts have just remembered, if all of them have."""
    rank, layout = len(w.shape) - 2, options[_OPTIONS.index("layout")]
    found = {
        "input": _input_grad.get(_fast_key(dy, w, x.shape, options)),
        "weight": _weight_grad.get(_fast_key(dy, x, w.shape, options)),
        "bias": _bias_grad.get(_bias_key(dy, rank, layout)),
    }
    if all(found[need] is not None for need in needs):
        parts = (found[n] if n in needs else None for n in ("input", "weight", "bias"))
        _backward.remember(key, tuple(parts))


def _check_dy(dy: Any, x: Any, w: Any, options: tuple[Any, ...]) -> None:
    """Refuse what the other gradients would refuse, where only the bias's is wanted."""
    name = "conv_backward"
    slopes, batched = _slopes(name, dy, w, _window(options)["layout"])
    shape = tuple(x.shape) if batched else (1, *x.shape)
    _input_grad_op(name, slopes, w, shape, options)


def _check_image_axis(dy: Any, x: Any, w: Any) -> None:
    """Refuse one image with the gradient of many, and the other way round."""
    rank = len(w.shape) - 2
    if rank < 1 or {len(dy.shape), len(x.shape)} != {rank + 1, rank + 2}:
        return
    lacking = "dy" if len(dy.shape) == rank + 1 else "x"
    raise ShapeError(
        f"conv_backward: {lacking} lacks the image axis\n"
        f"    dy has shape {dy.shape}\n"
        f"    x has shape {x.shape}\n"
        f"  Pass both with it or both without; for one image {lacking}[None] adds it."
    )


def _check_needs(needs: Sequence[str]) -> None:
    if isinstance(needs, str) or not isinstance(needs, Sequence | Set):
        named = ops.is_among(needs, ("input", "weight", "bias"))
        example = needs if named else "input"
        raise ArgumentError(
            f"conv_backward: needs is {needs!r}, not a tuple of names\n"
            f'  Pass a tuple; for one gradient pass ("{example}",).'
        )
    for need in needs:
        if not ops.is_among(need, ("input", "weight", "bias")):
            raise ArgumentError(
                f"conv_backward: needs holds {need!r}\n"
                '  Name any of "input", "weight" and "bias".'
            )
