"""Layers without a window, with PyTorch's names, arguments and state names."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rot180 import functional
from rot180.errors import ArgumentError, ShapeError
from rot180.nn._arguments import (
    check_dtype,
    check_flags,
    check_positive,
    check_same_dtype,
    kaiming_uniform,
)
from rot180.nn._key import Key
from rot180.nn._module import Module, Scope
from rot180.nn._state_dict import Array


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
        for position, module in enumerate(modules):
            if not isinstance(module, Module):
                kind = module.__name__ if isinstance(module, type) else repr(module)
                raise ArgumentError(
                    f"Sequential: argument {position}, {kind}, is not a module\n"
                    "  Pass modules such as nn.ReLU(), each as an argument of its own."
                )
        self.modules = modules

    def children(self) -> dict[str, Module]:
        """Returns the modules by position."""
        return {str(i): module for i, module in enumerate(self.modules)}

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns the last module's output."""
        for module in self.modules:
            x = scope(module, x)
        return x


@dataclass(frozen=True)
class ReLU(Module):
    """`max(x, 0)` of each element, as `torch.nn.ReLU`.

    `inplace` is taken as PyTorch takes it; the result is a new array all the same.

    Example:
        >>> import numpy as np
        >>> from rot180 import nn
        >>> nn.ReLU().apply({}, {}, np.array([-1.0, 2.0]), training=False)[0]
        array([0., 2.])
    """

    inplace: bool = field(default=False, repr=False)

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

    def __post_init__(self) -> None:
        for name in ("start_dim", "end_dim"):
            if not hasattr(getattr(self, name), "__index__"):
                raise ArgumentError(
                    f"Flatten: {name}={getattr(self, name)!r} is not an integer"
                )

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

    def __post_init__(self) -> None:
        check_positive(self, "in_features", "out_features", zero=True)
        check_dtype(self)
        check_flags(self, "bias")

    def own_params(self, key: Key) -> dict[str, Array]:
        """Returns `weight` and, with a bias, `bias`, as PyTorch initialises them."""
        shape = (self.out_features, self.in_features)
        return kaiming_uniform(
            key, shape, self.out_features if self.bias else None, self.dtype
        )

    def forward(self, scope: Scope, x: Any) -> Any:
        """Returns `(..., out_features)` for `(..., in_features)`."""
        weight = scope.param("weight")
        if np.shape(x)[-1:] != (self.in_features,):
            raise ShapeError(
                f"Linear: the last axis of x is not in_features={self.in_features}\n"
                f"    x has shape {tuple(np.shape(x))}\n"
                "  Make the layer with the extent of that axis, or pass another x."
            )
        check_same_dtype(self, x, weight)
        return functional.linear(x, weight, scope.param("bias"))
