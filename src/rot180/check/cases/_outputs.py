"""The functions that can be judged, and what each returns."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OUTPUTS"]

# What each function returns, in order; the names are those of the formulas.
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "conv": ("y",),
    "conv_input_grad": ("dx",),
    "conv_weight_grad": ("dw",),
    "conv_backward": ("dx", "dw", "db"),
    "conv_double_backward": ("ddy", "gx", "gw"),
    "conv_transpose": ("y",),
    "conv_transpose_backward": ("dx", "dw", "db"),
    "max_pool": ("y",),
    "max_pool_backward": ("dx",),
    "avg_pool": ("y",),
    "avg_pool_backward": ("dx",),
    "relu": ("y",),
    "relu_backward": ("dx",),
}
