"""Equations in SymPy: LaTeX, MathML, and a proof by differentiating the error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rot180.explain._equations import Cell, Choice, Equation, Number, Term, Values
from rot180.explain._extra import need
from rot180.explain._passes import Pass
from rot180.explain._text import number, stands_alone, steps
from rot180.notation import dual

if TYPE_CHECKING:
    from rot180.explain._explained import Explained

# Expressions of SymPy, which has no types.
Expression = Any


class Symbols:
    """Writes the equations of an explanation with SymPy's printers.

    Raises:
        MissingPackageError: SymPy is not installed.
    """

    def __init__(self, found: Explained) -> None:
        self._sympy = need("sympy")
        self._found = found
        self._latex: dict[Expression, str] = {}

    # --------------------------------------------------------------------- LaTeX

    def latex(self, equation: Equation) -> tuple[str, list[tuple[str, str]]]:
        """Returns a number's name and what it equals, as LaTeX, each with its sign.

        A gradient is written as the derivative that it is.
        """
        values = self._found.values
        letters = _Writer(self._letter, self._bracket)
        sides = [self._printed(self._side(equation, letters))]
        if values is not None:
            numbers = self._numbers(equation, values)
            sides += [self._printed(self._side(equation, numbers), mul_symbol="dot")]
            sides += [self._printed(self._number(equation.cell.value(values), "alone"))]
        _, plain = steps(equation, self._found)
        signs = {"=": "=", "≈": r"\approx"}
        kept = [side for i, side in enumerate(sides) if side != ([None, *sides])[i]]
        name = self._printed(self._letter(equation.cell))
        return name, [(signs[s], k) for (s, _), k in zip(plain, kept, strict=True)]

    def _printed(self, side: Expression, **options: str) -> str:
        text: str = self._sympy.latex(
            side, order="none", symbol_names=self._latex, **options
        )
        return text

    def _numbers(self, equation: Equation, values: Values) -> _Writer:
        where = "alone" if stands_alone(equation) else "factor"
        return _Writer(
            lambda cell: self._number(cell.value(values), where),
            lambda choice: self._number(int(choice.holds(values)), "factor"),
        )

    def _letter(self, cell: Cell) -> Expression:
        """A symbol that is printed as LaTeX writes it."""
        symbol = self._sympy.Symbol(self._found.names.label(cell))
        of = cell.tensor
        if of.startswith("d"):
            below = self._subscript(dual(of), cell)
            self._latex[symbol] = rf"\frac{{\partial E}}{{\partial {below}}}"
        else:
            self._latex[symbol] = self._subscript(of, cell)
        return symbol

    def _subscript(self, tensor: str, cell: Cell) -> str:
        letter, index = tensor[0], tensor[1:]
        name = f"{letter}^{{({index})}}" if index else letter
        indices = self._indices(cell)
        return f"{name}_{{{indices}}}" if indices else name

    def _indices(self, cell: Cell) -> str:
        """What stands below: `12`, or `1,12` where that is not clear."""
        names = self._found.names
        return ("" if names.compact else ",").join(map(str, names.indices(cell)))

    def _number(self, value: Number, where: str) -> Expression:
        """A number as it is, for SymPy would compute with it."""
        text = number(value).replace("-inf", r"-\infty")
        if "e" in text:
            digits, _, exponent = text.partition("e")
            text = rf"{digits} \cdot 10^{{{int(exponent)}}}"
        symbol = self._sympy.Symbol(f"number {text} {where}")
        in_brackets = value < 0 and where == "factor"
        self._latex[symbol] = rf"\left({text}\right)" if in_brackets else text
        return symbol

    # ----------------------------------------------------------------- MathML

    def mathml(self, equation: Equation) -> str:
        """Returns an equation in letters as presentation MathML, one element."""
        sympy = self._sympy
        side = self._side(equation, _Writer(self._symbol, self._bracket_of_symbols))
        whole = sympy.Eq(self._symbol(equation.cell), side, evaluate=False)
        text: str = sympy.mathml(whole, printer="presentation", order="none")
        # SymPy writes no sign between equal factors, and an entity that needs a DTD.
        text = text.replace("</msub><msub>", "</msub><mo>&InvisibleTimes;</mo><msub>")
        plain = text.replace("&InvisibleTimes;", "\u2062")
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{plain}</math>'

    def _symbol(self, cell: Cell) -> Expression:
        """A symbol with its indices below."""
        indices = self._indices(cell)
        name = f"{cell.tensor}_{indices}" if indices else cell.tensor
        return _named(self._sympy)(name)

    # ------------------------------------------------------------ expressions

    def _side(self, equation: Equation, write: _Writer) -> Expression:
        sympy = self._sympy
        if equation.reduction == "max":
            inside = [write.cell(term.factors[0]) for term in equation.terms]
            inside += [] if equation.floor is None else [sympy.Integer(equation.floor)]
            return sympy.Function("max")(*inside) if inside else -sympy.oo
        if not equation.terms:
            return sympy.Integer(0)
        over = equation.over
        terms = [self._term(term, write, over) for term in equation.terms]
        total = terms[0] if len(terms) == 1 else sympy.Add(*terms, evaluate=False)
        return self._shared(total, over)

    def _shared(self, total: Expression, over: int) -> Expression:
        if over == 1:
            return total
        share = self._sympy.Rational(1, over)
        return self._sympy.Mul(share, total, evaluate=False)

    def _term(self, term: Term, write: _Writer, shared: int) -> Expression:
        sympy = self._sympy
        factors = [write.cell(cell) for cell in term.factors]
        if term.choice is not None:
            factors.append(write.choice(term.choice))
        if term.sign < 0:
            factors.insert(0, sympy.Integer(-1))
        product = (
            factors[0] if len(factors) == 1 else sympy.Mul(*factors, evaluate=False)
        )
        return self._shared(product, 1 if term.over == shared else term.over)

    def _bracket(self, choice: Choice) -> Expression:
        return self._iverson(choice, self._letter)

    def _bracket_of_symbols(self, choice: Choice) -> Expression:
        return self._iverson(choice, self._symbol)

    def _iverson(
        self, choice: Choice, write: Callable[[Cell], Expression]
    ) -> Expression:
        """Iverson's bracket: 1 where the choice holds, else 0."""
        sympy, bracket = self._sympy, _bracket(self._sympy)
        cell = write(choice.cell)
        if choice.floor is not None:
            return bracket(sympy.Gt(cell, choice.floor, evaluate=False))
        among = sympy.Function("argmax")(*map(write, choice.among))
        return bracket(sympy.Eq(among, cell, evaluate=False))


