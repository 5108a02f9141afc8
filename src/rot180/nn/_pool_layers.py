"""Pooling layers as PyTorch's: names, arguments and defaults."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from rot180 import functional
from rot180.errors import ArgumentError
from rot180.nn._arguments import Size, check_flags, check_rank, check_sizes, sizes
from rot180.nn._module import Module, Scope


@dataclass(frozen=True)
class _MaxPool(Module):
    """Maximum of every window over `rank` dimensions; see the subclasses."""

    rank: ClassVar[int]

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    dilation: Size = 1
    return_indices: bool = field(default=False, repr=False)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        check_sizes(self, "kernel_size", "dilation")
        if self.stride is not None:
            check_sizes(self, "stride")
        if self.return_indices:
            raise ArgumentError(
                f"{type(self).__name__}: return_indices=True is not available\n"
                "  Call rot180.max_pool(..., return_indices=True)."
            )

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, c, *output)` for `(n, c, *spatial)`."""
        check_rank(self, x)
        size = sizes(self, "kernel_size", self.kernel_size)
        step = size if self.stride is None else self.stride
        return functional.max_pool(
            x,
            size,
            stride=step,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )


class MaxPool1d(_MaxPool):
    """Maximum pooling over one dimension, as `torch.nn.MaxPool1d`.

    Example:
        >>> from rot180 import nn
        >>> nn.MaxPool1d(2)
        MaxPool1d(kernel_size=2, stride=None, padding=0, dilation=1, ceil_mode=False)
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """Maximum pooling over two dimensions, as `torch.nn.MaxPool2d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> x = np.arange(4, dtype="f4").reshape(1, 1, 2, 2)
        >>> nn.MaxPool2d(2).apply({}, {}, x, training=False)[0]
        array([[[[3.]]]], dtype=float32)
    """

    rank = 2


class MaxPool3d(_MaxPool):
    """Maximum pooling over three dimensions, as `torch.nn.MaxPool3d`.

    Example:
        >>> from rot180 import nn
        >>> nn.MaxPool3d((1, 2, 2)).kernel_size
        (1, 2, 2)
    """

    rank = 3


@dataclass(frozen=True)
class _AvgPool(Module):
    """Mean of every window over `rank` dimensions; see the subclasses."""

    rank: ClassVar[int]

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self) -> None:
        check_sizes(self, "kernel_size")
        if self.stride is not None:
            check_sizes(self, "stride")
        check_flags(self, "count_include_pad")

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, c, *output)` for `(n, c, *spatial)`."""
        check_rank(self, x)
        size = sizes(self, "kernel_size", self.kernel_size)
        return functional.avg_pool(
            x,
            size,
            stride=size if self.stride is None else self.stride,
            padding=self.padding,
            ceil_mode=self.ceil_mode,
            count_include_pad=self.count_include_pad,
            divisor_override=self._divisor(),
        )

    def _divisor(self) -> int | None:
        return None


@dataclass(frozen=True)
class _AvgPoolBy(_AvgPool):
    """Mean of every window, or its sum divided by a number of one's own."""

    divisor_override: int | None = None

    def _divisor(self) -> int | None:
        return self.divisor_override


class AvgPool1d(_AvgPool):
    """Average pooling over one dimension, as `torch.nn.AvgPool1d`.

    Example:
        >>> from rot180 import nn
        >>> nn.AvgPool1d(3, stride=1).stride
        1
    """

    rank = 1


class AvgPool2d(_AvgPoolBy):
    """Average pooling over two dimensions, as `torch.nn.AvgPool2d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> x = np.arange(4, dtype="f4").reshape(1, 1, 2, 2)
        >>> nn.AvgPool2d(2).apply({}, {}, x, training=False)[0]
        array([[[[1.5]]]], dtype=float32)
    """

    rank = 2


class AvgPool3d(_AvgPoolBy):
    """Average pooling over three dimensions, as `torch.nn.AvgPool3d`.

    Example:
        >>> from rot180 import nn
        >>> nn.AvgPool3d(2).count_include_pad
        True
    """

    rank = 3
