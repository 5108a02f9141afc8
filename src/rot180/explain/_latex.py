"""An explanation as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rot180 import ops
from rot180.explain._export import Cells, chosen, command_of
from rot180.explain._symbols import Symbols
from rot180.explain._words import Language, formulas_of, say, sentences, title

if TYPE_CHECKING:
    from rot180.explain._explained import Explained
    from rot180.explain._passes import Pass

# Letters and signs of a line, as it is read.
_WIDE: Final = 50
_NAME: Final = re.compile(r"\b(d?)([A-Z]\d*|b\d*)\b(?:\[([^\]]*)\])?")
_WORD: Final = re.compile(r"\b(argmax|count)\[([^\]]*)\]")
_SIGNS: Final = {
    " += ": r" \mathrel{+}= ",
    " max= ": r" \overset{\max}{=} ",
    " max(": r" \max(",
    " * ": r"\, ",
    " at ": r" \quad\text{at } ",
    " for ": r" \quad\text{for } ",
    "*": "",
}
# What takes no room, and what takes as much as a letter.
_SILENT: Final = re.compile(r"\\(?:left|right|operatorname|frac|mathrel)\b|[{}_^\s]")
_COMMAND: Final = re.compile(r"\\[a-zA-Z]+|\\.")
_DEPTH: Final = {"{": 1, "}": -1, r"\left": 1, r"\right": -1}


def to_latex(
    found: Explained,
    passes: Sequence[Pass] | None = None,
    cells: Cells = (),
    language: Language = "en",
) -> str:
    r"""Returns passes as LaTeX, to stand in a document that loads amsmath.

    The arguments are those of `to_markdown`. Chinese needs ctex besides.

    Raises:
        MissingPackageError: SymPy, which prints the equations, is not installed.
    """
    return "\n".join(_latex(found, passes, cells, language)) + "\n"


def _latex(
    found: Explained, passes: Sequence[Pass] | None, cells: Cells, language: Language
) -> Iterator[str]:
    symbols = Symbols(found)
    packages = "amsmath" if ops.is_among(language, ("en",)) else "amsmath,ctex"
    yield f"% {command_of(found, passes, cells)}"
    yield rf"% needs \usepackage{{{packages}}}"
    for part, equations in chosen(found, passes, cells):
        yield ""
        yield rf"\paragraph{{{title(part, found, language)}}}"
        yield from sentences(part, found, language)
        for key, formulas in formulas_of(part):
            yield say(key, language)
            yield from _displayed("gather*", [f"  {formula(f)}" for f in formulas])
        rows = [row for one in equations for row in _aligned(*symbols.latex(one))]
        yield from _displayed("align*", rows)


def _displayed(environment: str, rows: Sequence[str]) -> Iterator[str]:
    yield rf"\begin{{{environment}}}"
    yield " \\\\\n".join(rows)
    yield rf"\end{{{environment}}}"


def formula(text: str) -> str:
    """Returns a formula of the notation as LaTeX, gradients as derivatives."""
    shown = _NAME.sub(_name, _WORD.sub(r"\\operatorname{\1}[\2]", text))
    for plain, sign in _SIGNS.items():
        shown = shown.replace(plain, sign)
    return shown


def _name(match: re.Match[str]) -> str:
    """`F2[r]` as `F^{(2)}_{r}`, and `dF2[r]` as the derivative of E by that."""
    d, name, indices = match.groups()
    letter = f"{name[0]}^{{({name[1:]})}}" if name[1:] else name
    below = letter if indices is None else f"{letter}_{{{indices}}}"
    return rf"\frac{{\partial E}}{{\partial {below}}}" if d else below


def _aligned(name: str, sides: Sequence[tuple[str, str]]) -> Iterator[str]:
    """An equation in rows: its letters, its numbers, its value, each in so many."""
    for number, (sign, side) in enumerate(sides):
        lead = "" if number else f"{name} "
        for i, row in enumerate(broken(side)):
            yield f"  {lead}&{sign} {row}" if i == 0 else rf"  &\quad {row}"
            lead = ""


def broken(side: str) -> list[str]:
    """Returns a side in rows, broken before signs that stand in no bracket."""
    rows = [""]
    for part in _terms(side):
        if rows[-1] and _length(rows[-1]) + _length(part) > _WIDE:
            rows.append("")
        rows[-1] += part if rows[-1] else part.lstrip()
    return rows


def _terms(side: str) -> Iterator[str]:
    """A side cut before its signs, but for one that it begins with."""
    depth, begin = 0, 0
    for match in re.finditer(r"\\[a-zA-Z]+|[{}]|(?<=.) [+-] ", side):
        token = match.group()
        if token in _DEPTH:
            depth += _DEPTH[token]
        elif token in (" + ", " - ") and depth == 0:
            yield side[begin : match.start()]
            begin = match.start()
    yield side[begin:]


def _length(text: str) -> int:
    return len(_COMMAND.sub("x", _SILENT.sub("", text)))
