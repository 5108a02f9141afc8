"""Every message a public function gives to bad input: one test for each."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional
from rot180.errors import ArgumentError, DTypeError, Rot180Error, ShapeError

F4 = np.float32
X = np.ones((2, 3, 6, 6), F4)
W = np.ones((4, 3, 3, 3), F4)
B = np.ones(4, F4)
DY = np.ones((2, 4, 4, 4), F4)
T = np.ones((3, 4, 3, 3), F4)  # the filter of a transposed convolution
POOLED = np.ones((2, 3, 3, 3), F4)


def refuses(error: type[Rot180Error], message: str, call: Callable[[], object]) -> None:
    """Raises AssertionError unless `call` is refused in the house's way."""
    with pytest.raises(error, match=message) as caught:
        call()
    first, *rest = str(caught.value).splitlines()
    assert ": " in first
    assert rest, "the message names no remedy"
    assert rest[-1].startswith("  ")
    assert len(first) <= 100


# ------------------------------------------------------------------ convolution


def test_rank_zero() -> None:
    refuses(
        ShapeError,
        r"^conv: w has no spatial axes\n.*\(6, 6\).*\n.*\(3, 3\).*\n"
        r"  For a plain 2-D filter call conv\(x\[None\], w\[None, None\]\)\.$",
        lambda: rot180.conv(X[0, 0], W[0, 0]),
    )


def test_the_remedy_for_rank_zero_works() -> None:
    x, w = X[0, 0], W[0, 0]
    assert rot180.conv(x[None], w[None, None]).shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("conv_input_grad", lambda: rot180.conv_input_grad(DY[0, 0], W[0, 0], (6, 6))),
        (
            "conv_weight_grad",
            lambda: rot180.conv_weight_grad(DY[0, 0], X[0, 0], (3, 3)),
        ),
        ("conv_transpose", lambda: rot180.conv_transpose(X[0, 0], W[0, 0])),
        ("conv_input_grad", lambda: rot180.conv_backward(DY[0, 0], X[0, 0], W[0, 0])),
    ],
)
def test_rank_zero_elsewhere(name: str, call: Callable[[], object]) -> None:
    refuses(ShapeError, f"^{name}: w has no spatial axes", call)


def test_rank() -> None:
    refuses(
        ShapeError,
        r"^conv: x has 2 axes, w has 4\n.*\n.*\n  Pass x of shape \(n, c, \*size\), "
        r"or \(c, \*size\) for one image: 4 or 3 axes\.$",
        lambda: rot180.conv(X[0, 0], W),
    )


def test_channels() -> None:
    refuses(
        ShapeError,
        r"^conv: index 'c' has two extents, 3 and 2\n.*y\[n, k, p, q\].*\n +\^ +\^\n"
        r".*\(2, 3, 6, 6\)\n.*\(4, 2, 3, 3\)\n  Pass w of shape",
        lambda: rot180.conv(X, W[:, :2]),
    )


def test_channels_that_groups_would_explain() -> None:
    refuses(
        ShapeError,
        r"'c' has two extents, 3 and 1\n(.*\n)+"
        r"  For a grouped convolution pass groups=3",
        lambda: rot180.conv(X, W[:3, :1]),
    )


@pytest.mark.parametrize("shape", [(4, 6, 6), (1, 4, 6, 6)])
def test_images_without_an_axis_of_channels(shape: tuple[int, ...]) -> None:
    refuses(
        ShapeError,
        r"'c' has two extents, 4 and 1\n(.*\n)+  For 4 images without an axis of "
        r"channels pass x\[:, None\]; for a grouped convolution of one image groups=4",
        lambda: rot180.conv(np.ones(shape, np.float32), W[:4, :1]),
    )


def test_channels_of_the_transposed_convolution() -> None:
    refuses(
        ShapeError,
        r"^conv_transpose: index 'c' has two extents, 3 and 4\n",
        lambda: rot180.conv_transpose(X, W),
    )


def test_channels_of_dy() -> None:
    refuses(
        ShapeError,
        r"^conv_input_grad: index 'k' has two extents, 3 and 4\n",
        lambda: rot180.conv_input_grad(DY[:, :3], W, X.shape),
    )


