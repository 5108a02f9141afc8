"""Operands of a case, in both layouts, and the calls that measure ours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import rot180
from benchmarks._cases import Case

Array = NDArray[Any]
Pass = Literal["forward", "input", "weight"]
Layout = Literal["channels_last", "channels_first"]
PASSES: tuple[Pass, ...] = ("forward", "input", "weight")
LAYOUTS: tuple[Layout, ...] = ("channels_last", "channels_first")


@dataclass(frozen=True, slots=True)
class Operands:
    """Normal data for one case, channels first; `dy` is the cotangent."""

    x: Array
    w: Array
    dy: Array

    def laid_out(self, layout: Layout) -> "Operands":
        """Return contiguous copies in `layout`."""
        if layout == "channels_first":
            return self
        return Operands(_last(self.x), _filter_last(self.w), _last(self.dy))


def operands(case: Case, dtype: str) -> Operands:
    """Return the operands of `case`, the same ones each time."""
    rng = np.random.default_rng(180)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    x = normal(case.n, case.c, *case.size)
    return Operands(
        x, normal(*case.weight_shape), normal(case.n, case.k, *case.output_size)
    )


def _last(array: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _filter_last(w: Array) -> Array:
    """Turn `(k, c, *kernel)` into `(*kernel, c, k)`."""
    return np.ascontiguousarray(np.moveaxis(w, (1, 0), (-2, -1)))


def channels_first(result: Array, which: Pass, layout: Layout) -> Array:
    """Return `result` of pass `which` with its axes in channels-first order."""
    if layout == "channels_first":
        return result
    if which == "weight":
        return np.moveaxis(result, (-1, -2), (0, 1))
    return np.moveaxis(result, -1, 1)


def our_call(
    case: Case, which: Pass, data: Operands, layout: Layout
) -> Callable[[], Array]:
    """Return a call of the public function that computes pass `which` of `case`."""
    options: dict[str, Any] = {
        "stride": case.stride,
        "padding": case.pads,
        "dilation": case.dilation,
        "groups": case.groups,
        "layout": layout,
    }
    x, w, dy = data.x, data.w, data.dy
    if case.transposed:
        # The gradients of a transposed convolution are those of the plain one whose
        # adjoint it is, with the parts of x and dy exchanged.
        calls: dict[Pass, Callable[[], Array]] = {
            "forward": lambda: rot180.conv_transpose(x, w, **options),
            "input": lambda: rot180.conv(dy, w, **options),
            "weight": lambda: rot180.conv_weight_grad(x, dy, w.shape, **options),
        }
    else:
        calls = {
            "forward": lambda: rot180.conv(x, w, **options),
            "input": lambda: rot180.conv_input_grad(dy, w, x.shape, **options),
            "weight": lambda: rot180.conv_weight_grad(dy, x, w.shape, **options),
        }
    return calls[which]
