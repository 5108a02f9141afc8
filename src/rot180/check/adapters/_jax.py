"""JAX's convolutions, pooling windows and ReLU, and the gradients of `jax.vjp`.

Judged: `jax.lax.conv_general_dilated` in any rank and both layouts,
`jax.lax.conv_transpose` with `transpose_kernel=True`, `jax.lax.reduce_window` with
`max` and `add`, and `jax.nn.relu`; gradients are those of `jax.vjp`, the double
backward is `jax.vjp` of `jax.vjp`. Nothing is put under `jax.jit`; it runs on the CPU
unless `JAX_PLATFORMS` says otherwise. JAX has no average pooling of its own: the sum of
each window is divided by the number of its positions, which `reduce_window` counts.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("JAX_PLATFORMS", "cpu")
try:
    import jax
    import jax.numpy as jnp
    from jax import lax
except ImportError as error:
    raise ImportError(
        "the adapter 'jax' needs JAX, which is not installed\n"
        "  Run: pip install 'rot180[jax]'"
    ) from error

jax.config.update("jax_enable_x64", True)

Array = NDArray[Any]
Ints = int | Sequence[int]
VERSIONS = ("jax", "jaxlib")
UNSUPPORTED = {
    "no image axis": "JAX's convolutions and windows have an image axis",
    "flip": "jax.lax has the correlation only",
    "ceil_mode": "jax.lax.reduce_window has no ceil_mode",
    "divisor_override": "JAX has no average pooling with a divisor of the user's",
}
_WORDS = {"valid": "VALID", "same": "SAME", "same_lower": "SAME_LOWER"}


def conv(x: Array, w: Array, b: Array | None = None, **options: Any) -> Array:
    """`y` of `conv_general_dilated`, plus the bias."""
    return np.array(_conv(x, w, b, options))


def conv_input_grad(
    dy: Array, w: Array, x_shape: tuple[int, ...], **options: Any
) -> Array:
    """`dx`; the values of `x` do not matter, and are zeros."""
    x = np.zeros(x_shape, dy.dtype)
    return _pulled(lambda x: _conv(x, w, None, options), dy, x)[0]


def conv_weight_grad(
    dy: Array, x: Array, w_shape: tuple[int, ...], **options: Any
) -> Array:
    """`dw`; the values of `w` do not matter, and are zeros."""
    w = np.zeros(w_shape, dy.dtype)
    return _pulled(lambda w: _conv(x, w, None, options), dy, w)[0]


def conv_backward(
    dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """`dx`, `dw` and `db` of one `jax.vjp`."""
    last = options.get("layout") == "channels_last"
    b = np.zeros(w.shape[-1 if last else 0], w.dtype)
    dx, dw, db = _pulled(partial(_conv, options=options), dy, x, w, b)
    return dx, dw, db


def conv_double_backward(
    ddx: Array, ddw: Array, dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """The gradients of `<ddx, dx> + <ddw, dw>` by `dy`, `x` and `w`."""

    def gradients(dy: Any, x: Any, w: Any) -> Any:
        _, pull = jax.vjp(lambda x, w: _conv(x, w, None, options), x, w)
        return pull(dy)

    by_dy, by_x, by_w = _pulled(gradients, (ddx, ddw), dy, x, w)
    return by_dy, by_x, by_w


def conv_transpose(x: Array, w: Array, b: Array | None = None, **options: Any) -> Array:
    """`y` of `conv_transpose`, plus the bias."""
    return np.array(_conv_transpose(x, w, b, options))


def conv_transpose_backward(
    dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """`dx`, `dw` and `db` of the transposed convolution, of one `jax.vjp`."""
    last = options.get("layout") == "channels_last"
    b = np.zeros(w.shape[-2 if last else 1], w.dtype)
    dx, dw, db = _pulled(partial(_conv_transpose, options=options), dy, x, w, b)
    return dx, dw, db


def max_pool(x: Array, kernel_size: Ints, **options: Any) -> Array:
    """`y` of `reduce_window` with the maximum."""
    return np.array(_max_pool(x, kernel_size, **options))


def max_pool_backward(dy: Array, x: Array, kernel_size: Ints, **options: Any) -> Array:
    """`dx` of the maximum pooling."""
    if np.any(np.asarray(options.get("dilation", 1)) > 1):
        raise NotImplementedError(
            "JAX has no gradient of a maximum over dilated windows"
        )
    return _pulled(lambda x: _max_pool(x, kernel_size, **options), dy, x)[0]


def avg_pool(x: Array, kernel_size: Ints, **options: Any) -> Array:
    """`y` of `reduce_window` with the sum, divided by the positions."""
    return np.array(_avg_pool(x, kernel_size, **options))


def avg_pool_backward(
    dy: Array, x_shape: tuple[int, ...], kernel_size: Ints, **options: Any
) -> Array:
    """`dx` of the average pooling."""
    x = np.zeros(x_shape, dy.dtype)
    return _pulled(lambda x: _avg_pool(x, kernel_size, **options), dy, x)[0]


def relu(x: Array) -> Array:
    """`y` of `jax.nn.relu`."""
    return np.array(jax.nn.relu(x))


def relu_backward(dy: Array, x: Array) -> Array:
    """`dx` of `jax.nn.relu`."""
    return _pulled(jax.nn.relu, dy, x)[0]


def _pulled(function: Callable[..., Any], dy: Any, *operands: Any) -> list[Array]:
    """The gradients by the operands, given the gradient of the function's result."""
    operands = tuple(map(jnp.asarray, operands))
    _, pull = jax.vjp(function, *operands)
    return [np.array(g) for g in pull(jax.tree.map(jnp.asarray, dy))]


