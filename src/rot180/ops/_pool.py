"""Pooling: the sum and the maximum of every window, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rot180.errors import DTypeError, ShapeError
from rot180.notation import Contraction
from rot180.ops._choices import check_flags
from rot180.ops._formula import pool_formula
from rot180.ops._layout import Layout, channel_axis, image_shape, spatial
from rot180.ops._op import Op, TensorType, expect_dtype
from rot180.ops._tracing import Traced, apply
from rot180.ops._window import Window


@dataclass(frozen=True, slots=True)
class WindowSum(Op):
    """The sum of every window, and its adjoint.

        y[n, c, p] += x[n, c, p*stride + r*dilation - pad] for r

    Average pooling is this, divided by the number of positions.

    Attributes:
        window: Kernel size, stride, dilation, padding.
        layout: Where the channels stand.
        out: `"y"` takes `(x,)`; `"x"`, the adjoint, takes `(dy,)`.
        input_size: Spatial extents of `x`.
    """

    window: Window
    layout: Layout = "channels_first"
    out: Literal["y", "x"] = "y"
    input_size: tuple[int, ...] = ()

    @property
    def formula(self) -> Contraction:
        """This pass with symbolic stride, dilation and padding."""
        forward = pool_formula(self.window.rank, self.layout, "+=")
        return forward if self.out == "y" else forward.adjoint("x")

    @property
    def contraction(self) -> Contraction:
        """This pass with the window's numbers in it."""
        return self.formula.bind(**self.window.parameters())

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial extents of `y`."""
        return self.window.output_size(self.input_size, op="avg_pool")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of `y`, or of `x`."""
        (operand,) = inputs
        name, sizes = ("x", (self.input_size, self.output_size))
        if self.out == "x":
            name, sizes = "dy", sizes[::-1]
        dtype = expect_dtype("avg_pool", name, operand)
        _check_size("avg_pool", name, operand, self.layout, sizes[0])
        return (_resized(operand, self.layout, sizes[1], dtype),)

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """The same sum with the other operand left out."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        return (apply(replace(self, out="x" if self.out == "y" else "y"), cotangent),)

    def inner_axis(self, ndim: int) -> int | None:
        """The channels, if images come out."""
        return channel_axis(self.layout, ndim)


@dataclass(frozen=True, slots=True)
class MaxPool(Op):
    """The maximum of every window and the tap at which it stands.

        y[n, c, p] max= x[n, c, p*stride + r*dilation - pad] for r

    Returns `(y, index)`; `index`, int32, counts taps in row-major order of the kernel.
    Positions outside `x` read as minus infinity. Of equal values the first tap inside
    `x` stands; a NaN exceeds every number, and the last NaN stands, as in PyTorch. Of a
    window of padding alone the index is 0.
    """

    window: Window
    layout: Layout = "channels_first"
    input_size: tuple[int, ...] = ()

    @property
    def formula(self) -> Contraction:
        """The maximum with symbolic stride, dilation and padding."""
        return pool_formula(self.window.rank, self.layout, "max=")

    @property
    def contraction(self) -> Contraction:
        """The maximum with the window's numbers in it."""
        return self.formula.bind(**self.window.parameters())

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial extents of `y`."""
        return self.window.output_size(self.input_size, op="max_pool")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the types of `y` and `index`."""
        (x,) = inputs
        dtype = expect_dtype("max_pool", "x", x)
        _check_size("max_pool", "x", x, self.layout, self.input_size)
        y = _resized(x, self.layout, self.output_size, dtype)
        return y, TensorType(y.shape, "int32")

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """Every cotangent goes to the position its maximum came from."""
        dy = cotangents[0]
        if dy is None:
            return (None,)
        select = MaxSelect(self.window, self.layout, "x", self.input_size)
        return (apply(select, dy, outputs[1]),)

    def inner_axis(self, ndim: int) -> int | None:
        """The channels, if images come out."""
        return channel_axis(self.layout, ndim)


