"""At the edges we give what JAX gives: empty results, negative padding, no extent.

Edges as JAX tests them: convolutions and windows of which something is 0, or negative,
or reaches past the operand. Values are small integers, so that all is exact.
"""

from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import runtime

# Shapes of x and w, and what else `conv` is told.
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "cropped": ((2, 3, 6, 7), (4, 3, 1, 2), {"padding": ((0, -1), (0, 0))}),
    "cropped, steps": (
        (2, 3, 6, 7),
        (4, 3, 1, 2),
        {"padding": ((-1, -1), (1, -2)), "stride": (1, 2), "dilation": (2, 3)},
    ),
    "cropped before, padded after": ((1, 2, 9), (2, 2, 4), {"padding": ((-2, 5),)}),
    "cropped in the gaps of a stride": (
        (1, 1, 10),
        (1, 1, 2),
        {"padding": ((-3, 0),), "stride": 3},
    ),
    # Not wider than the window: JAX 0.10 reads beyond its arrays for that dx.
    "padding as wide as x": ((1, 2, 2), (3, 2, 3), {"padding": ((2, 2),)}),
    "only padding": ((2, 2, 0, 4), (3, 2, 2, 2), {"padding": ((2, 1), (0, 0))}),
    "cropped to nothing": ((2, 2, 4), (3, 2, 2), {"padding": ((-2, -1),)}),
    "a window one too wide": ((2, 2, 3), (3, 2, 4), {}),
    "one too wide, with a stride": ((2, 2, 3, 9), (3, 2, 4, 2), {"stride": 3}),
    "no extent": ((2, 2, 0), (3, 2, 2), {}),
    "no extent of two": ((2, 2, 5, 0), (3, 2, 2, 2), {"stride": 2}),
    "no images": ((0, 2, 5, 4), (3, 2, 2, 2), {"stride": 2}),
    "no input channels": ((2, 0, 5), (3, 0, 2), {}),
    "no output channels": ((2, 3, 5), (0, 3, 2), {}),
    "a window of one": ((2, 3, 5, 1), (2, 3, 1, 1), {"stride": 4}),
    "a stride past the end": ((2, 3, 5), (2, 3, 2), {"stride": 9}),
    "a dilation as wide as x": ((2, 3, 5), (2, 3, 2), {"dilation": 4}),
    "one channel per group": ((2, 4, 5), (8, 1, 2), {"groups": 4, "padding": "same"}),
    "same, with a step": ((2, 3, 7, 4), (2, 3, 4, 3), {"padding": "same", "stride": 3}),
}


def draw(*shapes: tuple[int, ...]) -> list[Any]:
    rng = np.random.default_rng(sum(map(sum, shapes)))
    return [rng.integers(-4, 5, shape).astype("f") for shape in shapes]


@pytest.fixture(scope="module")
def jax() -> ModuleType:
    return pytest.importorskip("jax", reason="compares with JAX: pip install jax")


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(jax: ModuleType, name: str) -> None:
    x_shape, w_shape, options = CONVOLUTIONS[name]
    x, w = draw(x_shape, w_shape)
    theirs, pull = jax.vjp(jaxs(jax, options, x.ndim - 2), x, w)
    (dy,) = draw(theirs.shape)
    dx, dw = pull(dy)
    for engine in (nullcontext, runtime.force_reference):
        with engine():
            y = rot180.conv(x, w, **options)
            found = rot180.conv_backward(dy, x, w, **options, needs=("input", "weight"))
            up = rot180.conv_input_grad(dy, w, x.shape, **options)
        for got, want in zip((y, *found[:2], up), (theirs, dx, dw, dx), strict=True):
            np.testing.assert_array_equal(got, want)
            assert got.dtype == np.float32


def jaxs(jax: ModuleType, options: dict[str, Any], rank: int) -> Any:
    """Returns JAX's convolution with our options."""

    def each(name: str) -> tuple[int, ...]:
        value = options.get(name, 1)
        return (value,) * rank if isinstance(value, int) else value

    padding = options.get("padding", "valid")
    return lambda x, w: jax.lax.conv_general_dilated(
        x,
        w,
        each("stride"),
        padding.upper() if isinstance(padding, str) else padding,
        rhs_dilation=each("dilation"),
        feature_group_count=options.get("groups", 1),
    )


# The shape of x, the window, its stride and its padding.
POOLINGS: dict[str, tuple[tuple[int, ...], Any, Any, Any]] = {
    "cropped": ((2, 3, 7, 6), (2, 3), (2, 1), ((-1, 0), (1, -2))),
    "no images": ((0, 3, 7), (2,), (2,), ((0, 0),)),
    "no channels": ((2, 0, 7), (2,), (2,), ((1, 1),)),
    "no extent": ((2, 3, 0, 5), (2, 2), (1, 1), ((0, 0), (0, 0))),
    "only padding": ((2, 3, 0), (2,), (1,), ((1, 1),)),
    "windows over padding alone": ((2, 3, 3), (2,), (2,), ((4, 4),)),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling(jax: ModuleType, name: str) -> None:
    shape, kernel, stride, padding = POOLINGS[name]
    (x,) = draw(shape)

    def reduce(start: float, function: Any) -> Any:
        return jax.lax.reduce_window(
            x, np.float32(start), function, (1, 1, *kernel), (1, 1, *stride),
            ((0, 0), (0, 0), *padding),
        )  # fmt: skip

    greatest, total = reduce(-np.inf, jax.lax.max), reduce(0, jax.lax.add)
    options = {"stride": stride, "padding": padding}
    for engine in (nullcontext, runtime.force_reference):
        with engine():
            y = rot180.max_pool(x, kernel, **options)
            mean = rot180.avg_pool(x, kernel, divisor_override=1, **options)
            dx = rot180.max_pool_backward(np.zeros_like(y), x, kernel, **options)
        np.testing.assert_array_equal(y, greatest)
        np.testing.assert_array_equal(mean, total)
        np.testing.assert_array_equal(dx, np.zeros_like(x))


@pytest.mark.parametrize(
    ("extent", "padding"),
    [
        (0, ((0, 0),)),
        (0, ((-1, -2),)),
        (0, ((2, -1),)),
        (1, ((1, 2),)),
        (1, ((2, -1),)),
        (3, ((1, 2),)),
        (3, ((-1, -2),)),
    ],
)
def test_transposed_convolution(jax: ModuleType, extent: int, padding: Any) -> None:
    x, w = draw((2, 3, extent), (3, 4, 3))
    size = max((extent - 1) * 2 + 3 - sum(padding[0]), 0)
    convolution = jaxs(jax, {"stride": (2,), "padding": padding}, 1)
    _, pull = jax.vjp(lambda y: convolution(y, w), np.zeros((2, 4, size), "f"))
    (want,) = pull(x)
    for engine in (nullcontext, runtime.force_reference):
        with engine():
            y = rot180.conv_transpose(x, w, stride=2, padding=padding)
        np.testing.assert_array_equal(y, want)
