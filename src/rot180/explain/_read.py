"""Reading and writing the parameters of a setting as short texts: `5x5`, `1:2,0:1`.

The command line, the page's address and the server read the same texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from rot180 import ops
from rot180.errors import ArgumentError

_INT: Final = re.compile(r"[+-]?[0-9]{1,6}")
_LAYER: Final = re.compile(r"(\w+?)(?::([\dx]+))?")


@dataclass(frozen=True, slots=True)
class Form:
    """How the value of a parameter is written.

    Attributes:
        name: Of the form; the page has a control for each.
        example: A text of this form.
        read: From a text to a value; raises ValueError where it is not of the form.
        write: From a value to its text.
    """

    name: str
    example: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]


def refuse(name: str, text: str, why: str, remedy: str) -> NoReturn:
    """Raises an ArgumentError about one parameter."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    raise ArgumentError(f"explain: {name} is {shown!r}, {why}\n  {remedy}")


def _int(text: str) -> int:
    if not _INT.fullmatch(text.strip()):
        raise ValueError
    return int(text)


def _ints(text: str) -> int | tuple[int, ...]:
    found = tuple(_int(part) for part in text.split(","))
    return found[0] if len(found) == 1 else found


def _extents(text: str) -> int | tuple[int, ...]:
    found = tuple(_int(part) for part in text.lower().replace("×", "x").split("x"))
    return found[0] if len(found) == 1 else found


def _padding(text: str) -> Any:
    word = text.strip().lower()
    if word in ops.PADDINGS:
        return word
    found = tuple(_sides(part) for part in word.split(","))
    single = found[0]
    return single if len(found) == 1 and isinstance(single, int) else found


def _sides(text: str) -> int | tuple[int, int]:
    low, colon, high = text.partition(":")
    return (_int(low), _int(high)) if colon else _int(low)


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word in ("true", "1", "yes", "on", ""):
        return True
    if word in ("false", "0", "no", "off"):
        return False
    raise ValueError


def _each(value: Any, sign: str, write: Callable[[Any], str] = str) -> str:
    if isinstance(value, tuple):
        same = sign == "," and len(set(value)) == 1 and isinstance(value[0], int)
        return write(value[0]) if same else sign.join(write(item) for item in value)
    return write(value)


def _written_sides(value: Any) -> str:
    if isinstance(value, tuple):
        low, high = value
        return f"{low}:{high}"
    return str(value)


def _written_padding(value: Any) -> str:
    if isinstance(value, tuple):
        value = tuple(_simple(item) for item in value)
    return _each(value, ",", _written_sides)


def _simple(sides: Any) -> Any:
    same = isinstance(sides, tuple) and sides[0] == sides[1]
    return sides[0] if same else sides


def _layers(text: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    found = []
    for part in text.lower().split(","):
        match = _LAYER.fullmatch(part.strip())
        if match is None:
            raise ValueError
        kind, size = match.groups()
        extents = _extents(size) if size else ()
        found.append((kind, (extents,) if isinstance(extents, int) else extents))
    return tuple(found)


def _written_layers(value: Any) -> str:
    return ",".join(
        kind + (":" + _each(size, "x") if size else "") for kind, size in value
    )


COUNT: Final = Form("count", "2", _int, str)
INTS: Final = Form("ints", "2, or 2,1", _ints, lambda value: _each(value, ","))
EXTENTS: Final = Form("extents", "5x5", _extents, lambda value: _each(value, "x"))
PADDING: Final = Form("padding", "1, or 1,2, or 0:1,2:0", _padding, _written_padding)
FLAG: Final = Form("flag", "true", _flag, lambda value: "true" if value else "false")
CHOICE: Final = Form("choice", "", str.strip, str)
LAYERS: Final = Form("layers", "conv:3x3,relu,max_pool:2x2", _layers, _written_layers)
