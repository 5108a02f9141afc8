"""Reading and writing the parameters of a setting as short texts: `5x5`, `1:2,0:1`.

The command line, the page's address, the server and Python read the same texts.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from rot180 import ops
from rot180.errors import ArgumentError

_INT: Final = re.compile(r"[+-]?[0-9]{1,18}")
_LAYER: Final = re.compile(r"(\w+?)(?::([\dx]+))?")


@dataclass(frozen=True, slots=True)
class Form:
    """How the value of a parameter is written.

    Attributes:
        name: Of the form; the page has a control for each.
        example: A text of this form.
        read: From a text to a value; raises ValueError where it is not of the form.
        take: From what Python passes to a value, with tuples for any sequence and plain
            ints for any integer; raises TypeError or ValueError.
        write: From a value to its text.
    """

    name: str
    example: str
    read: Callable[[str], Any]
    take: Callable[[Any], Any]
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


def whole(value: Any) -> int:
    """Returns an integer of any type as an int; raises TypeError for what is none."""
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _wholes(value: Any) -> int | tuple[int, ...]:
    if not hasattr(value, "__len__"):
        return whole(value)
    return tuple(map(whole, value))


def _taken_padding(value: Any) -> Any:
    if not hasattr(value, "__len__"):
        return whole(value)
    return tuple(map(_taken_sides, value))


def _taken_sides(value: Any) -> int | tuple[int, int]:
    if not hasattr(value, "__len__"):
        return whole(value)
    low, high = map(whole, value)
    return low, high


def _taken_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _no_text(value: Any) -> Any:
    raise TypeError


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
    return tuple(_layer(part) for part in text.lower().split(","))


def _layer(text: str) -> tuple[str, tuple[int, ...]]:
    match = _LAYER.fullmatch(text.strip())
    if match is None:
        raise ValueError
    kind, size = match.groups()
    return kind, _row(_extents(size) if size else ())


def _taken_layers(value: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Texts such as `conv:3x3`, or pairs such as `("conv", (3, 3))`."""
    found = tuple(
        _layer(item) if isinstance(item, str) else _taken_layer(*item) for item in value
    )
    if not found:
        raise ValueError
    return found


def _taken_layer(kind: Any, size: Any = ()) -> tuple[str, tuple[int, ...]]:
    if not isinstance(kind, str):
        raise TypeError
    return kind, _row(_wholes(size))


def _row(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else value


def _written_layers(value: Any) -> str:
    return ",".join(
        kind + (":" + _each(size, "x") if size else "") for kind, size in value
    )


COUNT: Final = Form("count", "2", _int, whole, str)
INTS: Final = Form("ints", "2, or 2,1", _ints, _wholes, lambda v: _each(v, ","))
EXTENTS: Final = Form("extents", "5x5", _extents, _wholes, lambda v: _each(v, "x"))
PADDING: Final = Form(
    "padding", "1, or 1,2, or 0:1,2:0", _padding, _taken_padding, _written_padding
)
FLAG: Final = Form(
    "flag", "true", _flag, _taken_flag, lambda value: "true" if value else "false"
)
CHOICE: Final = Form("choice", "", str.strip, _no_text, str)
LAYERS: Final = Form(
    "layers", "conv:3x3,relu,max_pool:2x2", _layers, _taken_layers, _written_layers
)
