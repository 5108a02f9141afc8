"""Batch normalisation layers as PyTorch's, with their running statistics."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rot180 import functional
from rot180.errors import ArgumentError, ShapeError
from rot180.nn._arguments import (
    check_axes,
    check_channels,
    check_dtype,
    check_flags,
    check_number,
    check_positive,
    check_same_dtype,
)
from rot180.nn._key import Key
from rot180.nn._module import Module, Scope
from rot180.nn._state_dict import Array


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
    bias: bool = True

    def __post_init__(self) -> None:
        check_positive(self, "num_features")
        if self.momentum is None:
            raise ArgumentError(
                f"{type(self).__name__}: momentum=None, a plain average over batches, "
                "is not available\n  Pass a number from 0 to 1; the default is 0.1."
            )
        check_number(self, "momentum", most=1.0)
        check_number(self, "eps")
        check_dtype(self)
        check_flags(self, "affine", "track_running_stats")

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight`, ones, and `bias`, zeros; nothing if not affine."""
        if not self.affine:
            return {}
        bias = {"bias": self._zeros()} if self.bias else {}
        return {"weight": self._ones(), **bias}

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
        check_axes(self, x, {rank + 2 for rank in self.ranks})
        check_channels(self, x, 1 - len(x.shape), "num_features")
        w, b = scope.param("weight"), scope.param("bias")
        w = self._ones() if w is None else w
        b = self._zeros() if b is None else b
        check_same_dtype(self, x, w)
        mean, var = scope.state("running_mean"), scope.state("running_var")
        if not scope.training and mean is not None:
            return functional.normalise(x, w, b, mean, var, eps=self.eps)
        y, batch_mean, batch_var = functional.batch_norm(x, w, b, eps=self.eps)
        if scope.training and mean is not None:
            count = math.prod(n for axis, n in enumerate(x.shape) if axis != 1)
            self._record(scope, count, batch_mean, batch_var)
        return y

    def _record(self, scope: Scope, count: int, mean: Any, var: Any) -> None:
        """Moves the running statistics by `momentum`; the variance unbiased.

        An empty batch moves nothing and counts, as in PyTorch.
        """
        seen = functional.add(scope.state("num_batches_tracked"), 1)
        if count == 0:
            scope.update(num_batches_tracked=seen)
            return
        if count == 1:
            raise ShapeError(
                f"{type(self).__name__}: one value per channel has no variance\n"
                "  Train with more than one value per channel."
            )
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
