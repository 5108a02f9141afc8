"""Convolves 2,000 different shapes in one process and watches its memory.

    python tests/slow/many_shapes.py PROBLEMS BATCHES

Each problem, another set of extents and options, is computed in every pass for several
numbers of images; operands are constant, so that the answers are known. Prints the
resident size from time to time and what it grew by. Not a test by itself: see
`test_many_shapes.py`.
"""

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np

import rot180
from rot180.runtime import _kernel

PAGE = 4096
REPORTED = 50  # problems between two reports


def resident() -> int:
    """Returns the resident size of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def problems(count: int) -> list[tuple[int, int, int, int]]:
    """Returns different `(channels, filters, extent, kernel)`."""
    every = itertools.product((1, 2, 3), (1, 2, 3), range(3, 90), (1, 2, 3))
    return list(itertools.islice(every, count))


def run(problem: tuple[int, int, int, int], images: int) -> tuple[Any, ...]:
    """Returns `x, w, y, dx, dw, db` of one problem."""
    channels, filters, extent, kernel = problem
    x = np.full((images, channels, extent), 2, np.float32)
    w = np.full((filters, channels, kernel), 3, np.float32)
    y = rot180.conv(x, w)
    return (x, w, y, *rot180.conv_backward(np.ones_like(y), x, w))


def check(x: Any, w: Any, y: Any, dx: Any, dw: Any, db: Any) -> None:
    """Raises AssertionError unless the results of constant operands are right."""
    images, channels, _ = x.shape
    filters, _, kernel = w.shape
    assert (y == 6 * channels * kernel).all()
    assert dx.sum() == images * channels * y.shape[2] * 3 * filters * kernel
    assert (dw == 2 * images * y.shape[2]).all()
    assert (db == images * y.shape[2]).all()


def main(count: int, batches: int) -> None:
    """Prints one line for some problems, and a last one for all."""
    shapes = set()
    listed = problems(count)
    run(listed[0], 1)  # what is loaded once is no growth
    start = resident()
    for number, problem in enumerate(listed):
        for images in range(1, batches + 1):
            results = run(problem, images)
            check(*results)
            shapes.add((results[0].shape, results[1].shape))
        if number % REPORTED == 0:
            print(f"{len(shapes)} shapes, {resident() / 1e6:.1f} MB", flush=True)
    check(*run(listed[0], 2))  # its kernels have been dropped long ago
    kernels = _kernel._kernel.cache_info()
    grown = resident() - start
    print(f"{kernels.misses} kernels made, {kernels.currsize} kept")
    print(f"{len(shapes)} shapes, grown by {grown / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
