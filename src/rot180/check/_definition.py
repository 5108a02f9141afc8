"""What every output is, as sums of products with the case's numbers in them.

Reports print these sums, expand one cell of them, and write them as loops; all three
read the one definition here, which shares nothing with the oracle but the notation.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rot180 import ops
from rot180.check._case import POOL, Case
from rot180.check._oracle import output_size
from rot180.notation import Access, Affine, Contraction, contraction

__all__ = ["Point", "Sum", "counted", "shape", "sums"]

Point = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of products whose every number is known.

    Attributes:
        formula: The sum, its parameters bound.
        extents: Of every index.
    """

    formula: Contraction
    extents: Mapping[str, int]

    def points(self, index: Sequence[int]) -> Iterator[Point]:
        """Yields the values of the indices at which a product goes to `index`.

        Products that read outside an operand are among them.
        """
        axes = zip(self.formula.out.axes, index, strict=True)
        choices = [self._solutions(axis, position) for axis, position in axes]
        for free in self.formula.reduced:
            choices.append([{free: i} for i in range(self.extents[free])])
        for parts in itertools.product(*choices):
            yield {name: i for part in parts for name, i in part.items()}

    def _solutions(self, axis: Affine, position: int) -> list[Point]:
        names = axis.indices
        spaces = (range(self.extents[name]) for name in names)
        found = (dict(zip(names, at, strict=True)) for at in itertools.product(*spaces))
        return [point for point in found if axis.at(point) == position]

    def bounds(self, axis: Affine) -> tuple[int, int]:
        """Returns the least and the greatest position that an axis takes."""
        ends = [(0, max(self.extents[name] - 1, 0)) for name in axis.indices]
        corners = [
            axis.at(dict(zip(axis.indices, at, strict=True)))
            for at in itertools.product(*ends)
        ]
        return min(corners), max(corners)


def sums(case: Case, function: str, output: str) -> tuple[Sum, ...]:
    """Returns the sums whose total is an output; none for ReLU, which has no sum.

    Maximum pooling's is a maximum; its gradient's takes in every position of a window,
    of which only the one that holds the maximum counts.
    """
    if case.kind == "relu":
        return ()
    if case.kind in POOL:
        return (_pooled(case, output),)
    slid = _slid(case)
    if function == "conv_double_backward":
        return _double_backward(slid, output)
    if output == "db":
        return (_adjoint(_biased(case), "b"),)
    if output in ("dx", "dw"):
        return (_adjoint(slid, output[1:]),)
    return (_biased(case), slid) if case.bias else (slid,)


def _adjoint(forward: Sum, wrt: str) -> Sum:
    return replace(forward, formula=forward.formula.adjoint(wrt))


def _renamed(given: Sum, **names: str) -> Sum:
    def named(access: Access) -> Access:
        return replace(access, tensor=names.get(access.tensor, access.tensor))

    factors = tuple(named(factor) for factor in given.formula.factors)
    formula = replace(given.formula, out=named(given.formula.out), factors=factors)
    return replace(given, formula=formula)


def _double_backward(slid: Sum, output: str) -> tuple[Sum, ...]:
    """Both gradients are bilinear, so their gradients are the three passes again."""
    if output == "gx":
        return (_renamed(_adjoint(slid, "x"), dx="gx", w="ddw"),)
    if output == "gw":
        return (_renamed(_adjoint(slid, "w"), dw="gw", x="ddx"),)
    return _renamed(slid, y="ddy", x="ddx"), _renamed(slid, y="ddy", w="ddw")


def _slid(case: Case) -> Sum:
    """The forward pass without its bias, over the axes that the operands have."""
    formula = ops.conv_formula(case.rank, case.layout, case.groups > 1, case.flip)
    formula = formula.bind(**_window(case).parameters())
    sizes = {"c": case.in_group, "k": case.out_group}
    positions = output_size(case)
    if case.kind == "conv_transpose":
        formula, positions = _transposed(formula), case.size
    extents = {"n": case.images or 0, "g": case.groups, **sizes}
    extents |= dict(zip(ops.positions(case.rank), positions, strict=True))
    extents |= dict(zip(ops.taps(case.rank), case.kernel_size, strict=True))
    return _fitted(case, _joined(formula, sizes), extents)


