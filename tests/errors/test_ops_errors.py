"""Every message of the operations: the op, the place, the values, the remedy."""

import re
from typing import Any

import pytest

from rot180 import ops
from rot180.errors import ArgumentError, DTypeError, ShapeError, TraceError
from rot180.ops import Conv, TensorType, Window

X = TensorType((8, 64, 32, 32), "float32")
W = TensorType((128, 64, 3, 3), "float32")
DY = TensorType((8, 128, 30, 30), "float32")


def t(*shape: int, dtype: str = "float32") -> TensorType:
    return TensorType(shape, dtype)


def conv(x: TensorType = X, w: TensorType = W, b: Any = None, **kwargs: Any) -> Conv:
    return ops.conv_op("conv", x, w, b, **kwargs)


def test_channels_differ_prints_the_whole_message() -> None:
    with pytest.raises(ShapeError) as caught:
        conv(w=t(128, 32, 3, 3))
    assert str(caught.value) == (
        "conv: index 'c' has two extents, 64 and 32\n"
        "    y[n, k, p, q] += x[n, c, p + r, q + s] * w[k, c, r, s]\n"
        "                          ^                       ^\n"
        "    x axis 1 is 64, from shape (8, 64, 32, 32)\n"
        "    w axis 1 is 32, from shape (128, 32, 3, 3)\n"
        "  For a grouped convolution pass groups=2."
    )


def test_stride_prints_the_whole_message() -> None:
    with pytest.raises(ArgumentError) as caught:
        conv(t(1, 1, 9), t(1, 1, 3), stride=0)
    assert str(caught.value) == (
        "conv: stride is not positive\n"
        "    y[n, k, p] += x[n, c, p*stride + r*dilation - pad] * w[k, c, r]\n"
        "                            ^\n"
        "    stride is (0,)\n"
        "  Use a stride of at least 1 in every dimension."
    )


SHAPES: list[tuple[dict[str, Any], str]] = [
    (
        {"x": t(3, 3), "w": t(2, 2)},
        r"w has no spatial axes\n.*\n.*\n.*call conv\(x\[None\], w\[None, None\]\)",
    ),
    (
        {"x": t(3, 3), "w": t(2, 2), "layout": "channels_last"},
        r"call conv\(x\[..., None\], w\[..., None, None\]\)",
    ),
    ({"x": t(1, 1, 3, 3), "w": t(2, 2)}, r"call conv\(x, w\[None, None\]\)"),
    ({"x": t(3), "w": t()}, r"Pass w of shape \(k, c/groups, \*kernel\)"),
    (
        {"x": t(8, 64, 32), "w": W},
        r"x has 3 axes, w has 4\n.*\(8, 64, 32\)\n.*2 spatial dimensions\n  Pass x",
    ),
    (
        {"w": t(128, 5, 3, 3)},
        r"'c' has two extents, 64 and 5\n(.*\n)+  Pass w of shape",
    ),
    (
        {"w": t(128, 64, 3, 3), "groups": 2},
        r"'c' has two extents per group, 32 and 64\n(.*\n)+.*and groups is 2",
    ),
    (
        {"w": t(3, 3, 5, 128), "x": t(8, 32, 32, 64), "layout": "channels_last"},
        r"64 and 5\n(.*\n)+  Pass w of shape \(\*kernel, c/groups, k\)",
    ),
    ({"groups": 3}, r"groups=3 does not divide the 128 channels of 'k'"),
    (
        {"w": t(126, 21, 3, 3), "groups": 3},
        r"groups=3 does not divide the 64 channels of 'c'\n(.*\n)+  Pass groups that",
    ),
    ({"b": t(64)}, r"b has shape \(64,\), not \(128,\)\n.*\+ b\[k\]\n +\^ +\^\n"),
    ({"b": t(128, 1)}, r"b has shape \(128, 1\), not \(128,\)\n(.*\n)+  Pass one bias"),
    (
        {"padding": (0, -17)},
        r"padding \(-17, -17\) crops more than the 32 positions of x\n.*\n.*\^\n"
        r".*extent 32 in dimension 1\n  Crop at most 32 positions",
    ),
    (
        {"w": t(128, 64, 3, 0)},
        r"index 's' has extent 0\n.*\n.*\^\n.*at least one tap|s",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), SHAPES)
