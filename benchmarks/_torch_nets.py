"""The networks of `_nets` in PyTorch."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks._nets import LIBRARY


class Residual(torch.nn.Module):  # type: ignore[misc]
    """`body(x) + shortcut(x)`, or `+ x` without a shortcut."""

    def __init__(self, body: Any, shortcut: Any) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Any) -> Any:
        beside = x if self.shortcut is None else self.shortcut(x)
        return self.body(x) + beside


TORCH: dict[str, Callable[..., Any]] = {
    "Residual": Residual,
    **{
        name: getattr(torch.nn, name)
        for name in (*LIBRARY, "AdaptiveAvgPool2d", "ReLU6", "Sequential")
    },
}
