"""Pooling: windows, indices, divisors and gradients, written out by hand."""

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest

import rot180
from rot180.errors import ArgumentError, ShapeError

Array = np.ndarray[Any, Any]
rng = np.random.default_rng(0)
X = rng.integers(-9, 10, (2, 3, 7, 6)).astype(np.float32)


def windows_of(x: Array, k: Any, s: Any, p: Any, d: Any) -> Array:
    """Every window's elements in row-major order, minus infinity outside."""
    padded = np.pad(
        x, ((0, 0), (0, 0), (p[0],) * 2, (p[1],) * 2), constant_values=-np.inf
    )
    sizes = [
        (n - (kk - 1) * dd - 1) // ss + 1
        for n, kk, ss, dd in zip(padded.shape[2:], k, s, d, strict=True)
    ]
    taps = [
        padded[
            :,
            :,
            r * d[0] : r * d[0] + (sizes[0] - 1) * s[0] + 1 : s[0],
            c * d[1] : c * d[1] + (sizes[1] - 1) * s[1] + 1 : s[1],
        ]
        for r, c in product(range(k[0]), range(k[1]))
    ]
    return np.stack(taps, -1)


WINDOWS: dict[str, tuple[Any, Any, Any, Any]] = {
    "2x2": ((2, 2), (2, 2), (0, 0), (1, 1)),
    "overlapping": ((3, 2), (2, 1), (0, 0), (1, 1)),
    "padded": ((3, 3), (2, 2), (1, 1), (1, 1)),
    "dilated": ((2, 3), (1, 1), (1, 0), (3, 2)),
    "gaps": ((1, 2), (2, 3), (0, 0), (1, 1)),
    "everything": ((7, 6), (1, 1), (0, 0), (1, 1)),
}


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_largest_and_where_it_stands(name: str, layout: Any) -> None:
    kernel, stride, padding, dilation = WINDOWS[name]
    elements = windows_of(X, kernel, stride, padding, dilation)
    last = layout == "channels_last"
    x = np.ascontiguousarray(np.moveaxis(X, 1, -1)) if last else X
    options: Any = {"padding": padding, "dilation": dilation, "layout": layout}
    y, index = rot180.max_pool(x, kernel, stride=stride, return_indices=True, **options)
    if last:
        y, index = np.moveaxis(y, -1, 1), np.moveaxis(index, -1, 1)
    np.testing.assert_array_equal(y, elements.max(-1))
    np.testing.assert_array_equal(index, elements.argmax(-1))
    assert index.dtype == np.int32


@pytest.mark.parametrize("name", WINDOWS)
def test_the_gradient_goes_where_the_maximum_came_from(name: str) -> None:
    kernel, stride, padding, dilation = WINDOWS[name]
    options: Any = {"stride": stride, "padding": padding, "dilation": dilation}
    y, index = rot180.max_pool(X, kernel, return_indices=True, **options)
    dy = rng.integers(1, 5, y.shape).astype(np.float32)
    want = np.zeros_like(X)
    for n, c, p, q in np.ndindex(*y.shape):
        r, s = divmod(int(index[n, c, p, q]), kernel[1])
        h = p * stride[0] + r * dilation[0] - padding[0]
        w = q * stride[1] + s * dilation[1] - padding[1]
        want[n, c, h, w] += dy[n, c, p, q]
    found = rot180.max_pool_backward(dy, X, kernel, **options)
    np.testing.assert_array_equal(found, want)
    known = rot180.max_pool_backward(dy, X, kernel, indices=index, **options)
    np.testing.assert_array_equal(known, want)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("name", [n for n, w in WINDOWS.items() if w[3] == (1, 1)])
def test_averages_and_their_gradient(name: str, include: bool) -> None:
    kernel, stride, padding, dilation = WINDOWS[name]
    elements = windows_of(X, kernel, stride, padding, dilation)
    inside = np.isfinite(elements)
    count = elements.shape[-1] if include else inside.sum(-1)
    want = np.where(inside, elements, 0).sum(-1) / count
    options: Any = {
        "stride": stride, "padding": padding, "count_include_pad": include,
    }  # fmt: skip
    y = rot180.avg_pool(X, kernel, **options)
    np.testing.assert_allclose(y, want, rtol=1e-6)
    # The gradient is the transpose: <dy, avg(x)> = <avg_backward(dy), x>.
    dy = rng.integers(-4, 5, y.shape).astype(np.float32)
    dx = rot180.avg_pool_backward(dy, X.shape, kernel, **options)
    assert dx.shape == X.shape
    left, right = np.vdot(dy, want), np.vdot(dx.astype("float64"), X)
    assert abs(left - right) <= 1e-4 * np.abs(dy * want).sum()


