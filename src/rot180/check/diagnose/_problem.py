"""What a call had to compute, in one form: images `(n, c, *size)`, filters first.

A problem holds the operands of one output and computes it; a known mistake asks it for
the value under an altered window, altered operands or another rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from rot180.check.cases import CONV, Case
from rot180.check.diagnose._pool import PoolProblem
from rot180.check.diagnose._sums import Array, Dim, Dims, Pass, Sum, Tables, tables
from rot180.check.judge import output_size

__all__ = [
    "ConvProblem", "PlainProblem", "Problem", "canonical", "drawn", "problem_of",
    "window_of",
]  # fmt: skip

_FILTERS = ("w", "ddw", "dw", "gw")
_VECTORS = ("b", "db")
# The operands of each output of a plain convolution: its pass, then pairs of operands,
# each in the order of the formula.
_PASSES: Mapping[str, tuple[Pass, tuple[tuple[str, str], ...]]] = {
    "y": ("y", (("x", "w"),)),
    "dx": ("x", (("w", "dy"),)),
    "dw": ("w", (("x", "dy"),)),
    "ddy": ("y", (("ddx", "w"), ("x", "ddw"))),
    "gx": ("x", (("ddw", "dy"),)),
    "gw": ("w", (("ddx", "dy"),)),
}
# A transposed convolution is the input gradient of the convolution that leads back.
_TRANSPOSED: Mapping[str, tuple[Pass, tuple[tuple[str, str], ...]]] = {
    "y": ("x", (("w", "x"),)),
    "dx": ("y", (("dy", "w"),)),
    "dw": ("w", (("dy", "x"),)),
}
_FIELDS: Mapping[Pass, tuple[str, str]] = {
    "y": ("x", "w"),
    "x": ("w", "y"),
    "w": ("x", "y"),
}


@dataclass(frozen=True, slots=True, eq=False)
class ConvProblem:
    """A forward pass, an input gradient or a weight gradient.

    Attributes:
        out: The operand of the sum that is computed.
        dims: The window.
        sums: What is added up; one, or two for `ddy`.
        b: The bias `(k,)`.
        groups: Number of channel groups.
        transposed: Whether it belongs to a transposed convolution.
    """

    out: Pass
    dims: tuple[Dim, ...]
    sums: tuple[Sum, ...]
    b: Array | None
    groups: int
    transposed: bool = False

    @property
    def role(self) -> str:
        """The pass, by which fingerprints are chosen."""
        return self.out

    def value(self) -> Array:
        """Returns the output."""
        return self.finished(self.grouped())

    def reading(self, **changes: Callable[[Array], Array]) -> ConvProblem:
        """Returns the problem with operands altered, by their letters `x w y`."""
        sums = []
        for one in self.sums:
            held = {name: getattr(one, name) for name in changes}
            new: dict[str, Any] = {
                n: changes[n](a) for n, a in held.items() if a is not None
            }
            sums.append(replace(one, **new))
        return replace(self, sums=tuple(sums))

    def grouped(self, meets: Tables | None = None) -> Array:
        """Returns the output without bias, its channels split into groups."""
        known = tables(self.dims) if meets is None else meets
        first, *more = (one.value(known) for one in self.sums)
        return np.asarray(sum(more, start=first))

    def finished(self, grouped: Array) -> Array:
        """Returns a grouped output with its groups joined and the bias added."""
        axis = 0 if self.out == "w" else 1
        shape = list(grouped.shape)
        shape[axis : axis + 2] = [shape[axis] * shape[axis + 1]]
        result = grouped.reshape(shape)
        if self.b is None:
            return result
        return result + self.b.reshape(-1, *(1 for _ in self.dims))


@dataclass(frozen=True, slots=True, eq=False)
class PlainProblem:
    """An output without a window: the bias gradient, ReLU and its gradient.

    Attributes:
        role: `"db"`, `"relu"` or `"relu_backward"`.
        operands: By name.
    """

    role: Literal["db", "relu", "relu_backward"]
    operands: Mapping[str, Array]

    def value(self) -> Array:
        """Returns the output."""
        if self.role == "db":
            dy = self.operands["dy"]
            return np.asarray(dy.sum(axis=(0, *range(2, dy.ndim))))
        x = self.operands["x"]
        if self.role == "relu":
            return np.maximum(x, 0)
        return np.where(x > 0, self.operands["dy"], 0)


Problem = ConvProblem | PoolProblem | PlainProblem


def canonical(case: Case, name: str, array: Array) -> Array:
    """Returns an operand or an output by its name, channels first, with images."""
    if name in _VECTORS:
        return array
    if name in _FILTERS:
        last = case.layout == "channels_last" and array.ndim >= 2
        return np.moveaxis(array, (-1, -2), (0, 1)) if last else array
    if case.images is None:
        array = array[None]
    return np.moveaxis(array, -1, 1) if case.layout == "channels_last" else array


def problem_of(
    case: Case, function: str, output: str, operands: Mapping[str, Array]
) -> Problem | None:
    """Returns the problem, or None where the operands do not tell.

    Args:
        case: The configuration.
        function: The function that was called.
        output: Which of its outputs.
        operands: By name, in the case's layout.
    """
    given = {
        name: canonical(case, name, np.asarray(value)).astype(np.float64)
        for name, value in operands.items()
        if value is not None
    }
    return _problem(case, function, output, given)


def _problem(
    case: Case, function: str, output: str, given: Mapping[str, Array]
) -> Problem | None:
    if any(name not in given for name in needed(function, output)):
        return None
    if output == "db":
        return PlainProblem("db", given)
    if case.kind == "relu":
        back = function == "relu_backward"
        return PlainProblem("relu_backward" if back else "relu", given)
    dims = window_of(case)
    if case.kind in CONV:
        return _conv_problem(case, output, dims, given)
    return PoolProblem(
        kind="max" if case.kind == "max_pool" else "avg",
        backward=function.endswith("backward"),
        dims=dims,
        x=given.get("x"),
        dy=given.get("dy"),
        include=case.count_include_pad,
        override=case.divisor_override,
    )


def _conv_problem(
    case: Case, output: str, dims: tuple[Dim, ...], given: Mapping[str, Array]
) -> ConvProblem:
    transposed = case.kind == "conv_transpose"
    out, pairs = (_TRANSPOSED if transposed else _PASSES)[output]
    sums = []
    for pair in pairs:
        fields = {
            field: _split(given[name], case.groups, 0 if field == "w" else 1)
            for field, name in zip(_FIELDS[out], pair, strict=True)
        }
        sums.append(Sum(out, **fields))
    b = given.get("b") if output == "y" else None
    return ConvProblem(out, dims, tuple(sums), b, case.groups, transposed)


def _split(array: Array, groups: int, axis: int) -> Array:
    """Returns the array with one axis split into groups and what is in a group."""
    shape = list(array.shape)
    shape[axis : axis + 1] = [groups, shape[axis] // groups]
    return array.reshape(shape)


def needed(function: str, output: str) -> tuple[str, ...]:
    """Returns the names of the operands that an output depends on."""
    if output == "db":
        return ("dy",)
    if function.startswith("conv"):
        table = _TRANSPOSED if function.startswith("conv_transpose") else _PASSES
        return tuple(dict.fromkeys(n for pair in table[output][1] for n in pair))
    if function == "avg_pool_backward":
        return ("dy",)
    return ("dy", "x") if function.endswith("backward") else ("x",)


@lru_cache(maxsize=4096)
def window_of(case: Case) -> Dims:
    """Returns the window of the convolution whose input is the larger side."""
    ends = (case.size, output_size(case))
    larger, smaller = ends[::-1] if case.kind == "conv_transpose" else ends
    steps = (case.kernel_size, case.stride, case.dilation, case.window.padding)
    return tuple(
        Dim(size, count, taps, stride, dilation, low, high, case.flip)
        for size, count, taps, stride, dilation, (low, high) in zip(
            larger, smaller, *steps, strict=True
        )
    )


def drawn(case: Case, function: str, output: str, seed: int = 0) -> Problem | None:
    """Returns a problem of the case on operands drawn here: small integers."""
    rng = np.random.default_rng(seed)
    shapes = _shapes(case)
    names = [*needed(function, output), *(["b"] if case.bias else [])]
    given = {
        name: rng.integers(-4, 5, shapes[name]).astype(np.float64) for name in names
    }
    return _problem(case, function, output, given)


def _shapes(case: Case) -> dict[str, tuple[int, ...]]:
    images = 1 if case.images is None else case.images
    case = replace(case, images=images, layout="channels_first")
    x, w = case.x_shape, case.w_shape
    dy = case.image_shape(case.filters, output_size(case))
    return {"x": x, "dy": dy, "w": w, "b": dy[1:2], "ddx": x, "ddw": w}
