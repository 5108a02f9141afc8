"""Reading, printing, binding and the adjoint of formulas."""

import pytest

from rot180.notation import (
    Access,
    Affine,
    Contraction,
    Polynomial,
    contraction,
    dual,
    latex,
    point,
    span_of_axis,
    spans_of,
)

TEXT = "y[n, k, p] += x[n, c, p*stride + r*dilation - pad] * w[k, c, r]"
CONV = contraction(TEXT, doc="slide")


def test_structure() -> None:
    assert CONV.out == Access("y", tuple(map(Affine.index, "nkp")))
    assert [factor.tensor for factor in CONV.factors] == ["x", "w"]
    assert CONV.indices == ("n", "k", "p", "c", "r")
    assert CONV.parameters == {"stride", "dilation", "pad"}
    assert CONV.reduced == ("c", "r")
    assert CONV.reduction == "add"
    assert CONV.doc == "slide"
    assert not CONV.scatters
    assert CONV.adjoint("x").scatters
    assert [access.tensor for access in CONV.accesses] == ["y", "x", "w"]
    position = CONV.factors[0].axes[2]
    assert position.indices == ("p", "r")
    assert position.bare is None
    assert position.coefficient("r") == Polynomial.name("dilation")
    assert position.coefficient("n") == 0


def test_bound_formulas_hold_plain_ints() -> None:
    bound = CONV.bind(stride=2, dilation=1, pad=1)
    assert bound.factors[0].axes[2] == Affine((("p", 2), ("r", 1)), -1)
    assert bound.parameters == frozenset()
    assert CONV.bind(stride=2).bind(dilation=1).bind(pad=1) == bound


def test_a_stride_of_zero_drops_the_index_from_the_position() -> None:
    position = CONV.bind(stride=0, dilation=1, pad=0).factors[0].axes[2]
    assert position == Affine.index("r")


PRINTED = [
    (TEXT, TEXT),
    ("y[p]+=x[2*p+r-1]*w[r]", "y[p] += x[2*p + r - 1] * w[r]"),
    ("y[p] += x[(p + r)*2] * w[r]", "y[p] += x[2*p + 2*r] * w[r]"),
    ("y[p] += x[p] * w[R - 1 - r]", "y[p] += x[p] * w[R - 1 - r]"),
    ("y[p] += x[-p + 3]", "y[p] += x[3 - p]"),
    ("y[p] += x[-p - 3]", "y[p] += x[-p - 3]"),
    ("y[p] += x[p*s*d] ", "y[p] += x[p*d*s]"),
    ("y[p] += x[p*(s + 1)]", "y[p] += x[p*(s + 1)]"),
    ("y[p] += x[p - p + 2*p]", "y[p] += x[2*p]"),
    ("y[p] += x[0*p]", "y[p] += x[0]"),
    ("y[] += x[p] * w[p]", "y[] += x[p] * w[p]"),
    ("y[p] max= x[2*p + r] for r", "y[p] max= x[2*p + r] for r"),
    ("y[h, w] += x[h] * w[w]", "y[h, w] += x[h] * w[w]"),
]


@pytest.mark.parametrize(("text", "printed"), PRINTED)
def test_printing(text: str, printed: str) -> None:
    formula = contraction(text)
    assert str(formula) == printed
    assert str(contraction(printed)) == printed


def test_sizes_in_capitals_leave_an_index_standing_alone() -> None:
    formula = contraction("y[p] += x[p + r] * w[R - 1 - r]")
    assert formula.indices == ("p", "r")
    assert formula.parameters == {"R"}
    bound = formula.bind(R=3)
    assert bound.factors[1].axes == (Affine((("r", -1),), 2),)


def test_adjoints() -> None:
    assert str(CONV.adjoint("x")) == (
        "dx[n, c, p*stride + r*dilation - pad] += dy[n, k, p] * w[k, c, r]"
    )
    assert str(CONV.adjoint("w")) == (
        "dw[k, c, r] += x[n, c, p*stride + r*dilation - pad] * dy[n, k, p]"
    )
    assert CONV.adjoint("x").adjoint("dy") == CONV
    # The weight gradient's own gradient: dw's cotangent stands where w stood.
    assert CONV.adjoint("w").adjoint("dy") == CONV
    assert str(CONV.adjoint("w").adjoint("x")) == (
        "dx[n, c, p*stride + r*dilation - pad] += w[k, c, r] * dy[n, k, p]"
    )


def test_dual_names() -> None:
    assert dual("x") == "dx"
    assert dual("dx") == "x"
    assert dual("d") == "dd"


def test_extents() -> None:
    shapes = {"y": (2, 4, 5), "w": (4, 3, 2), "z": (1,)}
    assert CONV.extents(shapes) == {"n": 2, "k": 4, "p": 5, "c": 3, "r": 2}


def test_documentation_does_not_change_what_a_formula_is() -> None:
    assert contraction(TEXT, doc="other") == CONV
    assert hash(contraction(TEXT)) == hash(CONV)
    assert isinstance(CONV, Contraction)


def test_polynomials() -> None:
    a, b = Polynomial.name("a"), Polynomial.name("b")
    assert str(a * b + a * b + 3) == "2*a*b + 3"
    assert str(-a + 2 * b) == "-a + 2*b"
    assert str(a + -a) == "0"
    assert (a + 1).bind({"a": 2}).plain() == 3
    assert (a + b).bind({"a": 2}).plain() == Polynomial.of([((), 2), (("b",), 1)])
    assert sum([a, b], 0) == a + b


def test_pointing() -> None:
    text = str(CONV)
    start, end = span_of_axis(text, "x", 2)
    assert text[start:end] == "p*stride + r*dilation - pad"
    assert [text[a:b] for a, b in spans_of(text, "p")] == ["p"] * 2
    assert point("y[p] += x[p]", [(2, 3), (10, 11)]) == ("y[p] += x[p]\n  ^       ^")


def test_latex() -> None:
    assert latex(CONV) == (
        r"y_{n,\, k,\, p} \mathrel{+}= x_{n,\, c,\, p \cdot \mathit{stride}"
        r" + r \cdot \mathit{dilation} - \mathit{pad}}\, w_{k,\, c,\, r}"
    )
    adjoint = CONV.adjoint("w")
    assert latex(adjoint).startswith(r"\partial w_{k,\, c,\, r} \mathrel{+}= x_{")
    pool = contraction("y[p] max= x[p*stride_p + r] for r")
    assert latex(pool) == (
        r"y_{p} \overset{\max}{=} x_{p \cdot \mathit{stride}_{p} + r}"
    )