def _transposed(conv: Contraction) -> Contraction:
    """The input gradient used forward: `x` and `y` change places, and `c` and `k`."""
    swap = {"c": Affine.index("k"), "k": Affine.index("c")}
    back = conv.adjoint("x")
    dy, w = (factor.substitute(swap) for factor in back.factors)
    return replace(
        back,
        out=replace(back.out.substitute(swap), tensor="y"),
        factors=(replace(dy, tensor="x"), w),
    )


def _joined(formula: Contraction, sizes: Mapping[str, int]) -> Contraction:
    """Counts channels through all groups: `g, c` become the one axis `3*g + c`."""

    def joined(access: Access) -> Access:
        axes: list[Affine] = []
        for axis in access.axes:
            channel = axis.bare or ""
            if axes and axes[-1].bare == "g" and channel in sizes:
                axes[-1] = Affine((("g", sizes[channel]), (channel, 1)))
            else:
                axes.append(axis)
        return replace(access, axes=tuple(axes))

    factors = tuple(joined(factor) for factor in formula.factors)
    return replace(formula, out=joined(formula.out), factors=factors)


def _biased(case: Case) -> Sum:
    """`y[n, k, p] += b[k]`, over the positions of `y`."""
    letters = ops.positions(case.rank)
    last = case.layout == "channels_last"
    axes = ["n", *letters, "k"] if last else ["n", "k", *letters]
    extents = {"n": case.images or 0, "k": case.filters}
    extents |= dict(zip(letters, output_size(case), strict=True))
    return _fitted(case, contraction(f"y[{', '.join(axes)}] += b[k]"), extents)


def _pooled(case: Case, output: str) -> Sum:
    largest = case.kind == "max_pool" and output == "y"
    sign = "max=" if largest else "+="
    formula = ops.pool_formula(case.rank, case.layout, sign)
    formula = formula.bind(**_window(case).parameters())
    extents = {"n": case.images or 0, "c": case.channels}
    extents |= dict(zip(ops.positions(case.rank), output_size(case), strict=True))
    extents |= dict(zip(ops.taps(case.rank), case.kernel_size, strict=True))
    forward = _fitted(case, formula, extents)
    return forward if output == "y" else _adjoint(forward, "x")


def _fitted(case: Case, formula: Contraction, extents: Mapping[str, int]) -> Sum:
    """The sum without the image axis, where the operands have none."""
    if case.images is not None:
        return Sum(formula, {i: extents[i] for i in formula.indices})

    def single(access: Access) -> Access:
        axes = tuple(axis for axis in access.axes if axis.bare != "n")
        return replace(access, axes=axes)

    indices = tuple(index for index in formula.indices if index != "n")
    factors = tuple(single(factor) for factor in formula.factors)
    formula = Contraction(single(formula.out), factors, indices, formula.reduction)
    return Sum(formula, {i: extents[i] for i in indices})


def _window(case: Case) -> ops.Window:
    """The window that slides; a transposed convolution's slides over its output."""
    if case.kind != "conv_transpose":
        return case.window
    return ops.Window.make(
        case.kind,
        case.kernel_size,
        stride=case.stride,
        padding=case.padding,
        dilation=case.dilation,
        groups=case.groups,
        flip=case.flip,
    )


_LIKE: Final = {
    "dx": "x", "ddx": "x", "gx": "x", "dw": "w", "ddw": "w", "gw": "w",
    "dy": "y", "ddy": "y", "db": "b",
}  # fmt: skip


def shape(case: Case, tensor: str) -> tuple[int, ...]:
    """Returns the shape that an operand or an output has to have."""
    match _LIKE.get(tensor, tensor):
        case "x":
            return case.x_shape
        case "w":
            return case.w_shape
        case "b":
            return (case.filters,)
    return case.image_shape(case.filters, output_size(case))


def counted(case: Case) -> tuple[tuple[int, int], ...]:
    """Returns the positions that average pooling counts, `(first, end)` by dimension.

    Outside of them, beyond the padding, reaches the last window under `ceil_mode`.
    """
    none = ((0, 0),) * case.rank
    pads = case.window.padding if case.count_include_pad else none
    dims = zip(case.size, pads, strict=True)
    return tuple((-low, extent + high) for extent, (low, high) in dims)
