"""The sliding operations as sums of which every number is known.

Written over the axes that the operands have: channels count through all groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rot180.notation import Access, Affine, Contraction, Sum, contraction
from rot180.ops._conv import Conv
from rot180.ops._formula import positions, taps
from rot180.ops._layout import Layout
from rot180.ops._pool import MaxPool, WindowSum


def conv_sum(
    op: Conv, *, images: int, in_group: int, out_group: int, transposed: bool = False
) -> Sum:
    """Returns the forward pass of a convolution, without its bias.

    Args:
        op: The convolution; of its passes the one that `transposed` says is written.
        images: Extent of the image axis.
        in_group: Channels of `x` in one group.
        out_group: Channels of `y` in one group.
        transposed: Whether it is the input gradient used forward, see
            `conv_transpose_op`; it is written in its own letters, `y += x * w`.
    """
    formula = conv_view(op, transposed=transposed)
    channels = {"c": in_group, "k": out_group}
    others = {"n": images, "g": op.window.groups, **channels}
    return Sum(_joined(formula, channels), _extents(op, formula, others))


def conv_view(op: Conv, *, transposed: bool) -> Contraction:
    """Returns the forward pass on views with split channels, see `conv_formula`.

    The transposed convolution is written in its own letters, `y += x * w`.
    """
    formula = replace(op, out="y").contraction
    return _transposed(formula) if transposed else formula


def bias_sum(
    size: tuple[int, ...], layout: Layout, *, images: int, channels: int
) -> Sum:
    """Returns `y[n, k, p] += b[k]`, over the positions of `y`."""
    letters = positions(len(size))
    axes = ["n", "k", *letters] if layout == "channels_first" else ["n", *letters, "k"]
    extents = {"n": images, "k": channels, **dict(zip(letters, size, strict=True))}
    formula = contraction(f"y[{', '.join(axes)}] += b[k]")
    return Sum(formula, {index: extents[index] for index in formula.indices})


def pool_sum(op: WindowSum | MaxPool, *, images: int, channels: int) -> Sum:
    """Returns the sum, or the maximum, of every window."""
    formula = op.contraction
    return Sum(formula, _extents(op, formula, {"n": images, "c": channels}))


def _extents(
    op: Conv | WindowSum | MaxPool, formula: Contraction, others: Mapping[str, int]
) -> dict[str, int]:
    window = op.window
    known = {
        **others,
        **dict(zip(positions(window.rank), op.output_size, strict=True)),
        **dict(zip(taps(window.rank), window.kernel_size, strict=True)),
    }
    return {index: known[index] for index in formula.indices}


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

    return formula.on_each(joined)
