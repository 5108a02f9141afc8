"""What every output is, as sums of products with the case's numbers in them.

Reports print these sums, expand one cell of them, and write them as loops; all three
read the one definition here, which shares nothing with the oracle but the op.
"""

from __future__ import annotations

from typing import Final

from rot180 import ops
from rot180.check.cases import POOL, Case
from rot180.check.judge import op_of, output_size
from rot180.notation import Sum

__all__ = ["counted", "shape", "sums"]


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
        return (_biased(case).adjoint("b"),)
    if output in ("dx", "dw"):
        return (slid.adjoint(output[1:]),)
    return (_biased(case), slid) if case.bias else (slid,)


def _double_backward(slid: Sum, output: str) -> tuple[Sum, ...]:
    """Both gradients are bilinear, so their gradients are the three passes again."""
    if output == "gx":
        return (slid.adjoint("x").renamed(dx="gx", w="ddw"),)
    if output == "gw":
        return (slid.adjoint("w").renamed(dw="gw", x="ddx"),)
    return slid.renamed(y="ddy", x="ddx"), slid.renamed(y="ddy", w="ddw")


def _slid(case: Case) -> Sum:
    """The forward pass without its bias, over the axes that the operands have."""
    found = ops.conv_sum(
        op_of(case),
        images=case.images or 0,
        in_group=case.in_group,
        out_group=case.out_group,
        transposed=case.kind == "conv_transpose",
    )
    return _fitted(case, found)


def _biased(case: Case) -> Sum:
    """`y[n, k, p] += b[k]`, over the positions of `y`."""
    found = ops.bias_sum(
        output_size(case), case.layout, images=case.images or 0, channels=case.filters
    )
    return _fitted(case, found)


def _pooled(case: Case, output: str) -> Sum:
    op = op_of(case)
    if output == "dx":
        op = ops.WindowSum(op.window, op.layout, "y", op.input_size)
    found = ops.pool_sum(op, images=case.images or 0, channels=case.channels)
    forward = _fitted(case, found)
    return forward if output == "y" else forward.adjoint("x")


def _fitted(case: Case, found: Sum) -> Sum:
    """The sum without the image axis, where the operands have none."""
    return found.without("n") if case.images is None else found


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