def test_the_stride_is_the_window_unless_it_is_given() -> None:
    np.testing.assert_array_equal(
        rot180.max_pool(X, (3, 2)), rot180.max_pool(X, (3, 2), stride=(3, 2))
    )
    assert rot180.avg_pool(X, 2).shape == (2, 3, 3, 3)


def test_a_last_window_may_overhang() -> None:
    assert rot180.max_pool(X, 2).shape == (2, 3, 3, 3)
    y = rot180.max_pool(X, 2, ceil_mode=True)
    assert y.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(
        y[:, :, 3], np.maximum(X[:, :, 6, ::2], X[:, :, 6, 1::2])
    )


def test_no_window_overhangs_that_would_begin_behind_the_operand() -> None:
    x = np.array([[[1.0, 2.0, 3.0]]])
    options: Any = {"stride": 2, "padding": 1, "ceil_mode": True}
    assert rot180.max_pool(x, 2, **options).tolist() == [[[1.0, 3.0]]]
    assert rot180.avg_pool(x, 2, **options).tolist() == [[[0.5, 2.5]]]


def test_a_divisor_of_ones_own() -> None:
    total = rot180.avg_pool(X, 2, divisor_override=1)
    np.testing.assert_array_equal(total, rot180.avg_pool(X, 2) * 4)


def test_one_image_without_its_axis() -> None:
    np.testing.assert_array_equal(
        rot180.max_pool(X[1], (2, 2)), rot180.max_pool(X, 2)[1]
    )
    np.testing.assert_array_equal(
        rot180.avg_pool(X[1], (2, 2)), rot180.avg_pool(X, 2)[1]
    )
    dy = rng.integers(-4, 5, (2, 3, 3, 3)).astype(np.float32)
    np.testing.assert_array_equal(
        rot180.max_pool_backward(dy[1], X[1], (2, 2)),
        rot180.max_pool_backward(dy, X, 2)[1],
    )


def test_a_maximum_is_differentiated_twice() -> None:
    """The gradient of a pooled square: x goes where the maxima stood, doubled."""

    def loss(x: Any) -> Any:
        y = rot180.max_pool(x, 2)
        return (y * y).sum()

    dx = rot180.grad(loss)(X)
    want = rot180.max_pool_backward(2 * rot180.max_pool(X, 2), X, 2)
    np.testing.assert_array_equal(dx, want)
    second = rot180.grad(lambda x: rot180.grad(loss)(x).sum())(X)
    ones = np.ones((2, 3, 3, 3), np.float32)
    np.testing.assert_array_equal(second, rot180.max_pool_backward(2 * ones, X, 2))


def test_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="max_pool"):
        rot180.max_pool(X, 9)
    with pytest.raises(ArgumentError, match="avg_pool"):
        rot180.avg_pool(X, 2, stride=0)


def test_numpy_numbers_name_a_window_too() -> None:
    x = np.arange(32.0).reshape(1, 2, 4, 4)
    dy = np.ones((1, 2, 2, 2))
    dx = rot180.avg_pool_backward(dy, x.shape, np.int64(2))
    assert np.array_equal(dx, np.full_like(x, 0.25))


@pytest.mark.parametrize("divisor", [0, "a", 1.5])
def test_divisor_is_a_whole_number(divisor: Any) -> None:
    with pytest.raises(ArgumentError, match="divisor_override is"):
        rot180.avg_pool(np.ones((1, 1, 4, 4)), 2, divisor_override=divisor)


def test_padding_of_a_wide_maximum_costs_no_memory() -> None:
    """A table of every tap of every position would be 800 MB."""
    x = np.arange(20_000, dtype="float32").reshape(1, 1, -1)
    tracemalloc.start()
    try:
        y, index = rot180.max_pool(
            x, 10_001, stride=1, padding=5_000, return_indices=True
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    assert y[0, 0, 0] == 5_000
    assert index.shape == y.shape


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_minus_infinity_inside_beats_the_padding(layout: Any) -> None:
    x = np.full((1, 1, 3, 3), -np.inf, "f")
    if layout == "channels_last":
        x = x.reshape(1, 3, 3, 1)
    _, index = rot180.max_pool(
        x, 3, stride=2, padding=1, layout=layout, return_indices=True
    )
    # The first tap inside, by row and column: 1 behind padding, else 0.
    assert index.ravel().tolist() == [4, 3, 1, 0]
