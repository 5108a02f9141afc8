"""A part of a traced tensor is what NumPy takes, and its gradient goes back there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180
from rot180.errors import ArgumentError

X = np.arange(60.0, dtype="f").reshape(3, 4, 5)
PARTS: list[Any] = [
    np.s_[:, 1:], np.s_[0], np.s_[-1], np.s_[..., ::2], np.s_[::-1],
    np.s_[None, :, -1], np.s_[1:1], np.s_[2, 3, 4], np.s_[:, ::-2, None, 1:4],
    np.s_[...], np.s_[:], np.s_[5:9], np.s_[..., None, 1], np.s_[-2:, :-1, ::3],
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_part_and_its_gradients_are_those_of_numpy(part: Any) -> None:
    got = rot180.jit(lambda x: x[part])(X)
    assert got.shape == X[part].shape
    np.testing.assert_array_equal(got, X[part])

    def cubes(x: Any) -> Any:
        return (x[part] * x[part] * x[part]).sum()

    once, twice = np.zeros_like(X), np.zeros_like(X)
    once[part], twice[part] = 3 * X[part] ** 2, 6 * X[part]
    np.testing.assert_array_equal(rot180.jit(rot180.grad(cubes))(X), once)
    slope = rot180.grad(lambda x: rot180.grad(cubes)(x).sum())
    np.testing.assert_array_equal(slope(X), twice)
    with rot180.runtime.force_reference():
        np.testing.assert_array_equal(rot180.grad(cubes)(X), once)


def test_a_part_shares_no_memory_with_what_it_is_of() -> None:
    first = rot180.jit(lambda x: x[:2])(X)
    first[...] = -1
    assert X.min() == 0


def test_the_first_axis_can_be_walked() -> None:
    rows = rot180.jit(lambda x: (*x, len(x) * x))(X)
    assert [row.shape for row in rows] == [(4, 5)] * 3 + [(3, 4, 5)]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda x: x[np.array([0, 1])], "cannot be indexed with ndarray"),
        (lambda x: x[x > 1], "cannot be indexed with Tensor\n.*where"),
        (lambda x: x["a"], "cannot be indexed with str"),
        (lambda x: x[True], "cannot be indexed with bool"),
        (lambda x: x[3], r"index 3 is out of range for axis 0 .*\(3, 4, 5\)"),
        (lambda x: x[:, -5], "index -5 is out of range for axis 1"),
        (lambda x: x[0, 0, 0, 0], "too many parts"),
        (lambda x: x[..., 0, ...], "too many parts"),
    ],
)
def test_other_indices_are_refused(part: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        rot180.jit(part)(X)


def test_negative_axes_and_whole_powers_of_any_kind_are_taken() -> None:
    turned = rot180.jit(lambda x: x.transpose(0, -1, 1))(X)
    np.testing.assert_array_equal(turned, X.transpose(0, -1, 1))
    for two in (2, 2.0, np.float32(2), np.int64(2)):
        np.testing.assert_array_equal(rot180.jit(lambda x, e=two: x**e)(X), X**2)
