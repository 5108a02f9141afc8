"""Long sums lose no digits: within four times the bound of pairwise summation."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sweeps import amounts

import rot180
from rot180 import functional

Array = np.ndarray[Any, Any]
MOST = 22  # log2 of the terms
DATA: dict[str, Callable[[Any, int], Array]] = {
    "equal": lambda rng, n: np.full(n, rng.choice([0.1, 1 / 3, 1.0, 0.7])),
    "positive": lambda rng, n: rng.random(n),
    "signed": lambda rng, n: rng.standard_normal(n),
    "growing": lambda rng, n: np.arange(1, n + 1) / n,
}


def channels(x: Array, w: Array) -> Array:
    return rot180.conv(x.reshape(1, -1, 1), w.reshape(1, -1, 1)).ravel()


def taps(x: Array, w: Array) -> Array:
    return rot180.conv(x.reshape(1, 1, -1), w.reshape(1, 1, -1)).ravel()


def back(x: Array, w: Array) -> Array:
    dy, w = x.reshape(1, -1, 1), w.reshape(-1, 1, 1)
    return rot180.conv_input_grad(dy, w, (1, 1, 1)).ravel()


def filters(x: Array, w: Array) -> Array:
    x, dy = x.reshape(1, 1, -1), w.reshape(1, 1, -1)
    return rot180.conv_weight_grad(dy, x, (1, 1, 1)).ravel()


def images(x: Array, w: Array) -> Array:
    x, dy = x.reshape(-1, 1, 1), w.reshape(-1, 1, 1)
    return rot180.conv_weight_grad(dy, x, (1, 1, 1)).ravel()


def average(x: Array) -> Array:
    return rot180.avg_pool(x.reshape(1, 1, -1), x.size).ravel() * x.size


def mean(x: Array) -> Array:
    return functional.mean(x) * x.size


def columns(x: Array) -> Array:
    return functional.mean(x.reshape(-1, 1), axis=0) * x.size


def rows(x: Array) -> Array:
    return functional.mean(np.stack([x] * 3), axis=1)[1:2] * x.size


PRODUCTS = {f.__name__: f for f in (channels, taps, back, filters, images)}
SUMS = {f.__name__: f for f in (average, mean, columns, rows)}


def draw(rng: Any, terms: int) -> tuple[str, Array, Array]:
    """Operands whose products are to be summed: the second are ones for a mere sum."""
    kind, name = str(rng.choice([*PRODUCTS, *SUMS])), str(rng.choice([*DATA]))
    x = DATA[name](rng, terms).astype("float32")
    w = DATA[name](rng, terms) if kind in PRODUCTS else np.ones(terms)
    return kind, x, w.astype("float32")


@pytest.mark.parametrize("count", amounts(12, 200))
def test_error_is_within_four_times_that_of_a_pairwise_sum(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(count):
        terms = int(2 ** rng.uniform(12, MOST if count > 12 else 18)) + 1
        kind, x, w = draw(rng, terms)
        found = PRODUCTS[kind](x, w) if kind in PRODUCTS else SUMS[kind](x)
        products = x.astype("float64") * w
        allowed = 4 * math.log2(terms) * 2.0**-24 * np.abs(products).sum()
        assert abs(found.item() - math.fsum(products)) <= allowed, (kind, terms)
