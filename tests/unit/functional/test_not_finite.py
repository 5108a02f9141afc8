"""NaN and infinities: what stands outside an operand is a zero that is multiplied."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180
from rot180.errors import ShapeError

Array = np.ndarray[Any, Any]
NAN, INF = np.nan, np.inf


def spoiled(rng: np.random.Generator, *shape: int) -> Array:
    """Small integers, and here and there what is not finite."""
    values = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, NAN, INF, -INF]
    likely = [0.155] * 6 + [0.03, 0.02, 0.02]
    return rng.choice(values, shape, p=likely).astype("f")


def both_ways(call: Callable[[], Any]) -> tuple[Any, Any]:
    """Compiled, and by the reference as with ROT180_COMPILE=0."""
    got = call()
    with rot180.runtime.force_reference():
        return got, call()


def at(values: Array, place: int) -> float:
    return float(values[place]) if 0 <= place < len(values) else 0.0


@pytest.mark.parametrize("seed", range(8))
def test_the_rule_in_one_dimension(seed: int) -> None:
    """Written out from the formulas; each product with a zero outside is made."""
    rng = np.random.default_rng(seed)
    size, taps, step, wide = (int(rng.integers(1, m)) for m in (8, 5, 4, 3))
    low, span = int(rng.integers(-1, 4)), (taps - 1) * wide + 1
    high = max(int(rng.integers(-1, 4)), span - size - low)
    count = (size + low + high - span) // step + 1
    x, w, dy = (spoiled(rng, n) for n in (size, taps, count))
    ps, rs = range(count), range(taps)
    x_of = [[at(x, p * step + r * wide - low) for r in rs] for p in ps]
    with np.errstate(invalid="ignore"):
        y = [sum(x_of[p][r] * float(w[r]) for r in rs) for p in ps]
        dw = [sum(x_of[p][r] * float(dy[p]) for p in ps) for r in rs]
        dx = [
            sum(
                at(dy, (h + low - r * wide) // step) * float(w[r])
                for r in rs
                if (h + low - r * wide) % step == 0
            )
            for h in range(size)
        ]
    window: dict[str, Any] = {"stride": step, "dilation": wide}
    window["padding"] = ((low, high),)

    def passes() -> list[Any]:
        images, filters, slopes = x[None, None], w[None, None], dy[None, None]
        return [
            rot180.conv(images, filters, **window),
            *rot180.conv_backward(slopes, images, filters, **window)[:2],
        ]

    for found in both_ways(passes):
        for got, want in zip(found, (y, dx, dw), strict=True):
            np.testing.assert_array_equal(got[0, 0], np.array(want, "f"))


def test_where_it_shows() -> None:
    x, w = np.ones((1, 1, 3)), np.array([[[INF, 1.0, 1.0]]])
    for y in both_ways(lambda: rot180.conv(x, w, padding=1)):
        assert str(y.tolist()) == "[[[nan, inf, inf]]]"
    for dx in both_ways(lambda: rot180.conv_input_grad(x, w, x.shape, padding=1)):
        assert str(dx.tolist()) == "[[[inf, inf, nan]]]"
    for up in both_ways(lambda: rot180.conv_transpose(x, w)):
        assert str(up.tolist()) == "[[[inf, inf, inf, nan, nan]]]"
    for dw in both_ways(lambda: rot180.conv_weight_grad(w, x, (1, 1, 3), padding=1)):
        assert str(dw.tolist()) == "[[[nan, inf, inf]]]"
    for mean in both_ways(lambda: rot180.avg_pool(w, 3, stride=1, padding=1)):
        assert str(mean.tolist()) == "[[[inf, inf, 0.6666666666666666]]]"


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_compiled_and_reference_agree(rank: int) -> None:
    rng, tried = np.random.default_rng(rank), 0
    while tried < 4:
        layout = ("channels_first", "channels_last")[tried % 2]
        groups = int(rng.integers(1, 3))
        n, c, k = 2, groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
        size, kernel = rng.integers(1, 8, rank), rng.integers(1, 4, rank)
        padding: Any = [tuple(map(int, rng.integers(-1, 4, 2))) for _ in range(rank)]
        if tried == 3:
            padding = str(rng.choice(["full", "causal"]))
        window: dict[str, Any] = {
            "stride": tuple(map(int, rng.integers(1, 4, rank))),
            "dilation": tuple(map(int, rng.integers(1, 3, rank))),
            "padding": padding,
            "groups": groups,
            "flip": bool(rng.integers(2)),
            "layout": layout,
        }
        x, w = spoiled(rng, n, c, *size), spoiled(rng, k, c // groups, *kernel)
        up = spoiled(rng, c, k // groups, *kernel)
        if layout == "channels_last":
            x = np.moveaxis(x, 1, -1)
            w, up = (np.moveaxis(v, (0, 1), (-1, -2)) for v in (w, up))
        try:
            y = rot180.conv(x, w, **window)
            rot180.conv_transpose(x, up, **window)
        except ShapeError:
            continue
        if y.size == 0:
            continue
        tried += 1
        dy = spoiled(rng, *y.shape)

        def passes(
            x: Array = x, w: Array = w, up: Array = up, dy: Array = dy, o: Any = window
        ) -> list[Any]:
            return [
                rot180.conv(x, w, **o),
                *rot180.conv_backward(dy, x, w, **o),
                rot180.conv_transpose(x, up, **o),
            ]

        for got, want in zip(*both_ways(passes), strict=True):
            np.testing.assert_array_equal(got, want, err_msg=str(window))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_means_take_what_is_not_finite_from_inside_alone(rank: int) -> None:
    rng = np.random.default_rng(rank)
    x = spoiled(rng, 2, 3, *(6,) * rank)
    options: dict[str, Any] = {"stride": 1, "padding": 1}

    def pooled() -> list[Any]:
        y = rot180.avg_pool(x, 2, **options)
        return [y, rot180.avg_pool_backward(y, x.shape, 2, **options)]

    for got, want in zip(*both_ways(pooled), strict=True):
        np.testing.assert_array_equal(got, want)


def test_of_an_empty_image_nothing_is_multiplied() -> None:
    w = np.full((1, 1, 3), NAN)
    none = np.ones((1, 1, 0))
    for y in both_ways(lambda: rot180.conv(none, w, padding=2)):
        assert not y.any()
    for up in both_ways(lambda: rot180.conv_transpose(none, w)):
        assert not up.any()
