"""An explanation in files: text, Markdown, MathML, JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from rot180.errors import ArgumentError
from rot180.explain._document import command, document
from rot180.explain._equations import Cell, Equation
from rot180.explain._squares import Squares
from rot180.explain._symbols import Symbols
from rot180.explain._text import folded
from rot180.explain._words import Language, formulas_of, say, sentences, title

if TYPE_CHECKING:
    from rot180.explain._explained import Explained
    from rot180.explain._passes import Pass

# Single numbers, each with its pass; all of the passes where there are none.
Cells = Sequence[tuple["Pass", Cell]]
# Of a line of text.
_COLUMNS: Final = 88
_WIDEST: Final = 10_000


def to_text(found: Explained, language: Language = "en", width: int = _COLUMNS) -> str:
    """Returns what the terminal shows, without colours."""
    if not isinstance(width, int) or not 1 <= width <= _WIDEST:
        raise ArgumentError(
            f"explain: width={width!r} is not a number of columns from 1 to {_WIDEST}"
        )
    from rich.console import Console

    from rot180.explain._terminal import Printer

    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None, highlight=False)
    Printer(found, console, language).everything(found.passes, brief=True)
    return "\n".join(row.rstrip() for row in page.getvalue().splitlines()) + "\n"


def to_json(found: Explained) -> str:
    """Returns the document with every term list, see `rot180.explain.document`."""
    return json.dumps(document(found), ensure_ascii=False) + "\n"


def to_markdown(
    found: Explained,
    passes: Sequence[Pass] | None = None,
    cells: Cells = (),
    language: Language = "en",
) -> str:
    """Returns passes as Markdown: words, formulas, numbers and equations.

    Args:
        found: The explanation.
        passes: Which passes; all if None.
        cells: Single numbers of them; all if there are none.
        language: Of the words.
    """
    return "\n".join(_markdown(found, passes, cells, language))


def _markdown(
    found: Explained, passes: Sequence[Pass] | None, cells: Cells, language: Language
) -> Iterator[str]:
    name = say(f"layer.{found.setting.layer}", language)
    yield f"# {name[0].upper()}{name[1:]}\n"
    yield f"    {command_of(found, passes, cells)}\n"
    if found.values is not None:
        yield from _fenced(_grids(found, found.given))
    for part, equations in chosen(found, passes, cells):
        yield f"## {title(part, found, language)}\n"
        yield "  \n".join(sentences(part, found, language)) + "\n"
        for key, formulas in formulas_of(part):
            yield say(key, language) + "\n"
            yield from _fenced(formulas)
        if found.values is not None:
            yield from _fenced(_grids(found, [part.out]))
        yield from _fenced(
            [row for one in equations for row in folded(one, found, _COLUMNS)]
        )


def command_of(found: Explained, passes: Sequence[Pass] | None, cells: Cells) -> str:
    """Returns the command line, with the options that choose passes and a number."""
    passes = found.passes if passes is None else passes
    words, names = [command(found)], {part.name for part in passes}
    if len(names) == 1 and len(passes) < len(found.passes):
        words.append(f"--pass {names.pop()}")
    if cells:
        indices = found.names.indices(cells[0][1])
        words.append(f"--cell {','.join(map(str, indices))}")
    return " ".join(words)


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    yield "```text"
    yield from lines
    yield "```\n"


def _grids(found: Explained, names: Sequence[str]) -> list[str]:
    """Returns tensors side by side, as lines of text."""
    from rot180.explain._blocks import beside
    from rot180.explain._terminal import block

    squares = (square for name in names for square in Squares(found).of(name))
    return [row.plain for row in beside(map(block, squares), _COLUMNS)]


def chosen(
    found: Explained, passes: Sequence[Pass] | None, cells: Cells
) -> Iterator[tuple[Pass, list[Equation]]]:
    """Yields the passes that are asked for, each with its equations; all if None.

    With single numbers, only passes that have one, and its equation.
    """
    for part in found.passes if passes is None else passes:
        wanted = [cell for of, cell in cells if of is part]
        equations = [e for e in part.equations if not cells or e.cell in wanted]
        if equations:
            yield part, equations


# -------------------------------------------------------------------------- MathML


def to_mathml(
    found: Explained,
    passes: Sequence[Pass] | None = None,
    cells: Cells = (),
    language: Language = "en",
) -> str:
    """Returns passes as a page of MathML, an element for each number, in letters.

    The arguments are those of `to_markdown`.

    Raises:
        MissingPackageError: SymPy, which prints the equations, is not installed.
    """
    return "\n".join(_mathml(found, passes, cells, language)) + "\n"


def _mathml(
    found: Explained, passes: Sequence[Pass] | None, cells: Cells, language: Language
) -> Iterator[str]:
    symbols = Symbols(found)
    name = escape(say(f"layer.{found.setting.layer}", language))
    yield f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">'
    yield f"<title>{name}</title>"
    yield f"<p><code>{escape(command_of(found, passes, cells))}</code></p>"
    for part, equations in chosen(found, passes, cells):
        yield f"<h2>{escape(title(part, found, language))}</h2>"
        for text in sentences(part, found, language):
            yield f"<p>{escape(text)}</p>"
        for equation in equations:
            yield f"<p>{symbols.mathml(equation)}</p>"
    yield "</html>"
