"""Equations as text: `dX11 = dO11*F11 = 2*3 = 6`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from rot180.explain._equations import Cell, Choice, Equation, Number, Term, Values
from rot180.explain._tensors import Names
from rot180.notation import join_terms

if TYPE_CHECKING:
    from rot180.explain._explained import Explained

# How a factor is written, and whether a choice holds.
Write: TypeAlias = Callable[[Cell], str]
Chosen: TypeAlias = Callable[[Choice], str]


def number(value: Number) -> str:
    """Returns a number, to six digits where it has many: `2`, `0.5`, `2.33333`."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e16:
        return str(int(value))
    exact = repr(float(value))
    return exact if len(exact) <= 8 else f"{value:.6g}"


def letters(equation: Equation, names: Names) -> str:
    """Returns the right side in letters: `X11*F11 + X12*F12`."""
    return _side(equation, names.label, lambda choice: _choice(choice, names))


def numbers(equation: Equation, values: Values) -> str:
    """Returns the right side in numbers: `1*2 + 3*(-1)`."""
    is_alone = stands_alone(equation)
    return _side(
        equation,
        lambda cell: _factor(cell.value(values), is_alone=is_alone),
        lambda choice: "1" if choice.holds(values) else "0",
    )


def line(equation: Equation, found: Explained) -> str:
    """Returns an equation in letters and in numbers, and its value."""
    name, sides = steps(equation, found)
    return name + "".join(f" {sign} {side}" for sign, side in sides)


def steps(equation: Equation, found: Explained) -> tuple[str, list[tuple[str, str]]]:
    """Returns a number's name and what it equals: letters, numbers, value.

    Before each stands `=`, or `≈` where a number in it is rounded.
    """
    sides = [("=", letters(equation, found.names))]
    values = found.values
    if values is not None:
        read = [cell.value(values) for term in equation.terms for cell in term.factors]
        value = equation.cell.value(values)
        sides += [
            (sign(*read), numbers(equation, values)),
            (sign(value), number(value)),
        ]
    kept = [s for i, s in enumerate(sides) if i == 0 or s[1] != sides[i - 1][1]]
    return found.names.label(equation.cell), kept


def folded(equation: Equation, found: Explained, width: int) -> list[str]:
    """Returns an equation in lines, broken before signs where it is longer than one."""
    whole = line(equation, found)
    if len(whole) <= width:
        return [whole]
    name, sides = steps(equation, found)
    lines: list[str] = []
    for sign, side in sides:
        end = f" {sign} {side}"
        if lines and side == sides[-1][1] and len(lines[-1] + end) <= width:
            lines[-1] += end
        else:
            lead = f"{'' if lines else name:{len(name)}} {sign} "
            lines += wrapped(side, width, lead)
    return lines


def wrapped(side: str, width: int, lead: str) -> list[str]:
    """Returns a text behind a lead in lines, the later ones indented as far."""
    glued = side.replace(" + ", " +\0").replace(" - ", " -\0")
    lines = textwrap.wrap(
        glued,
        max(width, 2 * len(lead)),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def sign(*values: Number) -> str:
    """Returns `=` where `number` writes all values in full, else `≈`."""
    return "=" if all(float(number(value)) == value for value in values) else "≈"


def stands_alone(equation: Equation) -> bool:
    """Whether there is but one factor, which needs no parentheses."""
    parts = [f for term in equation.terms for f in (*term.factors, term.choice) if f]
    return len(parts) == 1 or equation.reduction == "max"


def _factor(value: Number, *, is_alone: bool) -> str:
    return number(value) if is_alone or value >= 0 else f"({number(value)})"


def _side(equation: Equation, write: Write, chosen: Chosen) -> str:
    if equation.reduction == "max":
        return _maximum(equation, write)
    if not equation.terms:
        return "0"
    shared = equation.over
    terms = [
        (term.sign, _product(term, write, chosen) + _over(term.over, shared))
        for term in equation.terms
    ]
    total = join_terms(terms)
    if shared == 1:
        return total
    return f"({total})/{shared}" if len(terms) > 1 else f"{total}/{shared}"


def _over(own: int, shared: int) -> str:
    return "" if own in (1, shared) else f"/{own}"


def _product(term: Term, write: Write, chosen: Chosen) -> str:
    factors = [write(cell) for cell in term.factors]
    if term.choice is not None:
        factors.append(chosen(term.choice))
    return "*".join(factors)


def _maximum(equation: Equation, write: Write) -> str:
    inside = [write(term.factors[0]) for term in equation.terms]
    if equation.floor is not None:
        inside.append(str(equation.floor))
    return f"max({', '.join(inside)})" if inside else "-inf"


def _choice(choice: Choice, names: Names) -> str:
    """Iverson's bracket: 1 where it holds, else 0; argmax takes the first of equals."""
    cell = names.label(choice.cell)
    if choice.floor is not None:
        return f"[{cell} > {choice.floor}]"
    return f"[argmax({_list(choice.among, names)}) is {cell}]"


def _list(cells: Iterable[Cell], names: Names) -> str:
    return ", ".join(names.label(cell) for cell in cells)