@dataclass(frozen=True, slots=True)
class _Writer:
    """How a number and a choice become expressions."""

    cell: Callable[[Cell], Expression]
    choice: Callable[[Choice], Expression]


@cache
def _named(sympy: Any) -> Any:
    """Returns a SymPy symbol that is printed as its name says: `O1_2,3`.

    SymPy's own takes the digits of the name for another index.
    """

    class Named(sympy.Symbol):  # type: ignore[misc]
        """A number of a tensor, its indices below."""

        def _mathml_presentation(self, printer: Any) -> Any:
            name, _, indices = self.name.partition("_")
            if not indices:
                return _leaf(printer, "mi", name)
            node, below = map(printer.dom.createElement, ("msub", "mrow"))
            for i, index in enumerate(indices.split(",")):
                if i:
                    below.appendChild(_leaf(printer, "mo", ","))
                below.appendChild(_leaf(printer, "mn", index))
            node.appendChild(_leaf(printer, "mi", name))
            node.appendChild(below)
            return node

    return Named


@cache
def _bracket(sympy: Any) -> Any:
    """Returns SymPy's function whose argument is printed in square brackets."""

    class Bracket(sympy.Function):  # type: ignore[misc]
        """1 where a condition holds, else 0."""

        def _latex(self, printer: Any, exp: Any = None) -> str:
            return rf"\left[{printer.doprint(self.args[0])}\right]"

        def _mathml_presentation(self, printer: Any) -> Any:
            row = printer.dom.createElement("mrow")
            row.appendChild(_leaf(printer, "mo", "["))
            row.appendChild(printer._print(self.args[0]))
            row.appendChild(_leaf(printer, "mo", "]"))
            return row

    return Bracket


