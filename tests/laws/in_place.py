"""Compares kernels that read their operands in place with the reference.

    python tests/laws/in_place.py COUNT

What is normally copied into scratch is read where it lies, behind guards, as for
windows too wide for any cache. Not a test by itself: see `test_in_place.py`.
"""

import sys
import warnings

import numpy as np
from helpers import assert_same, draw_problem, from_rng

from rot180 import autograd, ops, reference, runtime
from rot180.schedules import _tile


def main(count: int) -> None:
    """Raises AssertionError at the first configuration that differs."""
    warnings.simplefilter("error")  # what falls back to the reference equals it
    _tile._MOST_STAGED = 0
    choose = from_rng(np.random.default_rng(0))
    for number in range(count):
        problem = draw_problem(choose)
        operands = problem.operands()
        with runtime.force_schedule(number % 5):
            computed = problem.computed(*operands)
        for got, want in zip(computed, problem.expected(*operands), strict=True):
            assert_same(got, want, f"{problem}")
        pool(number)


def pool(number: int) -> None:
    """Compares the largest values of windows, and where they stand."""
    rng = np.random.default_rng(number)
    window = ops.Window((3, 2), (1, 1), (1, 2), ((1, 0), (2, 1)))
    op = ops.MaxPool(window, "channels_first", (4, 5))
    x = rng.integers(-4, 5, (2, 13, 4, 5)).astype(np.float64)
    with runtime.force_schedule(number % 5):
        for got, want in zip(
            autograd.run(op, x), reference.evaluate(op, x), strict=True
        ):
            assert_same(got, want, "max pooling")


if __name__ == "__main__":
    main(int(sys.argv[1]))
