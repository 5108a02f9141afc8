"""Formulas with extents: which products go to one place."""

from rot180.notation import Sum, contraction

STRIDED = Sum(
    contraction("y[n, p] += x[n, 2*p + r - 1] * w[r]"), {"n": 1, "p": 3, "r": 3}
)


def test_points_are_the_products_that_go_to_a_place() -> None:
    assert list(STRIDED.points((0, 1))) == [{"n": 0, "p": 1, "r": r} for r in range(3)]
    back = STRIDED.adjoint("x")
    assert list(back.points((0, 1))) == [
        {"n": 0, "p": 0, "r": 2},
        {"n": 0, "p": 1, "r": 0},
    ]


def test_points_outside_the_operands_are_among_them() -> None:
    (first, *_) = STRIDED.points((0, 0))
    assert STRIDED.formula.factors[0].at(first) == (0, -1)


def test_bounds_are_the_ends_of_a_position() -> None:
    assert STRIDED.bounds(STRIDED.formula.factors[0].axes[1]) == (-1, 5)


def test_other_names_for_the_operands() -> None:
    renamed = STRIDED.renamed(x="X", w="F")
    assert str(renamed.formula) == "y[n, p] += X[n, 2*p + r - 1] * F[r]"
    assert renamed.extents == STRIDED.extents
    assert str(renamed.adjoint("F").formula) == "dF[r] += X[n, 2*p + r - 1] * dy[n, p]"


def test_an_axis_less() -> None:
    single = STRIDED.without("n")
    assert str(single.formula) == "y[p] += x[2*p + r - 1] * w[r]"
    assert single.extents == {"p": 3, "r": 3}
    assert single.formula.indices == ("p", "r")
