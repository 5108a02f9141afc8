"""Squares of numbers, as the terminal and the pictures draw them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from rot180.explain._equations import Cell, Equation, Position, Term
from rot180.explain._slide import Slide, planes_read
from rot180.explain._tensors import Tensor, caption, rows_of
from rot180.explain._text import number
from rot180.explain._words import Language, say, turn

if TYPE_CHECKING:
    from rot180.explain._explained import Explained
    from rot180.explain._passes import Pass

# What a number is for the one that is looked at: of the first operand, of another, or
# that one itself; or what stands where a tensor has no number.
Kind: TypeAlias = Literal["plain", "outside", "first", "second", "result"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell of a square.

    Attributes:
        text: What is written in it.
        kind: What it is for the number that is looked at.
        tap: What multiplies it.
        is_under: Whether the slider lies on it.
    """

    text: str
    kind: Kind = "plain"
    tap: str = ""
    is_under: bool = False


@dataclass(frozen=True, slots=True)
class Square:
    """One image and channel of a tensor.

    Attributes:
        name: What is written above it.
        rows: Its cells.
        covered: The places under the slider, from its first tap to its last.
    """

    name: str
    rows: list[list[Mark]]
    covered: tuple[Position, ...] = ()


@dataclass(frozen=True, slots=True)
class Squares:
    """Makes the squares of an explanation."""

    found: Explained
    language: Language = "en"

    def shown(self, cell: Cell) -> str:
        """Returns what stands in a cell: its number, or its name."""
        if self.found.values is None:
            return self.found.names.label(cell)
        return number(cell.value(self.found.values))

    def headed(self, equation: Equation) -> str:
        """Returns the name of a number and, where it has one, its value."""
        label, value = self.found.names.label(equation.cell), self.shown(equation.cell)
        return label if value == label else f"{label} = {value}"

    def of(
        self, name: str, kind: Callable[[Cell], Kind] = lambda cell: "plain"
    ) -> Iterator[Square]:
        """Yields the squares of a tensor."""
        tensor = self.found.tensors[name]
        for plane in tensor.planes():
            yield self._square(tensor, plane, kind)

    def lying(
        self, slid: Slide, kind: Callable[[Cell], Kind] = lambda cell: "plain"
    ) -> Iterator[Square]:
        """Yields the squares of what slides, rotated where it lies so."""
        tensor = self.found.tensors[slid.slider or ""]
        for plane in tensor.planes():
            square = self._square(tensor, plane, kind, slid.turned)
            name = square.name
            if slid.turns:
                name = say(f"lying.{turn(slid)}", self.language, name=name)
            yield Square(name, square.rows)

    def read(
        self, part: Pass, name: str, kind: Callable[[Cell], Kind] = lambda cell: "plain"
    ) -> Iterator[Square]:
        """Yields the squares of an operand of a pass, as they lie in it."""
        if part.slide is not None and name == part.slide.slider:
            return self.lying(part.slide, kind)
        return self.of(name, kind)

    def _square(
        self,
        tensor: Tensor,
        plane: Position,
        kind: Callable[[Cell], Kind],
        turn: Callable[[Position], Position] = lambda place: place,
    ) -> Square:
        rows = [
            [Cell(tensor.name, tensor.at(plane, turn(place))) for place in row]
            for row in rows_of(tensor.extents)
        ]
        marks = [[Mark(self.shown(c), kind(c)) for c in row] for row in rows]
        return Square(caption(tensor, plane, self.found.names), marks)

    def operands(self, part: Pass, equation: Equation) -> Iterator[Square]:
        """Yields all that makes one number, as it lies; before it what lies still."""
        names, slid = list(part.operands), part.slide
        used = {cell for term in equation.terms for cell in term.factors}

        def second(cell: Cell) -> Kind:
            return "second" if cell in used else "plain"

        def first(cell: Cell) -> Kind:
            return "first" if cell in used else "plain"

        if slid is None:
            yield from self.of(names.pop(0), first)
        else:
            base = self.found.tensors[slid.base]
            for plane in planes_read(base, equation):
                name = caption(base, plane, self.found.names)
                yield self.ground(part, slid, equation, plane, name)
            names.remove(base.name)
        for name in names:
            yield from self.read(part, name, second)

    def result(self, part: Pass, equation: Equation) -> Iterator[Square]:
        """Yields what is computed, the one number marked."""
        return self.of(
            part.out, lambda cell: "result" if cell == equation.cell else "plain"
        )

    def steps(self, part: Pass, slid: Slide) -> list[list[Square]]:
        """Returns every step of the sliding, in rows as the result has them.

        Where a step reads several images or channels, these are a row.
        """
        steps = [list(self._step(part, slid, line)) for line in part.equations]
        if any(len(step) > 1 for step in steps):
            return steps
        extents = self.found.tensors[part.out].extents
        across = extents[-1] if len(extents) > 1 else 1
        squares = [step[0] for step in steps]
        return [squares[i : i + across] for i in range(0, len(squares), across)]

    def _step(self, part: Pass, slid: Slide, equation: Equation) -> Iterator[Square]:
        """Each plane that one number reads; the first is headed by the number."""
        base = self.found.tensors[slid.base]
        planes, head = planes_read(base, equation), self.headed(equation)
        for cell in self._beside(slid, equation):
            head += say("with", self.language, name=self.found.names.label(cell))
        for plane in planes:
            name = caption(base, plane, self.found.names) if len(planes) > 1 else ""
            shown = ": ".join(text for text in (head, name) if text)
            yield self.ground(part, slid, equation, plane, shown)
            head = ""

    def _beside(self, slid: Slide, equation: Equation) -> Iterator[Cell]:
        """What is added without lying on the base: the bias."""
        for term in equation.terms:
            if all(cell.tensor != slid.base for cell in term.factors):
                yield from term.factors

    def ground(
        self, part: Pass, slid: Slide, equation: Equation, plane: Position, name: str
    ) -> Square:
        """Returns the base with what stands around it, and the slider on it."""
        base = self.found.tensors[slid.base]
        result = self.found.tensors[part.out].place(equation.cell.at)
        covered = slid.covered(result)
        counts = {c for term in self._counting(equation) for c in term.factors}
        taps = self._taps(slid, equation)
        over_nothing = self._over_nothing(slid, result)

        def mark(place: Position) -> Mark:
            reads, is_under = slid.reads(place), place in under
            if reads is None:
                tap = over_nothing.get(place, "")
                return Mark(number(slid.outside), "outside", tap, is_under)
            cell = Cell(base.name, base.at(plane, reads))
            kind: Kind = "first" if cell in counts else "plain"
            return Mark(self.shown(cell), kind, taps.get(cell, ""), is_under)

        under = set(covered)
        rows = rows_of(tuple(track.places for track in slid.tracks))
        return Square(name, [[mark(place) for place in row] for row in rows], covered)

    def _counting(self, equation: Equation) -> Iterator[Term]:
        """The terms that are not zero because a maximum took something else."""
        values = self.found.values
        for term in equation.terms:
            if term.choice is None or values is None or term.choice.holds(values):
                yield term

    def _over_nothing(self, slid: Slide, result: Position) -> dict[Position, str]:
        """What would multiply each place under the slider, if there is no doubt."""
        if slid.slider is None:
            return {}
        slider = self.found.tensors[slid.slider]
        plane, *others = slider.planes()
        if others:
            return {}
        lying = itertools.product(*(range(track.taps) for track in slid.tracks))
        cells = (Cell(slider.name, slider.at(plane, slid.turned(tap))) for tap in lying)
        places = zip(slid.covered(result), cells, strict=True)
        return {place: f"×{self.shown(cell)}" for place, cell in places}

    def _taps(self, slid: Slide, equation: Equation) -> dict[Cell, str]:
        """What multiplies each cell of the base."""
        found = {}
        for term in equation.terms:
            others = [c for c in term.factors if c.tensor == slid.slider]
            for cell in term.factors:
                if cell.tensor == slid.base and others:
                    found[cell] = f"×{self.shown(others[0])}"
        return found
