"""Scalar functions as compiled: accuracy, special values, and agreement with NumPy."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rot180 import autograd, ops, runtime
from rot180.codegen._scalar import Text, literal
from rot180.ops import POINTWISE
from rot180.program._target import Target
from rot180.runtime._choose import target

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "float64")
# A step more precise than the result: float64 for float32, the 80-bit format else.
WIDER = {"float32": np.float64, "float64": np.longdouble}
# Largest error in units of the last place over the ranges below: 0.87 and 1.14 (without
# fused multiply-add) were seen of exp, 0.79 of log.
ULPS = {"exp": 1.2, "log": 0.9}
RANGES = {
    ("exp", "float32"): (-87.0, 88.7),
    ("exp", "float64"): (-708.0, 709.7),
    ("log", "float32"): (1.2e-38, 3.4e38),
    ("log", "float64"): (2.3e-308, 1.7e308),
}


def computed(fn: str, *arrays: Array) -> Array:
    (result,) = autograd.run(ops.Pointwise(fn), *arrays)
    return result


def ulps(fn: str, x: Array) -> float:
    """The largest error of `fn` at x, in units of the last place of the result."""
    exact = getattr(np, fn)(x.astype(WIDER[x.dtype.name]))
    error = np.abs(computed(fn, x).astype(exact.dtype) - exact)
    unit = np.spacing(np.abs(exact).astype(x.dtype)).astype(exact.dtype)
    return float((error / unit).max())


@pytest.fixture(params=["own", "baseline"])
def processor(request: pytest.FixtureRequest) -> Iterator[str]:
    """This processor, and one without fused multiply-add."""
    if request.param == "own":
        yield request.param
        return
    with runtime.force_target(request.param):
        yield request.param


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_right_to_about_a_unit(dtype: str) -> None:
    random = np.random.default_rng(0)
    low, high = RANGES["exp", dtype]
    for x in (
        random.uniform(low, high, 200_001),
        random.uniform(-1, 1, 100_001),
        random.normal(0, 1e-4, 50_001),
        np.arange(math.ceil(low), math.floor(high)) * math.log(2) / 2,
    ):
        assert ulps("exp", x.clip(low, high).astype(dtype)) <= ULPS["exp"]


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_is_right_to_within_a_unit(dtype: str) -> None:
    random = np.random.default_rng(1)
    low, high = RANGES["log", dtype]
    spread = np.exp(random.uniform(math.log(low), math.log(high), 200_001))
    for x in (
        spread.clip(low, high),
        random.uniform(0.5, 2.0, 200_001),
        1 + random.normal(0, 1e-3, 50_001),
        2.0 ** np.arange(-100, 100),
    ):
        assert ulps("log", x.astype(dtype)) <= ULPS["log"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_special_values(dtype: str) -> None:
    inf, nan = math.inf, math.nan
    x = np.array([0.0, -0.0, inf, -inf, nan, 1e4, -1e4, 90.0, -110.0], dtype)
    with np.errstate(over="ignore", under="ignore"):
        want = np.exp(x)
    np.testing.assert_array_equal(computed("exp", x)[:7], want[:7])
    # Below the smallest normal number results are flushed to zero, as in all kernels.
    tiny = np.finfo(dtype).tiny
    got = computed("exp", x)[7:]
    np.testing.assert_allclose(got, np.where(want[7:] < tiny, 0, want[7:]), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_up_to_the_largest_number(dtype: str) -> None:
    most = np.log(np.finfo(dtype).max)
    below = np.nextafter(most, np.array(0, dtype), dtype=dtype)
    got = computed("exp", np.array([below], dtype))
    assert np.isfinite(got).all()
    assert (got > np.finfo(dtype).max * 0.99).all()
    above = np.nextafter(most, np.array(np.inf, dtype), dtype=dtype) * 1.01
    assert np.isinf(computed("exp", np.array([above], dtype))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_of_special_values(dtype: str) -> None:
    inf, nan = math.inf, math.nan
    least, most = np.finfo(dtype).tiny, np.finfo(dtype).max
    x = np.array([1.0, 0.0, -0.0, inf, -inf, nan, -1.0, least, most], dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        want = np.log(x)
    np.testing.assert_array_equal(computed("log", x)[:7], want[:7])
    np.testing.assert_allclose(computed("log", x)[7:], want[7:], rtol=1e-6)


# ---------------------------------------------------------------- all others

AWKWARD = [0.0, -0.0, 1.0, -1.5, 2.5, math.inf, -math.inf, math.nan, 3.0]
MEANING: dict[str, Any] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "square": np.square,
    "maximum": np.maximum,
    "relu": lambda x: np.where(x <= 0, 0, x),
    "relu_grad": lambda dy, x: np.where(x > 0, dy, 0),
    "greater": lambda a, b: (a > b).astype(a.dtype),
    "equal": lambda a, b: (a == b).astype(a.dtype),
    "where": lambda c, a, b: np.where(c != 0, a, b),
}


def test_every_function_of_the_table_has_a_meaning_here() -> None:
    assert set(MEANING) == set(POINTWISE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fn", sorted(set(MEANING) - {"exp", "log"}))
def test_functions_at_awkward_numbers(fn: str, dtype: str) -> None:
    """Every pair of awkward numbers; shapes that fill no vector."""
    grid = np.array(np.meshgrid(AWKWARD, AWKWARD, [0.0, 2.0]), dtype)
    operands = [np.ascontiguousarray(v) for v in grid.reshape(3, -1)]
    operands = operands[: POINTWISE[fn].arity]
    with np.errstate(all="ignore"):
        want = MEANING[fn](*operands)
    np.testing.assert_array_equal(computed(fn, *operands), want)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("fn", ["add", "sub", "mul", "neg", "abs", "maximum"])
def test_functions_of_integers(fn: str, dtype: str) -> None:
    random = np.random.default_rng(2)
    arity = POINTWISE[fn].arity
    operands = [random.integers(-9, 10, 37).astype(dtype) for _ in range(arity)]
    want = MEANING[fn](*operands).astype(dtype)
    np.testing.assert_array_equal(computed(fn, *operands), want)


def test_literals_are_exact() -> None:
    assert literal(1.0, "float64") == "0x3FF0000000000000"
    assert literal(0.1, "float32") == literal(float(np.float32(0.1)), "float64")
    assert literal(math.inf, "float32") == "0x7FF0000000000000"
    assert literal(3.0, "int32") == "3"


def test_a_module_declares_each_thing_once() -> None:
    machine: Target = target()
    text = Text(machine)
    assert text.intrinsic("llvm.x", "float", "float") == "@llvm.x"
    assert text.intrinsic("llvm.x", "float", "float") == "@llvm.x"
    assert text.table((1, 2)) == text.table((1, 2)) == "@table0"
    assert text.table((3,)) == "@table1"
    declared = text.declarations()
    assert declared.count("declare float @llvm.x(float)") == 1
    assert "@table0 = private unnamed_addr constant [2 x i64] [i64 1, i64" in declared
