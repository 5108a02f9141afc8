"""The reference equals PyTorch in float64, exactly, on small integers."""

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rot180 import ops
from rot180.ops import Conv, MaxPool, MaxSelect, TensorType, WindowSum
from rot180.reference import _evaluate as reference

Rng = np.random.Generator
CONVOLUTIONS = 60  # seeds for each of three ranks: 180 configurations, all passes each
TRANSPOSED = 25
POOLS = 30


def cases(seeds: int) -> list[tuple[int, int]]:
    return list(itertools.product((1, 2, 3), range(seeds)))


def integers(rng: Rng, *shape: int) -> Any:
    return rng.integers(-4, 5, shape).astype(np.float64)


def kind(array: Any) -> TensorType:
    return ops.type_of(array)


def one(op: ops.Op, *arrays: Any) -> Any:
    (result,) = reference.evaluate(op, *arrays)
    return result


def last(array: Any) -> Any:
    """Returns images, channels first, with their channels last."""
    return np.moveaxis(array, 1, -1)


def filter_last(w: Any) -> Any:
    return np.moveaxis(w, (0, 1), (-1, -2))


def draw_window(rng: Rng, rank: int) -> dict[str, Any]:
    top = 4 if rank < 3 else 3
    return {
        "stride": tuple(rng.integers(1, 4, rank).tolist()),
        "padding": tuple(rng.integers(0, 3, rank).tolist()),
        "dilation": tuple(rng.integers(1, 3, rank).tolist()),
        "kernel": tuple(rng.integers(1, top, rank).tolist()),
    }


def size_for(rng: Rng, window: dict[str, Any], extra: int) -> tuple[int, ...]:
    sizes = []
    for k, d, p in zip(
        window["kernel"], window["dilation"], window["padding"], strict=True
    ):
        least = max(1, (k - 1) * d + 1 - 2 * p)
        sizes.append(least + int(rng.integers(0, extra)))
    return tuple(sizes)


@pytest.mark.parametrize(("rank", "seed"), cases(CONVOLUTIONS))
def test_convolution_and_its_gradients(torch: ModuleType, rank: int, seed: int) -> None:
    rng = np.random.default_rng([1, rank, seed])
    window = draw_window(rng, rank)
    size = size_for(rng, window, 6 if rank < 3 else 3)
    groups, per_group, outputs = rng.integers(1, 4, 3).tolist()
    images = int(rng.integers(0, 4)) if seed % 10 else 0
    x = integers(rng, images, groups * per_group, *size)
    w = integers(rng, groups * outputs, per_group, *window["kernel"])
    b = integers(rng, groups * outputs)
    arguments = {name: window[name] for name in ("stride", "padding", "dilation")}
    op = ops.conv_op("conv", kind(x), kind(w), kind(b), groups=groups, **arguments)

    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    function = getattr(torch.nn.functional, f"conv{rank}d")
    expected = function(*tensors, groups=groups, **arguments)
    y = one(op, x, w, b)
    assert np.array_equal(y, expected.detach().numpy())

    dy = integers(rng, *y.shape)
    expected.backward(torch.tensor(dy))
    dx, dw, db = (t.grad.numpy() for t in tensors)
    arguments |= {"groups": groups}
    to_x = ops.conv_input_grad_op("dx", kind(dy), kind(w), x.shape, **arguments)
    to_w = ops.conv_weight_grad_op("dw", kind(dy), kind(x), w.shape, **arguments)
    assert np.array_equal(one(to_x, dy, w), dx)
    assert np.array_equal(one(to_w, dy, x), dw)
    assert np.array_equal(one(ops.ChannelSum(), dy), db)

    arguments |= {"layout": "channels_last"}
    x, w, dy = last(x), filter_last(w), last(dy)
    op = ops.conv_op("conv", kind(x), kind(w), kind(b), **arguments)
    assert np.array_equal(one(op, x, w, b), last(y))
    to_x = ops.conv_input_grad_op("dx", kind(dy), kind(w), x.shape, **arguments)
    to_w = ops.conv_weight_grad_op("dw", kind(dy), kind(x), w.shape, **arguments)
    assert np.array_equal(one(to_x, dy, w), last(dx))
    assert np.array_equal(one(to_w, dy, x), filter_last(dw))
    assert np.array_equal(one(ops.ChannelSum("channels_last"), dy), db)