def test_extents_of_dy() -> None:
    refuses(
        ShapeError,
        r"^conv_weight_grad: dy axis 2 is 3, not 4\n",
        lambda: rot180.conv_weight_grad(DY[:, :, :3], X, W.shape),
    )


def test_images_of_dy_and_x() -> None:
    refuses(
        ShapeError,
        r"^conv_weight_grad: index 'n' has two extents, 1 and 2\n",
        lambda: rot180.conv_weight_grad(DY[:1], X, W.shape),
    )


def test_dy_without_an_image_axis_where_x_has_one() -> None:
    refuses(
        ShapeError,
        r"^conv_weight_grad: dy has 3 axes, w has 4\n",
        lambda: rot180.conv_weight_grad(DY[0], X, W.shape),
    )


def test_bias() -> None:
    refuses(
        ShapeError,
        r"^conv: b has shape \(3,\), not \(4,\)\n.*\+ b\[k\]\n +\^ +\^\n(.*\n)+"
        r"  Pass one bias for every output channel",
        lambda: rot180.conv(X, W, B[:3]),
    )


def test_bias_of_the_transposed_convolution() -> None:
    refuses(
        ShapeError,
        r"^conv_transpose: b has shape \(2,\), not \(4,\)\n",
        lambda: rot180.conv_transpose(X, T, B[:2]),
    )


def test_two_dtypes() -> None:
    refuses(
        DTypeError,
        r"^conv: operands have two dtypes, float32 and float64\n.*x is float32.*\n"
        r".*w is float64.*\n  Convert one of them, for example w\.astype\('float32'\)",
        lambda: rot180.conv(X, W.astype("f8")),
    )


def test_a_bias_of_another_dtype() -> None:
    refuses(
        DTypeError,
        r"^conv: operands have two dtypes(.*\n)+.*b is float64",
        lambda: rot180.conv(X, W, B.astype("f8")),
    )


@pytest.mark.parametrize("dtype", ["int64", "int32", "bool"])
def test_integers(dtype: str) -> None:
    refuses(
        DTypeError,
        rf"^conv: dtype {dtype} is not supported\n(.*\n)+  Convert the operands with",
        lambda: rot180.conv(X.astype(dtype), W.astype(dtype)),
    )


@pytest.mark.parametrize("dtype", ["float16", "complex64", "object", "uint8", "str"])
def test_other_dtypes(dtype: str) -> None:
    refuses(
        DTypeError,
        r"^conv: x has dtype \w+\n  Convert it with x\.astype\(numpy\.float32\)",
        lambda: rot180.conv(X.astype(dtype), W),
    )


def test_a_list_of_integers_is_an_array_of_integers() -> None:
    refuses(
        DTypeError,
        r"^conv: dtype int64 is not supported\n",
        lambda: rot180.conv([[[1, 2, 3]]], [[[1, 1]]]),
    )


@pytest.mark.parametrize("stride", [0, -1, (1, 0)])
def test_stride(stride: Any) -> None:
    refuses(
        ArgumentError,
        r"^conv: stride is not positive\n.*p\*stride_p.*\n +\^.*\n +stride is \(.*\)\n"
        r"  Use a stride of at least 1",
        lambda: rot180.conv(X, W, stride=stride),
    )


@pytest.mark.parametrize("dilation", [0, (1, -1)])
def test_dilation(dilation: Any) -> None:
    refuses(
        ArgumentError,
        r"^conv: dilation is not positive\n(.*\n)+  Use a dilation of at least 1",
        lambda: rot180.conv(X, W, dilation=dilation),
    )


@pytest.mark.parametrize("groups", [0, -1])
def test_groups_that_are_not_positive(groups: int) -> None:
    refuses(
        ArgumentError,
        rf"^conv: groups is {groups}, which is not positive\n  groups=1 lets",
        lambda: rot180.conv(X, W, groups=groups),
    )


def test_groups_that_do_not_divide() -> None:
    refuses(
        ShapeError,
        r"^conv: groups=2 does not divide the 3 channels of 'c'\n",
        lambda: rot180.conv(X, W, groups=2),
    )


