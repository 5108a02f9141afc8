"""LaTeX and MathML say what the text says; SymPy's derivative is the gradient."""

import numpy as np
import pytest
from explain_cases import Example, draw
from formula_reader import compute, place
from laws_of_explain import numbers_of
from markup_readers import Naming, from_latex, from_mathml
from sweeps import parts

from rot180 import explain

pytest.importorskip("sympy", reason="prints LaTeX and MathML: pip install sympy")

CHUNKS, EACH = 10, 50


def _explained(example: Example, count_from: int) -> explain.Explanation:
    return explain.explain(
        values=example.given, count_from=count_from, **example.parameters
    )


@pytest.mark.parametrize("chunk", parts(CHUNKS, 2))
def test_latex_and_mathml_of_five_hundred_examples(chunk: int) -> None:
    rng = np.random.default_rng([500, chunk])
    for _ in range(EACH):
        example = draw(rng)
        found = _explained(example, int(rng.integers(2)))
        naming = Naming(found.names.compact, found.names.count_from)
        lookup, symbols = numbers_of(example, found), explain.Symbols(found)
        for part in found.passes:
            for line in part.equations:
                expected = lookup(place(found.names.label(line.cell)))
                name, sides = symbols.latex(line)
                assert lookup(place(from_latex(name, naming))) == expected
                for sign, side in sides:
                    if sign == "=":
                        plain = from_latex(side, naming)
                        assert float(compute(plain, lookup)) == expected, plain
                both = from_mathml(symbols.mathml(line), naming)
                name, _, letters = both.partition("=")
                assert lookup(place(name)) == expected
                plain = _is(letters)
                assert float(compute(plain, lookup)) == expected, plain


def _is(text: str) -> str:
    return text.replace("=", " is ").replace("∞", "inf")


PROOFS, PROVED = 6, 50


@pytest.mark.parametrize("chunk", parts(PROOFS, 2))
def test_sympys_derivative_of_three_hundred_examples(chunk: int) -> None:
    rng = np.random.default_rng([300, chunk])
    for _ in range(PROVED):
        example = draw(rng)
        proofs = explain.prove(_explained(example, 1))
        gradients = {f"d{name}" for name in example.given} & set(example.right)
        assert sorted(proof.out for proof in proofs) == sorted(gradients)
        for proof in proofs:
            assert len(proof.holds) == example.right[proof.out].size
            assert all(proof.holds.values()), (example.parameters, proof)