def test_shapes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        conv(**arguments)


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"stride": 0}, r"stride is not positive\n.*\n +\^ +\^\n +stride is \(0, 0\)"),
    ({"stride": (1, -2)}, r"stride is not positive\n.*stride_q.*\n +\^\n"),
    ({"dilation": 0}, r"dilation is not positive\n(.*\n)+  Use a dilation of at least"),
    ({"groups": 0}, r"groups is 0, which is not positive\n  groups=1 lets"),
    ({"groups": (1, 1)}, r"groups has 2 values for 1 spatial"),
    ({"stride": 1.5}, r"stride is 1.5, which is neither an int nor ints\n  Pass one"),
    (
        {"x": t(1, 1, 9), "w": t(1, 1, 3), "stride": 1.5},
        r"  Pass one int for all dimensions, or one for the one dimension\.$",
    ),
    ({"stride": True}, r"stride is True, which is neither an int nor ints"),
    ({"stride": "2"}, r"stride is '2', which is neither"),
    (
        {"stride": (1, 2, 3)},
        r"stride has 3 values for 2 spatial dimensions\n.*\n  Pass.* or 2 ints\.$",
    ),
    ({"dilation": (1, None)}, r"dilation is \(1, None\), which is neither"),
    ({"flip": 1}, r"flip is 1, not True or False\n  flip=True reads the filter backw"),
    (
        {"padding": "big"},
        r"padding 'big' is not known\n  Use one of \"valid\", \"same\"",
    ),
    (
        {"padding": (1, 2, 3)},
        r"padding \(1, 2, 3\) does not fit 2 spatial dimensions\n",
    ),
    ({"padding": ((1, 2),)}, r"does not fit 2(.*\n)+.*such as \(\(1, 2\), \(1, 2\)\)"),
    ({"padding": ((1, 2, 3), 1)}, r"padding .* does not fit 2 spatial dimensions"),
    ({"padding": 1.0}, r"padding 1.0 does not fit 2 spatial dimensions"),
    ({"padding": ((1, None), 1)}, r"padding .* does not fit 2 spatial dimensions"),
    (
        {"layout": "NHWC"},
        r"layout 'NHWC' is not known\n  Use layout=\"channels_first\"",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        conv(**arguments)


def test_padding_of_one_dimension_shows_how_to_write_sides() -> None:
    with pytest.raises(
        ArgumentError, match=r"fit 1 spatial dimension\n.*\(\(1, 2\),\)"
    ):
        conv(t(1, 1, 9), t(1, 1, 3), padding=(1, 2))


def test_values_for_one_dimension() -> None:
    with pytest.raises(ArgumentError, match=r"2 values for 1 spatial dimension\n"):
        conv(t(1, 1, 9), t(1, 1, 3), stride=(1, 2))


def test_same_needs_the_size() -> None:
    with pytest.raises(ArgumentError, match=r'"same" with stride \(2,\) needs'):
        ops.conv_transpose_op("f", t(1, 1, 9), t(1, 1, 3), stride=2, padding="same")


DTYPES: list[tuple[dict[str, Any], str]] = [
    (
        {"w": t(128, 64, 3, 3, dtype="float64")},
        r"two dtypes, float32 and float64\n.*x is float32, of shape \(8, 64, 32, 32\)\n"
        r".*w is float64.*\n  Convert one of them, for example w.astype\('float32'\)",
    ),
    ({"b": t(128, dtype="float64")}, r"two dtypes, float32 and float64(.*\n)+.*b is"),
    (
        {"x": t(8, 64, 32, 32, dtype="int64")},
        r"dtype int64 is not supported\n.*x is int",
    ),
    (
        {"x": t(8, 64, 32, 32, dtype="float16")},
        r"float16 is not supported(.*\n)+  Conv",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), DTYPES)
def test_dtypes(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DTypeError, match="^conv: .*" + message):
        conv(**arguments)


def test_modes() -> None:
    with pytest.raises(ArgumentError, match=r"padding_mode 'reflect' is not available"):
        ops.check_modes("conv", padding_mode="reflect")
    with pytest.raises(ArgumentError, match=r"algorithm 'fft' is not available\n  Use"):
        ops.check_modes("conv", algorithm="fft")
    ops.check_modes("conv", padding_mode="zeros", algorithm="direct")


def test_rank() -> None:
    with pytest.raises(ShapeError, match=r"conv: w has no spatial axes"):
        ops.conv_rank("conv", t(3, 3), t(2, 2))
    message = (
        r"x has 5 axes, w has 4\n(.*\n)+.*\(c, \*size\) for one image: 4 or 3 axes"
    )
    with pytest.raises(ShapeError, match=message):
        ops.conv_rank("conv", t(1, 1, 1, 1, 1), W)
    with pytest.raises(ShapeError, match=r"dy has shape \(3, 3\).*\n.*k/groups, c\)"):
        ops.conv_rank(
            "f", t(3, 3), t(2, 2), "channels_last", name="dy", transposed=True
        )


INPUT_GRAD: list[tuple[dict[str, Any], str]] = [
    ({"dy": t(8, 128, 30)}, r"dy has 3 axes, w has 4"),
    ({"x_shape": (8, 64, 32)}, r"x has 3 axes, w has 4"),
    (
        {"dy": t(8, 128, 30, 31)},
        r"dy axis 3 is 31, not 30\n.*\n +\^\n(.*\n)+.*\(32, 32\)",
    ),
    (
        {"dy": t(8, 64, 30, 30)},
        r"index 'k' has two extents, 64 and 128\n(.*\n)+  Pass dy",
    ),
    ({"x_shape": (8, 32, 32, 32)}, r"x_shape is .* dy and w give \(8, 64, 32, 32\)\n"),
    ({"x_shape": (7, 64, 32, 32)}, r"x_shape is .* dy and w give \(8, 64, 32, 32\)\n"),
    ({"dy": t(8, 128, 30, 30, dtype="float64")}, r"two dtypes, float64 and float32"),
]


@pytest.mark.parametrize(("arguments", "message"), INPUT_GRAD)
def test_input_grad(arguments: dict[str, Any], message: str) -> None:
    given = {"dy": DY, "w": W, "x_shape": X.shape} | arguments
    kind: Any = DTypeError if "dtypes" in message else ShapeError
    with pytest.raises(kind, match="conv_input_grad: .*" + message):
        ops.conv_input_grad_op("conv_input_grad", **given)


def test_shape_arguments() -> None:
    with pytest.raises(ArgumentError, match=r"x_shape \(8, -1, 3\) is not a shape"):
        ops.conv_input_grad_op("conv_input_grad", DY, W, (8, -1, 3))
    shape: Any = 3
    with pytest.raises(ArgumentError, match=r"w_shape 3 is not a shape\n  Pass a tu"):
        ops.conv_weight_grad_op("conv_weight_grad", DY, X, shape)


WEIGHT_GRAD: list[tuple[dict[str, Any], str]] = [
    ({"dy": t(7, 128, 30, 30)}, r"index 'n' has two extents, 7 and 8\n.*\n +\^ +\^\n"),
    ({"dy": t(8, 128, 29, 30)}, r"dy axis 2 is 29, not 30"),
    ({"groups": 3}, r"groups=3 does not divide the 64 channels of 'c'"),
    ({"w_shape": (128, 32, 3, 3)}, r"w_shape is .* dy and x give \(128, 64, 3, 3\)\n"),
    ({"w_shape": (3, 3)}, r"w has no spatial axes"),
    ({"x": t(8, 64, 32)}, r"x has 3 axes, w has 4"),
]


@pytest.mark.parametrize(("arguments", "message"), WEIGHT_GRAD)
def test_weight_grad(arguments: dict[str, Any], message: str) -> None:
    given = {"dy": DY, "x": X, "w_shape": W.shape} | arguments
    with pytest.raises(ShapeError, match="conv_weight_grad: " + message):
        ops.conv_weight_grad_op("conv_weight_grad", **given)


TRANSPOSE: list[tuple[dict[str, Any], str, type[Exception]]] = [
    ({"output_padding": 2}, r"output_padding \(2, 2\) is out of range", ArgumentError),
    ({"output_padding": -1}, r"output_padding .* at least 0 and less", ArgumentError),
    ({"output_padding": "x"}, r"output_padding is 'x', which is ne", ArgumentError),
    ({"output_size": (60, 61)}, r"output_size \(60, 61\) is not among", ArgumentError),
    ({"output_size": (63,)}, r"output_size has 1 values for 2", ArgumentError),
    ({"padding": 40}, r"output dimension 0 would have extent -19\n", ShapeError),
    ({"x": t(8, 64, 30, 30)}, r"'c' has two extents, 64 and 128\n", ShapeError),
    ({"groups": 3}, r"groups=3 does not divide the 128 channels of 'c'", ShapeError),
    ({"b": t(64, dtype="float64")}, r"two dtypes, float32 and float64", DTypeError),
    ({"b": t(128)}, r"b has shape \(128,\), not \(64,\)\n", ShapeError),
    ({"x": t(8, 128, 30)}, r"x has 3 axes, w has 4\n", ShapeError),
]


@pytest.mark.parametrize(("arguments", "message", "kind"), TRANSPOSE)
def test_transpose(
    arguments: dict[str, Any], message: str, kind: type[Exception]
) -> None:
    given = {"x": t(8, 128, 30, 30), "w": W, "stride": 2} | arguments
    with pytest.raises(kind, match=re.compile("conv_transpose: .*" + message, re.S)):
        ops.conv_transpose_op("conv_transpose", **given)


POOLS: list[tuple[dict[str, Any], str, type[Exception]]] = [
    ({"x": t(3, 3)}, r"x has no spatial axes\n", ShapeError),
    ({"kernel_size": 0}, r"index 'r' has extent 0\n", ShapeError),
    (
        {"kernel_size": 33, "stride": 1},
        r"output index 'p' has extent 0\n(.*\n)+.*the input has 32 positions "
        r"\(32 and padding 0, 0\)\n.*spans 33 \(33 taps, dilation 1\)\n  Pad the input",
        ShapeError,
    ),
    (
        {"dilation": 40},
        r"extent -4\n(.*\n)+.*spans 41 \(2 taps, dilation 40\)",
        ShapeError,
    ),
    ({"padding": -17}, r"padding \(-17, -17\) crops more than the 32", ShapeError),
    ({"kernel_size": (2, 2, 2)}, r"kernel_size has 3 values for 2", ArgumentError),
    ({"stride": 0}, r"stride is not positive\n", ArgumentError),
    ({"layout": "nchw"}, r"layout 'nchw' is not known\n", ArgumentError),
    ({"x": t(8, 64, 32, 32, dtype="int32")}, r"int32 is not supported\n", DTypeError),
]


@pytest.mark.parametrize(("arguments", "message", "error"), POOLS)
@pytest.mark.parametrize("kind", ["max", "sum"])
def test_pools(
    kind: Any, arguments: dict[str, Any], message: str, error: type[Exception]
) -> None:
    given = {"x": X, "kernel_size": 2} | arguments
    name = "max_pool" if kind == "max" else "avg_pool"
    with pytest.raises(error, match=f"{name}: .*" + message):
        ops.pool_op(name, kind, **given)


WINDOW = Window((2,), (1,), (1,), ((0, 0),))
INFER: list[tuple[ops.Op, list[TensorType], str, type[Exception]]] = [
    (Conv(WINDOW, input_size=(5,)), [t(1, 1, 5)], r"1 operands for 2\n", ShapeError),
    (
        Conv(WINDOW, input_size=(5,)),
        [t(1, 1, 6), t(1, 1, 2)],
        r"conv: x axis 2 is 6, not 5\n",
        ShapeError,
    ),
    (
        Conv(WINDOW, input_size=(5,)),
        [t(1, 1, 5), t(1, 1, 3)],
        r"conv: w does not have the kernel size \(2,\)\n",
        ShapeError,
    ),
    (
        Conv(WINDOW, input_size=(5,)),
        [t(1, 5), t(1, 1, 2)],
        r"conv: x has 2 axes for 1 spatial dimensions\n",
        ShapeError,
    ),
    (ops.ChannelSum(), [t(3)], r"channel_sum: dy has 1 axes\n", ShapeError),
    (
        ops.WindowSum(WINDOW, input_size=(5,)),
        [t(1, 1, 4)],
        r"avg_pool: x does not have spatial extents \(5,\)\n",
        ShapeError,
    ),
    (
        ops.MaxSelect(WINDOW, input_size=(5,)),
        [t(1, 1, 4), t(1, 1, 4)],
        r"max_pool_backward: index is float32, not int32\n",
        DTypeError,
    ),
    (
        ops.MaxSelect(WINDOW, input_size=(5,)),
        [t(1, 1, 4), t(1, 2, 4, dtype="int32")],
        r"max_pool_backward: index has shape \(1, 2, 4\), not \(1, 1, 4\)\n",
        ShapeError,
    ),
    (ops.Reshape((5,)), [t(2, 3)], r"reshape: 6 elements do not fill", ShapeError),
    (ops.Transpose((0, 0)), [t(2, 3)], r"transpose: \(0, 0\) is no order", ShapeError),
    (ops.Flip((2,)), [t(2, 3)], r"flip: axes \(2,\) are not distinct", ShapeError),
    (ops.Broadcast((2,)), [t(2, 3)], r"do not broadcast|does not repeat", ShapeError),
    (ops.Broadcast((2, 1)), [t(2, 3)], r"does not repeat to \(2, 1\)", ShapeError),
    (ops.Reduce("sum", (1, 1)), [t(2, 3)], r"sum: axes \(1, 1\) are not", ShapeError),
    (ops.Reduce("max", (0,)), [t(0, 3)], r"max: no elements along axes", ShapeError),
    (ops.OneHot(3), [t(2)], r"one_hot: labels are float32, not int32", DTypeError),
    (ops.LogSoftmax(), [t()], r"log_softmax: x has no axes\n", ShapeError),
    (ops.Pointwise("tan"), [t(2)], r"pointwise: 'tan' is not in", ArgumentError),
    (ops.Pointwise("add"), [t(2)], r"add: 1 inputs for 2\n    a \+ b", ShapeError),
    (ops.Pointwise("add"), [t(2), t(3)], r"\(2,\) and \(3,\) do not", ShapeError),
    (
        ops.Pointwise("add"),
        [t(2, dtype="int32"), t(2, dtype="int64")],
        r"add: operands have dtypes int32 and int64\n  Convert",
        DTypeError,
    ),
    (
        ops.Pointwise("exp"),
        [t(2, dtype="int32")],
        r"exp: dtype int32 is not supported\n",
        DTypeError,
    ),
]


@pytest.mark.parametrize(("op", "inputs", "message", "kind"), INFER)
def test_infer(
    op: ops.Op, inputs: list[TensorType], message: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=message):
        op.infer(*inputs)


def test_nothing_traced() -> None:
    with pytest.raises(TraceError, match=r"Identity: none of the 1 inputs is a traced"):
        ops.apply(ops.Identity(), 1.0)