@pytest.mark.parametrize("option", ["stride", "dilation", "padding"])
def test_options_that_are_no_ints(option: str) -> None:
    refuses(
        ArgumentError,
        rf"^conv: {option} .*1\.5",
        lambda: rot180.conv(X, W, **{option: 1.5}),
    )


def test_options_of_another_rank() -> None:
    refuses(
        ArgumentError,
        r"^conv: stride has 3 values for 2 spatial dimensions\n",
        lambda: rot180.conv(X, W, stride=(1, 1, 1)),
    )


def test_more_cropped_than_there_is() -> None:
    refuses(
        ShapeError,
        r"^conv: padding \(-3, -4\) crops more than the 6 positions of x\n(.*\n)+"
        r"  Crop at most 6",
        lambda: rot180.conv(X, W, padding=((-3, -4), (0, 0))),
    )


def test_a_transposed_output_without_positions() -> None:
    refuses(
        ShapeError,
        r"^conv_transpose: output dimension 0 would have extent -2\n",
        lambda: rot180.conv_transpose(X, T, padding=5),
    )


def test_padding_words() -> None:
    refuses(
        ArgumentError,
        r"^conv: padding 'big' is not known\n  Use one of",
        lambda: rot180.conv(X, W, padding="big"),
    )


def test_padding_modes() -> None:
    refuses(
        ArgumentError,
        r"^conv: padding_mode 'reflect' is not available\n",
        lambda: rot180.conv(X, W, padding_mode="reflect"),
    )


def test_algorithms() -> None:
    refuses(
        ArgumentError,
        r"^conv_backward: algorithm 'fft'|^conv_input_grad: algorithm 'fft' is not",
        lambda: rot180.conv_backward(DY, X, W, algorithm="fft"),
    )


@pytest.mark.parametrize("name", ["conv", "conv_transpose", "max_pool", "avg_pool"])
def test_layouts(name: str) -> None:
    second: Any = 2 if "pool" in name else W
    layout: Any = "NCHW"
    refuses(
        ArgumentError,
        rf"^{name}: layout 'NCHW' is not known\n  Use layout=",
        lambda: getattr(rot180, name)(X, second, layout=layout),
    )


def test_layout_of_a_rotation() -> None:
    layout: Any = "NCHW"
    refuses(
        ArgumentError,
        r"^rot180: layout 'NCHW' is not known\n",
        lambda: rot180.rot180(W, layout=layout),
    )


def test_dtype_of_a_rotation() -> None:
    refuses(
        DTypeError,
        r"^rot180: w has dtype complex64\n",
        lambda: rot180.rot180(W.astype("c8")),
    )


@pytest.mark.parametrize("shape", [5, "abcd", (2, 3, 6.0, 6), None])
def test_x_shape(shape: Any) -> None:
    refuses(
        ArgumentError,
        r"^conv_input_grad: x_shape .* is not a shape\n  Pass a tuple of extents",
        lambda: rot180.conv_input_grad(DY, W, shape),
    )


def test_x_shape_that_does_not_fit() -> None:
    refuses(
        ShapeError,
        r"^conv_input_grad: x_shape is \(9, 3, 6, 6\), "
        r"but dy and w give \(2, 3, 6, 6\)",
        lambda: rot180.conv_input_grad(DY, W, (9, 3, 6, 6)),
    )


@pytest.mark.parametrize("shape", [7, (4, 3, 3.0, 3)])
def test_w_shape(shape: Any) -> None:
    refuses(
        ArgumentError,
        r"^conv_weight_grad: w_shape .* is not a shape\n",
        lambda: rot180.conv_weight_grad(DY, X, shape),
    )


def test_w_shape_that_does_not_fit() -> None:
    refuses(
        ShapeError,
        r"^conv_weight_grad: w_shape is \(4, 2, 3, 3\), "
        r"but dy and x give \(4, 3, 3, 3\)",
        lambda: rot180.conv_weight_grad(DY, X, (4, 2, 3, 3)),
    )


def test_needs() -> None:
    refuses(
        ArgumentError,
        r"^conv_backward: needs holds 'output'\n  Name any of",
        lambda: rot180.conv_backward(DY, X, W, needs=("output",)),
    )


