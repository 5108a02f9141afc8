"""What `rot180 explain` is asked to show of an explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from rot180.explain import Cell, Explanation, Language, Pass

__all__ = ["Asked"]

# The layers whose passes a word means.
_OF_LAYERS: Final = {
    "pool": ("max_pool", "avg_pool"),
    "relu": ("relu",),
    "loss": ("loss",),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be shown.

    Attributes:
        found: The explanation.
        passes: Its passes that are asked for; all where none is named.
        cells: The number that is asked for, in each pass that has it.
        language: Of the words; None for what a browser prefers.
    """

    found: Explanation
    passes: tuple[Pass, ...]
    cells: tuple[tuple[Pass, Cell], ...]
    language: Language | None

    @classmethod
    def of(
        cls,
        found: Explanation,
        name: str | None,
        cell: str | None,
        language: Language | None,
    ) -> Asked:
        """Reads the options `--pass`, `--cell` and `--language`.

        Raises:
            ArgumentError: The layer has no such pass.
            BadParameter: There is no such number.
        """
        passes = _chosen(found, name)
        return cls(found, passes, _cells(found, passes, cell), language)

    @property
    def view(self) -> dict[str, str]:
        """How a page looks at first."""
        view: dict[str, str] = {}
        if self.language is not None:
            view["language"] = self.language
        if self.cells:
            view["cell"] = self.found.names.label(self.cells[0][1])
        elif len(self.passes) < len(self.found.passes):
            view["pass"] = self.passes[0].out
        return view


def _chosen(found: Explanation, name: str | None) -> tuple[Pass, ...]:
    """The passes of that name; in a network `pool` is all that pools."""
    if name is None:
        return found.passes
    layers = _OF_LAYERS.get(name, ())
    chosen = tuple(p for p in found.passes if p.name == name or p.layer in layers)
    if not chosen:
        known = ", ".join(dict.fromkeys(part.name for part in found.passes))
        has_bias = any(known.name == "bias" for known in found.setting.parameters())
        more = "; --bias adds it" if name == "bias_grad" and has_bias else ""
        raise ArgumentError(
            f"explain: layer {found.setting.layer} has no pass {name}\n"
            f"  Use one of {known}{more}."
        )
    return chosen


def _cells(
    found: Explanation, passes: tuple[Pass, ...], text: str | None
) -> tuple[tuple[Pass, Cell], ...]:
    """The number of that name in each pass that has it; none where none is asked."""
    if text is None:
        return ()
    try:
        indices = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not numbers with commas between, such as 1,2.",
            param_hint="'--cell'",
        ) from None
    cells = tuple(
        (part, cell)
        for part in passes
        if (cell := found.names.cell(found.tensors[part.out], indices)) is not None
    )
    if not cells:
        ranges = ", ".join(_span(found, part) for part in passes)
        raise click.BadParameter(
            f"there is no number {text}; there are {ranges}.", param_hint="'--cell'"
        )
    return cells


def _span(found: Explanation, part: Pass) -> str:
    first, last = part.equations[0].cell, part.equations[-1].cell
    if first == last:
        return found.names.label(first)
    return f"{found.names.label(first)} to {found.names.label(last)}"
