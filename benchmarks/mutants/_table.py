"""All mutants, in the order of their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import _conv, _other
from ._subject import Subject

LENIENT: Final = frozenset({14, 15})


@dataclass(frozen=True, slots=True)
class Mutant:
    """An implementation with one mistake.

    Attributes:
        name: Such as `"m03a"`: the kind of mistake, and which of two.
        kind: The number of the kind, 1 to 18.
        title: What is wrong, in one line.
        functions: The functions that are wrong.
        subject: The object with the functions, wrong and right ones.
    """

    name: str
    kind: int
    title: str
    functions: tuple[str, ...]
    subject: Subject

    @property
    def lenient(self) -> bool:
        """Whether the mistake is to accept what means nothing."""
        return self.kind in LENIENT


def _mutant(made: type[Subject], functions: tuple[str, ...]) -> Mutant:
    name = made.__name__.lower()
    title = (made.__doc__ or "").splitlines()[0].rstrip(".")
    return Mutant(name, int(name[1:3]), title, functions, made())


def _found() -> list[Mutant]:
    """Returns a mutant for every class that names the functions it gets wrong."""
    classes = [*vars(_conv).values(), *vars(_other).values()]
    return [_mutant(c, c.functions) for c in classes if hasattr(c, "functions")]


MUTANTS: Final = tuple(sorted(_found(), key=lambda mutant: mutant.name))
