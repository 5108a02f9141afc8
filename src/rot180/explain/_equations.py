"""Every number of a tensor as a sum over the numbers of others, term by term."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Literal, TypeAlias

from rot180.notation import Sum, products

Number: TypeAlias = int | float
Position: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One number of a tensor: the tensor's name, and where in it."""

    tensor: str
    at: Position

    def value(self, values: Values) -> Number:
        """Returns the number that stands there."""
        return values[self.tensor][self.at]


class Values(dict[str, Mapping[Position, Number]]):
    """Numbers by tensor and position; and which of them each maximum took."""

    def __init__(
        self, known: Mapping[str, Mapping[Position, Number]] | None = None
    ) -> None:
        """Starts with the numbers that are known; more may be put in."""
        super().__init__(known or {})
        self._taken: dict[Cell, Cell | None] = {}

    def taken(self, choice: Choice) -> Cell | None:
        """Returns what the maximum of a choice is: a cell, None for the floor."""
        if choice.of not in self._taken:
            best = max(choice.among, key=lambda cell: cell.value(self))
            is_above = choice.floor is None or best.value(self) > choice.floor
            self._taken[choice.of] = best if is_above else None
        return self._taken[choice.of]


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether a maximum took `cell`: it is the first of the greatest.

    Attributes:
        cell: One of `among`.
        of: The maximum.
        among: What it is chosen from; of equal ones the first stands.
        floor: A number that comes before them all; None if there is none.
    """

    cell: Cell
    of: Cell
    among: tuple[Cell, ...]
    floor: int | None = None

    def holds(self, values: Values) -> bool:
        """Returns whether it is so with these numbers."""
        return values.taken(self) == self.cell


@dataclass(frozen=True, slots=True)
class Term:
    """One product of an equation: `sign * factors / over`, where `choice` holds.

    Attributes:
        factors: The numbers that are multiplied.
        sign: 1 or -1.
        over: What the product is divided by, as in average pooling.
        choice: Where it does not hold the term is zero; None if it always counts.
    """

    factors: tuple[Cell, ...]
    sign: int = 1
    over: int = 1
    choice: Choice | None = None

    def product(self, values: Values) -> Number:
        """Returns the term with these numbers, not yet divided."""
        if self.choice is not None and not self.choice.holds(values):
            return 0
        return self.sign * math.prod(cell.value(values) for cell in self.factors)


@dataclass(frozen=True, slots=True)
class Equation:
    """What one number of a tensor is.

    Attributes:
        cell: The number.
        terms: What it is made of; products that read outside an operand are left out.
        reduction: Whether the terms are added, or the greatest of them stands.
        floor: Of a maximum: a number that it is not below; None if there is none.
    """

    cell: Cell
    terms: tuple[Term, ...]
    reduction: Literal["add", "max"] = "add"
    floor: int | None = None

    @property
    def over(self) -> int:
        """What all terms are divided by; 1 if not all by the same."""
        divisors = {term.over for term in self.terms}
        return divisors.pop() if len(divisors) == 1 else 1

    def value(self, values: Values) -> Number:
        """Returns the number, from those of the operands."""
        if self.reduction == "max":
            products = [term.product(values) for term in self.terms]
            least = -math.inf if self.floor is None else self.floor
            return max([least, *products])
        if self.over != 1:
            return sum(term.product(values) for term in self.terms) / self.over
        return sum(_shared(term, values) for term in self.terms)


def _shared(term: Term, values: Values) -> Number:
    product = term.product(values)
    return product if term.over == 1 else product / term.over


def positions(shape: Sequence[int]) -> Iterator[Position]:
    """Yields the positions of a tensor in row-major order."""
    return itertools.product(*(range(extent) for extent in shape))


def _cells(tensor: str, shapes: Shapes) -> dict[Position, Cell]:
    return {at: Cell(tensor, at) for at in positions(shapes[tensor])}


def equations(parts: Sequence[Sum], shapes: Shapes) -> tuple[Equation, ...]:
    """Returns the equation of every number of what `parts` write together.

    Args:
        parts: Sums, or one maximum, that write to the same tensor.
        shapes: The shapes of that tensor and of all operands.
    """
    found: dict[Position, list[Term]] = {}
    for part in parts:
        cells = [_cells(factor.tensor, shapes) for factor in part.formula.factors]
        for at, places in products(part, shapes):
            found.setdefault(at, []).extend(
                Term(tuple(map(getitem, cells, product))) for product in places
            )
    out, reduction = parts[0].formula.out.tensor, parts[0].formula.reduction
    return tuple(
        Equation(Cell(out, at), tuple(terms), reduction) for at, terms in found.items()
    )
