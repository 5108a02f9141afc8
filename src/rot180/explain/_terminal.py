"""An explanation on a terminal: grids, equations, and what slides over what."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.rule import Rule
from rich.text import Text

from rot180.explain._blocks import Block, Entry, beside, grid
from rot180.explain._squares import Kind, Mark, Square, Squares
from rot180.explain._text import folded
from rot180.explain._words import Language, formulas_of, say, sentences, title

if TYPE_CHECKING:
    from rich.console import Console

    from rot180.explain._equations import Cell, Equation
    from rot180.explain._explained import Explained
    from rot180.explain._passes import Pass
    from rot180.explain._slide import Slide

# Blue and orange, which the colour-blind tell apart; brackets say it without colour.
_UNDER: Final = "bold white on blue"
_STYLES: Final[dict[Kind, str]] = {
    "plain": "",
    "outside": "dim",
    "first": _UNDER,
    "second": _UNDER,
    "result": "bold black on dark_orange",
}
# What is shown of one pass where all passes are: equations, and drawn places.
_MOST_EQUATIONS: Final = 16
_MOST_PLACES: Final = 400


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints an explanation.

    Attributes:
        found: What is explained.
        console: Where to.
        language: `"en"` or `"zh"`.
    """

    found: Explained
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
        squares = (square for name in names for square in self._squares.of(name))
        self._print(*beside(map(block, squares), self.console.width))

    def heading(self, part: Pass) -> None:
        """Prints what a pass computes and how."""
        self._print(Text())
        self.console.print(Rule(title(part, self.found, self.language), align="left"))
        for sentence in sentences(part, self.found, self.language):
            self._folded(Text(sentence))
        for key, formulas in formulas_of(part):
            self._folded(Text(say(key, self.language)))
            for formula in formulas:
                self._folded(Text(formula, "cyan"), indent=4)
        self._print(Text())
        if part.slide is not None and part.slide.turns:
            rotation = self._rotation(part.slide)
            self._print(*beside(rotation, self.console.width), Text())

    def cell(self, part: Pass, cell: Cell) -> None:
        """Prints one number of a pass: its operands, marked, and its equation."""
        equation = part.equation(cell)
        squares = [
            *self._squares.operands(part, equation),
            *self._squares.result(part, equation),
        ]
        self._print(*beside(map(block, squares), self.console.width))
        self._print(Text())
        self._equation(equation)

    @property
    def _squares(self) -> Squares:
        return Squares(self.found, self.language)

    def _print(self, *lines: Text) -> None:
        """Prints lines that must not be folded; a terminal that is too narrow cuts."""
        if not self.console.is_terminal:
            for line in lines:
                self.console.print(line, no_wrap=True, overflow="ignore", crop=False)
            return
        for line in lines:
            self.console.print(line, no_wrap=True, overflow="ellipsis")
        if max(line.cell_len for line in lines) > self.console.width:
            self.console.print(Text(say("cut", self.language), "italic"))

    def _folded(self, text: Text, indent: int = 0) -> None:
        """Prints a text in as many lines as it takes."""
        for row in text.wrap(self.console, self.console.width - indent):
            row.rstrip()
            row.pad_left(indent)
            self._print(row)

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
            self._folded(Text(note, "italic"))

    def _equation(self, equation: Equation) -> None:
        lines = [Text(row) for row in folded(equation, self.found, self.console.width)]
        lines[0].stylize("bold", 0, len(self.found.names.label(equation.cell)))
        self._print(*lines)

    # ------------------------------------------------------------------- sliding

    def _rotation(self, slid: Slide) -> Iterator[Block]:
        """The slider's first plane as it is, and as it lies."""
        yield block(next(self._squares.of(slid.slider or "")))
        yield Block((Text(), Text("→")))
        yield block(next(self._squares.lying(slid)))

    def _frames(self, part: Pass, slid: Slide) -> None:
        """Every step of the sliding, laid out as the result is."""
        rows = self._squares.steps(part, slid)
        for i, row in enumerate(rows):
            lines = beside(map(block, row), self.console.width)
            self._print(*([Text()] if i else []), *lines)


def block(square: Square) -> Block:
    """Returns a square as text; brackets stand around what is marked."""
    marks = [mark for row in square.rows for mark in row]
    is_spaced = any(_is_marked(mark) for mark in marks)
    entries = [[_entry(mark, is_spaced) for mark in row] for row in square.rows]
    return grid(square.name, entries)


def _is_marked(mark: Mark) -> bool:
    return mark.is_under or mark.kind not in ("plain", "outside")


def _entry(mark: Mark, is_spaced: bool) -> Entry:
    if mark.is_under:
        return f"[{mark.text}]", _UNDER
    if _is_marked(mark):
        return f"[{mark.text}]", _STYLES[mark.kind]
    return f" {mark.text} " if is_spaced else mark.text, _STYLES[mark.kind]


def _is_small(part: Pass, slid: Slide) -> bool:
    places = math.prod(track.places for track in slid.tracks)
    return len(part.equations) * places <= _MOST_PLACES
