"""The article the project began from, row by row, as `rot180 explain` tells it.

Its layer: one channel, X 3x3, F 2x2, no padding, stride 1. `golden/test_article.py`
holds the kernels to the same rows.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from explain_cases import array_of
from scipy import signal

from rot180 import explain

ARTICLE = explain.explain()
FORWARD, FILTER, INPUT = ARTICLE.passes
FLIPPED = explain.explain(flip=True)


X, F, DO = (array_of(ARTICLE, name) for name in ("X", "F", "dO"))


def _equations(found: explain.Explanation, out: str) -> dict[str, str]:
    (part,) = [part for part in found.passes if part.out == out]
    return {
        found.names.label(line.cell): explain.letters(line, found.names)
        for line in part.equations
    }


def test_s1_forward_is_the_correlation_of_x_and_f() -> None:
    assert ARTICLE.tensors["X"].extents == (3, 3)
    assert ARTICLE.tensors["F"].extents == ARTICLE.tensors["O"].extents == (2, 2)
    assert _equations(ARTICLE, "O") == {
        "O11": "X11*F11 + X12*F12 + X21*F21 + X22*F22",
        "O12": "X12*F11 + X13*F12 + X22*F21 + X23*F22",
        "O21": "X21*F11 + X22*F12 + X31*F21 + X32*F22",
        "O22": "X22*F11 + X23*F12 + X32*F21 + X33*F22",
    }
    expected = signal.correlate2d(X, F, mode="valid")
    np.testing.assert_array_equal(array_of(ARTICLE, "O"), expected)
    assert "O is the correlation of X with F." in explain.sentences(FORWARD, ARTICLE)


def test_s2_true_convolution_rotates_f_first() -> None:
    forward = FLIPPED.passes[0]
    assert forward.slide is not None
    assert forward.slide.turns
    turned = [forward.slide.turned(place) for place in np.ndindex(2, 2)]
    assert turned == [(1, 1), (1, 0), (0, 1), (0, 0)]  # left-right, then up-down
    assert "F rotated" in FLIPPED.text()
    expected = signal.convolve2d(X, F, mode="valid")
    np.testing.assert_array_equal(array_of(FLIPPED, "O"), expected)


def test_s3_the_forward_pass_slides_f_over_x() -> None:
    """Visits exactly the four positions of F on X, row by row."""
    slide = FORWARD.slide
    assert slide is not None
    assert (slide.base, slide.slider, slide.turns) == ("X", "F", False)
    visited = [slide.covered(line.cell.at[2:]) for line in FORWARD.equations]
    assert visited == [
        ((0, 0), (0, 1), (1, 0), (1, 1)),
        ((0, 1), (0, 2), (1, 1), (1, 2)),
        ((1, 0), (1, 1), (2, 0), (2, 1)),
        ((1, 1), (1, 2), (2, 1), (2, 2)),
    ]
    assert [track.reads for track in slide.tracks] == [(0, 1, 2)] * 2  # no padding


def test_s4_the_filter_gradient_by_the_chain_rule() -> None:
    """Each dE/dF is the sum over O of dE/dO times dO/dF; SymPy differentiates E."""
    pytest.importorskip("sympy", reason="differentiates the error")
    filter_proof, _ = explain.prove(ARTICLE)
    assert filter_proof.holds == dict.fromkeys(["dF11", "dF12", "dF21", "dF22"], True)
    name, sides = explain.Symbols(ARTICLE).latex(FILTER.equations[0])
    assert name == r"\frac{\partial E}{\partial F_{11}}"
    assert r"X_{11} \frac{\partial E}{\partial O_{11}} + X_{12}" in sides[0][1]


def test_s5_the_four_equations_of_the_filter_gradient() -> None:
    assert _equations(ARTICLE, "dF") == {
        "dF11": "X11*dO11 + X12*dO12 + X21*dO21 + X22*dO22",
        "dF12": "X12*dO11 + X13*dO12 + X22*dO21 + X23*dO22",
        "dF21": "X21*dO11 + X22*dO12 + X31*dO21 + X32*dO22",
        "dF22": "X22*dO11 + X23*dO12 + X32*dO21 + X33*dO22",
    }


def test_s5_as_misprinted_they_are_wrong() -> None:
    misprinted = X[:2, :2] * DO.sum()
    assert (misprinted != array_of(ARTICLE, "dF")).any()


def test_s6_the_filter_gradient_is_a_correlation() -> None:
    assert "dF is the correlation of X with dO." in explain.sentences(FILTER, ARTICLE)
    expected = signal.correlate2d(X, DO, mode="valid")
    np.testing.assert_array_equal(array_of(ARTICLE, "dF"), expected)
    assert FILTER.formulas == ("dF[r, s] += X[p + r, q + s] * dO[p, q]",)


def test_s6b_the_nine_equations_of_the_input_gradient() -> None:
    assert _equations(ARTICLE, "dX") == {
        "dX11": "dO11*F11",
        "dX12": "dO11*F12 + dO12*F11",
        "dX13": "dO12*F12",
        "dX21": "dO11*F21 + dO21*F11",
        "dX22": "dO11*F22 + dO12*F21 + dO21*F12 + dO22*F11",
        "dX23": "dO12*F22 + dO22*F12",
        "dX31": "dO21*F21",
        "dX32": "dO21*F22 + dO22*F21",
        "dX33": "dO22*F22",
    }


def test_s7_the_input_gradient_is_the_full_correlation_with_the_rotated_filter() -> (
    None
):
    said = explain.sentences(INPUT, ARTICLE)
    assert said[1] == (
        "dX is the full correlation of dO with the rotated F, which is the full true "
        "convolution with F as it is."
    )
    assert INPUT.gathered == ("dX[h, w] += dO[h - r, w - s] * F[r, s]",)
    dx = array_of(ARTICLE, "dX")
    np.testing.assert_array_equal(dx, signal.correlate2d(DO, F[::-1, ::-1]))
    np.testing.assert_array_equal(dx, signal.convolve2d(DO, F))


def test_s7_with_flip_the_roles_turn() -> None:
    _, weight, inputs = FLIPPED.passes
    assert "dF comes out rotated" in explain.sentences(weight, FLIPPED)[2]
    assert "dX uses it as it is" in explain.sentences(inputs, FLIPPED)[1]
    assert inputs.slide is not None
    assert not inputs.slide.turns
    np.testing.assert_array_equal(
        array_of(FLIPPED, "dF"), array_of(ARTICLE, "dF")[::-1, ::-1]
    )
    np.testing.assert_array_equal(array_of(FLIPPED, "dX"), signal.correlate2d(DO, F))


def test_s8_the_full_convolution_as_a_process() -> None:
    """The rotated filter visits its nine places on the padded dO, corner to corner."""
    slide = INPUT.slide
    assert slide is not None
    assert (slide.base, slide.slider, slide.turns) == ("dO", "F", True)
    assert [track.reads for track in slide.tracks] == [(None, 0, 1, None)] * 2
    visited = [slide.covered(line.cell.at[2:]) for line in INPUT.equations]
    assert visited == [
        tuple((i + r, j + s) for r in range(2) for s in range(2))
        for i in range(3)
        for j in range(3)
    ]
    first, last = visited[0], visited[-1]
    assert [place for place in first if slide.reads(place)] == [(1, 1)]  # one corner
    assert [place for place in last if slide.reads(place)] == [(2, 2)]


def test_s9_one_definition_serves_all_passes() -> None:
    products = {
        part.out: {
            frozenset(cell.tensor.removeprefix("d") for cell in term.factors)
            for line in part.equations
            for term in line.terms
        }
        for part in ARTICLE.passes
    }
    assert products == {"O": {frozenset("XF")}, "dF": {frozenset("XO")},
                        "dX": {frozenset("OF")}}  # fmt: skip
    count = {part.out: sum(len(e.terms) for e in part.equations)
             for part in ARTICLE.passes}  # fmt: skip
    assert set(count.values()) == {16}  # the same loops, another operand left out


@pytest.mark.parametrize("layer", ["max_pool", "avg_pool", "relu"])
def test_s10_pooling_and_relu_by_the_chain_rule(layer: str) -> None:
    found = explain.explain(layer=layer)
    pytest.importorskip("sympy", reason="differentiates the error")
    (proof,) = explain.prove(found)
    assert proof.out == "dX"
    assert all(proof.holds.values())


def test_s11_a_whole_network_by_the_chain_rule() -> None:
    found = explain.explain(layer="network")
    outs = [part.out for part in found.passes]
    assert outs == ["O", "A", "P", "D", "E", "dP", "dA", "dO", "dF", "dX"]
    chained = [explain.sentences(part, found)[-1] for part in found.passes[6:]]
    assert all(text.startswith("By the chain rule, ") for text in chained)
    pytest.importorskip("sympy", reason="differentiates the error")
    assert all(all(proof.holds.values()) for proof in explain.prove(found))


ROWS = ("s1", "s2", "s3", "s4", "s5", "s6", "s6b", "s7", "s8", "s9", "s10", "s11")


def test_every_row_has_a_test_that_names_it() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"^def test_(s\d+b?)_", text, re.MULTILINE))
    assert named == set(ROWS)
