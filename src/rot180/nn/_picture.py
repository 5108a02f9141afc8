"""A network as a tree of lines: layers, shapes of their arrays, parameter counts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rot180.nn._key import BlankKey

if TYPE_CHECKING:
    from rot180.nn._module import Module

_Row = tuple[str, str, int]


def line(module: Module) -> str:
    """Returns how a module is made, without what it would have by itself."""
    if not dataclasses.is_dataclass(module):
        return type(module).__name__
    given = []
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if field.default is dataclasses.MISSING:
            given.append(repr(value))
        elif value != field.default:
            given.append(f"{field.name}={value!r}")
    return f"{type(module).__name__}({', '.join(given)})"


def picture(module: Module) -> str:
    """Returns a line for each layer, and the number of all parameters.

    Example:
        Sequential                                                   84 parameters
        |- 0  Conv2d(1, 4, 3)  weight (4, 1, 3, 3)  bias (4,)        40
        `- 1  Linear(10, 4)    weight (4, 10)       bias (4,)        44
    """
    rows = list(_rows(module, "", "", ""))
    if len(rows) == 1:
        return rows[0][0]
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]  # type: ignore[arg-type]
    numbers = [f"{row[2]:,}" if row[2] else "" for row in rows]
    numbers[0] = f"{rows[0][2]:,} parameters"
    return "\n".join(
        f"{name:<{widths[0]}}  {shapes:<{widths[1]}}  {number}".rstrip()
        for (name, shapes, _), number in zip(rows, numbers, strict=True)
    )


def _rows(module: Module, name: str, lead: str, rest: str) -> Iterator[_Row]:
    """Yields what stands before the layers, their shapes and their parameters."""
    shapes = {n: a.shape for n, a in module.own_params(BlankKey()).items()}
    text = "  ".join(f"{n} {shape}" for n, shape in shapes.items())
    yield f"{lead}{name}{line(module)}", text, _count(module)
    children = list(module.children().items())
    width = max((len(n) for n, _ in children), default=0)
    for position, (inner, child) in enumerate(children):
        is_last = position == len(children) - 1
        fork, line_on = (
            ("\u2514\u2500 ", "   ") if is_last else ("\u251c\u2500 ", "\u2502  ")
        )
        yield from _rows(child, f"{inner:<{width}}  ", rest + fork, rest + line_on)


def _count(module: Module) -> int:
    own = sum(_size(array) for array in module.own_params(BlankKey()).values())
    return own + sum(map(_count, module.children().values()))


def _size(array: Any) -> int:
    return int(array.size)