@pytest.mark.parametrize(("rank", "seed"), cases(TRANSPOSED))
def test_transposed_convolution(torch: ModuleType, rank: int, seed: int) -> None:
    rng = np.random.default_rng([2, rank, seed])
    window = draw_window(rng, rank)
    size = tuple((1 + rng.integers(1, 4, rank)).tolist())
    groups, per_group, outputs = rng.integers(1, 3, 3).tolist()
    window["padding"] = tuple(
        min(p, ((n - 1) * s + (k - 1) * d) // 2)
        for p, n, s, k, d in zip(
            window["padding"],
            size,
            window["stride"],
            window["kernel"],
            window["dilation"],
            strict=True,
        )
    )
    extra = tuple(
        int(rng.integers(0, max(s, d)))
        for s, d in zip(window["stride"], window["dilation"], strict=True)
    )
    x = integers(rng, 2, groups * per_group, *size)
    w = integers(rng, groups * per_group, outputs, *window["kernel"])
    arguments = {name: window[name] for name in ("stride", "padding", "dilation")}
    arguments |= {"groups": groups, "output_padding": extra}
    op = ops.conv_transpose_op("conv_transpose", kind(x), kind(w), **arguments)

    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    expected = getattr(torch.nn.functional, f"conv_transpose{rank}d")(
        *tensors, **arguments
    )
    y = one(op, x, w)
    assert np.array_equal(y, expected.detach().numpy())

    dy = integers(rng, *y.shape)
    expected.backward(torch.tensor(dy))
    dx, dw = (t.grad.numpy() for t in tensors)
    to_x = Conv(op.window, op.layout, "y", op.input_size)
    to_w = Conv(op.window, op.layout, "w", op.input_size)
    assert np.array_equal(one(to_x, dy, w), dx)
    assert np.array_equal(one(to_w, x, dy), dw)

    del arguments["output_padding"]
    by_size = ops.conv_transpose_op(
        "conv_transpose", kind(x), kind(w), output_size=op.input_size, **arguments
    )
    assert by_size == op


@pytest.mark.parametrize("seed", range(30))
def test_flip_is_the_rotated_filter(torch: ModuleType, seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    x, w = integers(rng, 2, 3, 7, 8), integers(rng, 4, 3, 3, 2)
    op = ops.conv_op("conv", kind(x), kind(w), flip=True, padding=seed % 3)
    rotated = torch.tensor(w).flip((2, 3))
    expected = torch.nn.functional.conv2d(torch.tensor(x), rotated, padding=seed % 3)
    assert np.array_equal(one(op, x, w), expected.numpy())


@pytest.mark.parametrize("seed", range(30))
def test_padding_per_side_and_negative(torch: ModuleType, seed: int) -> None:
    rng = np.random.default_rng([4, seed])
    x, w = integers(rng, 2, 3, 9, 8), integers(rng, 4, 3, 3, 2)
    pads = rng.integers(-2, 3, (2, 2)).tolist()
    stride = tuple(rng.integers(1, 4, 2).tolist())
    op = ops.conv_op("conv", kind(x), kind(w), padding=pads, stride=stride)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    padded = torch.nn.functional.pad(tensors[0], (*pads[1], *pads[0]))
    expected = torch.nn.functional.conv2d(padded, tensors[1], stride=stride)
    y = one(op, x, w)
    assert np.array_equal(y, expected.detach().numpy())
    dy = integers(rng, *y.shape)
    expected.backward(torch.tensor(dy))
    to_x = Conv(op.window, op.layout, "x", op.input_size)
    to_w = Conv(op.window, op.layout, "w", op.input_size)
    assert np.array_equal(one(to_x, dy, w), tensors[0].grad.numpy())
    assert np.array_equal(one(to_w, dy, x), tensors[1].grad.numpy())


def draw_pool(rng: Rng, rank: int) -> tuple[dict[str, Any], Any]:
    window = draw_window(rng, rank)
    window["padding"] = tuple(
        min(p, k // 2) for p, k in zip(window["padding"], window["kernel"], strict=True)
    )
    size = size_for(rng, window, 7 if rank < 3 else 4)
    at_least = tuple(map(max, size, window["kernel"]))  # PyTorch's limit in 3-D
    return window, integers(rng, 2, 3, *at_least)


@pytest.mark.parametrize(("rank", "seed"), cases(POOLS))
def test_max_pooling(torch: ModuleType, rank: int, seed: int) -> None:
    rng = np.random.default_rng([5, rank, seed])
    window, x = draw_pool(rng, rank)
    kernel = window.pop("kernel")
    window["ceil_mode"] = bool(seed % 2)
    if seed % 5 == 0:
        x[0, 0, ..., 0] = np.nan
    op = ops.pool_op("max_pool", "max", kind(x), kernel, **window)
    assert isinstance(op, MaxPool)
    tensor = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn.functional, f"max_pool{rank}d")(
        tensor, kernel, **window
    )
    y, index = reference.evaluate(op, x)
    assert np.array_equal(y, expected.detach().numpy(), equal_nan=True)

    dy = integers(rng, *y.shape)
    dy[np.isinf(y)] = 0  # a window that covers nothing: PyTorch invents a position
    expected.backward(torch.tensor(dy))
    select = MaxSelect(op.window, op.layout, "x", op.input_size)
    dx = one(select, dy, index)
    assert np.array_equal(dx, tensor.grad.numpy())

    turned = ops.pool_op(
        "max_pool", "max", kind(last(x)), kernel, layout="channels_last", **window
    )
    y_last, index_last = reference.evaluate(turned, last(x))
    assert np.array_equal(y_last, last(y), equal_nan=True)
    assert np.array_equal(index_last, last(index))


@pytest.mark.parametrize(("rank", "seed"), cases(POOLS))
def test_window_sums(torch: ModuleType, rank: int, seed: int) -> None:
    rng = np.random.default_rng([6, rank, seed])
    window, x = draw_pool(rng, rank)
    kernel = window.pop("kernel")
    window["dilation"] = (1,) * rank
    count_padding = bool(seed % 3)
    window["ceil_mode"] = bool(seed % 2)
    op = ops.pool_op("avg_pool", "sum", kind(x), kernel, **window)
    assert isinstance(op, WindowSum)
    y = one(op, x)
    pads = tuple((p, p) for p in window["padding"])
    counts = ops.pool_counts(
        op.window, op.input_size, pads if count_padding else ((0, 0),) * rank
    )
    divisor = np.array(1.0)
    for per_dim in counts:
        divisor = divisor[..., None] * np.array(per_dim)

    del window["dilation"]
    tensor = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn.functional, f"avg_pool{rank}d")(
        tensor, kernel, count_include_pad=count_padding, **window
    )
    assert np.array_equal(y / divisor, expected.detach().numpy())

    dy = integers(rng, *y.shape) * divisor  # so that the quotient is an integer
    expected.backward(torch.tensor(dy))
    to_x = WindowSum(op.window, op.layout, "x", op.input_size)
    assert np.array_equal(one(to_x, dy / divisor), tensor.grad.numpy())


def test_a_window_of_rank_zero_is_the_linear_layer(torch: ModuleType) -> None:
    rng = np.random.default_rng(7)
    x, w, b = integers(rng, 4, 5), integers(rng, 3, 5), integers(rng, 3)
    op = Conv(ops.Window((), (), (), ()), bias=True)
    expected = torch.nn.functional.linear(*map(torch.tensor, (x, w, b)))
    assert np.array_equal(one(op, x, w, b), expected.numpy())
