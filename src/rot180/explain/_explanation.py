"""An explanation: a setting's passes, with names and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, Final

from rot180.errors import ArgumentError, Rot180Error
from rot180.explain._equations import Number, Position, Values
from rot180.explain._layers import Layer, layer
from rot180.explain._network import network
from rot180.explain._passes import Pass
from rot180.explain._setting import PARAMETERS, Setting, setting, taken
from rot180.explain._tensors import Names, Tensor
from rot180.explain._values import given_numbers, parameters_of, random_numbers

if TYPE_CHECKING:
    from rot180.explain._words import Language

RANDOM: Final = "random"
LETTERS: Final = "letters"
_MOST_SEED: Final = 10**9


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """A layer or a small network, forward and backward, number by number.

    Attributes:
        setting: What is explained.
        layers: The layer, or those of the network in the order of the forward pass.
        tensors: All tensors by name, in the order in which they are met.
        passes: Each computes one of them; in the order of computing.
        names: What the numbers are called.
        values: The numbers, given and computed, by tensor and position; None where it
            is explained in letters only.
        seed: Of the random numbers.
        typed: The tensors whose numbers were passed, and are not random.
    """

    setting: Setting
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor]
    passes: tuple[Pass, ...]
    names: Names
    values: Values | None
    seed: int = 0
    typed: tuple[str, ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """The tensors whose numbers are given: no pass computes them."""
        computed = {found.out for found in self.passes}
        return tuple(name for name in self.tensors if name not in computed)

    def numbered(self) -> Explanation:
        """Returns the same with numbers: where there are none, those of its seed."""
        if self.values is not None:
            return self
        return explained(self.setting, seed=self.seed, count_from=self.names.count_from)

    def __repr__(self) -> str:
        from rot180.explain._document import command

        return f"<{command(self)}>"

    def __str__(self) -> str:
        return self.text()

    def text(self, language: Language = "en", width: int = 88) -> str:
        """Returns what `rot180 explain` prints, without colours."""
        from rot180.explain._export import to_text

        return to_text(self, language, width)

    def json(self) -> str:
        """Returns every number and every term as JSON, see `document`."""
        from rot180.explain._export import to_json

        return to_json(self)

    def markdown(self, language: Language = "en") -> str:
        """Returns all passes as Markdown."""
        from rot180.explain._export import to_markdown

        return to_markdown(self, language=language)

    def latex(self, language: Language = "en") -> str:
        """Returns all passes as LaTeX, for a document that loads amsmath.

        Raises:
            MissingPackageError: SymPy is not installed.
        """
        from rot180.explain._latex import to_latex

        return to_latex(self, language=language)

    def mathml(self, language: Language = "en") -> str:
        """Returns all equations in letters as a page of MathML.

        Raises:
            MissingPackageError: SymPy is not installed.
        """
        from rot180.explain._export import to_mathml

        return to_mathml(self, language=language)

    def svg(self, language: Language = "en") -> str:
        """Returns all passes as a picture, step by step.

        Raises:
            ArgumentError: There are too many steps for one picture.
        """
        from rot180.explain._figures import svg

        return svg(self, self.passes, language=language)

    def html(self, language: Language | None = None) -> str:
        """Returns the page: one file, whose numbers can be changed.

        Args:
            language: What it speaks first; None for what the browser prefers.

        Raises:
            ArgumentError: It would have more than 500,000 bytes.
        """
        from rot180.explain._page import page

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
    return explained(what, values, seed=seed, count_from=count_from)


def explained(
    what: Setting, values: Any = RANDOM, *, seed: int = 0, count_from: int = 1
) -> Explanation:
    """Returns the explanation of a setting; the arguments are those of `explain`."""
    _check(count_from in (0, 1), "count_from", count_from, "Count from 1 or from 0.")
    is_seed = isinstance(seed, int) and 0 <= seed < _MOST_SEED
    _check(is_seed, "seed", seed, f"Pass an integer from 0 on, below {_MOST_SEED:,}.")
    layers, tensors, passes = _built(what)
    names = Names.of(tensors.values(), what.hidden, int(count_from))
    found = Explanation(what, layers, tensors, passes, names, None, int(seed))
    if isinstance(values, str) and values == LETTERS:
        return found
    arrays = {} if isinstance(values, str) else values
    given = _given(found, arrays, seed)
    return replace(found, values=_computed(given, passes), typed=tuple(arrays))


def _check(holds: bool, name: str, value: Any, remedy: str) -> None:
    if not holds:
        raise ArgumentError(f"explain: {name} is {value!r:.40}\n  {remedy}")


@lru_cache(maxsize=32)
def _built(
    what: Setting,
) -> tuple[tuple[Layer, ...], Mapping[str, Tensor], tuple[Pass, ...]]:
    """Returns layers, tensors and passes, which do not depend on the numbers."""
    if what.layer == "network":
        whole = network(what)
        return whole.layers, _met(whole.tensors, whole.passes), whole.passes
    one = layer(what)
    passes = (one.forward, *one.backward)
    return (one,), _met(one.tensors, passes), passes


def _met(tensors: Mapping[str, Tensor], passes: tuple[Pass, ...]) -> dict[str, Tensor]:
    """The tensors that occur, in the order in which the passes meet them."""
    order = [name for found in passes for name in (*found.operands, found.out)]
    return {name: tensors[name] for name in dict.fromkeys(order)}


def _given(
    found: Explanation, arrays: Mapping[str, Any], seed: int
) -> dict[str, Mapping[Position, Number]]:
    for name in arrays:
        if name not in found.given:
            raise ArgumentError(
                f"explain: there are no values {str(name)[:40]!r} to give\n"
                f"  Give some of {', '.join(found.given)}."
            )
    return {
        name: given_numbers(found.tensors[name], arrays[name])
        if name in arrays
        else random_numbers(found.tensors[name], seed)
        for name in found.given
    }


def _computed(
    given: Mapping[str, Mapping[Position, Number]], passes: tuple[Pass, ...]
) -> Values:
    known = Values(given)
    for found in passes:
        known[found.out] = {line.cell.at: line.value(known) for line in found.equations}
    return known
