"""The oracle: operands on which every order of summation gives the same, right sums."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers import assert_same

import rot180
from rot180.check.cases._case import Case, Kind, make
from rot180.check.cases._outputs import OUTPUTS
from rot180.check.judge._oracle import (
    arguments,
    expected,
    functions_of,
    operands,
    window_counts,
)
from rot180.errors import ArgumentError

Array = np.ndarray[Any, Any]
# Digits, large values, fractions, impulses: decided by the seed.
styles = pytest.mark.parametrize("seed", [0, 1, 2, 7])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def _case(kind: Kind = "conv", **values: Any) -> Case:
    sizes = {"in_group": 2, "out_group": 3, "images": 2, "extra": 2, "kernel_size": 2}
    return make(kind, rank=1, **sizes | values)


HARD: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "stride": 2,
        "dilation": 3,
        "padding": (2, -1),
        "groups": 2,
        "extra": 5,
        "kernel_size": 3,
    },
    "many channels": {"in_group": 33, "out_group": 17},
    "many positions": {"extra": 60, "images": 3},
}


def _terms(case: Case) -> list[tuple[Any, Any, Any]]:
    """The places in `x`, `w` and `y` that meet, from the definition of convolution."""
    (k_size,), (size,) = case.kernel_size, case.size
    (stride,), (dilation,) = case.stride, case.dilation
    assert not isinstance(case.padding, str)
    ((low, high),) = case.padding
    count = (size + low + high - (k_size - 1) * dilation - 1) // stride + 1
    found = []
    loops = (case.images or 0, case.filters, count, case.in_group, k_size)
    for n, k, p, c, r in np.ndindex(*loops):
        at = p * stride + r * dilation - low
        if 0 <= at < size:
            channel = k // case.out_group * case.in_group + c
            found.append(((n, channel, at), (k, c, r), (n, k, p)))
    return found


def _summed(
    case: Case, given: dict[str, Array], rng: np.random.Generator
) -> dict[str, Array]:
    """All three passes, each sum in a random order and in the dtype under test."""
    terms = _terms(case)
    sums = {"y": np.zeros_like(given["dy"]), "dx": np.zeros_like(given["x"])}
    sums["dw"] = np.zeros_like(given["w"])
    for i in rng.permutation(len(terms)):
        x, w, y = terms[i]
        sums["y"][y] += given["x"][x] * given["w"][w]
        sums["dx"][x] += given["dy"][y] * given["w"][w]
        sums["dw"][w] += given["dy"][y] * given["x"][x]
    return sums


@styles
@dtypes
@pytest.mark.parametrize("values", HARD.values(), ids=HARD)
def test_any_order_of_summation_in_the_dtype_gives_the_numbers_of_the_oracle(
    values: dict[str, Any], dtype: str, seed: int
) -> None:
    case = _case(**values, dtype=dtype, seed=seed)
    given = operands(case)
    sums = _summed(case, given, np.random.default_rng(seed))
    dx, dw, _ = expected(case, "conv_backward", given)
    assert_same(expected(case, "conv", given)[0], sums["y"])
    assert_same(dx, sums["dx"])
    assert_same(dw, sums["dw"])


@styles
@dtypes
def test_the_sums_are_those_of_whole_numbers(dtype: str, seed: int) -> None:
    case = _case(dtype=dtype, seed=seed, in_group=9, extra=20)
    given = operands(case)
    x, w = ([int(v * 16) for v in given[name].reshape(-1)] for name in ("x", "w"))
    y = np.zeros(given["dy"].shape, object)
    for at, tap, out in _terms(case):
        i = np.ravel_multi_index(at, given["x"].shape)
        y[out] += x[int(i)] * w[int(np.ravel_multi_index(tap, given["w"].shape))]
    (got,) = expected(case, "conv", given)
    assert [int(v * 256) for v in got.reshape(-1)] == y.reshape(-1).tolist()


def test_seeds_give_small_digits_wide_numbers_and_fractions() -> None:
    small, wide, fractions = (
        operands(_case(extra=30, seed=seed))["x"] for seed in (0, 1, 2)
    )
    assert abs(small).max() == 9
    assert abs(wide).max() > 100
    assert np.any(fractions != np.rint(fractions))


@pytest.mark.parametrize("seed", [0, 1, 2])  # not where one number is not 0
@dtypes
@pytest.mark.parametrize("kind", ["conv", "conv_transpose", "avg_pool"])
def test_no_operand_hides_a_product_behind_a_zero(
    kind: Kind, dtype: str, seed: int
) -> None:
    given = operands(_case(kind, dtype=dtype, seed=seed))
    assert all(np.all(array != 0) for array in given.values())


def test_values_to_pool_do_not_tie_and_values_to_rectify_have_zeros() -> None:
    x = operands(_case("max_pool", extra=20))["x"]
    assert len(np.unique(x)) == x.size
    x = operands(make("relu", rank=1, extra=200))["x"]
    assert np.any(x == 0)
    assert np.any(x < 0)
    assert np.any(x > 0)


def test_the_same_case_has_the_same_operands_and_another_seed_others() -> None:
    case, other = _case(seed=3), _case(seed=6)
    for name, array in operands(case).items():
        assert np.array_equal(array, operands(case)[name])
    assert not np.array_equal(operands(case)["x"], operands(other)["x"])


def test_sums_too_long_to_be_exact_are_refused() -> None:
    with pytest.raises(ArgumentError, match="too many to be exact in float32") as info:
        operands(make(in_group=2**24))
    assert "wider dtype" in str(info.value)


def test_a_bias_is_added_to_every_position_and_its_gradient_sums_them() -> None:
    case = make(bias=True, out_group=3, images=2, extra=2, layout="channels_last")
    given = operands(case)
    plain = {name: array for name, array in given.items() if name != "b"}
    (y,), (without,) = expected(case, "conv", given), expected(case, "conv", plain)
    assert np.array_equal(y, without + given["b"])
    db = expected(case, "conv_backward", given)[2]
    assert np.array_equal(db, given["dy"].sum((0, 1, 2)))


def test_double_backward_is_the_derivative_of_both_gradients() -> None:
    case = _case(stride=2, padding=(1, 0), groups=2, dtype="float64")
    o = operands(case)

    def z(dy: Array, x: Array, w: Array) -> float:
        dx, dw, _ = expected(case, "conv_backward", {"dy": dy, "x": x, "w": w})
        return float(np.vdot(o["ddx"], dx) + np.vdot(o["ddw"], dw))

    slopes = expected(case, "conv_double_backward", o)
    base = z(o["dy"], o["x"], o["w"])
    for name, slope in zip(("dy", "x", "w"), slopes, strict=True):
        step = np.random.default_rng(1).integers(-3, 4, o[name].shape).astype("float64")
        values = {n: o[n] for n in ("dy", "x", "w")} | {name: o[name] + step}
        assert z(**values) - base == np.vdot(slope, step)


def test_without_an_image_axis_results_have_none() -> None:
    case = _case(images=None, bias=True)
    one = _case(images=1, bias=True)
    given = operands(case)
    batched = given | {n: given[n][None] for n in ("x", "dy", "ddx")}
    for function in functions_of("conv"):
        with_axis = expected(one, function, batched)
        for name, got, want in zip(
            OUTPUTS[function], expected(case, function, given), with_axis, strict=True
        ):
            single = name in ("y", "dx", "ddy", "gx")
            assert np.array_equal(got, want[0] if single else want)


def test_an_empty_batch_has_a_weight_gradient_of_zeros() -> None:
    case = _case(images=0, bias=True)
    _, dw, db = expected(case, "conv_backward", operands(case))
    assert dw.shape == case.w_shape
    assert not dw.any()
    assert not db.any()


def test_functions_of_an_operation_are_its_own() -> None:
    assert functions_of("conv_transpose") == (
        "conv_transpose",
        "conv_transpose_backward",
    )
    assert "conv_transpose" not in functions_of("conv")
    together = {
        name
        for kind in ("conv", "conv_transpose", "max_pool", "avg_pool", "relu")
        for name in functions_of(kind)
    }
    assert together == set(OUTPUTS)


def test_arguments_are_those_of_the_public_functions() -> None:
    case = _case(bias=True)
    given = operands(case)
    names = [name for name, _ in arguments(case, "conv", given)]
    assert names == ["x", "w", "b"]
    unbiased = _case()
    names = [name for name, _ in arguments(unbiased, "conv", operands(unbiased))]
    assert names == ["x", "w"]
    shape = dict(arguments(case, "conv_weight_grad", given))["w_shape"]
    assert shape == case.w_shape
    one = make("max_pool", kernel_size=(2, 2), images=None)
    assert dict(arguments(one, "max_pool", operands(one)))["kernel_size"] == (2, 2)


def test_counts_of_a_window_leave_out_what_overhangs() -> None:
    case = make("avg_pool", rank=1, kernel_size=3, stride=2, extra=1, ceil_mode=True)
    assert window_counts(case) == ((3, 2),)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"stride": 2, "padding": (1, 1)},
        {"dilation": 2, "groups": 2, "bias": True},
        {"stride": (1, 2), "padding": ((1, 1), (0, 0)), "kernel_size": (3, 2)},
    ],
)
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_convolutions_are_those_of_pytorch(
    kind: Kind, values: dict[str, Any], torch: ModuleType
) -> None:
    sizes = {"in_group": 2, "out_group": 3, "images": 2, "extra": 3, "kernel_size": 2}
    case = make(kind, **sizes | values, dtype="float64", seed=1)
    given = operands(case)
    x, w, dy = (
        torch.tensor(given[n], requires_grad=n != "dy") for n in ("x", "w", "dy")
    )
    options = case.options()
    name = "conv2d" if kind == "conv" else "conv_transpose2d"
    b = torch.tensor(given["b"]) if case.bias else None
    y = getattr(torch.nn.functional, name)(x, w, b, **options)
    y.backward(dy)
    dx, dw, _ = expected(case, f"{kind}_backward", given)
    assert np.array_equal(expected(case, kind, given)[0], y.detach().numpy())
    assert np.array_equal(dx, x.grad.numpy())
    assert np.array_equal(dw, w.grad.numpy())


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
def test_poolings_are_those_of_pytorch(
    kind: Kind, ceil_mode: bool, torch: ModuleType
) -> None:
    case = make(
        kind, kernel_size=3, stride=2, padding=(1, 1), extra=3, in_group=2,
        ceil_mode=ceil_mode, dtype="float64",
    )  # fmt: skip
    given = operands(case)
    x = torch.tensor(given["x"], requires_grad=True)
    pool = getattr(torch.nn.functional, f"{kind}2d")
    y = pool(x, 3, 2, 1, ceil_mode=ceil_mode)
    y.backward(torch.tensor(given["dy"]))
    assert np.allclose(expected(case, kind, given)[0], y.detach().numpy(), rtol=1e-15)
    (dx,) = expected(case, f"{kind}_backward", given)
    assert np.allclose(dx, x.grad.numpy(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("slope", [0, 1])
def test_relu_is_the_positive_part(slope: int) -> None:
    case = make("relu", extra=5, in_group=3, seed=slope)
    given = operands(case)
    (y,), (dx,) = expected(case, "relu", given), expected(case, "relu_backward", given)
    assert np.array_equal(y, rot180.relu(given["x"]))
    assert np.array_equal(dx, np.where(given["x"] > 0, given["dy"], 0))


@dtypes
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_an_impulse_uses_more_digits_than_narrow_arithmetic_has(
    kind: Kind, dtype: str
) -> None:
    given = operands(_case(kind, dtype=dtype, seed=7, in_group=33, extra=60))
    for name in ("x", "dy"):
        assert np.count_nonzero(given[name]) == 1
    drawn = [operands(_case(kind, dtype=dtype, seed=8 * i + 7)) for i in range(40)]
    largest = max(float(np.abs(o["x"]).max()) for o in drawn)
    assert largest > (2**11 if dtype == "float32" else 2**24)