def _conv(x: Any, w: Any, b: Any, options: dict[str, Any]) -> Any:
    rank, layout = w.ndim - 2, options.get("layout", "channels_first")
    y = lax.conv_general_dilated(
        x,
        w,
        _each(options.get("stride", 1), rank),
        _padding("conv_general_dilated", options.get("padding", 0), rank),
        rhs_dilation=_each(options.get("dilation", 1), rank),
        dimension_numbers=_axes(rank, layout),
        feature_group_count=options.get("groups", 1),
    )
    return _biased(y, b, layout)


def _conv_transpose(x: Any, w: Any, b: Any, options: dict[str, Any]) -> Any:
    if options.get("groups", 1) > 1:
        raise NotImplementedError("jax.lax.conv_transpose has no groups")
    rank, layout = w.ndim - 2, options.get("layout", "channels_first")
    kernel = w.shape[:-2] if layout == "channels_last" else w.shape[2:]
    strides = _each(options.get("stride", 1), rank)
    dilations = _each(options.get("dilation", 1), rank)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = _padding("conv_transpose", options.get("padding", 0), rank)
    more = _each(options.get("output_padding", 0), rank)
    if isinstance(pads, str):
        _refuse_words(pads, strides, spans, more)
    elif any(more):
        # Then it cannot be the forward convolution's padding; it is what goes around
        # the spread-out input, `span - 1 - padding`, and the output padding behind.
        dims = zip(spans, pads, more, strict=True)
        pads = [(s - 1 - low, s - 1 - high + extra) for s, (low, high), extra in dims]
    y = lax.conv_transpose(
        x,
        w,
        strides,
        pads,
        rhs_dilation=dilations,
        dimension_numbers=_axes(rank, layout),
        transpose_kernel=True,
        use_consistent_padding=isinstance(pads, str) or not any(more),
    )
    return _biased(y, b, layout)


def _refuse_words(
    padding: str, strides: Sequence[int], spans: Sequence[int], more: Sequence[int]
) -> None:
    """Refuse the words with which JAX means another output size than rot180."""
    if any(more):
        raise NotImplementedError(
            "jax.lax.conv_transpose has no output_padding with padding by name"
        )
    if padding == "SAME_LOWER" or (padding == "SAME" and max(strides) > 1):
        raise NotImplementedError(
            f"jax.lax.conv_transpose has no padding {padding!r} that undoes the "
            "convolution's here"
        )
    if any(span < step for span, step in zip(spans, strides, strict=True)):
        raise NotImplementedError(
            "jax.lax.conv_transpose with 'VALID' adds positions where the stride "
            "exceeds the kernel"
        )


def _max_pool(x: Any, kernel_size: Ints, **options: Any) -> Any:
    return _reduced(x, lax.max, -np.inf, kernel_size, **options)


def _avg_pool(
    x: Any, kernel_size: Ints, *, count_include_pad: bool = True, **options: Any
) -> Any:
    total = _reduced(x, lax.add, 0, kernel_size, **options)
    if count_include_pad:
        return total / np.prod(_each(kernel_size, x.ndim - 2))
    ones = jnp.ones(x.shape, x.dtype)
    return total / _reduced(ones, lax.add, 0, kernel_size, **options)


def _reduced(
    x: Any,
    combine: Callable[..., Any],
    start: float,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    dilation: Ints = 1,
    layout: str = "channels_first",
) -> Any:
    rank = x.ndim - 2
    pads = _padding("reduce_window", padding, rank)

    def around(inner: Any, value: Any) -> tuple[Any, ...]:
        if layout == "channels_last":
            return (value, *inner, value)
        return (value, value, *inner)

    return lax.reduce_window(
        x,
        np.array(start, x.dtype),
        combine,
        around(_each(kernel_size, rank), 1),
        around(_each(kernel_size if stride is None else stride, rank), 1),
        pads if isinstance(pads, str) else around(pads, (0, 0)),
        window_dilation=around(_each(dilation, rank), 1),
    )


def _padding(function: str, padding: Any, rank: int) -> Any:
    if isinstance(padding, str):
        if padding not in _WORDS:
            raise NotImplementedError(f"jax.lax.{function} has no padding {padding!r}")
        return _WORDS[padding]
    return [(p, p) if isinstance(p, int) else tuple(p) for p in _each(padding, rank)]


def _each(value: Any, rank: int) -> tuple[Any, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _axes(rank: int, layout: str) -> tuple[str, str, str]:
    """JAX's `dimension_numbers`: the axes of `x`, `w` and `y`, a letter each."""
    size = "0123456789"[:rank]
    if layout == "channels_last":
        return f"N{size}C", f"{size}IO", f"N{size}C"
    return f"NC{size}", f"OI{size}", f"NC{size}"


def _biased(y: Any, b: Any, layout: str) -> Any:
    """`y` plus the bias; another length than the filters' is refused."""
    if b is None:
        return y
    if layout == "channels_last":
        return y + b.reshape(y.shape[-1])
    return y + b.reshape((y.shape[1], *(1,) * (y.ndim - 2)))
