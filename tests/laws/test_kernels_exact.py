"""Compiled kernels equal the reference exactly, on small integers.

The reference loops over taps and knows neither the adjoint nor the rewriting to sums,
nor any schedule. Every configuration is computed in all passes, forward with or without
bias, by input, by filter and by bias, under a schedule that is drawn too, and for a
second batch on the same kernels.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import (
    DEEP,
    DTYPES,
    LAYOUTS,
    Problem,
    assert_same,
    draw_problem,
    from_rng,
    problems,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import amounts

import rot180
from rot180 import ops, reference, runtime

RANKS = (1, 2, 3, 4)
EXAMPLES = 9, 88  # drawn for each combination of rank, layout and dtype
DIFFERENT = 5 / 7  # of them must differ in more than the operands' values
TRANSPOSED = 16, 60


def check(problem: Problem) -> None:
    """Raises AssertionError unless all passes equal the reference."""
    operands = problem.operands()
    expected = problem.expected(*operands)
    with runtime.force_schedule(problem.schedule):
        for _ in range(2):  # the second call takes the short way
            results = problem.computed(*operands)
            for name, got, want in zip(
                ("y", "dx", "dw", "db"), results, expected, strict=True
            ):
                assert_same(got, want, name)


def check_parts(problem: Problem) -> None:
    """Raises AssertionError unless the gradients' own functions agree too."""
    x, w, b, dy = problem.operands()
    _, dx, dw, _ = problem.expected(x, w, b, dy)
    with runtime.force_schedule(problem.schedule):
        by_x = rot180.conv_input_grad(dy, w, x.shape, **problem.options)
        by_w = rot180.conv_weight_grad(dy, x, w.shape, **problem.options)
    assert_same(by_x, dx, "dx")
    assert_same(by_w, dw, "dw")


def test_more_than_a_thousand_configurations_are_drawn() -> None:
    assert len(RANKS) * len(LAYOUTS) * len(DTYPES) * EXAMPLES[1] * DIFFERENT >= 1000


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("examples", amounts(*EXAMPLES))
def test_every_pass_equals_the_reference(
    rank: int, layout: ops.Layout, dtype: str, examples: int
) -> None:
    seen: set[Problem] = set()

    @settings(max_examples=examples)
    @given(problem=problems(rank=rank, layout=layout, dtype=dtype))
    def law(problem: Problem) -> None:
        check(problem)
        other = 4 if problem.images is None else problem.images + 2
        check_parts(replace(problem, images=other, seed=problem.seed + 1))
        seen.add(replace(problem, seed=0))

    law()
    assert len(seen) >= int(examples * DIFFERENT)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", DEEP)
def test_deep_sums_over_images(name: str, layout: ops.Layout) -> None:
    for schedule in (0, 3):
        check(replace(DEEP[name], layout=layout, schedule=schedule))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("examples", amounts(*TRANSPOSED))
def test_transposed_convolution_equals_the_reference(
    layout: ops.Layout, examples: int
) -> None:
    seen: set[tuple[Problem, Any]] = set()

    @settings(max_examples=examples)
    @given(problem=problems(layout=layout), extra=st.integers(0, 2))
    def law(problem: Problem, extra: int) -> None:
        # What the convolution gives is what its transpose takes.
        if isinstance(problem.padding, str):
            problem = replace(problem, padding=0)
        _, w, _, dy = problem.operands()
        options = problem.options | {
            "output_padding": tuple(
                min(extra, max(s, d) - 1)
                for s, d in zip(problem.stride, problem.dilation, strict=True)
            )
        }
        bias = np.arange(problem.groups * problem.in_group).astype(problem.dtype)
        images = dy[None] if problem.images is None else dy
        types = [ops.type_of(a) for a in (images, w)]
        try:
            op = ops.conv_transpose_op("test", *types, **options)
        except rot180.Rot180Error:
            return  # cropped to nothing
        (expected,) = reference.evaluate(op, images, w)
        with runtime.force_schedule(problem.schedule):
            y = rot180.conv_transpose(dy, w, **options)
            shifted = rot180.conv_transpose(dy, w, bias, **options)
        if problem.images is None:
            expected = expected[0]
        column: tuple[int, ...] = (-1,)
        if layout == "channels_first":
            column = (-1, *(1 for _ in problem.size))
        assert_same(y, expected)
        assert_same(shifted, expected + bias.reshape(column))
        seen.add((problem, extra))

    law()
    assert len(seen) >= examples * 2 // 3


@pytest.mark.parametrize("what", ["in_group", "out_group", "size"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_zero_extents(what: str, layout: ops.Layout) -> None:
    for seed in range(4):
        problem = draw_problem(from_rng(np.random.default_rng(seed)), layout=layout)
        if what == "size":
            wide = tuple(
                ((k - 1) * d + 1, 1)
                for k, d in zip(problem.kernel, problem.dilation, strict=True)
            )
            problem = replace(
                problem, padding=wide, size=(0,) * len(problem.size), groups=1
            )
        else:
            problem = replace(problem, groups=1, **{what: 0})  # type: ignore[arg-type]
        check(replace(problem, viewed=False))
