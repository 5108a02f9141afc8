"""All products of a sum at once: the same as one product after another."""

import itertools

from rot180.notation import Sum, contraction, evaluate, products

CONV = Sum(
    contraction("y[n, k, p] += x[n, c, 2*p + r - 1] * w[k, c, r]"),
    {"n": 2, "k": 2, "c": 2, "p": 3, "r": 3},
)
SHAPES = {"y": (2, 2, 3), "x": (2, 2, 5), "w": (2, 2, 3), "dy": (2, 2, 3)}
SHAPES |= {"dx": SHAPES["x"], "dw": SHAPES["w"]}


def _values(tensor: str) -> dict[tuple[int, ...], int]:
    places = itertools.product(*(range(extent) for extent in SHAPES[tensor]))
    return {place: i * i % 7 - 3 for i, place in enumerate(places)}


def test_their_sums_are_what_the_formula_means() -> None:
    for total in (CONV, CONV.adjoint("x"), CONV.adjoint("w")):
        formula = total.formula
        operands = {f.tensor: _values(f.tensor) for f in formula.factors}
        shape = SHAPES[formula.out.tensor]
        right = evaluate(formula, operands, total.extents, shape)
        found = {
            place: sum(
                operands[formula.factors[0].tensor][a]
                * operands[formula.factors[1].tensor][b]
                for a, b in listed
            )
            for place, listed in products(total, SHAPES)
        }
        assert found == right


def test_they_come_channel_by_channel_in_reading_order() -> None:
    listed = dict(products(CONV, SHAPES))[0, 1, 1]
    assert [w for _, w in listed] == [
        (1, c, r) for c, r in itertools.product(range(2), range(3))
    ]
    back = dict(products(CONV.adjoint("x"), SHAPES))[0, 0, 1]
    assert back == [((0, k, p), (k, 0, 2 - 2 * p)) for k in range(2) for p in range(2)]


def test_those_outside_an_operand_are_left_out() -> None:
    assert len(dict(products(CONV, SHAPES))[0, 0, 0]) == 4


def test_a_place_without_products_is_there() -> None:
    total = Sum(contraction("dx[2*p + r] += dy[p] * w[r]"), {"p": 2, "r": 1})
    found = dict(products(total, {"dx": (4,), "dy": (2,), "w": (1,)}))
    assert found == {
        (0,): [((0,), (0,))], (1,): [], (2,): [((1,), (0,))], (3,): [],
    }  # fmt: skip
