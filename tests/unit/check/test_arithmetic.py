"""A-priori bounds: no correct computation exceeds them, and a mistake does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from unit.check.judged import stop_at_first

from benchmarks.mutants import MUTANTS, correct_taps
from rot180.check import check
from rot180.check.cases._case import Case, make
from rot180.check.judge._arithmetic import ARITHMETICS, arithmetic_of
from rot180.check.judge._oracle import expected, operands
from rot180.check.subjects._outcome import differing
from rot180.errors import ArgumentError

Array = np.ndarray[Any, Any]
Given = dict[str, Array]
Conv = Callable[[Array, Array], Array]
CASE = make(rank=1, kernel_size=3, extra=30, in_group=5, out_group=4, images=2)
SEEDS = range(4)


def _normal(case: Case, seed: int) -> Given:
    rng = np.random.default_rng(seed)
    shapes = {name: array.shape for name, array in operands(case).items()}
    return {
        name: rng.standard_normal(shape).astype(case.dtype)
        for name, shape in shapes.items()
    }


def _exact(case: Case, function: str, given: Given) -> tuple[Array, ...]:
    wide = {name: array.astype("float64") for name, array in given.items()}
    return expected(_wide(case), function, wide)


def _wide(case: Case) -> Case:
    return replace(case, dtype="float64")


def _direct(x: Array, w: Array) -> Array:
    """The sums, one product at a time in a random order."""
    terms = [(c, r) for c in range(w.shape[1]) for r in range(w.shape[2])]
    order = np.random.default_rng(len(terms)).permutation(len(terms))
    count = x.shape[2] - w.shape[2] + 1
    y = np.zeros((x.shape[0], w.shape[0], count), x.dtype)
    for i in order:
        c, r = terms[i]
        y += x[:, None, c, r : r + count] * w[None, :, c, r, None]
    return y


def _truncated_to_tf32(array: Array) -> Array:
    """Rounds to the 11 significant bits that TF32 keeps of a float32."""
    bits = array.view(np.uint32) + np.uint32(1 << 12)
    return (bits & np.uint32(0xFFFFE000)).view(np.float32)


def _tf32(x: Array, w: Array) -> Array:
    return _direct(_truncated_to_tf32(x), _truncated_to_tf32(w))


def _fft(x: Array, w: Array) -> Array:
    points = x.shape[2] + w.shape[2] - 1
    spectra = np.fft.rfft(x, points)[:, None] * np.fft.rfft(w[..., ::-1], points)[None]
    y = np.fft.irfft(spectra.sum(2).astype("complex64"), points)
    return np.asarray(y[..., w.shape[2] - 1 : x.shape[2]], x.dtype)


# F(4, 3) with the points 0, 1, -1, 2, -2 and infinity.
_B = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    "float32",
)
_G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    "float32",
)
_A = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ],
    "float32",
)


def _winograd(x: Array, w: Array) -> Array:
    count = x.shape[2] - 2
    padded = np.pad(x, ((0, 0), (0, 0), (0, -count % 4)))
    tiles = [
        np.einsum("ij,ncj->nci", _B, padded[..., at : at + 6])
        for at in range(0, count, 4)
    ]
    filters = np.einsum("ij,kcj->kci", _G, w)
    parts = [
        np.einsum("ij,nkj->nki", _A, np.einsum("ncj,kcj->nkj", tile, filters))
        for tile in tiles
    ]
    return np.asarray(np.concatenate(parts, axis=2)[..., :count], x.dtype)


WAYS: dict[str, Conv] = {
    "direct": _direct,
    "tf32": _tf32,
    "fft": _fft,
    "winograd": _winograd,
}
ways = pytest.mark.parametrize("name", WAYS)


@ways
@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_computed_so_stays_within_its_bound(name: str, seed: int) -> None:
    given = _normal(CASE, seed)
    (bound,) = arithmetic_of(name).bounds(CASE, "conv", given, 1)
    (right,) = _exact(CASE, "conv", given)
    got = WAYS[name](given["x"], given["w"])
    assert np.any(got != right)  # else the bound would not be tried
    assert not differing(got, right, bound).any()


@ways
def test_a_product_too_few_is_beyond_every_bound(name: str) -> None:
    given = operands(CASE)  # small digits
    (bound,) = arithmetic_of(name).bounds(CASE, "conv", given, 1)
    (right,) = expected(CASE, "conv", given)
    wrong = right.copy()
    wrong[1, 2, 3] -= given["x"][1, 0, 3] * given["w"][2, 0, 0]
    assert differing(wrong, right, bound).sum() == 1


@pytest.mark.parametrize("values", [{}, {"stride": 3, "images": 4}])
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_gradients_summed_in_single_precision_stay_within_the_direct_bound(
    kind: Any, values: dict[str, Any]
) -> None:
    case = make(
        kind, rank=1, kernel_size=2, extra=40, in_group=3, out_group=2, **values
    )
    given = _normal(case, 1)
    function = f"{kind}_backward"
    got = expected(case, function, given)
    right = _exact(case, function, given)
    bounds = arithmetic_of("direct").bounds(case, function, given, 3)
    for result, want, bound in zip(got, right, bounds, strict=True):
        assert result.dtype == np.float32
        assert not differing(result, want, bound).any()


@pytest.mark.parametrize("images", [1, 50])
def test_a_sum_of_all_positions_one_by_one_stays_within_the_direct_bound(
    images: int,
) -> None:
    """`db` adds up the output, which of a transposed convolution is the larger."""
    case = make("conv_transpose", rank=1, extra=40, stride=5, images=images)
    ones = {name: np.abs(a) for name, a in _normal(case, 3).items()}
    total = np.float32(0)
    for value in ones["dy"].reshape(-1):
        total += value
    bound = arithmetic_of("direct").bounds(case, "conv_transpose_backward", ones, 3)[2]
    assert bound is not None
    assert abs(float(total) - float(ones["dy"].sum(dtype="float64"))) <= bound[0]
    assert bound[0] < ones["dy"].sum() / 100


def test_exact_means_equal_but_for_the_division_of_an_average() -> None:
    exact = arithmetic_of(None)
    assert exact.bounds(CASE, "conv", operands(CASE), 1) == (None,)
    case = make("avg_pool", rank=1, kernel_size=3, extra=9)
    (bound,) = exact.bounds(case, "avg_pool", operands(case), 1)
    assert bound is not None
    assert 0 < bound.max() < 1e-4


@pytest.mark.parametrize("kind", ["max_pool", "relu"])
@pytest.mark.parametrize("name", ARITHMETICS)
def test_what_only_chooses_is_exact_in_every_arithmetic(kind: Any, name: str) -> None:
    case = make(kind, rank=1, extra=4)
    assert arithmetic_of(name).bounds(case, kind, operands(case), 1) == (None,)


def test_each_arithmetic_says_its_bound() -> None:
    assert "equal" in ARITHMETICS["exact"].text
    assert all("within" in a.text for n, a in ARITHMETICS.items() if n != "exact")


def test_an_unknown_arithmetic_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ArgumentError, match="'fast' is not known") as info:
        arithmetic_of("fast")
    assert "exact, direct, tf32, fft, winograd" in str(info.value)


@pytest.mark.usefixtures("fixed_only")
def test_the_report_states_the_arithmetic_that_a_subject_declares() -> None:
    class Declared:
        ARITHMETIC = "direct"
        relu = staticmethod(correct_taps.relu)

    report = check(Declared, seconds=60)
    assert report.status == 0
    assert report.arithmetic == ARITHMETICS["direct"].text


@pytest.mark.parametrize("name", ["direct", "tf32", "fft"])
@pytest.mark.parametrize("mutant", ["m01a", "m03a", "m06a", "m09b", "m16b"])
def test_mistakes_are_convicted_within_a_bound_too(name: str, mutant: str) -> None:
    subject = next(m.subject for m in MUTANTS if m.name == mutant)
    report = check(
        subject, seconds=20, arithmetic=name, diagnosis=False, progress=stop_at_first
    )
    assert report.status == 1


@pytest.mark.parametrize("name", ["fft", "winograd"])
def test_a_bound_grows_with_the_two_largest_operands(name: str) -> None:
    bound, case = arithmetic_of(name).bound, make(kernel_size=3, extra=2)
    assert bound is not None
    x, w, sums = np.full(9, 8.0), np.full(9, 4.0), np.ones((1, 1, 1, 1))
    both = bound(case, {"x": x, "w": w}, sums)
    assert np.array_equal(bound(case, {"dy": x / 99, "x": x, "w": w}, sums), both)
