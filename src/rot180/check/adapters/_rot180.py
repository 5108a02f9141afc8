"""rot180's own public functions, so that it is judged like the others.

What has no public function of its own is the gradient of one that has: the double
backward is `rot180.grad` of `<ddx, dx> + <ddw, dw>`, the backward pass of the
transposed convolution `rot180.grad` of `<dy, conv_transpose(x, w, b)>`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import rot180
from rot180 import (
    avg_pool,
    avg_pool_backward,
    conv,
    conv_backward,
    conv_input_grad,
    conv_transpose,
    conv_weight_grad,
    max_pool,
    max_pool_backward,
    relu,
    relu_backward,
    set_num_threads,
)

__all__ = [
    "avg_pool", "avg_pool_backward", "conv", "conv_backward",
    "conv_double_backward", "conv_input_grad", "conv_transpose",
    "conv_transpose_backward", "conv_weight_grad", "max_pool", "max_pool_backward",
    "relu", "relu_backward", "set_num_threads",
]  # fmt: skip

Array = NDArray[Any]
VERSIONS = ("rot180", "llvmlite")
UNSUPPORTED = dict.fromkeys(
    ("float16", "bfloat16"), "rot180 computes in float32 and float64"
)


def conv_double_backward(
    ddx: Array, ddw: Array, dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """The gradients of `<ddx, dx> + <ddw, dw>` by `dy`, `x` and `w`."""

    def scalar(operands: Any) -> Any:
        slopes, images, filters = operands
        dx = conv_input_grad(slopes, filters, x.shape, **options)
        dw = conv_weight_grad(slopes, images, w.shape, **options)
        return (dx * ddx).sum() + (dw * ddw).sum()

    by_dy, by_x, by_w = rot180.grad(scalar)((dy, x, w))
    return by_dy, by_x, by_w


def conv_transpose_backward(
    dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """The gradients of `<dy, conv_transpose(x, w, b)>` by `x`, `w` and `b`."""
    axis = -2 if options.get("layout") == "channels_last" else 1
    b = np.zeros(w.shape[axis] * options.get("groups", 1), w.dtype)

    def scalar(operands: Any) -> Any:
        return (conv_transpose(*operands, **options) * dy).sum()

    dx, dw, db = rot180.grad(scalar)((x, w, b))
    return dx, dw, db
