"""Pictures of passes, as SVG: what slides over what, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree

from rot180.errors import ArgumentError
from rot180.explain._equations import Cell, Equation, Position, Term
from rot180.explain._explanation import Explanation
from rot180.explain._passes import Pass
from rot180.explain._slide import Slide, planes_read
from rot180.explain._tensors import caption, rows_of
from rot180.explain._text import line, number
from rot180.explain._words import Language, say, title

_CELL: Final = 34
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
.tap { font-size: 9px; font-weight: 600; fill: #9a5700; text-anchor: middle; }
.cell { fill: #ffffff; stroke: #c9d1db; }
.zero { fill: #f1f3f6; stroke: #c9d1db; } .zero-text { fill: #6b7581; }
.first { fill: #d8ebf8; stroke: #00639c; stroke-width: 2; }
.second { fill: #fdebc8; stroke: #9a5700; stroke-width: 2; stroke-dasharray: 5 3; }
.result { fill: #cdeee2; stroke: #00694e; stroke-width: 3; }
.frame { fill: none; stroke: #9a5700; stroke-width: 3; }
.ground { fill: #ffffff; }
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell of a picture.

    Attributes:
        text: What is written in it.
        kind: Its class in the style.
        tap: What multiplies it, in small letters below.
    """

    text: str
    kind: str = "cell"
    tap: str = ""


@dataclass(slots=True)
class Drawing:
    """Elements, and how far they reach."""

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

    def write(self, x: float, y: float, text: str, kind: str) -> None:
        """Adds a line of text."""
        self.add("text", text, x=x, y=y, kind=kind)
        self.reach(x + 7.9 * len(text), y + 4)

    def reach(self, x: float, y: float) -> None:
        """Notes that something stands so far to the right and below."""
        self.width, self.height = max(self.width, x), max(self.height, y)

    def square(
        self, x: float, y: float, name: str, rows: Sequence[Sequence[Mark]]
    ) -> tuple[float, float]:
        """Draws a square of cells under its name; returns its right and lower end."""
        self.write(x, y + 14, name, "name")
        top = y + _TOP
        for i, row in enumerate(rows):
            for j, mark in enumerate(row):
                self._cell(x + j * _CELL, top + i * _CELL, mark)
        right = x + _CELL * max(map(len, rows), default=0)
        self.reach(right, top + len(rows) * _CELL)
        return right, top + len(rows) * _CELL

    def _cell(self, x: float, y: float, mark: Mark) -> None:
        inset = 1.5 if mark.kind in ("first", "second", "result") else 0
        size = _CELL - 2 * inset
        self.add("rect", x=x + inset, y=y + inset, width=size, height=size,
                 kind=mark.kind)  # fmt: skip
        lift = 5 if mark.tap else 0
        zero = " zero-text" if mark.kind == "zero" else ""
        shrink: dict[str, object] = {}
        if len(mark.text) > 4:
            shrink = {"textLength": _CELL - 4, "lengthAdjust": "spacingAndGlyphs"}
        self.add("text", mark.text, x=x + _CELL / 2, y=y + 22 - lift,
                 kind="number" + zero, **shrink)  # fmt: skip
        if mark.tap:
            self.add("text", mark.tap, x=x + _CELL / 2, y=y + _CELL - 4, kind="tap")


