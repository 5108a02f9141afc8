"""A denormal number is a zero to every function, but those that only move numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional

Array = np.ndarray[Any, Any]


def calls(dtype: str, value: float) -> dict[str, Callable[[], Any]]:
    """Every function, on nothing but `value` and ones."""

    def full(*shape: int) -> Array:
        return np.full(shape, value, dtype)

    def ones(*shape: int) -> Array:
        return np.ones(shape, dtype)

    x, w, dy, b = full(2, 3, 5, 5), ones(4, 3, 2, 2), full(2, 4, 4, 4), full(4)
    row, pooled = full(3, 4), full(2, 3, 2, 2)
    f = functional
    return {
        "add": lambda: f.add(x, 0 * x),
        "avg_pool": lambda: rot180.avg_pool(x, 2),
        "avg_pool_backward": lambda: rot180.avg_pool_backward(pooled, x.shape, 2),
        "batch_norm": lambda: f.batch_norm(row, ones(4), full(4)),
        "conv": lambda: [
            rot180.conv(x, w),
            rot180.conv(ones(1, 1, 3), full(1, 1, 1)),
            rot180.conv(x, 0 * w, b),
        ],
        "conv_backward": lambda: rot180.conv_backward(dy, x, w),
        "conv_input_grad": lambda: rot180.conv_input_grad(dy, w, x.shape),
        "conv_transpose": lambda: rot180.conv_transpose(dy, w, b[:3]),
        "conv_weight_grad": lambda: rot180.conv_weight_grad(dy, x, w.shape),
        "divide": lambda: f.divide(x, 0 * x + 1),
        "exp": lambda: f.subtract(f.exp(x), 0 * x + 1),
        "linear": lambda: f.linear(row, ones(2, 4)),
        "max_pool": lambda: rot180.max_pool(x, 2),
        "max_pool_backward": lambda: rot180.max_pool_backward(pooled, x, 2),
        "maximum": lambda: f.maximum(x, x),
        "mean": lambda: f.mean(x, (2, 3)),
        "multiply": lambda: f.multiply(x, 0 * x + 1),
        "normalise": lambda: f.normalise(row, ones(4), full(4), full(4), ones(4)),
        "relu": lambda: rot180.relu(x),
        "relu_backward": lambda: [
            rot180.relu_backward(x, 0 * x + 1),
            rot180.relu_backward(0 * x + 1, x),
        ],
        "sqrt": lambda: f.sqrt(abs(x)),
        "subtract": lambda: f.subtract(x, 0 * x),
        "total": lambda: f.total(x, 0),
        "where": lambda: [f.where(ones(3, 4), row, row), f.where(row, ones(3, 4), row)],
        "-x": lambda: rot180.jit(lambda x: -x)(x),
        "x ** 2": lambda: rot180.jit(lambda x: x**2)(x),
    }


# Of these a zero and a denormal give the same anyway, or there is no number.
UNTOUCHED = {"StepPlan", "correct", "cross_entropy", "log", "log_softmax", "plan"}
MOVES: dict[str, Callable[[Array], Any]] = {
    "flatten": lambda x: functional.flatten(x, 0),
    "rot180": lambda x: rot180.rot180(rot180.rot180(x)),
    "transpose": lambda x: rot180.jit(lambda x: x.transpose(1, 0, 2))(x),
    "x[:, 1:]": lambda x: rot180.jit(lambda x: x[:, 1:])(x),
}


def numbers(found: Any) -> list[Any]:
    parts = found if isinstance(found, list | tuple) else [found]
    return [number for part in parts for number in np.ravel(part).tolist()]


@pytest.mark.parametrize("name", sorted(calls("f", 0)))
@pytest.mark.parametrize(("dtype", "value"), [("f", 1e-40), ("d", -1e-310)])
def test_a_denormal_number_is_a_zero(name: str, dtype: str, value: float) -> None:
    call, zeros = calls(dtype, value)[name], calls(dtype, 0)[name]
    want = numbers(zeros())
    assert numbers(call()) == want
    with rot180.runtime.force_reference():
        assert numbers(call()) == want


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize(("dtype", "value"), [("f", 1e-40), ("d", -1e-310)])
def test_what_only_moves_numbers_keeps_them(
    name: str, dtype: str, value: float
) -> None:
    x = np.full((2, 3, 4), value, dtype)
    assert set(numbers(MOVES[name](x))) == {float(x[0, 0, 0])}
    with rot180.runtime.force_reference():
        assert set(numbers(MOVES[name](x))) == {float(x[0, 0, 0])}


def test_no_function_is_forgotten() -> None:
    known = {*calls("f", 0), *MOVES, *UNTOUCHED}
    assert set(functional.__all__) <= known


def test_results_too_small_are_zeros() -> None:
    x, w = np.full((1, 1, 3), np.finfo("f").tiny), np.full((1, 1, 1), 0.5, "f")
    assert not rot180.conv(x, w).any()
    with rot180.runtime.force_reference():
        assert not rot180.conv(x, w).any()


def test_of_denormal_numbers_the_first_is_the_largest() -> None:
    x = np.array([[[0.0, -1e-40, 1e-40, -1.0]]], "f")
    assert rot180.max_pool(x, 4, return_indices=True)[1].item() == 0
    with rot180.runtime.force_reference():
        assert rot180.max_pool(x, 4, return_indices=True)[1].item() == 0


def test_signs_of_zeros_stay() -> None:
    """What makes a zero of a denormal number leaves the others as they are."""
    x = np.array([-0.0, 0.0, -1e-40, 1e-40], "f")
    assert np.signbit(rot180.jit(lambda x: -x)(x)).tolist() == [False, True] * 2
    assert np.signbit(functional.maximum(x, x)).tolist() == [True, False] * 2
