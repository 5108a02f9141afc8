"""Convolution: one sum of products, of which any operand may be the output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from rot180.errors import ShapeError
from rot180.notation import Contraction
from rot180.ops._formula import conv_formula, explain
from rot180.ops._layout import (
    Layout,
    channel_axis,
    filter_axes,
    filter_shape,
    image_shape,
    spatial,
    spatial_axes,
)
from rot180.ops._op import Op, TensorType, expect_dtype
from rot180.ops._pointwise import Broadcast
from rot180.ops._shape import Reshape
from rot180.ops._tracing import Traced, apply
from rot180.ops._window import Window

Operand = Literal["y", "x", "w"]

# The inputs of each pass, by the letter of the operand whose place they take.
ROLES: Final[dict[Operand, tuple[Operand, Operand]]] = {
    "y": ("x", "w"),
    "x": ("y", "w"),
    "w": ("y", "x"),
}
_NAMES: Final[dict[Operand, str]] = {
    "y": "conv",
    "x": "conv_input_grad",
    "w": "conv_weight_grad",
}


@dataclass(frozen=True, slots=True)
class Conv(Op):
    """The convolution's sum of products with one operand left out.

        y[n, k, p] += x[n, c, p*stride + r*dilation - pad] * w[k, c, r]

    The operand left out is computed: `y` is the forward pass, `x` the input gradient
    (and the transposed convolution), `w` the weight gradient.

    Shapes, channels first: x `(n, c, *size)`, w `(k, c/groups, *kernel)`, y
    `(n, k, *output)`; channels last: x `(n, *size, c)`, w `(*kernel, c/groups, k)`, y
    `(n, *output, k)`. In rank 0 it is the linear layer, x `(n, c)`.

    Attributes:
        window: Stride, dilation, padding, groups, flip.
        layout: Where the channels stand.
        out: The operand that is computed. Inputs: `(x, w)` for y, and `b` with `bias`;
            `(dy, w)` for x; `(dy, x)` for w.
        input_size: Spatial extents of `x`.
        bias: Whether `b[k]` is added to `y`.
    """

    window: Window
    layout: Layout = "channels_first"
    out: Operand = "y"
    input_size: tuple[int, ...] = ()
    bias: bool = False

    @property
    def formula(self) -> Contraction:
        """This pass with symbolic stride, dilation and padding."""
        window = self.window
        forward = conv_formula(window.rank, self.layout, window.groups > 1, window.flip)
        return forward if self.out == "y" else forward.adjoint(self.out)

    @property
    def contraction(self) -> Contraction:
        """This pass with the window's numbers in it.

        With `groups > 1` the operands are views with a split channel axis, see
        `conv_formula`. The bias is not part of it.
        """
        return self.formula.bind(**self.window.parameters())

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial extents of `y`."""
        return self.window.output_size(self.input_size, op=_NAMES[self.out])

    @property
    def label(self) -> str:
        """The name of the function that computes it."""
        return _NAMES[self.out]

    def multiply_adds(self, *inputs: TensorType) -> int:
        """Returns one for each image, position of `y` and weight."""
        weights = self.infer(*inputs)[0] if self.out == "w" else inputs[1]
        positions = inputs[0].shape[0] * math.prod(self.output_size)
        return positions * math.prod(weights.shape)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of the operand left out."""
        return (self.infer_as(_NAMES[self.out], *inputs),)

    def infer_as(self, op: str, *inputs: TensorType) -> TensorType:
        match self.out, inputs:
            case "y", (x, w, *b) if len(b) == self.bias:
                return self._infer_y(op, x, w, *b)
            case "x", (dy, w):
                return self._infer_x(op, dy, w)
            case "w", (dy, x):
                return self._infer_w(op, dy, x)
        expected = len(ROLES[self.out]) + self.bias
        raise ShapeError(
            f"{op}: {len(inputs)} operands for {expected}\n"
            f"  This pass takes {', '.join(ROLES[self.out])}{', b' * self.bias}."
        )

    def _infer_y(
        self, op: str, x: TensorType, w: TensorType, b: TensorType | None = None
    ) -> TensorType:
        operands = [x, w] if b is None else [x, w, b]
        dtype = expect_dtype(op, "x w b", *operands)
        self._check_image(op, "x", x, self.input_size)
        k = self._check_filter(op, w)
        self._check_channels(op, x, w)
        if b is not None and b.shape != (k,):
            self._refuse_bias(op, b, w, k)
        size = self.window.output_size(self.input_size, op=op)
        return TensorType(image_shape(self.layout, x.shape[0], k, size), dtype)

    def _infer_x(self, op: str, dy: TensorType, w: TensorType) -> TensorType:
        dtype = expect_dtype(op, "dy w", dy, w)
        size = self.window.output_size(self.input_size, op=op)
        self._check_image(op, "dy", dy, size)
        k = self._check_filter(op, w)
        found = dy.shape[channel_axis(self.layout, dy.ndim)]
        if found != k:
            self._refuse_k(op, dy, w)
        c = w.shape[filter_axes(self.layout, w.ndim)[1]] * self.window.groups
        shape = image_shape(self.layout, dy.shape[0], c, self.input_size)
        return TensorType(shape, dtype)

    def _infer_w(self, op: str, dy: TensorType, x: TensorType) -> TensorType:
        dtype = expect_dtype(op, "dy x", dy, x)
        size = self.window.output_size(self.input_size, op=op)
        self._check_image(op, "x", x, self.input_size)
        self._check_image(op, "dy", dy, size)
        if dy.shape[0] != x.shape[0]:
            self._refuse_n(op, dy, x)
        axis = channel_axis(self.layout, x.ndim)
        for name, operand in (("x", x), ("dy", dy)):
            self._check_groups(op, name, operand, axis)
        c, k = x.shape[axis] // self.window.groups, dy.shape[axis]
        shape = filter_shape(self.layout, k, c, self.window.kernel_size)
        return TensorType(shape, dtype)

    def _check_image(
        self, op: str, name: str, operand: TensorType, size: tuple[int, ...]
    ) -> None:
        """Raises ShapeError unless `operand` has `n`, channels and `size`."""
        if operand.ndim == len(size) + 2:
            found = spatial(self.layout, operand.shape)
            if found == size:
                return
            dim = next(i for i in range(len(size)) if found[i] != size[i])
            axis = spatial_axes(self.layout, operand.ndim)[dim]
            headline = f"{name} axis {axis} is {found[dim]}, not {size[dim]}"
            facts = [f"{name} has shape {operand.shape}"]
            if name == "dy":
                facts.append(f"x has spatial extents {self.input_size}")
            raise ShapeError(
                explain(
                    op,
                    headline,
                    self._text(),
                    [(name, self._view_axis(axis, operand))],
                    facts,
                    f"Pass {name} with spatial extents {size}.",
                )
            )
        raise ShapeError(
            f"{op}: {name} has {operand.ndim} axes for {len(size)} spatial dimensions\n"
            f"    {self._text()}\n"
            f"    {name} has shape {operand.shape}\n"
            f"  Pass {name} with {len(size) + 2} axes."
        )

    def _check_filter(self, op: str, w: TensorType) -> int:
        """Returns the number of output channels."""
        window = self.window
        k_axis, _, axes = filter_axes(self.layout, w.ndim)
        kernel = tuple(w.shape[axis] for axis in axes)
        if w.ndim != window.rank + 2 or kernel != window.kernel_size:
            raise ShapeError(
                f"{op}: w does not have the kernel size {window.kernel_size}\n"
                f"    {self._text()}\n"
                f"    w has shape {w.shape}\n"
                f"  Pass w with {window.rank + 2} axes and that kernel size."
            )
        self._check_groups(op, "w", w, k_axis)
        return w.shape[k_axis]

    def _check_groups(self, op: str, name: str, operand: TensorType, axis: int) -> None:
        groups, extent = self.window.groups, operand.shape[axis]
        if extent % groups == 0:
            return
        index = "c" if name == "x" else "k"
        raise ShapeError(
            explain(
                op,
                f"groups={groups} does not divide the {extent} channels of '{index}'",
                self._text(grouped=False),
                [(name, axis)],
                [f"{name} axis {axis} is {extent}, from shape {operand.shape}"],
                f"Pass groups that divide {extent}.",
            )
        )

    def _check_channels(self, op: str, x: TensorType, w: TensorType) -> None:
        groups = self.window.groups
        x_axis = channel_axis(self.layout, x.ndim)
        w_axis = filter_axes(self.layout, w.ndim)[1]
        c, per_group = x.shape[x_axis], w.shape[w_axis]
        if c == groups * per_group:
            return
        if c % groups:
            self._check_groups(op, "x", x, x_axis)
        headline = f"index 'c' has two extents, {c} and {per_group}"
        if groups > 1:
            headline = (
                f"index 'c' has two extents per group, {c // groups} and {per_group}"
            )
        raise ShapeError(
            explain(
                op,
                headline,
                self._text(grouped=False),
                [("x", x_axis), ("w", w_axis)],
                [
                    f"x axis {x_axis} is {c}, from shape {x.shape}",
                    f"w axis {w_axis} is {per_group}, from shape {w.shape}"
                    + (f", and groups is {groups}" if groups > 1 else ""),
                ],
                _channel_remedy(x, c, per_group, w.shape, self.layout),
            )
        )

    def _refuse_k(self, op: str, dy: TensorType, w: TensorType) -> None:
        axis = channel_axis(self.layout, dy.ndim)
        k_axis = filter_axes(self.layout, w.ndim)[0]
        raise ShapeError(
            explain(
                op,
                f"index 'k' has two extents, {dy.shape[axis]} and {w.shape[k_axis]}",
                self._text(grouped=False),
                [("dy", axis), ("w", k_axis)],
                [
                    f"dy axis {axis} is {dy.shape[axis]}, from shape {dy.shape}",
                    f"w axis {k_axis} is {w.shape[k_axis]}, from shape {w.shape}",
                ],
                "Pass dy with one channel for every filter of w.",
            )
        )

    def _refuse_n(self, op: str, dy: TensorType, x: TensorType) -> None:
        raise ShapeError(
            explain(
                op,
                f"index 'n' has two extents, {dy.shape[0]} and {x.shape[0]}",
                self._text(),
                [("dy", 0), ("x", 0)],
                [f"dy has shape {dy.shape}", f"x has shape {x.shape}"],
                "Pass dy and x of the same images.",
            )
        )

    def _refuse_bias(self, op: str, b: TensorType, w: TensorType, k: int) -> None:
        text = self._text(grouped=False) + " + b[k]"
        k_axis = filter_axes(self.layout, w.ndim)[0]
        raise ShapeError(
            explain(
                op,
                f"b has shape {b.shape}, not ({k},)",
                text,
                [("w", k_axis), ("b", 0)],
                [f"w axis {k_axis} is {k}, from shape {w.shape}"],
                "Pass one bias for every output channel, a vector.",
            )
        )

    def _text(self, grouped: bool | None = None) -> str:
        """Returns this pass's formula with its numbers, for messages."""
        if grouped is None:
            return str(self.contraction)
        plain = replace(self, window=replace(self.window, groups=1))
        return str(plain.contraction)

    def _view_axis(self, axis: int, operand: TensorType) -> int:
        """Returns the formula's axis, which counts the split channel axis."""
        split = self.window.groups > 1 and axis > channel_axis(
            self.layout, operand.ndim
        )
        return axis + split

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """Leaves out another factor of the same sum.

        Of `y += x * w`, the cotangent of any operand is the same loops and products of
        the other two, with the cotangent in the place of the operand that was computed.
        """
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,) * len(inputs)
        places: dict[Operand, Traced] = dict(
            zip(ROLES[self.out], inputs[:2], strict=True)
        )
        places[self.out] = cotangent
        grads: list[Traced | None] = []
        for role, needed in zip(ROLES[self.out], needs, strict=False):
            op = replace(self, out=role, bias=False)
            operands = (places[other] for other in ROLES[role])
            grads.append(apply(op, *operands) if needed else None)
        if self.bias:
            grads.append(
                apply(ChannelSum(self.layout), cotangent) if needs[2] else None
            )
        return tuple(grads)

    def inner_axis(self, ndim: int) -> int | None:
        """The channels, if images come out."""
        return None if self.out == "w" else channel_axis(self.layout, ndim)


