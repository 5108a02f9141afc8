"""Gradients of functions of trees, of gradients, and what cannot be differentiated."""

import operator
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional
from rot180.errors import ArgumentError, DTypeError, TraceError

X = np.array([1.0, 2.0, 3.0])


def test_the_gradient_has_the_structure_of_the_argument() -> None:
    params = {"w": np.array([1.0, 2.0]), "rest": [np.array(3.0), None]}
    gradient = rot180.grad(lambda p: (p["w"] * p["rest"][0]).sum())(params)
    assert list(gradient) == ["w", "rest"]
    assert (gradient["w"] == [3, 3]).all()
    assert gradient["rest"][0] == 3
    assert gradient["rest"][1] is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient_keep_the_dtype(dtype: str) -> None:
    value, gradient = rot180.value_and_grad(lambda x: (2 * x * x + 1).sum())(
        X.astype(dtype)
    )
    assert value == 31
    assert (gradient == 4 * X).all()
    assert (value.dtype, gradient.dtype) == (dtype, dtype)


def test_later_arguments_are_constants() -> None:
    def scaled(x: Any, factor: Any, *, offset: Any) -> Any:
        return (x * factor + offset).sum()

    assert (rot180.grad(scaled)(X, X, offset=X) == X).all()


def test_an_argument_that_is_not_used_has_gradient_zero() -> None:
    unused = rot180.grad(lambda pair: pair[0].sum())((X, X))[1]
    assert (unused == 0).all()
    assert unused.shape == X.shape


def test_a_constant_function_has_gradient_zero() -> None:
    assert (rot180.grad(lambda x: np.array(3.0))(X) == 0).all()


def test_aux_comes_back_as_arrays() -> None:
    def with_aux(x: Any) -> Any:
        return x.sum(), {"double": x + x, "name": "kept"}

    (value, aux), gradient = rot180.value_and_grad(with_aux, has_aux=True)(X)
    assert value == 6
    assert (aux["double"] == 2 * X).all()
    assert aux["name"] == "kept"
    assert (gradient == 1).all()


@pytest.mark.parametrize(
    ("power", "expected"),
    [(0, 0 * X), (1, 0 * X + 1), (2, 2 * X), (3, 3 * X**2), (5, 5 * X**4)],
)
def test_whole_powers(power: int, expected: Any) -> None:
    assert (rot180.grad(lambda x: (x**power).sum())(X) == expected).all()


def test_other_powers() -> None:
    root = rot180.grad(lambda x: (x**0.5).sum())(np.array([4.0]))
    inverse = rot180.grad(lambda x: (x**-1).sum())(np.array([2.0]))
    assert (root, inverse) == (0.25, -0.25)
    with pytest.raises(ArgumentError, match=r"exponent 1\.5 is neither"):
        rot180.grad(lambda x: (x**1.5).sum())(X)


def test_arithmetic_with_arrays_and_numbers_on_either_side() -> None:
    ones = np.ones(3)
    for f, expected in [
        (lambda x: (ones - x).sum(), -1),
        (lambda x: (x - ones).sum(), 1),
        (lambda x: (2 - x).sum(), -1),
        (lambda x: (6 / x).sum(), -6 / X**2),
        (lambda x: (x / 2).sum(), 0.5),
        (lambda x: (ones * x).sum(), 1),
        (lambda x: (-x).sum(), -1),
    ]:
        assert (rot180.grad(f)(X) == expected).all()


def test_shapes_and_reductions() -> None:
    x = np.arange(6.0).reshape(2, 3)

    def f(x: Any) -> Any:
        assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 3), 2, 6, np.float64)
        assert x.T.shape == x.transpose(1, 0).shape == x.reshape(3, -1).shape == (3, 2)
        assert x.sum(1, keepdims=True).shape == (2, 1)
        assert x.mean((0, 1)).shape == ()
        return x.mean(-1).max() + x.reshape((6,)).sum() + x.max(0).sum()

    gradient = rot180.grad(f)(x)
    assert np.allclose(gradient, [[1, 1, 1], [7 / 3, 7 / 3, 7 / 3]], atol=1e-15)


def test_gradients_of_gradients() -> None:
    def cube(x: Any) -> Any:
        return (x * x * x).sum()

    def slope(x: Any) -> Any:
        return rot180.grad(cube)(x).sum()

    def curvature(x: Any) -> Any:
        return rot180.grad(slope)(x).sum()

    assert (rot180.grad(slope)(X) == 6 * X).all()
    assert (rot180.grad(curvature)(X) == 6).all()


def test_nested_gradients_do_not_mix_up_their_arguments() -> None:
    one = np.array(1.0)
    sums = rot180.grad(lambda x: x * rot180.grad(lambda y: x + y)(one))
    products = rot180.grad(lambda x: x * rot180.grad(lambda y: x * y)(x))
    assert sums(np.array(2.0)) == 1  # d/dx of x * 1
    assert products(np.array(3.0)) == 6  # d/dx of x * x