def test_dy_is_checked_for_the_bias_alone() -> None:
    refuses(
        ShapeError,
        r"^conv_backward: dy axis 2 is 2, not 4\n",
        lambda: rot180.conv_backward(DY[:, :, :2], X, W, needs=("bias",)),
    )


def test_output_padding() -> None:
    refuses(
        ArgumentError,
        r"^conv_transpose: output_padding \(1, 1\) is out of range\n",
        lambda: rot180.conv_transpose(X, T, output_padding=1),
    )


def test_output_size() -> None:
    refuses(
        ArgumentError,
        r"^conv_transpose: output_size \(9, 9\) is not among the possible sizes\n",
        lambda: rot180.conv_transpose(X, T, output_size=(9, 9)),
    )


# -------------------------------------------------------------------------- out


def out_of(shape: tuple[int, ...], dtype: Any = F4) -> Any:
    return np.empty(shape, dtype)


def read_only() -> Any:
    out = out_of((2, 4, 4, 4))
    out.flags.writeable = False
    return out


def misaligned() -> Any:
    memory = np.empty(2 * 4 * 4 * 4 * 4 + 1, np.uint8)
    return memory[1:].view(F4).reshape(2, 4, 4, 4)


OUTS: list[tuple[Any, type[Rot180Error], str]] = [
    (out_of((2, 4, 4, 5)), ShapeError, r"out has shape \(2, 4, 4, 5\), the result"),
    (out_of((2, 4, 4, 4), "f8"), DTypeError, r"out has dtype float64, the result"),
    (out_of((2, 4, 4, 4), ">f4"), DTypeError, r"out has dtype >f4, the result float32"),
    (out_of((2, 4, 4, 8))[..., ::2], ArgumentError, r"out is not a contiguous array"),
    (out_of((4, 4, 4, 2)).T, ArgumentError, r"out is not a contiguous array"),
    (read_only(), ArgumentError, r"out is not a contiguous array .*\n.*writeable: F"),
    (misaligned(), ArgumentError, r"out is not a contiguous array"),
    ([1.0], ArgumentError, r"out is no array but list"),
]


@pytest.mark.parametrize(("out", "error", "message"), OUTS)
def test_out_that_cannot_take_the_result(
    out: Any, error: type[Rot180Error], message: str
) -> None:
    for _ in range(2):  # the second call could take the short way
        refuses(error, f"^conv: {message}", lambda: rot180.conv(X, W, out=out))
        rot180.conv(X, W)


@pytest.mark.parametrize("which", ["x", "w", "b", "a part of x"])
def test_out_that_overlaps_an_operand(which: str) -> None:
    memory = np.zeros(1000, F4)
    x, w, b = (memory[: a.size].reshape(a.shape) for a in (X, W, B))
    operands = {"x": (x, W, B), "w": (X, w, B), "b": (X, W, b)}.get(which, (x, W, B))
    start = 20 if which == "a part of x" else 0
    out = memory[start : start + DY.size].reshape(DY.shape)
    rot180.conv(*operands)
    refuses(
        ArgumentError,
        r"^conv: out overlaps an operand\n  The result would be written over",
        lambda: rot180.conv(*operands, out=out),
    )
    assert not memory.any()


# ---------------------------------------------------------------------- pooling


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_pooling_without_spatial_axes(name: str) -> None:
    refuses(
        ShapeError,
        rf"^{name}: x has no spatial axes\n",
        lambda: getattr(rot180, name)(X[0, 0], 2),
    )


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(
    ("kernel", "options", "error", "message"),
    [
        (0, {}, ShapeError, r"index 'r' has extent 0\n"),
        (9, {}, ShapeError, r"output index 'p' has extent 0\n"),
        ("2", {}, ArgumentError, r"kernel_size is '2', which is neither an int nor"),
        ((2, 2, 2, 2), {}, ArgumentError, r"kernel_size has 4 values for 2 spatial"),
        (2, {"stride": 0}, ArgumentError, r"stride is not positive\n"),
    ],
)
def test_windows_of_pooling(
    name: str, kernel: Any, options: Any, error: type[Rot180Error], message: str
) -> None:
    call = getattr(rot180, name)
    refuses(error, f"^{name}: {message}", lambda: call(X, kernel, **options))


