"""Convolution's passes explained number by number, from the formulas themselves.

Nothing here compiles or runs a kernel: it reads `rot180.ops` and `rot180.notation`, and
works wherever Python does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.explain._code import FRAMEWORKS, program
from rot180.explain._document import document
from rot180.explain._equations import Cell, Choice, Equation, Term, Values
from rot180.explain._explanation import Explanation, explain
from rot180.explain._export import to_json, to_markdown, to_mathml, to_text
from rot180.explain._figures import svg
from rot180.explain._latex import to_latex
from rot180.explain._page import page
from rot180.explain._passes import Pass
from rot180.explain._server import application, serve
from rot180.explain._setting import LAYERS, PARAMETERS, Parameter, Setting
from rot180.explain._slide import Slide, Track
from rot180.explain._symbols import Proof, Symbols, prove
from rot180.explain._tensors import Names, Tensor
from rot180.explain._text import letters, line, numbers
from rot180.explain._values import read_file
from rot180.explain._words import LANGUAGES, Language, say, sentences, title

if TYPE_CHECKING:
    from rich.console import Console

    from rot180.explain._terminal import Printer as Printer

__all__ = [
    "FRAMEWORKS",
    "LANGUAGES",
    "LAYERS",
    "PARAMETERS",
    "Cell",
    "Choice",
    "Equation",
    "Explanation",
    "Language",
    "Names",
    "Parameter",
    "Pass",
    "Proof",
    "Setting",
    "Slide",
    "Symbols",
    "Tensor",
    "Term",
    "Track",
    "Values",
    "application",
    "document",
    "explain",
    "letters",
    "line",
    "numbers",
    "page",
    "printer",
    "program",
    "prove",
    "read_file",
    "say",
    "sentences",
    "serve",
    "svg",
    "title",
    "to_json",
    "to_latex",
    "to_markdown",
    "to_mathml",
    "to_text",
]


def printer(found: Explanation, console: Console, language: Language = "en") -> Printer:
    """Returns what prints an explanation on a terminal."""
    from rot180.explain._terminal import Printer as Printer

    return Printer(found, console, language)
