"""An explanation as people hold it: everything that it can be shown as."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from html import escape
from typing import Any

from rot180.errors import ArgumentError, Rot180Error
from rot180.explain._document import command
from rot180.explain._explained import LETTERS, RANDOM, Explained, explained
from rot180.explain._export import to_json, to_markdown, to_mathml, to_text
from rot180.explain._figures import svg
from rot180.explain._latex import to_latex
from rot180.explain._page import page
from rot180.explain._setting import PARAMETERS, setting, taken
from rot180.explain._values import parameters_of
from rot180.explain._words import Language


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Explained):
    """A layer or a small network, forward and backward, number by number."""

    def __repr__(self) -> str:
        return f"<{command(self)}>"

    def __str__(self) -> str:
        return self.text()

    def text(self, language: Language = "en", width: int = 88) -> str:
        """Returns what `rot180 explain` prints, without colours."""
        return to_text(self, language, width)

    def json(self) -> str:
        """Returns every number and every term as JSON, see `document`."""
        return to_json(self)

    def markdown(self, language: Language = "en") -> str:
        """Returns all passes as Markdown."""
        return to_markdown(self, language=language)

    def latex(self, language: Language = "en") -> str:
        """Returns all passes as LaTeX, for a document that loads amsmath.

        Raises:
            MissingPackageError: SymPy is not installed.
        """
        return to_latex(self, language=language)

    def mathml(self, language: Language = "en") -> str:
        """Returns all equations in letters as a page of MathML.

        Raises:
            MissingPackageError: SymPy is not installed.
        """
        return to_mathml(self, language=language)

    def svg(self, language: Language = "en") -> str:
        """Returns all passes as a picture, step by step.

        Raises:
            ArgumentError: There are too many steps for one picture.
        """
        return svg(self, self.passes, language=language)

    def html(self, language: Language | None = None) -> str:
        """Returns the page: one file, whose numbers can be changed.

        Args:
            language: What it speaks first; None for what the browser prefers.

        Raises:
            ArgumentError: It would have more than 500,000 bytes.
        """
        return page(self, view={} if language is None else {"language": language})

    def _repr_mimebundle_(self, **options: Any) -> dict[str, str]:
        """What a notebook displays: the page, a picture where that cannot be, text."""
        bundle = {"text/plain": self.text(), "text/markdown": self.markdown()}
        with suppress(Rot180Error):
            bundle["image/svg+xml"] = self.svg()
        with suppress(Rot180Error):
            bundle["text/html"] = _framed(self.html())
        return bundle


def _framed(html: str) -> str:
    """A page inside a notebook's, kept apart from it."""
    style = "width: 100%; height: 48rem; border: 0"
    return (
        f'<iframe sandbox="allow-scripts" style="{style}" '
        f'title="rot180 explain" srcdoc="{escape(html)}"></iframe>'
    )


def explain(
    *,
    values: Any = RANDOM,
    seed: int = 0,
    count_from: int = 1,
    **parameters: Any,
) -> Explanation:
    """Explain a layer or a small network, forward and backward, number by number.

    Args:
        values: `"random"` for small integers, `"letters"` for none, or arrays by the
            names of given tensors, such as `{"X": x, "F": w, "dO": dy}`; what is not
            among them is random. The shapes of `X` and `F` set the input's and the
            kernel's, unless these are given.
        seed: Of the random numbers.
        count_from: What the indices in names count from: 1, as in mathematics, or 0.
        **parameters: What is explained, see `PARAMETERS`, such as `input=(5, 5)`,
            `kernel=(3, 3)`, `stride=2`, `padding=1`, or as the command line writes
            them, such as `input="5x5"`.

    Returns:
        The explanation; a notebook displays it.

    Raises:
        ArgumentError: A parameter is unknown or out of range, or it is too large.
        ShapeError: The parameters do not fit each other, or a value's shape its tensor.
    """
    is_array = isinstance(values, Mapping)
    if not is_array and not (isinstance(values, str) and values in (RANDOM, LETTERS)):
        raise ArgumentError(
            f"explain: values is {values!r:.60}\n"
            '  Pass "random", "letters", or arrays by name such as {"X": x}.'
        )
    given = taken(parameters)
    shapes = parameters_of(values, given) if is_array else {}
    of_layer = {p.name for p in PARAMETERS if given["layer"] in p.layers}
    fitting = {name: value for name, value in shapes.items() if name in of_layer}
    what = setting(**fitting | given)
    found = explained(what, values, seed=seed, count_from=count_from)
    return Explanation(**{f.name: getattr(found, f.name) for f in fields(found)})