def test_dilation_of_pooling() -> None:
    refuses(
        ArgumentError,
        r"^max_pool: dilation is not positive\n",
        lambda: rot180.max_pool(X, 2, dilation=0),
    )


@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
def test_dtypes_of_pooling(name: str) -> None:
    refuses(
        DTypeError,
        rf"^{name}: dtype int64 is not supported\n",
        lambda: getattr(rot180, name)(X.astype(int), 2),
    )


def test_divisor() -> None:
    refuses(
        ArgumentError,
        r"^avg_pool: divisor_override is 0\n",
        lambda: rot180.avg_pool(X, 2, divisor_override=0),
    )


@pytest.mark.parametrize(("name", "second"), [("max", X), ("avg", X.shape)])
def test_dy_of_pooling(name: str, second: Any) -> None:
    backward = getattr(rot180, f"{name}_pool_backward")
    refuses(
        ShapeError,
        rf"^{name}_pool_backward: dy has shape \(2, 4, 4, 4\), "
        r"the output \(2, 3, 3, 3\)",
        lambda: backward(DY, second, 2),
    )


def test_dtype_of_dy_of_pooling() -> None:
    refuses(
        DTypeError,
        r"^max_pool_backward: dy is float64, x is float32\n",
        lambda: rot180.max_pool_backward(POOLED.astype("f8"), X, 2),
    )


def test_x_shape_of_pooling() -> None:
    shape: Any = 5
    refuses(
        ArgumentError,
        r"^avg_pool_backward: x_shape 5 is not a shape\n",
        lambda: rot180.avg_pool_backward(POOLED, shape, 2),
    )


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (np.zeros(POOLED.shape), DTypeError, r"index is float64, not int32"),
        (
            np.zeros((2, 3, 3, 2), np.int32),
            ShapeError,
            r"index has shape \(2, 3, 3, 2\)",
        ),
    ],
)
def test_indices(indices: Any, error: type[Rot180Error], message: str) -> None:
    refuses(
        error,
        f"^max_pool_backward: {message}",
        lambda: rot180.max_pool_backward(POOLED, X, 2, indices=indices),
    )


# ----------------------------------------------------------------- other functions


def test_relu_of_integers() -> None:
    refuses(
        DTypeError,
        r"^relu: dtype int64 is not supported\n",
        lambda: rot180.relu(np.arange(3)),
    )


def test_gradient_of_relu() -> None:
    refuses(
        ShapeError,
        r"^relu_backward: dy has shape \(2,\), x has shape \(3,\)\n",
        lambda: rot180.relu_backward(np.ones(2), np.ones(3)),
    )


def test_linear() -> None:
    refuses(
        ShapeError,
        r"^linear: x of shape \(6, 6\) does not fit w of shape \(3, 3\)\n",
        lambda: functional.linear(X[0, 0], W[0, 0]),
    )


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2", 10**6])
def test_threads(threads: Any) -> None:
    refuses(
        ArgumentError,
        r"^set_num_threads: .* is not a number of threads\n",
        lambda: rot180.set_num_threads(threads),
    )


def test_a_plan_of_a_call_that_would_be_refused() -> None:
    refuses(
        ShapeError,
        r"^conv: index 'c' has two extents",
        lambda: rot180.plan(rot180.conv, X, W[:, :2]),
    )


def test_a_plan_of_nothing() -> None:
    refuses(
        ArgumentError,
        r"^plan: one of the shapes \(2, 3, 0, 6\), .* is empty, so that no kernel",
        lambda: rot180.plan(rot180.conv, X[:, :, :0], W, padding=2),
    )


def test_messages_are_the_same_while_tracing() -> None:
    for wrap in (rot180.grad, rot180.jit):
        refuses(
            ShapeError,
            r"^conv: index 'c' has two extents, 3 and 2\n",
            lambda wrap=wrap: wrap(lambda x: rot180.conv(x, W[:, :2]).sum())(X),  # type: ignore[misc]
        )


def test_what_is_refused_leaves_the_next_call_right() -> None:
    with pytest.raises(ShapeError):
        rot180.conv(X, W[:, :2])
    assert (rot180.conv(X, W) == 27).all()