def svg(
    found: Explanation,
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
    artist = _Artist(found, language, Drawing())
    drawn: list[tuple[Pass, Cell | None]] = list(cells)
    drawn = drawn or [(part, None) for part in passes]
    y: float = _MARGIN
    for part, cell in drawn:
        y = artist.one(part, cell, y) + _GAP
    return _document(
        artist.drawing, [title(part, found, language) for part, _ in drawn]
    )


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
    size = {"width": str(width), "height": str(height), "class": "ground"}
    ElementTree.SubElement(root, "rect", size)
    root.extend(drawing.elements)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


@dataclass(frozen=True, slots=True)
class _Artist:
    """Draws passes of an explanation."""

    found: Explanation
    language: Language
    drawing: Drawing

    def one(self, part: Pass, cell: Cell | None, y: float) -> float:
        """Draws a pass, or one number of it; returns where it ends below."""
        self.drawing.write(
            _MARGIN, y + 14, title(part, self.found, self.language), "title"
        )
        y += _GAP
        for formula in part.formulas:
            self.drawing.write(_MARGIN, y + 12, formula, "formula")
            y += 20
        y += 6
        if cell is not None:
            equation = next(e for e in part.equations if e.cell == cell)
            return self._number(part, equation, y)
        if part.slide is None:
            return self._plain(part, y)
        return self._steps(part, part.slide, y)

    # -------------------------------------------------------------- a whole pass

    def _plain(self, part: Pass, y: float) -> float:
        x, low = float(_MARGIN), y
        for name in part.operands:
            x, low = self._row(self._squares(name), x, y, low)
        self.drawing.write(x, y + _TOP + 24, "→", "sign")
        _, low = self._row(self._squares(part.out), x + _GAP, y, low)
        return low

    def _steps(self, part: Pass, slid: Slide, y: float) -> float:
        """All steps, laid out as the result is; before them the slider as it lies."""
        if len(part.equations) > MOST_STEPS:
            raise ArgumentError(
                f"explain: {part.out} takes {len(part.equations)} steps, at most "
                f"{MOST_STEPS} are drawn\n  Pass --cell for one, or a smaller input."
            )
        if slid.turns:
            x, low = self._row(self._turned(slid), _MARGIN, y, y)
            y = low + 10
        across = self.found.tensors[part.out].extents
        per_row = across[-1] if len(across) > 1 else 1
        x, low = float(_MARGIN), y
        for i, equation in enumerate(part.equations):
            if i and i % per_row == 0:
                x, y = float(_MARGIN), low + 10
            x, end = self._ground(part, slid, equation, (x, y), self._headed(equation))
            x, low = x + _GAP, max(low, end)
        return low

    def _headed(self, equation: Equation) -> str:
        label = self.found.names.label(equation.cell)
        if self.found.values is None:
            return label
        return f"{label} = {number(equation.cell.value(self.found.values))}"

    # ---------------------------------------------------------------- one number

    def _number(self, part: Pass, equation: Equation, y: float) -> float:
        x, low = float(_MARGIN), y
        used = {cell for term in equation.terms for cell in term.factors}
        names = list(part.operands)
        if part.slide is not None:
            base = self.found.tensors[part.slide.base]
            names.remove(base.name)
            for plane in planes_read(base, equation):
                name = caption(base, plane, self.found.names)
                x, end = self._ground(part, part.slide, equation, (x, y), name, plane)
                x, low = x + _GAP, max(low, end)
        for name in names:
            is_first = part.slide is None and name == part.operands[0]
            squares = self._squares(
                name, _marks(used, "first" if is_first else "second")
            )
            x, low = self._row(squares, x, y, low)
        self.drawing.write(x, y + _TOP + 24, "=", "sign")
        squares = self._squares(part.out, _marks({equation.cell}, "result"))
        x, low = self._row(squares, x + _GAP, y, low)
        self.drawing.write(_MARGIN, low + 22, line(equation, self.found), "formula")
        return low + 26

    # -------------------------------------------------------------------- squares

    def _row(
        self,
        squares: Iterable[tuple[str, list[list[Mark]]]],
        x: float,
        y: float,
        low: float,
    ) -> tuple[float, float]:
        for name, rows in squares:
            right, end = self.drawing.square(x, y, name, rows)
            x, low = max(right, x + 8 * len(name)) + _GAP, max(low, end)
        return x, low

    def _squares(
        self, name: str, kind: Callable[[Cell], str] = lambda cell: "cell"
    ) -> Iterator[tuple[str, list[list[Mark]]]]:
        tensor = self.found.tensors[name]
        for plane in tensor.planes():
            rows = [
                [Cell(name, tensor.at(plane, place)) for place in row]
                for row in rows_of(tensor.extents)
            ]
            marks = [[Mark(self._shown(c), kind(c)) for c in row] for row in rows]
            yield caption(tensor, plane, self.found.names), marks

    def _turned(self, slid: Slide) -> Iterator[tuple[str, list[list[Mark]]]]:
        tensor = self.found.tensors[slid.slider or ""]
        for plane in tensor.planes():
            rows = [
                [
                    Cell(tensor.name, tensor.at(plane, slid.turned(place)))
                    for place in row
                ]
                for row in rows_of(tensor.extents)
            ]
            marks = [[Mark(self._shown(c), "second") for c in row] for row in rows]
            name = caption(tensor, plane, self.found.names)
            yield say("turned", self.language, name=name), marks

    def _ground(
        self,
        part: Pass,
        slid: Slide,
        equation: Equation,
        corner: tuple[float, float],
        name: str,
        plane: Position | None = None,
    ) -> tuple[float, float]:
        """Draws the base with its zeros, and a frame where the slider lies."""
        base = self.found.tensors[slid.base]
        plane = planes_read(base, equation)[0] if plane is None else plane
        result = self.found.tensors[part.out].place(equation.cell.at)
        counts = {c for term in self._counting(equation) for c in term.factors}
        taps, over_zeros = self._taps(slid, equation), self._over_zeros(slid, result)

        def mark(place: Position) -> Mark:
            reads = slid.reads(place)
            if reads is None:
                return Mark("0", "zero", over_zeros.get(place, ""))
            cell = Cell(base.name, base.at(plane, reads))
            kind = "first" if cell in counts else "cell"
            return Mark(self._shown(cell), kind, taps.get(cell, ""))

        extents = tuple(len(track.reads) for track in slid.tracks)
        rows = [[mark(place) for place in row] for row in rows_of(extents)]
        right, end = self.drawing.square(*corner, name, rows)
        self._frame(slid.covered(result), corner)
        return right, end

    def _counting(self, equation: Equation) -> Iterator[Term]:
        """The terms that are not zero because a maximum took something else."""
        for term in equation.terms:
            chosen = term.choice is None or self.found.values is None
            if chosen or (term.choice and term.choice.holds(self.found.values or {})):
                yield term

    def _over_zeros(self, slid: Slide, result: Position) -> dict[Position, str]:
        """What would multiply each place under the slider, if there is no doubt."""
        if slid.slider is None:
            return {}
        slider = self.found.tensors[slid.slider]
        plane, *others = slider.planes()
        lying = itertools.product(*(range(track.taps) for track in slid.tracks))
        cells = (Cell(slider.name, slider.at(plane, slid.turned(tap))) for tap in lying)
        if others:
            return {}
        places = zip(slid.covered(result), cells, strict=True)
        return {place: f"×{self._shown(cell)}" for place, cell in places}

    def _taps(self, slid: Slide, equation: Equation) -> dict[Cell, str]:
        """What multiplies each cell of the base."""
        found = {}
        for term in equation.terms:
            others = [c for c in term.factors if c.tensor == slid.slider]
            for cell in term.factors:
                if cell.tensor == slid.base and others:
                    found[cell] = f"×{self._shown(others[0])}"
        return found

    def _frame(self, covered: Sequence[Position], corner: tuple[float, float]) -> None:
        """A frame from the first tap to the last; one row in one dimension."""
        (top, left), (low, right) = ((0, *at)[-2:] for at in (covered[0], covered[-1]))
        self.drawing.add(
            "rect",
            x=corner[0] + left * _CELL,
            y=corner[1] + _TOP + top * _CELL,
            width=(right - left + 1) * _CELL,
            height=(low - top + 1) * _CELL,
            rx=4,
            kind="frame",
        )

    def _shown(self, cell: Cell) -> str:
        if self.found.values is None:
            return self.found.names.label(cell)
        return number(cell.value(self.found.values))


def _marks(cells: Iterable[Cell], kind: str) -> Callable[[Cell], str]:
    marked = set(cells)
    return lambda cell: kind if cell in marked else "cell"