def test_a_gradient_taken_inside_by_an_array_depends_on_the_outer_argument() -> None:
    def outer(x: Any) -> Any:
        return (rot180.grad(lambda y: (x * x * y).sum())(X) * x).sum()

    assert (rot180.grad(outer)(X) == 3 * X**2).all()


def test_a_function_that_returns_no_number_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"returned float64\[3\], not one"):
        rot180.grad(lambda x: x)(X)
    with pytest.raises(ArgumentError, match="returned a tuple, not one number"):
        rot180.grad(lambda x: (x.sum(), 1))(X)
    with pytest.raises(ArgumentError, match="must return a pair"):
        rot180.value_and_grad(lambda x: x.sum(), has_aux=True)(X)


def test_integers_have_no_gradient() -> None:
    with pytest.raises(DTypeError, match=r"\['n'\] has dtype int64"):
        rot180.grad(lambda p: p["x"].sum())({"x": X, "n": np.arange(3)})


@pytest.mark.parametrize(
    ("use", "wanted"),
    [(bool, "truth value"), (float, "numeric value"), (np.asarray, "NumPy array")],
)
def test_a_traced_tensor_has_no_values(use: Any, wanted: str) -> None:
    with pytest.raises(TraceError, match=f"has no {wanted} yet"):
        rot180.grad(lambda x: use(x.sum()))(X)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(TraceError, match="a str cannot be part"):
        rot180.grad(lambda x: (x * "two").sum())(X)
    with pytest.raises(DTypeError, match="float16 is not supported"):
        rot180.grad(lambda x: x.sum())(X.astype(np.float16))


def test_a_tensor_does_not_outlive_its_trace() -> None:
    kept = []

    def f(x: Any) -> Any:
        rot180.grad(lambda y: kept.append(y) or y.sum())(X)
        return (x + kept[0]).sum()

    with pytest.raises(TraceError, match="outside the function whose tracing made it"):
        rot180.grad(f)(X)


def test_axes_out_of_range_are_refused() -> None:
    with pytest.raises(ArgumentError, match="axis 1 is out of range"):
        rot180.grad(lambda x: x.sum(1))(X)


def test_the_gradient_of_relu_and_max_is_one_sided_at_the_kink() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    assert (rot180.grad(lambda x: functional.relu(x).sum())(x) == [0, 0, 1]).all()


COMPARISONS = [
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compare", COMPARISONS)
def test_comparisons_are_those_of_numpy_as_ones_and_zeros(
    compare: Any, dtype: str
) -> None:
    a = np.array([1.0, 2.0, 3.0, np.nan, np.inf, -0.0], dtype)
    b = np.array([2.0, 2.0, 2.0, np.nan, np.inf, 0.0], dtype)
    for left, right in [(a, b), (b, a), (a, a)]:
        found = rot180.jit(compare)(left, right)
        assert found.dtype == dtype
        assert (found == compare(left, right)).all()
    for function in (lambda x: compare(x, b), lambda x: compare(b, x)):
        assert (rot180.jit(function)(a) == function(a)).all()
    for function in (lambda x: compare(x, 2), lambda x: compare(2.0, x)):
        assert (rot180.jit(function)(a) == function(a)).all()


@pytest.mark.parametrize("compare", COMPARISONS)
def test_a_comparison_has_no_truth_value_while_tracing(compare: Any) -> None:
    def branching(x: Any) -> Any:
        return x.sum() if compare(x.sum(), 3) else -x.sum()

    with pytest.raises(TraceError, match="no truth value"):
        rot180.grad(branching)(X)


def test_gradients_and_values_share_no_memory() -> None:
    params = {"a": X.copy(), "b": X.copy()}
    gradient = rot180.grad(lambda p: (p["a"] + p["b"]).sum())(params)
    assert not np.shares_memory(gradient["a"], gradient["b"])
    x = np.array(2.0)
    value, _ = rot180.value_and_grad(lambda t: t)(x)
    assert not np.shares_memory(value, x)


def test_a_mean_divides_by_the_count_of_what_it_sums() -> None:
    assert rot180.jit(lambda x: x.mean())(X) == 2
    column = X[:, None]
    assert (rot180.jit(lambda x: x.mean(1))(column) == X).all()
    assert (rot180.grad(lambda x: x.mean(1).sum())(column) == 1).all()


@pytest.mark.parametrize("shape", [(3,), (1, 3), (2, 1), (1, 1), (4, 2, 1), ()])
def test_what_was_repeated_has_the_sum_of_the_gradients(shape: tuple[int, ...]) -> None:
    factors = np.arange(1.0, 25).reshape(4, 2, 3)
    gradient = rot180.grad(lambda x: (x * factors).sum())(np.ones(shape))
    full = (1,) * (3 - len(shape)) + shape
    repeated = tuple(axis for axis, extent in enumerate(full) if extent == 1)
    assert gradient.shape == shape
    assert (gradient == factors.sum(repeated, keepdims=True).reshape(shape)).all()
