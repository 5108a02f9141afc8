"""Convolution layers as PyTorch's: names, arguments, defaults and initialisation."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rot180 import functional, ops
from rot180.errors import ArgumentError
from rot180.nn._arguments import (
    Padding,
    Size,
    check_dtype,
    check_flags,
    check_positive,
    check_rank,
    check_same_dtype,
    check_sizes,
    kaiming_uniform,
    sizes,
)
from rot180.nn._key import Key
from rot180.nn._module import Module, Scope
from rot180.nn._state_dict import Array


@dataclass(frozen=True)
class _Conv(Module):
    """Convolution over `rank` dimensions; see the subclasses."""

    rank: ClassVar[int]

    in_channels: int
    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Padding = 0
    dilation: Size = 1
    groups: int = 1
    bias: bool = True
    padding_mode: Literal["zeros"] = "zeros"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check(self)

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight` and, with a bias, `bias`, as PyTorch initialises them."""
        kernel = sizes(self, "kernel_size", self.kernel_size)
        shape = (self.out_channels, self.in_channels // self.groups, *kernel)
        return kaiming_uniform(
            key, shape, self.out_channels if self.bias else None, self.dtype
        )

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, out_channels, *spatial)` for `(n, in_channels, *spatial)`."""
        check_rank(self, x, "in_channels")
        weight = scope.param("weight")
        check_same_dtype(self, x, weight)
        y = functional.conv(
            x,
            weight,
            scope.param("bias"),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        if 0 in y.shape[-self.rank :]:
            self._check_fits(x)
        return y

    def _check_fits(self, x: Any) -> None:
        """Refuse images smaller than the window, which `functional.conv` takes."""
        size = tuple(x.shape[-self.rank :])
        window = ops.Window.make(
            "conv",
            sizes(self, "kernel_size", self.kernel_size),
            input_size=size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        window.check_fits(size, op="conv")


class Conv1d(_Conv):
    """Convolution over one dimension, as `torch.nn.Conv1d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> layer = nn.Conv1d(2, 4, 3, padding=1)
        >>> y, _ = layer.apply(*layer.init(0), np.ones((1, 2, 9), "f4"), training=False)
        >>> y.shape
        (1, 4, 9)
    """

    rank = 1


class Conv2d(_Conv):
    """Convolution over two dimensions, as `torch.nn.Conv2d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> layer = nn.Conv2d(1, 4, 3, stride=2)
        >>> y, _ = layer.apply(
        ...     *layer.init(0), np.ones((1, 1, 9, 9), "f4"), training=False
        ... )
        >>> y.shape
        (1, 4, 4, 4)
    """

    rank = 2


class Conv3d(_Conv):
    """Convolution over three dimensions, as `torch.nn.Conv3d`.

    Example:
        >>> from rot180 import nn
        >>> params, _ = nn.Conv3d(2, 4, (1, 3, 3), bias=False).init(0)
        >>> params["weight"].shape
        (4, 2, 1, 3, 3)
    """

    rank = 3


@dataclass(frozen=True)
class _ConvTranspose(Module):
    """Transposed convolution over `rank` dimensions; see the subclasses."""

    rank: ClassVar[int]

    in_channels: int
    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Size = 0
    output_padding: Size = 0
    groups: int = 1
    bias: bool = True
    dilation: Size = 1
    padding_mode: Literal["zeros"] = "zeros"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check(self)

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight` and, with a bias, `bias`, as PyTorch initialises them."""
        kernel = sizes(self, "kernel_size", self.kernel_size)
        shape = (self.in_channels, self.out_channels // self.groups, *kernel)
        return kaiming_uniform(
            key, shape, self.out_channels if self.bias else None, self.dtype
        )

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, out_channels, *spatial)` for `(n, in_channels, *spatial)`."""
        check_rank(self, x, "in_channels")
        weight = scope.param("weight")
        check_same_dtype(self, x, weight)
        return functional.conv_transpose(
            x,
            weight,
            scope.param("bias"),
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
        )


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one dimension, as `torch.nn.ConvTranspose1d`.

    Example:
        >>> from rot180 import nn
        >>> params, _ = nn.ConvTranspose1d(2, 4, 3).init(0)
        >>> params["weight"].shape
        (2, 4, 3)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution over two dimensions, as `torch.nn.ConvTranspose2d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> layer = nn.ConvTranspose2d(2, 4, 2, stride=2)
        >>> y, _ = layer.apply(
        ...     *layer.init(0), np.ones((1, 2, 3, 3), "f4"), training=False
        ... )
        >>> y.shape
        (1, 4, 6, 6)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three dimensions, as `torch.nn.ConvTranspose3d`.

    Example:
        >>> from rot180 import nn
        >>> params, _ = nn.ConvTranspose3d(2, 4, 2, bias=False).init(0)
        >>> list(params)
        ['weight']
    """

    rank = 3


def _check(module: Any) -> None:
    name = type(module).__name__
    if not ops.is_among(module.padding_mode, ("zeros",)):
        raise ArgumentError(
            f"{name}: padding_mode={module.padding_mode!r} is not available\n"
            '  Use padding_mode="zeros".'
        )
    check_sizes(module, "kernel_size", "stride", "dilation")
    check_dtype(module)
    check_flags(module, "bias")
    check_positive(module, "groups")
    check_positive(module, "in_channels", "out_channels", zero=True)
    for what in ("in_channels", "out_channels"):
        channels = getattr(module, what)
        if channels % module.groups:
            raise ArgumentError(
                f"{name}: {what}={channels} with groups={module.groups}\n"
                "  The number of groups must divide the channels."
            )
