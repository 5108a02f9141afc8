"""Layers with PyTorch's names, arguments, defaults, initialisation and state names."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from rot180 import functional
from rot180.errors import ArgumentError, ShapeError
from rot180.nn._key import Key
from rot180.nn._module import Array, Module, Scope

Size = int | tuple[int, ...]
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]


class Sequential(Module):
    """Modules applied one after another; their names are "0", "1" and so on.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> params, state = net.init(0)
        >>> x = np.ones((2, 4), np.float32)
        >>> y, state = net.apply(params, state, x, training=False)
        >>> y.shape
        (2, 3)
    """

    def __init__(self, *modules: Module) -> None:
        self.modules = modules

    def children(self) -> dict[str, Module]:
        """Returns the modules by position."""
        return {str(i): module for i, module in enumerate(self.modules)}

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns the last module's output."""
        for module in self.modules:
            x = scope(module, x)
        return x

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.modules))})"


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
        _check_channels(self)

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight` and, with a bias, `bias`, as PyTorch initialises them."""
        kernel = _sizes(self, "kernel_size", self.kernel_size)
        shape = (self.out_channels, self.in_channels // self.groups, *kernel)
        return _weights(key, shape, self.out_channels if self.bias else 0, self.dtype)

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, out_channels, *spatial)` for `(n, in_channels, *spatial)`."""
        _check_rank(self, x)
        return functional.conv(
            x,
            scope.param("weight"),
            scope.param("bias"),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


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
        _check_channels(self)

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight` and, with a bias, `bias`, as PyTorch initialises them."""
        kernel = _sizes(self, "kernel_size", self.kernel_size)
        shape = (self.in_channels, self.out_channels // self.groups, *kernel)
        return _weights(key, shape, self.out_channels if self.bias else 0, self.dtype)

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, out_channels, *spatial)` for `(n, in_channels, *spatial)`."""
        _check_rank(self, x)
        return functional.conv_transpose(
            x,
            scope.param("weight"),
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


@dataclass(frozen=True)
class _BatchNorm(Module):
    """Batch normalisation of images with `rank` dimensions; see the subclasses."""

    ranks: ClassVar[tuple[int, ...]]

    num_features: int
    eps: float = 1e-5
    momentum: float = 0.1
    affine: bool = True
    track_running_stats: bool = True
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.momentum is None:
            raise ArgumentError(
                f"{type(self).__name__}: momentum=None, a plain average over batches, "
                "is not available\n  Pass a number from 0 to 1; the default is 0.1."
            )

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight`, ones, and `bias`, zeros; nothing if not affine."""
        return {"weight": self._ones(), "bias": self._zeros()} if self.affine else {}

    def own_state(self) -> dict[str, Array]:
        """Returns the running statistics and the number of batches seen."""
        if not self.track_running_stats:
            return {}
        return {
            "running_mean": self._zeros(),
            "running_var": self._ones(),
            "num_batches_tracked": np.zeros((), np.int64),
        }

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `x` normalised: by the batch in training, else as it was recorded."""
        _check_rank(self, x)
        w, b = scope.param("weight"), scope.param("bias")
        if w is None:
            w, b = self._ones(), self._zeros()
        mean, var = scope.state("running_mean"), scope.state("running_var")
        if not scope.training and mean is not None:
            return functional.normalise(x, w, b, mean, var, eps=self.eps)
        y, batch_mean, batch_var = functional.batch_norm(x, w, b, eps=self.eps)
        if scope.training and mean is not None:
            self._record(scope, math.prod(x.shape) // x.shape[1], batch_mean, batch_var)
        return y

    def _record(self, scope: Scope, count: int, mean: Any, var: Any) -> None:
        """Moves the running statistics by `momentum`; the variance unbiased."""
        if count < 2:
            raise ShapeError(
                f"{type(self).__name__}: one value per channel has no variance\n"
                "  Train with more than one value per channel."
            )
        seen = functional.add(scope.state("num_batches_tracked"), 1)
        unbiased = self.momentum * count / (count - 1)
        scope.update(
            running_mean=self._moved(scope.state("running_mean"), mean, self.momentum),
            running_var=self._moved(scope.state("running_var"), var, unbiased),
            num_batches_tracked=seen,
        )

    def _moved(self, old: Any, new: Any, share: float) -> Any:
        kept = functional.multiply(old, 1.0 - self.momentum)
        return functional.add(kept, functional.multiply(new, share))

    def _ones(self) -> Array:
        return np.ones(self.num_features, self.dtype)

    def _zeros(self) -> Array:
        return np.zeros(self.num_features, self.dtype)


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of `(n, c)` or `(n, c, length)`, as `torch.nn.BatchNorm1d`.

    Example:
        >>> from rot180 import nn
        >>> sorted(nn.BatchNorm1d(3).init(0)[1])
        ['num_batches_tracked', 'running_mean', 'running_var']
    """

    ranks = (0, 1)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of `(n, c, h, w)`, as `torch.nn.BatchNorm2d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> layer = nn.BatchNorm2d(1)
        >>> x = np.array([0, 2], "f4").reshape(2, 1, 1, 1)
        >>> y, state = layer.apply(*layer.init(0), x, training=True)
        >>> y.ravel().round(3)
        array([-1.,  1.], dtype=float32)
        >>> state["running_mean"]
        array([0.1], dtype=float32)
    """

    ranks = (2,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of `(n, c, d, h, w)`, as `torch.nn.BatchNorm3d`.

    Example:
        >>> from rot180 import nn
        >>> nn.BatchNorm3d(2, affine=False).init(0)[0]
        {}
    """

    ranks = (3,)


@dataclass(frozen=True)
class _MaxPool(Module):
    """Maximum of every window over `rank` dimensions; see the subclasses."""

    rank: ClassVar[int]

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    dilation: Size = 1

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, c, *output)` for `(n, c, *spatial)`."""
        _check_rank(self, x)
        size = _sizes(self, "kernel_size", self.kernel_size)
        step = size if self.stride is None else self.stride
        return functional.max_pool(
            x, size, stride=step, padding=self.padding, dilation=self.dilation
        )


class MaxPool1d(_MaxPool):
    """Maximum pooling over one dimension, as `torch.nn.MaxPool1d`.

    Example:
        >>> from rot180 import nn
        >>> nn.MaxPool1d(2)
        MaxPool1d(kernel_size=2, stride=None, padding=0, dilation=1)
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
    count_include_pad: bool = True

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, c, *output)` for `(n, c, *spatial)`."""
        _check_rank(self, x)
        size = _sizes(self, "kernel_size", self.kernel_size)
        return functional.avg_pool(
            x,
            size,
            stride=size if self.stride is None else self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )


class AvgPool1d(_AvgPool):
    """Average pooling over one dimension, as `torch.nn.AvgPool1d`.

    Example:
        >>> from rot180 import nn
        >>> nn.AvgPool1d(3, stride=1).stride
        1
    """

    rank = 1


class AvgPool2d(_AvgPool):
    """Average pooling over two dimensions, as `torch.nn.AvgPool2d`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> x = np.arange(4, dtype="f4").reshape(1, 1, 2, 2)
        >>> nn.AvgPool2d(2).apply({}, {}, x, training=False)[0]
        array([[[[1.5]]]], dtype=float32)
    """

    rank = 2


class AvgPool3d(_AvgPool):
    """Average pooling over three dimensions, as `torch.nn.AvgPool3d`.

    Example:
        >>> from rot180 import nn
        >>> nn.AvgPool3d(2).count_include_pad
        True
    """

    rank = 3


@dataclass(frozen=True)
class ReLU(Module):
    """`max(x, 0)` of each element, as `torch.nn.ReLU`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> nn.ReLU().apply({}, {}, np.array([-1.0, 2.0]), training=False)[0]
        array([0., 2.])
    """

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns an output of the shape of `x`."""
        return functional.relu(x)


@dataclass(frozen=True)
class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim`, as `torch.nn.Flatten`.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> x = np.zeros((2, 3, 4, 4), "f4")
        >>> nn.Flatten().apply({}, {}, x, training=False)[0].shape
        (2, 48)
    """

    start_dim: int = 1
    end_dim: int = -1

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(n, elements per image)` by default."""
        return functional.flatten(x, self.start_dim, self.end_dim)


@dataclass(frozen=True)
class Linear(Module):
    """`x @ weight.T + bias`, as `torch.nn.Linear`.

    Example:
        >>> from rot180 import nn
        >>> params, _ = nn.Linear(4, 3).init(0)
        >>> params["weight"].shape, params["bias"].shape
        ((3, 4), (3,))
    """

    in_features: int
    out_features: int
    bias: bool = True
    dtype: str = "float32"

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight` and, with a bias, `bias`, as PyTorch initialises them."""
        shape = (self.out_features, self.in_features)
        return _weights(key, shape, self.out_features if self.bias else 0, self.dtype)

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(..., out_features)` for `(..., in_features)`."""
        return functional.linear(x, scope.param("weight"), scope.param("bias"))


def _weights(
    key: Key, shape: tuple[int, ...], biases: int, dtype: str
) -> dict[str, Array]:
    """Kaiming's uniform initialisation with a = sqrt(5), which is PyTorch's default.

    Both weight and bias are even on `(-1/sqrt(fan), 1/sqrt(fan))`, where `fan` is the
    product of all extents of the weight but the first.
    """
    fan = math.prod(shape[1:])
    bound = 1 / math.sqrt(fan) if fan else 0.0
    arrays = {"weight": key.fold("weight").uniform(shape, -bound, bound, dtype)}
    if biases:
        arrays["bias"] = key.fold("bias").uniform((biases,), -bound, bound, dtype)
    return arrays


def _sizes(module: Any, name: str, value: Size) -> tuple[int, ...]:
    rank: int = module.rank
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise ArgumentError(
            f"{type(module).__name__}: {name}={value} has {len(value)} numbers, not "
            f"{rank}\n  Pass one number, or one for each of the {rank} dimensions."
        )
    return tuple(value)


def _check_channels(module: Any) -> None:
    name = type(module).__name__
    if module.padding_mode != "zeros":
        raise ArgumentError(
            f"{name}: padding_mode={module.padding_mode!r} is not available\n"
            '  Use padding_mode="zeros".'
        )
    _sizes(module, "kernel_size", module.kernel_size)
    for what in ("in_channels", "out_channels"):
        channels = getattr(module, what)
        if module.groups < 1 or channels < 1 or channels % module.groups:
            raise ArgumentError(
                f"{name}: {what}={channels} with groups={module.groups}\n"
                "  Both must be positive, and groups divide the channels."
            )


def _check_rank(module: Any, x: Any) -> None:
    ranks = getattr(module, "ranks", None) or (module.rank,)
    batched = isinstance(module, _BatchNorm)
    allowed = {r + 2 for r in ranks} | (set() if batched else {r + 1 for r in ranks})
    if len(x.shape) not in allowed:
        axes = " or ".join(map(str, sorted(allowed)))
        raise ShapeError(
            f"{type(module).__name__}: x has {len(x.shape)} axes, not {axes}\n"
            f"    x has shape {x.shape}\n"
            "  Axes are images, channels, then the spatial dimensions."
        )
