"""An explanation on a terminal: grids, equations, and what slides over what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from rot180.explain._blocks import Block, Entry, beside, grid
from rot180.explain._equations import Cell, Equation, Position
from rot180.explain._explanation import Explanation
from rot180.explain._passes import Pass
from rot180.explain._slide import Slide, planes_read
from rot180.explain._tensors import Tensor, caption, rows_of
from rot180.explain._text import number, steps
from rot180.explain._words import Language, say, sentences, title

# Blue and orange, which the colour-blind tell apart; brackets say it without colour.
_UNDER: Final = "bold white on blue"
_RESULT: Final = "bold black on dark_orange"
_ZERO: Final = "dim"
# What is shown of one pass where all passes are: equations, and drawn places.
_MOST_EQUATIONS: Final = 16
_MOST_PLACES: Final = 400

Style: TypeAlias = Callable[[Cell], str]


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints an explanation.

    Attributes:
        found: What is explained.
        console: Where to.
        language: `"en"` or `"zh"`.
    """

    found: Explanation
    console: Console
    language: Language = "en"

    def everything(self, passes: Sequence[Pass], *, brief: bool) -> None:
        """Prints the given numbers, then each pass.

        Args:
            passes: Which passes.
            brief: Whether long lists are cut, with a word on how to see them whole.
        """
        self.operands(self.found.given)
        for part in passes:
            self.heading(part)
            self.operands([part.out])
            self._print(Text())
            self._equations(part, brief=brief)
            slid = part.slide
            if slid is not None and (not brief or _is_small(part, slid)):
                self._print(Text())
                self._frames(part, slid)

    def operands(self, names: Iterable[str]) -> None:
        """Prints tensors side by side."""
        found = self.found
        blocks = [b for name in names for b in self.blocks(found.tensors[name])]
        self._print(*beside(blocks, self.console.width))

    def heading(self, part: Pass) -> None:
        """Prints what a pass computes and how."""
        self._print(Text())
        self.console.print(Rule(title(part, self.found, self.language), align="left"))
        self._print(*map(Text, sentences(part, self.found, self.language)))
        self._print(*(Text(f"    {formula}", "cyan") for formula in part.formulas))
        if part.gathered:
            self._print(Text(say("gathered", self.language)))
            self._print(*(Text(f"    {formula}", "cyan") for formula in part.gathered))
        self._print(Text())
        if part.slide is not None and part.slide.turns:
            rotation = self._rotation(part.slide)
            self._print(*beside(rotation, self.console.width), Text())

    def cell(self, part: Pass, cell: Cell) -> None:
        """Prints one number of a pass: its operands, marked, and its equation."""
        equation = next(line for line in part.equations if line.cell == cell)
        self._print(*beside(self._pictures(part, equation), self.console.width))
        self._print(Text())
        self._equation(equation)

    def _print(self, *lines: Text) -> None:
        for line in lines:
            self.console.print(line, no_wrap=False)

    # ----------------------------------------------------------------- equations

    def _equations(self, part: Pass, *, brief: bool) -> None:
        shown = part.equations
        if brief and len(shown) > _MOST_EQUATIONS:
            shown = shown[: _MOST_EQUATIONS // 2]
        for equation in shown:
            self._equation(equation)
        rest = len(part.equations) - len(shown)
        if rest:
            indices = self.found.names.indices(part.equations[0].cell)
            first = ",".join(map(str, indices))
            note = say("more", self.language, n=rest, option=part.name, cell=first)
            self._print(Text(note, "italic"))

    def _equation(self, equation: Equation) -> None:
        """One that is too long for a line stands on several."""
        name, sides = steps(equation, self.found)
        whole = Text.assemble((name, "bold"), *(f" {sign} {s}" for sign, s in sides))
        if whole.cell_len <= self.console.width:
            self._print(whole)
            return
        table = Table.grid(padding=(0, 1))
        for i, (sign, side) in enumerate(sides):
            table.add_row(Text("" if i else name, "bold"), sign, Text(side))
        self.console.print(table)

    # --------------------------------------------------------------------- grids

    def _shown(self, cell: Cell) -> str:
        if self.found.values is None:
            return self.found.names.label(cell)
        return number(cell.value(self.found.values))

    def blocks(self, tensor: Tensor, style: Style = lambda cell: "") -> Iterator[Block]:
        """Yields the numbers of a tensor, a square for each image and channel."""
        for plane in tensor.planes():
            rows = [
                [Cell(tensor.name, tensor.at(plane, place)) for place in row]
                for row in rows_of(tensor.extents)
            ]
            entries = [[self._entry(cell, style(cell)) for cell in row] for row in rows]
            yield grid(caption(tensor, plane, self.found.names), entries)

    def _entry(self, cell: Cell, style: str) -> Entry:
        shown = self._shown(cell)
        return (f"[{shown}]" if style else shown, style)

    def _rotation(self, slid: Slide) -> Iterator[Block]:
        """The slider's first plane as it is, and as it lies."""
        tensor = self.found.tensors[slid.slider or ""]
        first = next(tensor.planes())

        def square(name: str, turn: Callable[[Position], Position]) -> Block:
            rows = [
                [Cell(tensor.name, tensor.at(first, turn(place))) for place in row]
                for row in rows_of(tensor.extents)
            ]
            return grid(name, [[(self._shown(cell), "") for cell in r] for r in rows])

        name = caption(tensor, first, self.found.names)
        yield square(name, lambda place: place)
        yield Block((Text(), Text("→")))
        yield square(say("turned", self.language, name=name), slid.turned)

    # ------------------------------------------------------------------- sliding

    def _frames(self, part: Pass, slid: Slide) -> None:
        """Every step of the sliding, laid out as the result is."""
        out = self.found.tensors[part.out]
        blocks = [self._frame(part, slid, line) for line in part.equations]
        across = out.extents[-1] if len(out.extents) > 1 else 1
        self._print(*beside(blocks, self.console.width, across))

    def _frame(self, part: Pass, slid: Slide, line: Equation) -> Block:
        """One step, on the first plane that it reads."""
        label, value = self.found.names.label(line.cell), self._shown(line.cell)
        name = label if value == label else f"{label} = {value}"
        plane, *_ = planes_read(self.found.tensors[slid.base], line)
        return self._laid(part, slid, line, plane, name)

    def _pictures(self, part: Pass, line: Equation) -> Iterator[Block]:
        """The operands of one number, and where it stands."""
        used = {cell for term in line.terms for cell in term.factors}
        tensors = self.found.tensors
        names = list(part.operands)
        if part.slide is not None:
            names.remove(part.slide.base)
            base = tensors[part.slide.base]
            for plane in planes_read(base, line):
                name = caption(base, plane, self.found.names)
                yield self._laid(part, part.slide, line, plane, name)
        for name in names:
            yield from self.blocks(tensors[name], _marks(used, _UNDER))
        yield from self.blocks(tensors[part.out], _marks({line.cell}, _RESULT))

    def _laid(
        self, part: Pass, slid: Slide, line: Equation, plane: Position, name: str
    ) -> Block:
        """The base with its zeros; brackets mark where the slider lies."""
        base, out = self.found.tensors[slid.base], self.found.tensors[part.out]
        under = slid.covered(out.place(line.cell.at))

        def entry(place: Position) -> Entry:
            reads = slid.reads(place)
            style = _ZERO if reads is None else ""
            shown = "0"
            if reads is not None:
                shown = self._shown(Cell(base.name, base.at(plane, reads)))
            if place in under:
                return f"[{shown}]", _UNDER
            return f" {shown} ", style

        rows = rows_of(tuple(len(track.reads) for track in slid.tracks))
        return grid(name, [[entry(place) for place in row] for row in rows])


def _is_small(part: Pass, slid: Slide) -> bool:
    places = len(part.equations)
    for track in slid.tracks:
        places *= len(track.reads)
    return places <= _MOST_PLACES


def _marks(cells: set[Cell], style: str) -> Style:
    return lambda cell: style if cell in cells else ""
