"""Every message of the notation."""

import pytest

from rot180.errors import InternalError, NotationError
from rot180.notation import (
    Affine,
    contraction,
    evaluate_pieces,
    span_of_axis,
)


def test_the_whole_message() -> None:
    with pytest.raises(NotationError) as caught:
        contraction("y[p] += x[p r] * w[r]")
    assert str(caught.value) == (
        "notation: expected ',' or ']', found 'r'\n"
        "    y[p] += x[p r] * w[r]\n"
        "                ^\n"
        "  Write it like y[n, p] += x[n, p*stride + r] * w[r]."
    )


UNREADABLE = [
    ("", r"expected a tensor's name, found the end"),
    ("y", r"expected '\[' after 'y', found the end"),
    ("y[p]", r"expected '\+=' or 'max=', found the end"),
    ("y[p] = x[p]", r"'=' has no meaning here"),
    ("y[p] += x[p", r"expected ',' or '\]', found the end"),
    ("y[p] += x[p*]", r"expected an index, a parameter or a number, found '\]'"),
    ("y[p] += x[2*(p + 1]", r"expected '\)', found '\]'"),
    ("y[p] += x[p] w[p]", r"expected '\*', 'for' or the end, found 'w'"),
    ("y[p] += x[p] for", r"expected an index, found the end"),
    ("y[p] += x[p] for r", r"index 'r' occurs nowhere"),
    ("y[p] += x[p] * x[p]", r"tensor 'x' occurs twice\n(.*\n)+  Give every operand"),
    (
        "y[p] += x[p*r] * w[r]",
        r"indices p and r are multiplied\n.*\n {14}\^\n  A posit",
    ),
    ("y[p] += x[p] $", r"'\$' has no meaning here"),
]


@pytest.mark.parametrize(("text", "message"), UNREADABLE)
def test_unreadable(text: str, message: str) -> None:
    with pytest.raises(NotationError, match=message):
        contraction(text)


CONV = contraction("y[p] += x[p*stride + r - pad] * w[r]")


def test_bind_unknown() -> None:
    message = r"bind: 'dilation' is not a parameter\n.*\n  Its parameters: pad, stride"
    with pytest.raises(NotationError, match=message):
        CONV.bind(dilation=2)
    with pytest.raises(NotationError, match="Its parameters: none"):
        CONV.bind(stride=1, pad=0).bind(stride=1)


def test_adjoint_of_nothing() -> None:
    with pytest.raises(NotationError, match=r"'z' is not a factor\n.*\n  Its .* x, w"):
        CONV.adjoint("z")


def test_adjoint_of_a_maximum() -> None:
    pool = contraction("y[p] max= x[2*p + r] for r")
    with pytest.raises(NotationError, match=r"a maximum has no adjoint formula"):
        pool.adjoint("x")
    with pytest.raises(NotationError, match=r"gather: only a sum can be rewritten"):
        pool.gather()


def test_gather_needs_numbers() -> None:
    with pytest.raises(NotationError, match=r"stride has no value yet\n  Bind"):
        CONV.adjoint("x").gather()


def test_gather_refuses_what_it_cannot_invert() -> None:
    formula = contraction("y[p + r + s] += x[p] * w[r, s]")
    with pytest.raises(NotationError, match=r"p \+ r \+ s holds more than two indices"):
        formula.gather()
    formula = contraction("y[p + r] += x[2*p + r] for p, r")
    with pytest.raises(NotationError, match=r"position p \+ r cannot be inverted\n"):
        formula.gather()
    formula = contraction("y[r, 2*p + r] += x[p] * w[r]")
    with pytest.raises(NotationError, match=r"index 'r' stands on two axes"):
        formula.gather()
    with pytest.raises(NotationError, match=r"gather: position p cannot be inverted"):
        contraction("y[p, p] += x[p]").gather()


def test_extents_disagree() -> None:
    with pytest.raises(NotationError, match=r"index 'r' has two extents, 3 and 4"):
        contraction("y[p] += x[p + r] * w[r] * v[r]").extents({"w": (3,), "v": (4,)})
    with pytest.raises(NotationError, match=r"extents: w has 2 axes for 1\n"):
        CONV.extents({"w": (3, 3)})


def test_pieces_must_be_whole() -> None:
    pieces = contraction("x[2*p] += y[p]").gather()
    operands = {"y": {(0,): 1, (1,): 2}}
    extents = {"p": 2}
    with pytest.raises(NotationError, match=r"position \(0,\) is written twice"):
        evaluate_pieces([*pieces, pieces[0]], operands, extents, (4,))
    with pytest.raises(NotationError, match=r"position \(1,\) is never written"):
        evaluate_pieces(pieces[:1], operands, extents, (4,))


def test_no_such_axis_is_our_own_fault() -> None:
    with pytest.raises(InternalError, match=r"no axis 3 of x in y\[p\]"):
        span_of_axis("y[p] += x[p]", "x", 3)


def test_positions_need_numbers() -> None:
    stride = CONV.factors[0].axes[0]
    with pytest.raises(NotationError, match="has no value yet"):
        stride.at({"p": 1, "r": 0})
    assert Affine.index("p").at({"p": 3}) == 3
