"""The source article's equations, derived in letters: rows of its close reading.

One channel, `X` 3x3, `F` 2x2, no padding, stride 1, `O` 2x2, as in the article. Rows S4
to S7 are proved for every value at once: the entries are letters, not numbers.
"""

import itertools
from typing import Any

import numpy as np

from rot180 import ops
from rot180.notation import Polynomial, contraction, evaluate, evaluate_pieces
from rot180.runtime import _reference as reference

FORWARD = contraction("O[p, q] += X[p + r, q + s] * F[r, s]")
EXTENTS = {"p": 2, "q": 2, "r": 2, "s": 2}


def letters(name: str, size: int) -> dict[tuple[int, ...], Polynomial]:
    """Returns a square of letters, `X11 X12 ...`, counted from 1 as in the article."""
    places = itertools.product(range(size), repeat=2)
    return {(i, j): Polynomial.name(f"{name}{i + 1}{j + 1}") for i, j in places}


def terms(text: str) -> Polynomial:
    """Reads `dO11*F11 + ...`."""
    products = [term.split("*") for term in text.split(" + ")]
    return Polynomial.of((tuple(sorted(names)), 1) for names in products)


def same(a: Any, b: Any) -> bool:
    return dict((a + -b).terms) == {}


X, F, DO = letters("X", 3), letters("F", 2), letters("dO", 2)
OPERANDS = {"X": X, "F": F, "dO": DO}
DF = evaluate(FORWARD.adjoint("F"), OPERANDS, EXTENTS, (2, 2))
DX = evaluate(FORWARD.adjoint("X"), OPERANDS, EXTENTS, (3, 3))


def test_s1_forward_is_the_correlation_of_x_and_f() -> None:
    result = evaluate(FORWARD, OPERANDS, EXTENTS, (2, 2))
    assert same(result[0, 0], terms("X11*F11 + X12*F12 + X21*F21 + X22*F22"))
    assert same(result[1, 1], terms("X22*F11 + X23*F12 + X32*F21 + X33*F22"))


def test_s2_true_convolution_rotates_the_filter() -> None:
    flipped = contraction("O[p, q] += X[p + r, q + s] * F[R - 1 - r, S - 1 - s]")
    result = evaluate(flipped.bind(R=2, S=2), OPERANDS, EXTENTS, (2, 2))
    rotated = {(i, j): F[1 - i, 1 - j] for i, j in F}
    correlated = evaluate(FORWARD, OPERANDS | {"F": rotated}, EXTENTS, (2, 2))
    assert all(same(result[place], correlated[place]) for place in result)


def test_s4_weight_gradient_by_the_chain_rule() -> None:
    """dE/dF_ij = sum over O of dE/dO * dO/dF_ij, term by term."""
    output = evaluate(FORWARD, OPERANDS, EXTENTS, (2, 2))
    for place, letter in F.items():
        chained = sum(
            (DO[at] * derivative(value, letter) for at, value in output.items()),
            Polynomial.number(0),
        )
        assert same(DF[place], chained)


def derivative(value: Polynomial, letter: Polynomial) -> Polynomial:
    """Returns the derivative of a sum of products in which `letter` has no powers."""
    (((name,), _),) = letter.terms
    return Polynomial.of(
        (tuple(other for other in monomial if other != name), factor)
        for monomial, factor in value.terms
        if name in monomial
    )


def test_s5_the_four_equations_the_article_misprints() -> None:
    """Erratum: the article repeats one X in all four terms of each equation."""
    expected = {
        (0, 0): "dO11*X11 + dO12*X12 + dO21*X21 + dO22*X22",
        (0, 1): "dO11*X12 + dO12*X13 + dO21*X22 + dO22*X23",
        (1, 0): "dO11*X21 + dO12*X22 + dO21*X31 + dO22*X32",
        (1, 1): "dO11*X22 + dO12*X23 + dO21*X32 + dO22*X33",
    }
    assert all(same(DF[place], terms(text)) for place, text in expected.items())


def test_s6_weight_gradient_is_the_correlation_of_x_with_do() -> None:
    operands = {"X": X, "F": DO}
    correlated = evaluate(FORWARD, operands, EXTENTS, (2, 2))
    assert all(same(DF[place], correlated[place]) for place in DF)


def test_s6b_the_nine_sums_of_the_input_gradient() -> None:
    expected = {
        (0, 0): "dO11*F11",
        (0, 1): "dO11*F12 + dO12*F11",
        (0, 2): "dO12*F12",
        (1, 0): "dO11*F21 + dO21*F11",
        (1, 1): "dO11*F22 + dO12*F21 + dO21*F12 + dO22*F11",
        (1, 2): "dO12*F22 + dO22*F12",
        (2, 0): "dO21*F21",
        (2, 1): "dO21*F22 + dO22*F21",
        (2, 2): "dO22*F22",
    }
    assert all(same(DX[place], terms(text)) for place, text in expected.items())


def test_s7_input_gradient_slides_the_rotated_filter_over_the_padded_do() -> None:
    """The full correlation of dO with rot180(F); gathering finds it by machine."""
    (piece,) = FORWARD.adjoint("X").gather()
    assert str(piece.contraction) == "dX[h, w] += dO[h - r, w - s] * F[r, s]"
    gathered = evaluate_pieces([piece], OPERANDS, EXTENTS, (3, 3))
    full = contraction("dX[h, w] += dO[h + r - 1, w + s - 1] * F[r, s]")
    rotated = {(i, j): F[1 - i, 1 - j] for i, j in F}
    extents = {"h": 3, "w": 3, "r": 2, "s": 2}
    slid = evaluate(full, {"dO": DO, "F": rotated}, extents, (3, 3))
    wrong = evaluate(full, {"dO": DO, "F": F}, extents, (3, 3))
    for place in DX:
        assert same(DX[place], gathered[place])
        assert same(DX[place], slid[place])
    assert not all(same(DX[place], wrong[place]) for place in DX)


def test_s7_with_numbers_and_with_flip() -> None:
    rng = np.random.default_rng(0)
    x, f, do = (rng.integers(-9, 10, (n, n)).astype(float) for n in (3, 2, 2))
    padded = np.pad(do, 1)
    for flip in (False, True):
        seen = f[::-1, ::-1] if flip else f  # what the forward pass slides over x
        arrays = [a[None, None] for a in (x, f, do)]
        kinds = [ops.type_of(array) for array in arrays]
        to_x = ops.conv_input_grad_op("dx", kinds[2], kinds[1], (1, 1, 3, 3), flip=flip)
        (dx,) = reference.evaluate(to_x, arrays[2], arrays[1])
        rotated = seen[::-1, ::-1]
        for i, j in np.ndindex(3, 3):
            window = padded[i : i + 2, j : j + 2]
            assert dx[0, 0, i, j] == (window * rotated).sum()
        to_f = ops.conv_weight_grad_op(
            "df", kinds[2], kinds[0], (1, 1, 2, 2), flip=flip
        )
        (df,) = reference.evaluate(to_f, arrays[2], arrays[0])
        correlated = df[0, 0][::-1, ::-1] if flip else df[0, 0]
        for i, j in np.ndindex(2, 2):
            assert correlated[i, j] == (x[i : i + 2, j : j + 2] * do).sum()


def test_s9_one_definition_serves_forward_and_backward() -> None:
    for factor in ("X", "F"):
        adjoint = FORWARD.adjoint(factor)
        assert adjoint.indices == FORWARD.indices
        assert adjoint.adjoint("dO") == FORWARD