def _leaf(printer: Any, tag: str, text: str) -> Any:
    """Returns an element of MathML that holds a text."""
    node = printer.dom.createElement(tag)
    node.appendChild(printer.dom.createTextNode(text))
    return node


@dataclass(frozen=True, slots=True)
class Proof:
    """A gradient held against SymPy's derivative of the error.

    Attributes:
        out: The gradient, such as `dF`.
        holds: For each of its numbers, by name: whether the derivative is the same.
    """

    out: str
    holds: dict[str, bool]


def prove(found: Explained, passes: Sequence[Pass] | None = None) -> tuple[Proof, ...]:
    """Differentiates the error by everything that is given, and compares.

    The error is that of a network, or else `E = sum of dO * O`, whose gradient with
    respect to `O` is `dO`. Both sides are polynomials in the given numbers, and have to
    be the same. Where there is a maximum, they are those that hold around the numbers
    of the explanation.

    Args:
        found: The explanation.
        passes: Those whose gradients are compared; all if None.

    Raises:
        MissingPackageError: SymPy is not installed.
    """
    algebra = _Algebra(found)
    error = algebra.error()
    return tuple(
        Proof(part.out, dict(algebra.compared(part, error)))
        for part in (found.passes if passes is None else passes)
        if part.name.endswith("_grad") and dual(part.out) in found.given
    )


class _Algebra:
    """All numbers as polynomials in those that are given."""

    def __init__(self, found: Explained) -> None:
        sympy = need("sympy")
        self._found = found
        self._values = found.numbered().values or Values()
        names = found.names
        cells = [c for name in found.given for c in found.tensors[name].cells()]
        labels = [sympy.Symbol(names.label(cell)) for cell in cells]
        self._ring, *generators = sympy.ring(labels, sympy.QQ)
        self._known: dict[Cell, Expression] = dict(zip(cells, generators, strict=True))
        for part in found.passes:
            for equation in part.equations:
                self._known[equation.cell] = self._polynomial(equation)

    def _polynomial(self, equation: Equation) -> Expression:
        if equation.reduction == "max":
            return self._greatest(equation)
        total = self._ring.zero
        for term in equation.terms:
            if term.choice is not None and not term.choice.holds(self._values):
                continue
            product = self._ring.one * term.sign
            for cell in term.factors:
                product *= self._known[cell]
            total += product.quo_ground(self._ring.domain(term.over))
        return total

    def _greatest(self, equation: Equation) -> Expression:
        """The polynomial of the number that a maximum takes, the first of equals."""
        cells = [term.factors[0] for term in equation.terms]
        best = max(cells, key=lambda cell: cell.value(self._values), default=None)
        floor = equation.floor
        if best is None or (floor is not None and best.value(self._values) <= floor):
            return self._ring.zero
        return self._known[best]

    def error(self) -> Expression:
        """Returns the error that the gradients are of."""
        if self._found.setting.layer == "network":
            return self._known[Cell("E", ())]
        output = self._found.passes[0]
        total = self._ring.zero
        for equation in output.equations:
            slope = Cell(dual(output.out), equation.cell.at)
            total += self._known[slope] * self._known[equation.cell]
        return total

    def compared(self, part: Pass, error: Expression) -> Iterator[tuple[str, bool]]:
        """Yields whether each number of a gradient is the derivative of the error."""
        for equation in part.equations:
            of = Cell(dual(part.out), equation.cell.at)
            derivative = error.diff(self._known[of])
            label = self._found.names.label(equation.cell)
            yield label, derivative == self._known[equation.cell]