@dataclass(frozen=True, slots=True)
class ChannelSum(Op):
    """The bias gradient: `db[k] += dy[n, k, p]`, over images and positions."""

    layout: Layout = "channels_first"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type `(k,)`."""
        (dy,) = inputs
        dtype = expect_dtype("channel_sum", "dy", dy)
        if dy.ndim < 2:
            raise ShapeError(
                f"channel_sum: dy has {dy.ndim} axes\n"
                f"    dy has shape {dy.shape}\n"
                "  Pass dy with an image axis and a channel axis."
            )
        return (TensorType((dy.shape[channel_axis(self.layout, dy.ndim)],), dtype),)

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """`ddy[n, k, p] = ddb[k]`: the same number everywhere in the channel."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        shape = inputs[0].type.shape
        axis = channel_axis(self.layout, len(shape))
        column = tuple(shape[i] if i == axis else 1 for i in range(len(shape)))
        return (apply(Broadcast(shape), apply(Reshape(column), cotangent)),)


def _channel_remedy(
    x: TensorType, c: int, per_group: int, w_shape: tuple[int, ...], layout: Layout
) -> str:
    k = w_shape[filter_axes(layout, len(w_shape))[0]]
    if per_group and c % per_group == 0 and c // per_group > 1:
        groups = c // per_group
        if x.shape[0] == per_group == 1 and layout == "channels_first":
            return (  # one image of c channels, or c images given without channels
                f"For {c} images without an axis of channels pass x[:, None]; for a "
                f"grouped convolution of one image groups={groups}."
            )
        if k % groups == 0:
            return f"For a grouped convolution pass groups={groups}."
    if layout == "channels_first":
        return "Pass w of shape (k, c/groups, *kernel) for x of shape (n, c, *size)."
    return "Pass w of shape (*kernel, c/groups, k) for x of shape (n, *size, c)."
