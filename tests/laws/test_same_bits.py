"""Outputs have the same bits whatever computes them, on normal float32 data.

A result does not depend on the number of threads, on the schedule, or on the other
images of the batch; the gradients by filter and bias, sums over images, depend neither
on threads nor on schedule. Bits are compared within one target.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import DEEP, LAYOUTS, Array, Problem, bits, draw_problem, from_rng
from sweeps import parts

import rot180
from rot180 import ops, runtime
from rot180.functional._plan import plan_of

CONFIGURATIONS = 165
LARGE = 44  # of more than a million floating-point operations a pass
FORCED = 33  # for each of two other targets
PARTS = 23  # of each, one of them for every run; prime to what numbers alternate
THREADS = (1, 2, 3, 8)
SCHEDULES = range(6)


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = rot180.get_num_threads()
    yield
    rot180.set_num_threads(before)


def small(number: int) -> Problem:
    problem = draw_problem(from_rng(np.random.default_rng([10, number])))
    images, size = problem.images or 3, tuple(max(s, 1) for s in problem.size)
    return replace(problem, dtype="float32", images=images, size=size)


def large(number: int) -> Problem:
    """Returns a problem that is worth several threads."""
    rng = np.random.default_rng([11, number])
    layout: ops.Layout = ("channels_first", "channels_last")[number % 2]  # type: ignore[assignment]
    rank = int(rng.integers(1, 4))
    groups, inner, outer = [(1, 16, 24), (1, 9, 33), (2, 8, 16), (48, 1, 1)][number % 4]
    kernel = tuple(int(v) for v in rng.integers(2, 4, rank))
    low = {1: 900, 2: 26, 3: 8}[rank] * (2 if groups > 2 else 1)
    return Problem(
        layout=layout,
        dtype="float32",
        images=int(rng.integers(5, 10)),
        groups=groups,
        in_group=inner,
        out_group=outer,
        size=tuple(int(v) for v in rng.integers(low, low + 3, rank)),
        kernel=kernel,
        stride=tuple(int(v) for v in rng.integers(1, 3, rank)),
        dilation=(1,) * rank,
        padding=tuple((int(v), 1) for v in rng.integers(0, 2, rank)),
        flip=bool(number % 2),
        bias=bool(number // 2 % 2),
        viewed=number % 5 == 0,
        schedule=0,
        seed=number,
    )


def same(found: Any, expected: Array, problem: Problem, case: str) -> None:
    assert (bits(found) == bits(expected)).all(), f"{case}: {problem}"


def schedules(problem: Problem) -> range:
    """Returns numbers that reach every candidate of every pass."""
    x, w, _, dy = (ops.type_of(v) for v in problem.operands())
    op = ops.conv_op("test", x, w, **problem.options)
    passes = [
        (op, (x, w)),
        (replace(op, out="x"), (dy, w)),
        (replace(op, out="w"), (dy, x)),
    ]
    counts = [len(plan_of(p, *types).candidates) for p, types in passes]
    return range(max(counts))


def check(problem: Problem, threads: tuple[int, ...]) -> None:
    x, w, b, dy = operands = problem.operands(normal=True)
    rot180.set_num_threads(1)
    expected = problem.computed(*operands)
    names = ("y", "dx", "dw", "db")
    bias = b if problem.bias else None
    for schedule in schedules(problem):
        with runtime.force_schedule(schedule):
            for count in threads:
                rot180.set_num_threads(count)
                case = f"schedule {schedule}, {count} threads"
                results = problem.computed(*operands)
                for name, found, want in zip(names, results, expected, strict=True):
                    same(found, want, problem, f"{name}, {case}")
            for i in range(0, len(x), max(2, len(x) // 3)):
                one = x[i : i + 1]
                y = rot180.conv(one, w, bias, **problem.options)
                same(y[0], expected[0][i], problem, f"y of image {i}, {case}")
                y = rot180.conv(x[i], w, bias, **problem.options)
                same(y, expected[0][i], problem, f"y of image {i} alone, {case}")
                dx = rot180.conv_input_grad(
                    dy[i : i + 1], w, one.shape, **problem.options
                )
                same(dx[0], expected[1][i], problem, f"dx of image {i}, {case}")


def test_enough_configurations() -> None:
    assert CONFIGURATIONS + LARGE >= 200


@pytest.mark.parametrize("part", parts(PARTS))
def test_small_convolutions(part: int) -> None:
    for number in range(part, CONFIGURATIONS, PARTS):
        check(small(number), THREADS)


@pytest.mark.parametrize("part", parts(PARTS))
def test_large_convolutions(part: int) -> None:
    for number in range(part, LARGE, PARTS):
        problem = large(number)
        x, w = problem.x_shape, problem.w_shape
        products = (
            np.prod(problem.y_shape) * np.prod(w) / (problem.groups * problem.out_group)
        )
        assert 2 * products > 1e6, (x, w)
        check(problem, THREADS)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", DEEP)
def test_deep_sums_over_images(name: str, layout: ops.Layout) -> None:
    check(replace(DEEP[name], layout=layout), THREADS)


@pytest.mark.parametrize("target", ["avx2", "baseline"])
@pytest.mark.parametrize("part", parts(PARTS))
def test_on_other_targets(target: str, part: int) -> None:
    with runtime.force_target(target):
        if not runtime.cpu.is_runnable(runtime.cpu.current().target):
            pytest.skip(f"this processor does not run code for {target}")
        for number in range(part, FORCED, PARTS):
            problem = small(1000 + number) if number % 4 else large(1000 + number)
            check(problem, (1, 3))


def test_the_comparison_sees_one_bit() -> None:
    a = np.ones(3, np.float32)
    b = a.copy()
    b.view(np.int32)[1] ^= 1
    problem = small(0)
    same(a, a.copy(), problem, "equal")
    with pytest.raises(AssertionError, match="one bit"):
        same(b, a, problem, "one bit")
    with pytest.raises(AssertionError, match="signs of zero"):
        same(np.zeros(1, "f4"), -np.zeros(1, "f4"), problem, "signs of zero")