@dataclass(frozen=True, slots=True)
class MaxSelect(Op):
    """The gradient of the maximum pooling, and that gradient's adjoint.

        dx[n, c, p*stride + r*dilation - pad] += dy[n, c, p]  at r = index[n, c, p]

    Contributions add where windows overlap; one outside `x` is dropped.

    Attributes:
        window: Kernel size, stride, dilation, padding.
        layout: Where the channels stand.
        out: `"x"` takes `(dy, index)`; `"y"` takes `(x, index)` and reads from `x` what
            the index points at, zero outside.
        input_size: Spatial extents of `x`.
    """

    window: Window
    layout: Layout = "channels_first"
    out: Literal["x", "y"] = "x"
    input_size: tuple[int, ...] = ()

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial extents of `y` and `index`."""
        return self.window.output_size(self.input_size, op="max_pool_backward")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of `x`, or of `y`."""
        op = "max_pool_backward"
        operand, index = inputs
        name = "dy" if self.out == "x" else "x"
        size = self.output_size if self.out == "x" else self.input_size
        dtype = expect_dtype(op, name, operand)
        _check_size(op, name, operand, self.layout, size)
        small = _resized(operand, self.layout, self.output_size, dtype)
        if index.dtype != "int32":
            raise DTypeError(
                f"{op}: index is {index.dtype}, not int32\n"
                "  Pass the index that max_pool returned."
            )
        if index.shape != small.shape:
            raise ShapeError(
                f"{op}: index has shape {index.shape}, not {small.shape}\n"
                f"    {name} has shape {operand.shape}\n"
                "  Pass the index that max_pool returned."
            )
        size = self.input_size if self.out == "x" else self.output_size
        return (_resized(operand, self.layout, size, dtype),)

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """The selection read the other way; the index has no gradient."""
        (cotangent,) = cotangents
        if cotangent is None or not needs[0]:
            return None, None
        other = replace(self, out="y" if self.out == "x" else "x")
        return apply(other, cotangent, inputs[1]), None

    def inner_axis(self, ndim: int) -> int | None:
        """The channels, if images come out."""
        return channel_axis(self.layout, ndim)


def _resized(
    operand: TensorType, layout: Layout, size: tuple[int, ...], dtype: str
) -> TensorType:
    channels = operand.shape[channel_axis(layout, operand.ndim)]
    return TensorType(image_shape(layout, operand.shape[0], channels, size), dtype)


def _check_size(
    op: str, name: str, operand: TensorType, layout: Layout, size: tuple[int, ...]
) -> None:
    if operand.ndim == len(size) + 2 and spatial(layout, operand.shape) == size:
        return
    raise ShapeError(
        f"{op}: {name} does not have spatial extents {size}\n"
        f"    {name} has shape {operand.shape}\n"
        f"  Pass {name} with {len(size) + 2} axes and these extents."
    )


def counted_padding(
    op: WindowSum, padding: Any, *, count_include_pad: bool
) -> tuple[tuple[int, int], ...]:
    """Returns the padding whose positions average pooling counts in its divisor.

    What `ceil_mode` adds at the end, beyond `padding`, never counts.

    Args:
        op: The sum that is divided.
        padding: The argument of the public function, as in `Window.make`.
        count_include_pad: Whether padded positions count.
    """
    check_flags("avg_pool", count_include_pad=count_include_pad)
    if not count_include_pad:
        return ((0, 0),) * op.window.rank
    return Window.make(
        "avg_pool",
        op.window.kernel_size,
        input_size=op.input_size,
        stride=op.window.stride,
        dilation=op.window.dilation,
        padding=padding,
    ).padding


def pool_counts(
    window: Window, input_size: Sequence[int], padding: Sequence[tuple[int, int]]
) -> tuple[tuple[int, ...], ...]:
    """Returns how many positions each window covers, per dimension and output.

    The number of positions of a window is the product over the dimensions.

    Args:
        window: The pooling window.
        input_size: Spatial extents of the input.
        padding: The padding `(low, high)` whose positions count as well; zeros count
            only the positions inside the input.
    """
    sizes = window.output_size(input_size, op="avg_pool")
    return tuple(
        tuple(
            _covered(window, dim, p, -low, input_size[dim] + high) for p in range(size)
        )
        for dim, (size, (low, high)) in enumerate(zip(sizes, padding, strict=True))
    )


def _covered(window: Window, dim: int, p: int, begin: int, end: int) -> int:
    """Returns how many taps of output position `p` lie in `begin..end-1`."""
    place = p * window.stride[dim] - window.padding[dim][0]
    step, taps = window.dilation[dim], window.kernel_size[dim]
    first = max(0, -((place - begin) // step))
    last = min(taps - 1, (end - 1 - place) // step)
    return max(0, last - first + 1)
