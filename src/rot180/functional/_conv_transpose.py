"""The transposed convolution on arrays or traced tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rot180 import ops
from rot180.functional._calls import add_axis, as_array, compute, type_of
from rot180.functional._dispatch import pointwise
from rot180.ops import Layout

Ints = int | Sequence[int]


def conv_transpose(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    output_padding: Ints = 0,
    output_size: Sequence[int] | None = None,
    dilation: Ints = 1,
    groups: int = 1,
    flip: bool = False,
    layout: Layout = "channels_first",
    algorithm: str = "auto",
) -> Any:
    """The transposed convolution: the input gradient of `conv`, used forward.

        y[n, k, p*stride + r*dilation - pad] += x[n, c, p] * w[c, k, r]

    Positions outside `x` are zeros that are multiplied, as in `conv_input_grad`.

    Args:
        x: `(n, c, *size)`, or `(c, *size)` for one image; float32 or float64.
        w: `(c, k/groups, *kernel)`; channels last `(*kernel, k/groups, c)`.
        b: `(k,)`, added to every position; or None.
        stride: Step between the places to which neighbouring inputs go.
        padding: What is cropped from either side, as `conv` pads.
        output_padding: Positions added behind the last, which `conv` would not reach.
        output_size: Spatial extents of the result, instead of `output_padding`.
        dilation: Step between filter taps.
        groups: Number of channel groups that do not see each other.
        flip: Whether the filter is read backwards.
        layout: Where the channels stand.
        algorithm: `"auto"` or `"direct"`.

    Returns:
        `y`, `(n, k, *output)`, `output = (size-1)*stride - padding + span +
        output_padding`; with no image axis if `x` had none.

    Raises:
        ShapeError: The shapes do not fit each other.
        DTypeError: The dtypes differ, or are not float32 or float64.
        ArgumentError: An option is out of range.

    Source:
        Dumoulin and Visin, arXiv 1603.07285, section 4.
    """
    name = "conv_transpose"
    x, w, b = as_array(x), as_array(w), None if b is None else as_array(b)
    ops.check_modes(name, algorithm=algorithm)
    types = type_of(name, "x", x), type_of(name, "w", w)
    rank, batched = ops.conv_rank(name, *types, layout, transposed=True)
    images = add_axis(x, batched)
    op = ops.conv_transpose_op(
        name,
        type_of(name, "x", images),
        types[1],
        None if b is None else type_of(name, "b", b),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
        flip=flip,
        layout=layout,
    )
    y = compute(op, (images, w), batched=batched)
    if b is None:
        return y
    column = (-1,) if layout == "channels_last" else (-1, *(1,) * rank)
    return pointwise("add", y, _reshaped(b, column))


def _reshaped(b: Any, shape: tuple[int, ...]) -> Any:
    if not ops.is_traced(b):
        return b.reshape(shape)
    known = tuple(b.type.shape[0] if e == -1 else e for e in shape)
    return ops.apply(ops.Reshape(known), b)
