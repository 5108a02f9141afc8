"""NaN, infinities, views that overlap, and sizes beyond any memory."""

import time
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from sweeps import amounts

import rot180
from rot180.errors import ArgumentError, ShapeError

VALUES = [-np.inf, 0.0, 1.0, np.inf, np.nan]


@pytest.mark.parametrize("examples", amounts(12, 40))
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_maxima_of_nan_and_infinities_are_pytorchs(
    torch: ModuleType, rank: int, examples: int
) -> None:
    rng, tried = np.random.default_rng(rank), 0
    for _ in range(examples):
        size, kernel, stride = (rng.integers(1, h, rank) for h in (8, 4, 4))
        padding = np.array([rng.integers(0, k // 2 + 1) for k in kernel])
        if (size + 2 * padding < kernel).any():
            continue
        x = rng.choice(VALUES, (2, 2, *size), p=[0.6, 0.1, 0.1, 0.1, 0.1]).astype("f")
        window = {
            name: tuple(map(int, numbers))
            for name, numbers in (("stride", stride), ("padding", padding))
        }
        kernel_size = tuple(map(int, kernel))
        tensor = torch.tensor(x, requires_grad=True)
        pool = getattr(torch.nn.functional, f"max_pool{rank}d")
        y = pool(tensor, kernel_size, **window)
        dy = rng.integers(1, 9, y.shape).astype("f")
        y.backward(torch.from_numpy(dy))
        want = y.detach().numpy(), tensor.grad.numpy()
        for layout in ("channels_first", "channels_last"):
            got = _pooled(x, dy, kernel_size, window, layout)
            np.testing.assert_array_equal(got[0], want[0])
            np.testing.assert_array_equal(got[1], want[1])
            with rot180.runtime.force_reference():
                again = _pooled(x, dy, kernel_size, window, layout)
            np.testing.assert_array_equal(again[1], want[1])
        tried += 1
    assert tried >= examples // 2


def _pooled(
    x: Any, dy: Any, kernel: tuple[int, ...], window: dict[str, Any], layout: Any
) -> list[Any]:
    """The maxima and the gradient, channels first."""
    if layout == "channels_last":
        x, dy = np.moveaxis(x, 1, -1), np.moveaxis(dy, 1, -1)
    options = {**window, "layout": layout}
    both = [
        rot180.max_pool(x, kernel, **options),
        rot180.max_pool_backward(dy, x, kernel, **options),
    ]
    axis = -1 if layout == "channels_last" else 1
    return [np.moveaxis(found, axis, 1) for found in both]


def test_minus_infinity_inside_beats_padding_outside() -> None:
    x = np.array([[[-np.inf, 0.0, 1.0]]])
    slopes = np.array([[[7.0, 3.0]]])
    dx = rot180.max_pool_backward(slopes, x, 2, stride=2, padding=1)
    assert dx.tolist() == [[[7.0, 0.0, 3.0]]]
    in_a_step = rot180.jit(
        rot180.grad(lambda x: (rot180.max_pool(x, 2, stride=2, padding=1)).sum())
    )
    assert in_a_step(x).tolist() == [[[1.0, 0.0, 1.0]]]


@pytest.mark.parametrize(
    "view",
    [
        sliding_window_view(np.arange(180.0).reshape(20, 3, 3), 4, axis=0).transpose(
            0, 3, 1, 2
        ),
        sliding_window_view(np.arange(432.0).reshape(3, 12, 12), (5, 5), axis=(1, 2))
        .transpose(1, 2, 0, 3, 4)[0],
        as_strided(np.arange(99.0), (2, 3, 4, 4), (16, 8, 24, 8)),
        np.broadcast_to(np.arange(16.0).reshape(4, 4), (2, 3, 4, 4)),
    ],
    ids=["along the channels", "patches", "by strides", "repeated"],
)  # fmt: skip
def test_overlapping_views_are_operands_like_any_other(view: Any) -> None:
    w = np.arange(4.0 * view.shape[1]).reshape(1, view.shape[1], 2, 2)
    y = rot180.conv(view, w)
    np.testing.assert_array_equal(y, rot180.conv(view.copy(), w))
    for got, want in zip(
        rot180.conv_backward(y, view, w),
        rot180.conv_backward(y, view.copy(), w),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(
        rot180.max_pool(view, 2), rot180.max_pool(view.copy(), 2)
    )
    double = rot180.jit(lambda x: x + x)
    np.testing.assert_array_equal(double(view), 2 * view)


@pytest.mark.parametrize("much", [2**40, 2**62, 2**70])
def test_padding_longer_than_an_axis_is_refused(much: int) -> None:
    x, w = np.ones((1, 1, 3, 3), "f"), np.ones((1, 1, 2, 2), "f")
    for call in (
        lambda: rot180.conv(x, w, padding=much),
        lambda: rot180.conv(x[:, :, 0], w[:, :, 0], padding=much),
        lambda: rot180.avg_pool(x, 2, padding=much),
    ):
        told = f"padding is {much}, more than an axis"
        with pytest.raises(ArgumentError, match=told):
            call()


def test_results_larger_than_any_memory_are_refused() -> None:
    x, w = np.ones((1, 1, 3, 3), "f"), np.ones((1, 1, 2, 2), "f")
    for call in (
        lambda: rot180.conv(x, w, padding=2**31 - 1),
        lambda: rot180.avg_pool(x, 2, padding=2**31 - 1),
        lambda: rot180.conv_transpose(x, w, stride=2**31 - 1),
    ):
        with pytest.raises(ShapeError, match=r"than any memory\n.*padding"):
            call()


STEPS = [1, 2, 3, 5, 8, 512, 1000]


@pytest.mark.parametrize("seed", range(2))
def test_strides_and_dilations_larger_than_the_image(seed: int) -> None:
    """Some leave positions, or a whole axis, that no tap reaches."""
    rng, tried = np.random.default_rng(seed), 0
    while tried < 12:
        rank = int(rng.integers(1, 4 if seed == 0 else 3))
        size, kernel = rng.integers(1, 6, rank), rng.integers(1, 4, rank)
        stride, dilation = rng.choice(STEPS, rank), rng.choice(STEPS, rank)
        low = rng.choice([-3, -1, 0, 2, 60, 600], rank)
        span = (kernel - 1) * dilation + 1
        high = np.maximum(-6, span - size - low) + rng.integers(0, 9, rank)
        output = (size + low + high - span) // stride + 1
        if output.min() < 1 or output.prod() > 2000:
            continue
        tried += 1
        options: dict[str, Any] = {
            "stride": tuple(map(int, stride)),
            "dilation": tuple(map(int, dilation)),
            "padding": tuple((int(a), int(b)) for a, b in zip(low, high, strict=True)),
        }
        w = rng.integers(-3, 4, (2, 2, *kernel)).astype("f")
        dy = rng.integers(-3, 4, (2, 2, *output)).astype("f")
        dx = rot180.conv_input_grad(dy, w, (2, 2, *size), **options)
        with rot180.runtime.force_reference():
            want = rot180.conv_input_grad(dy, w, (2, 2, *size), **options)
        np.testing.assert_array_equal(dx, want, err_msg=str((size, options)))


def test_an_image_that_no_tap_reaches_has_no_gradient() -> None:
    window: dict[str, Any] = {
        "stride": (8, 5), "dilation": (3, 512), "padding": ((60, -6), (600, -1))
    }  # fmt: skip
    dx = rot180.conv_input_grad(
        np.ones((1, 2, 7, 18)), np.ones((2, 2, 2, 2)), (1, 2, 3, 3), **window
    )
    assert not dx.any()


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_a_first_call_is_quick_whatever_the_step(rank: int, name: str) -> None:
    """A quarter of a second; growing with the square of the step it took minutes."""
    step = {1: 2**20, 2: 2**14, 3: 2**10}[rank]
    size, kernel = (3,) * rank, (2,) * rank
    options: Any = {name: step, "padding": ((0, step - 2),) * rank}
    dy, w = np.ones((1, 1, *(1,) * rank), "f"), np.ones((1, 1, *kernel), "f")
    begun = time.process_time()
    dx = rot180.conv_input_grad(dy, w, (1, 1, *size), **options)
    assert time.process_time() - begun < 2
    assert dx.sum() == (2**rank if name == "stride" else 1)
