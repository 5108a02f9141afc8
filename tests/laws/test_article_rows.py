"""Rows of the source article proved for every value: the entries are letters.

`golden/test_article.py` goes through all rows, mostly in numbers and by the public
functions; here stands what numbers cannot say, and the same rows for the reference.
"""

import itertools
from typing import Any

import numpy as np
import pytest

from rot180 import ops
from rot180.notation import Polynomial, contraction, evaluate, evaluate_pieces
from rot180.reference import _evaluate as reference

FORWARD = contraction("O[p, q] += X[p + r, q + s] * F[r, s]")
EXTENTS = {"p": 2, "q": 2, "r": 2, "s": 2}


def letters(name: str, size: int) -> dict[tuple[int, ...], Polynomial]:
    """Returns a square of letters, `X11 X12 ...`, counted from 1 as in the article."""
    places = itertools.product(range(size), repeat=2)
    return {(i, j): Polynomial.name(f"{name}{i + 1}{j + 1}") for i, j in places}


def same(a: Any, b: Any) -> bool:
    return dict((a + -b).terms) == {}


X, F, DO = letters("X", 3), letters("F", 2), letters("dO", 2)
ROTATED = {(i, j): F[1 - i, 1 - j] for i, j in F}
OPERANDS = {"X": X, "F": F, "dO": DO}


def test_s2_true_convolution_rotates_the_filter() -> None:
    flipped = contraction("O[p, q] += X[p + r, q + s] * F[R - 1 - r, S - 1 - s]")
    result = evaluate(flipped.bind(R=2, S=2), OPERANDS, EXTENTS, (2, 2))
    correlated = evaluate(FORWARD, OPERANDS | {"F": ROTATED}, EXTENTS, (2, 2))
    assert all(same(result[place], correlated[place]) for place in result)


def test_s6_weight_gradient_is_the_correlation_of_x_with_do() -> None:
    gradient = evaluate(FORWARD.adjoint("F"), OPERANDS, EXTENTS, (2, 2))
    correlated = evaluate(FORWARD, {"X": X, "F": DO}, EXTENTS, (2, 2))
    assert all(same(gradient[place], correlated[place]) for place in gradient)


def test_s7_input_gradient_slides_the_rotated_filter_over_the_padded_do() -> None:
    """The full correlation of dO with rot180(F); gathering finds it by machine."""
    gradient = evaluate(FORWARD.adjoint("X"), OPERANDS, EXTENTS, (3, 3))
    pieces = FORWARD.adjoint("X").gather()
    gathered = evaluate_pieces(pieces, OPERANDS, EXTENTS, (3, 3))
    full = contraction("dX[h, w] += dO[h + r - 1, w + s - 1] * F[r, s]")
    extents = {"h": 3, "w": 3, "r": 2, "s": 2}
    slid = evaluate(full, {"dO": DO, "F": ROTATED}, extents, (3, 3))
    wrong = evaluate(full, {"dO": DO, "F": F}, extents, (3, 3))
    for place in gradient:
        assert same(gradient[place], gathered[place])
        assert same(gradient[place], slid[place])
    assert not all(same(gradient[place], wrong[place]) for place in gradient)


@pytest.mark.parametrize("flip", [False, True])
def test_s6_and_s7_by_the_reference(flip: bool) -> None:
    rng = np.random.default_rng(0)
    x, f, do = (rng.integers(-9, 10, (n, n)).astype(float) for n in (3, 2, 2))
    arrays = [a[None, None] for a in (x, f, do)]
    x_type, f_type, do_type = (ops.type_of(array) for array in arrays)

    to_x = ops.conv_input_grad_op("dx", do_type, f_type, (1, 1, 3, 3), flip=flip)
    (dx,) = reference.evaluate(to_x, arrays[2], arrays[1])
    rotated = f if flip else f[::-1, ::-1]
    padded = np.pad(do, 1)
    for i, j in np.ndindex(3, 3):
        assert dx[0, 0, i, j] == (padded[i : i + 2, j : j + 2] * rotated).sum()

    to_f = ops.conv_weight_grad_op("df", do_type, x_type, (1, 1, 2, 2), flip=flip)
    (df,) = reference.evaluate(to_f, arrays[2], arrays[0])
    correlated = df[0, 0][::-1, ::-1] if flip else df[0, 0]
    for i, j in np.ndindex(2, 2):
        assert correlated[i, j] == (x[i : i + 2, j : j + 2] * do).sum()
