"""Pictures of passes, as SVG: what slides over what, step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from rot180.errors import ArgumentError
from rot180.explain._squares import Mark, Square, Squares
from rot180.explain._text import folded
from rot180.explain._words import Language, say, title

if TYPE_CHECKING:
    from rot180.explain._equations import Cell, Equation, Position
    from rot180.explain._explained import Explained
    from rot180.explain._passes import Pass
    from rot180.explain._slide import Slide

_CELL: Final = 40  # height of a cell, and its width unless numbers need more
_GAP: Final = 26
_TOP: Final = 22  # above a square, for its name
_MARGIN: Final = 12
# Steps that are drawn at most in one picture.
MOST_STEPS: Final = 100
_STYLE: Final = """
text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1b2128; }
.name { font-weight: 600; } .title { font-size: 15px; font-weight: 600; }
.formula { font-family: ui-monospace, "DejaVu Sans Mono", monospace; }
.number { text-anchor: middle; } .sign { font-size: 20px; text-anchor: middle; }
.tap { font-size: 11px; font-weight: 600; fill: #9a5700; text-anchor: middle; }
.plain { fill: #ffffff; stroke: #c9d1db; }
.outside { fill: #f1f3f6; stroke: #c9d1db; } .outside-text { fill: #6b7581; }
.first { fill: #d8ebf8; stroke: #00639c; stroke-width: 2; }
.second { fill: #fdebc8; stroke: #9a5700; stroke-width: 2; stroke-dasharray: 5 3; }
.result { fill: #cdeee2; stroke: #00694e; stroke-width: 3; }
.frame { fill: none; stroke: #9a5700; stroke-width: 3; }
.paper { fill: #ffffff; }
"""


# Pixels of a column of text, by class; letters of a fixed width are exact.
_WIDTHS: Final = {"title": 8.8, "name": 8.0, "formula": 7.9, "number": 8.0, "sign": 20}
_FORMULA: Final = 110  # columns of the longest line


@dataclass(slots=True)
class Drawing:
    """Elements, and how far they reach.

    Attributes:
        cell: Width of a cell.
    """

    cell: float
    elements: list[ElementTree.Element] = field(default_factory=list)
    width: float = 0
    height: float = 0

    def add(self, tag: str, text: str = "", **attributes: object) -> None:
        """Adds an element; `kind` is its class."""
        attributes["class"] = attributes.pop("kind", "")
        names = {name.replace("_", "-"): str(v) for name, v in attributes.items()}
        element = ElementTree.Element(tag, names)
        element.text = text or None
        self.elements.append(element)

    def write(self, x: float, y: float, text: str, kind: str) -> float:
        """Adds a line of text; returns where it ends."""
        from rich.cells import cell_len

        self.add("text", text, x=x, y=y, kind=kind)
        end = x + _WIDTHS[kind] * cell_len(text)
        self.reach(end, y + 4)
        return end

    def reach(self, x: float, y: float) -> None:
        """Notes that something stands so far to the right and below."""
        self.width, self.height = max(self.width, x), max(self.height, y)

    def square(self, x: float, y: float, square: Square) -> tuple[float, float]:
        """Draws a square of cells under its name; returns its right and lower end."""
        named = self.write(x, y + 14, square.name, "name")
        top = y + _TOP
        for i, row in enumerate(square.rows):
            for j, mark in enumerate(row):
                self._cell(x + j * self.cell, top + i * _CELL, mark)
        if square.covered:
            self._frame(square.covered, x, top)
        right = x + self.cell * max(map(len, square.rows), default=0)
        self.reach(right, top + len(square.rows) * _CELL)
        return max(right, named), top + len(square.rows) * _CELL

    def _cell(self, x: float, y: float, mark: Mark) -> None:
        inset = 1.5 if mark.kind in ("first", "second", "result") else 0
        self.add("rect", x=x + inset, y=y + inset, width=self.cell - 2 * inset,
                 height=_CELL - 2 * inset, kind=mark.kind)  # fmt: skip
        middle, lift = x + self.cell / 2, 5 if mark.tap else 0
        kind = "number outside-text" if mark.kind == "outside" else "number"
        self.add("text", mark.text, x=middle, y=y + 25 - lift, kind=kind)
        if mark.tap:
            self.add("text", mark.tap, x=middle, y=y + _CELL - 5, kind="tap")

    def _frame(self, covered: Sequence[Position], x: float, y: float) -> None:
        """A frame from the first tap to the last; one row in one dimension."""
        (top, left), (low, right) = ((0, *at)[-2:] for at in (covered[0], covered[-1]))
        self.add(
            "rect",
            x=x + left * self.cell,
            y=y + top * _CELL,
            width=(right - left + 1) * self.cell,
            height=(low - top + 1) * _CELL,
            rx=4,
            kind="frame",
        )


def svg(
    found: Explained,
    passes: Iterable[Pass],
    cells: Sequence[tuple[Pass, Cell]] = (),
    language: Language = "en",
) -> str:
    """Returns a picture of passes, step by step, or of single numbers.

    Args:
        found: The explanation.
        passes: The passes to draw, one below the other.
        cells: Numbers to draw instead, each with its pass.
        language: Of the titles.

    Raises:
        ArgumentError: There are too many steps for one picture.
    """
    artist = _Artist(found, language, Drawing(_width(found)))
    drawn: list[tuple[Pass, Cell | None]] = list(cells)
    drawn = drawn or [(part, None) for part in passes]
    y: float = _MARGIN
    for part, cell in drawn:
        y = artist.one(part, cell, y) + _GAP
    return _document(
        artist.drawing, [title(part, found, language) for part, _ in drawn]
    )


def _width(found: Explained) -> float:
    """Width of a cell that holds each number, and each as a factor."""
    squares = Squares(found)
    cells = (cell for tensor in found.tensors.values() for cell in tensor.cells())
    longest = max(len(squares.shown(cell)) for cell in cells)
    return max(_CELL, 8 * longest + 8)


def _document(drawing: Drawing, titles: Iterable[str]) -> str:
    width, height = round(drawing.width + _MARGIN), round(drawing.height + _MARGIN)
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
        },
    )
    ElementTree.SubElement(root, "title").text = "; ".join(titles)
    ElementTree.SubElement(root, "style").text = _STYLE
    size = {"width": str(width), "height": str(height), "class": "paper"}
    ElementTree.SubElement(root, "rect", size)
    root.extend(drawing.elements)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


@dataclass(frozen=True, slots=True)
class _Artist:
    """Draws passes of an explanation, each below the last; says where each ends."""

    found: Explained
    language: Language
    drawing: Drawing

    def one(self, part: Pass, cell: Cell | None, y: float) -> float:
        """Draws a pass, or one number of it."""
        self.drawing.write(
            _MARGIN, y + 14, title(part, self.found, self.language), "title"
        )
        y += _GAP
        for formula in part.formulas:
            text = formula + say("from_zero", self.language)
            self.drawing.write(_MARGIN, y + 12, text, "formula")
            y += 20
        y += 6
        if cell is not None:
            return self._number(part, part.equation(cell), y)
        y = self._whole(part, y)
        return y if part.slide is None else self._steps(part, part.slide, y + 10)

    def _whole(self, part: Pass, y: float) -> float:
        """What is read, as it lies, and what is computed from it."""
        squares = self._squares
        read = chain.from_iterable(squares.read(part, name) for name in part.operands)
        return self._equation(read, squares.of(part.out), "→", y)

    def _number(self, part: Pass, equation: Equation, y: float) -> float:
        squares = self._squares
        read, result = squares.operands(part, equation), squares.result(part, equation)
        y = self._equation(read, result, "=", y) + 22
        for row in folded(equation, self.found, _FORMULA):
            self.drawing.write(_MARGIN, y, row, "formula")
            y += 18
        return y

    def _equation(
        self, read: Iterable[Square], result: Iterable[Square], sign: str, y: float
    ) -> float:
        x, low = self._row(read, _MARGIN, y)
        self.drawing.write(x, y + _TOP + 24, sign, "sign")
        _, end = self._row(result, x + _GAP, y)
        return max(low, end)

    def _steps(self, part: Pass, slid: Slide, y: float) -> float:
        """All steps, laid out as the result is."""
        if len(part.equations) > MOST_STEPS:
            raise ArgumentError(
                f"explain: {part.out} takes {len(part.equations)} steps, at most "
                f"{MOST_STEPS} are drawn\n"
                "  Ask for single numbers (--cell), or use a smaller input."
            )
        for row in self._squares.steps(part, slid):
            _, y = self._row(row, _MARGIN, y)
            y += 10
        return y

    def _row(
        self, squares: Iterable[Square], x: float, y: float
    ) -> tuple[float, float]:
        """Draws squares side by side; returns where the next would stand, and below."""
        low = y
        for square in squares:
            right, end = self.drawing.square(x, y, square)
            x, low = right + _GAP, max(low, end)
        return x, low

    @property
    def _squares(self) -> Squares:
        return Squares(self.found, self.language)
