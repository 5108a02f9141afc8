"""The public functions under PyTorch's names of arguments."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import rot180
from rot180 import functional

Call = Callable[..., Any]


def conv(
    x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    return rot180.conv(
        x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups
    )


def conv_transpose(
    x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    return rot180.conv_transpose(
        x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups,
        output_padding=output_padding,
    )  # fmt: skip


def max_pool(rank: int) -> Call:
    """Returns `max_pool1d` and so on; the maxima alone."""

    def call(
        x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
        dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        return rot180.max_pool(
            x, each(kernel_size, rank), stride=stride or None, padding=padding,
            dilation=dilation, ceil_mode=ceil_mode,
        )  # fmt: skip

    return call


def avg_pool(rank: int) -> Call:
    """Returns `avg_pool1d` and so on."""

    def call(
        x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:  # fmt: skip
        return rot180.avg_pool(
            x, each(kernel_size, rank), stride=stride or None, padding=padding,
            ceil_mode=ceil_mode, count_include_pad=count_include_pad,
            divisor_override=divisor_override,
        )  # fmt: skip

    return call


def each(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """Returns one number per dimension: what says that there is no image axis."""
    numbers = (value,) if isinstance(value, int) else tuple(value)
    return numbers * rank if len(numbers) == 1 else numbers


def batch_norm(
    x: Any, mean: Any, var: Any, w: Any = None, b: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    channels = np.shape(x)[1]
    w = np.ones(channels, x.dtype) if w is None else w
    b = np.zeros(channels, x.dtype) if b is None else b
    if training or mean is None:
        return functional.batch_norm(x, w, b, eps=eps)[0]
    return functional.normalise(x, w, b, mean, var, eps=eps)


def method(name: str) -> Call:
    """Returns a sum, mean or maximum over axes, of a traced tensor."""

    def call(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        axis = tuple(dim) if isinstance(dim, list | tuple) else dim
        return getattr(x, name)(None if axis == () else axis, keepdims=keepdim)

    return call


def arithmetic(function: Call) -> Call:
    """Returns `function` of two operands, the second times `alpha`."""

    def call(a: Any, b: Any, alpha: float = 1) -> Any:
        return function(a, b if alpha == 1 else functional.multiply(b, alpha))

    return call


def cross_entropy(logits: Any, labels: Any, reduction: str = "mean") -> Any:
    assert reduction == "mean"
    return functional.cross_entropy(logits, labels)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    return functional.flatten(x, start_dim, end_dim)