@pytest.mark.parametrize(
    ("needs", "example"),
    [(None, "input"), (5, "input"), ("weight", "weight"), ("dx", "input")],
)
def test_needs_is_a_tuple_of_names(needs: Any, example: str) -> None:
    refuses(
        ArgumentError,
        rf'^conv_backward: needs is {needs!r}, not a tuple.*\n.* pass \("{example}",\)',
        lambda: rot180.conv_backward(DY, X, W, needs=needs),
    )


def test_one_image_and_the_gradient_of_many() -> None:
    refuses(
        ShapeError,
        r"^conv_backward: dy lacks the image axis\n    dy has shape \(4, 4, 4\)\n"
        r"    x has shape \(2, 3, 6, 6\)\n.*dy\[None\]",
        lambda: rot180.conv_backward(DY[0], X, W),
    )
    refuses(
        ShapeError,
        r"^conv_backward: x lacks the image axis\n    dy has shape \(2, 4, 4, 4\)\n"
        r"    x has shape \(3, 6, 6\)\n.*x\[None\]",
        lambda: rot180.conv_backward(DY, X[0], W),
    )
    refuses(
        ShapeError,
        r"^conv_backward: dy lacks the image axis\n    dy has shape \(4, 4\)\n"
        r"    x has shape \(2, 3, 6\)\n.*dy\[None\]",
        lambda: rot180.conv_backward(DY[0, :, 0], X[:, :, 0], W[:, :, 0]),
    )


def test_the_remedies_for_gradients_of_rank_zero_work() -> None:
    dy, x, w = DY[0, 0], X[0, 0], W[0, 0]
    last: Any = {"layout": "channels_last"}
    for remedy, call in (
        (
            "conv_weight_grad(dy[None], x[None], (1, 1, 3, 3))",
            lambda: rot180.conv_weight_grad(dy, x, w.shape),
        ),
        (
            "conv_input_grad(dy[None], w[None, None], (1, *x_shape))",
            lambda: rot180.conv_input_grad(dy, w, x.shape),
        ),
        (
            "conv_weight_grad(dy[..., None], x[..., None], (3, 3, 1, 1))",
            lambda: rot180.conv_weight_grad(dy, x, w.shape, **last),
        ),
        (
            "conv_input_grad(dy[..., None], w[..., None, None], (*x_shape, 1))",
            lambda: rot180.conv_input_grad(dy, w, x.shape, **last),
        ),
    ):
        refuses(ShapeError, re.escape(f"call {remedy}."), call)
    assert rot180.conv_weight_grad(dy[None], x[None], (1, 1, 3, 3)).shape[2:] == (3, 3)
    shape = (1, *x.shape)
    assert rot180.conv_input_grad(dy[None], w[None, None], shape).shape == shape


@pytest.mark.parametrize(
    ("name", "operand", "call"),
    [
        ("conv_input_grad", "x", lambda: rot180.conv_input_grad(DY, W, X)),  # type: ignore[arg-type]
        ("conv_weight_grad", "w", lambda: rot180.conv_weight_grad(DY, X, W)),  # type: ignore[arg-type]
        ("avg_pool_backward", "x", lambda: rot180.avg_pool_backward(POOLED, X, 2)),  # type: ignore[arg-type]
    ],
)
def test_an_array_is_not_its_shape(
    name: str, operand: str, call: Callable[[], object]
) -> None:
    refuses(
        ArgumentError,
        rf"^{name}: {operand}_shape is an array, not a shape\n"
        rf"    the array has shape \(.*\)\n  Pass {operand}\.shape\.$",
        call,
    )


def test_a_vector_of_ints_is_a_shape() -> None:
    shape: Any = np.array(X.shape)
    assert rot180.conv_input_grad(DY, W, shape).shape == X.shape


def test_window_of_the_average_is_ints() -> None:
    kernel: Any = 2.5
    refuses(
        ArgumentError,
        r"^avg_pool_backward: kernel_size is 2\.5, which is neither an int nor ints",
        lambda: rot180.avg_pool_backward(POOLED, X.shape, kernel),
    )
    pair: Any = np.array([2, 2])
    assert rot180.max_pool(X[0], pair).shape == (3, 3, 3)
