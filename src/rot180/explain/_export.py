"""An explanation in files: text, Markdown, LaTeX, JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence

from rot180.explain._document import command, document
from rot180.explain._equations import Cell, Equation
from rot180.explain._explanation import Explanation
from rot180.explain._passes import Pass
from rot180.explain._symbols import Symbols
from rot180.explain._text import line
from rot180.explain._words import Language, say, sentences, title
from rot180.notation import latex

# Single numbers, each with its pass; all of the passes where there are none.
Cells = Sequence[tuple[Pass, Cell]]


def to_text(
    found: Explanation,
    language: Language = "en",
    width: int = 88,
    *,
    brief: bool = True,
) -> str:
    """Returns what the terminal shows, without colours."""
    from rich.console import Console

    from rot180.explain._terminal import Printer

    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None, highlight=False)
    Printer(found, console, language).everything(found.passes, brief=brief)
    return "\n".join(row.rstrip() for row in page.getvalue().splitlines()) + "\n"


def to_json(found: Explanation) -> str:
    """Returns the document with every term list, see `rot180.explain.document`."""
    return json.dumps(document(found), ensure_ascii=False) + "\n"


def to_markdown(
    found: Explanation,
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
    shown = found.passes if passes is None else passes
    return "\n".join(_markdown(found, shown, cells, language))


def _markdown(
    found: Explanation, passes: Sequence[Pass], cells: Cells, language: Language
) -> Iterator[str]:
    yield f"# {say(f'layer.{found.setting.layer}', language).capitalize()}\n"
    yield f"    {command(found)}\n"
    if found.values is not None:
        yield from _fenced(grids(found, found.given))
    for part in passes:
        equations = _chosen(part, cells)
        if not equations:
            continue
        yield f"## {title(part, found, language)}\n"
        yield "  \n".join(sentences(part, found, language)) + "\n"
        yield from _fenced(part.formulas)
        if part.gathered:
            yield say("gathered", language) + "\n"
            yield from _fenced(part.gathered)
        if found.values is not None:
            yield from _fenced(grids(found, [part.out]))
        yield from _fenced([line(equation, found) for equation in equations])


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    yield "```text"
    yield from lines
    yield "```\n"


def grids(found: Explanation, names: Sequence[str], width: int = 88) -> list[str]:
    """Returns tensors side by side, as lines of text."""
    from rich.console import Console

    from rot180.explain._blocks import beside
    from rot180.explain._terminal import Printer

    printer = Printer(found, Console(file=io.StringIO()))
    blocks = [b for name in names for b in printer.blocks(found.tensors[name])]
    return [row.plain for row in beside(blocks, width)]


def _chosen(part: Pass, cells: Cells) -> list[Equation]:
    wanted = [cell for of, cell in cells if of is part]
    return [e for e in part.equations if not cells or e.cell in wanted]


def to_latex(
    found: Explanation,
    passes: Sequence[Pass] | None = None,
    cells: Cells = (),
    language: Language = "en",
) -> str:
    r"""Returns passes as LaTeX, to stand in a document that loads amsmath.

    The arguments are those of `to_markdown`.

    Raises:
        MissingPackageError: SymPy, which prints the equations, is not installed.
    """
    shown = found.passes if passes is None else passes
    return "\n".join(_latex(found, shown, cells, language)) + "\n"


def _latex(
    found: Explanation, passes: Sequence[Pass], cells: Cells, language: Language
) -> Iterator[str]:
    symbols = Symbols(found)
    yield f"% {command(found)}"
    yield r"% needs \usepackage{amsmath}"
    for part in passes:
        equations = _chosen(part, cells)
        if not equations:
            continue
        yield ""
        yield rf"\paragraph{{{title(part, found, language)}}}"
        yield from sentences(part, found, language)
        for formula in part.contractions:
            yield rf"\[ {latex(formula)} \]"
        yield r"\begin{align*}"
        rows = [_aligned(symbols.latex(equation)) for equation in equations]
        yield " \\\\\n".join(rows)
        yield r"\end{align*}"


def _aligned(equation: tuple[str, list[tuple[str, str]]]) -> str:
    name, sides = equation
    return f"  {name} " + " \\\\\n  ".join(f"&{sign} {side}" for sign, side in sides)
