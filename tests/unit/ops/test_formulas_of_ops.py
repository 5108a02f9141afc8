"""The formulas that operations carry, and the types they infer."""

from dataclasses import replace

import pytest

from rot180 import ops
from rot180.errors import TraceError
from rot180.notation import contraction
from rot180.ops import Conv, MaxPool, TensorType, Window, WindowSum

WINDOW = Window((3, 2), (2, 1), (1, 1), ((1, 1), (0, 0)))


def t(*shape: int, dtype: str = "float32") -> TensorType:
    return TensorType(shape, dtype)


def test_conv_formulas() -> None:
    op = Conv(WINDOW, input_size=(5, 6))
    assert str(op.contraction) == (
        "y[n, k, p, q] += x[n, c, 2*p + r - 1, q + s] * w[k, c, r, s]"
    )
    assert str(replace(op, out="x").contraction) == (
        "dx[n, c, 2*p + r - 1, q + s] += dy[n, k, p, q] * w[k, c, r, s]"
    )
    assert str(replace(op, out="w").contraction) == (
        "dw[k, c, r, s] += x[n, c, 2*p + r - 1, q + s] * dy[n, k, p, q]"
    )
    assert op.output_size == (3, 5)
    last = replace(op, layout="channels_last")
    assert str(last.contraction) == (
        "y[n, p, q, k] += x[n, 2*p + r - 1, q + s, c] * w[r, s, c, k]"
    )


def test_groups_split_the_channels_in_views() -> None:
    window = replace(WINDOW, groups=2)
    first = Conv(window, input_size=(5, 6)).contraction
    assert str(first) == (
        "y[n, g, k, p, q] += x[n, g, c, 2*p + r - 1, q + s] * w[g, k, c, r, s]"
    )
    last = Conv(window, "channels_last", input_size=(5, 6)).contraction
    assert str(last) == (
        "y[n, p, q, g, k] += x[n, 2*p + r - 1, q + s, g, c] * w[r, s, c, g, k]"
    )


def test_flip_reads_the_filter_backwards() -> None:
    window = replace(WINDOW, flip=True)
    assert str(Conv(window, input_size=(5, 6)).contraction) == (
        "y[n, k, p, q] += x[n, c, 2*p + r - 1, q + s] * w[k, c, 2 - r, 1 - s]"
    )


def test_ranks_have_their_letters() -> None:
    assert str(ops.conv_formula(0, "channels_first", False, False)) == (
        "y[n, k] += x[n, c] * w[k, c]"
    )
    one = str(ops.conv_formula(1, "channels_first", False, False))
    assert one == "y[n, k, p] += x[n, c, p*stride + r*dilation - pad] * w[k, c, r]"
    three = ops.conv_formula(3, "channels_first", False, False)
    assert three.indices[:5] == ("n", "k", "p", "q", "o")
    five = ops.conv_formula(5, "channels_first", False, False)
    assert "p5*stride_p5 + r5*dilation_r5 - pad_p5" in str(five)
    assert str(contraction(str(five))) == str(five)


def test_transposed_formula() -> None:
    assert str(ops.transposed_formula(1, "channels_first")) == (
        "y[n, k, p*stride + r*dilation - pad] += x[n, c, p] * w[c, k, r]"
    )
    assert str(ops.transposed_formula(1, "channels_last")) == (
        "y[n, p*stride + r*dilation - pad, k] += x[n, p, c] * w[r, k, c]"
    )


def test_pool_formulas() -> None:
    total = WindowSum(WINDOW, input_size=(5, 6))
    assert str(total.contraction) == (
        "y[n, c, p, q] += x[n, c, 2*p + r - 1, q + s] for r, s"
    )
    assert str(replace(total, out="x").contraction) == (
        "dx[n, c, 2*p + r - 1, q + s] += dy[n, c, p, q] for r, s"
    )
    top = MaxPool(WINDOW, input_size=(5, 6))
    assert str(top.contraction).startswith("y[n, c, p, q] max= x[n, c, 2*p + r")
    assert str(top.formula).endswith("for r, s")


def test_inferred_types() -> None:
    op = Conv(WINDOW, input_size=(5, 6))
    x, w, y = t(7, 3, 5, 6), t(4, 3, 3, 2), t(7, 4, 3, 5)
    assert op.infer(x, w) == (y,)
    assert replace(op, bias=True).infer(x, w, t(4)) == (y,)
    assert replace(op, out="x").infer(y, w) == (x,)
    assert replace(op, out="w").infer(y, x) == (w,)
    assert ops.ChannelSum().infer(y) == (t(4),)
    assert MaxPool(WINDOW, input_size=(5, 6)).infer(x) == (
        t(7, 3, 3, 5),
        t(7, 3, 3, 5, dtype="int32"),
    )
    empty = op.infer(t(0, 3, 5, 6), w)
    assert empty == (t(0, 4, 3, 5),)
    assert str(y) == "float32[7, 4, 3, 5]"


def test_pointwise_types() -> None:
    add, where = ops.Pointwise("add"), ops.Pointwise("where")
    assert add.infer(t(2, 1), t(3)) == (t(2, 3),)
    assert add.infer(t(), t(3, 0)) == (t(3, 0),)
    assert add.infer(t(2, dtype="int64"), t(2, dtype="int64")) == (t(2, dtype="int64"),)
    assert where.infer(t(2, dtype="bool"), t(2), t()) == (t(2),)


def test_arguments_become_ops() -> None:
    x, w = t(7, 3, 9, 9), t(4, 3, 3, 3)
    op = ops.conv_op("conv", x, w, stride=2, padding="same")
    assert op.window.padding == ((1, 1), (1, 1))
    assert op.input_size == (9, 9)
    assert not op.bias
    assert ops.conv_rank("conv", x, w) == (2, True)
    assert ops.conv_rank("conv", t(3, 9, 9), w) == (2, False)
    (y,) = op.infer(x, w)
    back = ops.conv_input_grad_op("g", y, w, x.shape, stride=2, padding="same")
    assert back == replace(op, out="x")
    grad = ops.conv_weight_grad_op("g", y, x, w.shape, stride=2, padding="same")
    assert grad == replace(op, out="w")


def test_ceil_mode_widens_the_padding() -> None:
    floor = ops.pool_op("max_pool", "max", t(1, 1, 6), 3, stride=2)
    ceil = ops.pool_op("max_pool", "max", t(1, 1, 6), 3, stride=2, ceil_mode=True)
    assert floor.output_size == (2,)
    assert ceil.output_size == (3,)
    assert ceil.window.padding == ((0, 1),)


def test_types_are_read_from_arrays_and_traced_tensors() -> None:
    class Traced:
        type = t(2, 3)

    assert ops.type_of(Traced()) == t(2, 3)
    assert not ops.is_traced(Traced())
    with pytest.raises(TraceError):
        ops.apply_all(ops.Identity(), Traced())
