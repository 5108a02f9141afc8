"""Messages as bytes: JSON, and after it the numbers of the arrays.

Reading builds values of a few classes and nothing else: no code of the subject's runs
where its answers are read, whatever it wrote to the connection.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping, Set
from dataclasses import fields
from typing import Any, Final

import numpy as np

from rot180.check.cases import OUTPUTS, numpy_dtype
from rot180.check.subjects._invoke import Call
from rot180.check.subjects._outcome import Raised, Unsupported, Values, is_number
from rot180.check.subjects._subject import Facts

_LENGTH: Final = struct.Struct("<Q")
_KINDS: Final[dict[str, Callable[..., Any]]] = {
    kind.__name__: kind for kind in (Call, Facts, Raised, Unsupported, Values)
}
_HOLDERS: Final[dict[str, Callable[..., Any]]] = {
    kind.__name__: kind for kind in (tuple, frozenset, dict)
}


def packed(message: Any) -> bytes:
    """Returns a message as bytes."""
    arrays: list[bytes] = []
    text = json.dumps(_plain(message, arrays)).encode()
    return b"".join((_LENGTH.pack(len(text)), text, *arrays))


def _plain(value: Any, arrays: list[bytes]) -> Any:
    """A scalar as it is; of anything else the name of its class and its parts."""
    if isinstance(value, np.ndarray):
        arrays.append(value.tobytes())
        kind = value.dtype.name if value.dtype.kind == "V" else value.dtype.str
        return ["ndarray", [kind, *value.shape]]
    name, parts = type(value).__name__, value
    if name in _KINDS:
        parts = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        name, parts = "dict", value.items()
    elif isinstance(value, list | tuple):
        name = "tuple"
    elif isinstance(value, Set):
        name = "frozenset"
    else:
        return value.item() if isinstance(value, np.generic) else value
    return [name, [_plain(part, arrays) for part in parts]]


def unpacked(data: bytearray, text: Callable[[str], str] = str) -> Any:
    """Returns the message, with what `text` makes of each text in it.

    Raises:
        ValueError: The bytes are no message.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        start = _LENGTH.size + length
        message = json.loads(data[_LENGTH.size : start])
        return _made(message, memoryview(data)[start:], [0], text)
    except Exception as error:  # they may be anything at all
        raise ValueError("these bytes are no message") from error


def _made(plain: Any, body: memoryview, at: list[int], text: Callable[..., str]) -> Any:
    if isinstance(plain, str):
        return text(plain)
    if not isinstance(plain, list):
        return plain
    name, parts = plain
    if name == "ndarray":
        return _array(parts[0], parts[1:], body, at)
    made = [_made(part, body, at, text) for part in parts]
    return _KINDS[name](*made) if name in _KINDS else _HOLDERS[name](made)


def _array(name: str, shape: list[int], body: memoryview, at: list[int]) -> Any:
    """The array whose numbers stand next; a copy, as they need not be aligned."""
    kind = numpy_dtype(name)
    if not is_number(kind):
        raise TypeError(f"an array of {kind}")
    start, at[0] = at[0], at[0] + math.prod(shape) * kind.itemsize
    return np.ndarray(shape, kind, bytes(body[start : at[0]])).copy()


def is_answer(value: Any, function: str) -> bool:
    """Whether a value is what a call of this function can be answered with."""
    match value:
        case Values(results=tuple(results), wrote=tuple(wrote)):
            fits = len(results) == len(OUTPUTS[function]) and _are_texts(wrote)
            return fits and all(isinstance(r, np.ndarray | str | None) for r in results)
        case Raised(str(), str(), str(), bool(), bool()) | Unsupported(str()):
            return True
    return False


def is_facts(value: Any) -> bool:
    """Whether a value is what a subject can be described with."""
    match value:
        case Facts(tuple(names), dict(lacks), str() | None, dict(uses), str(), bool()):
            texts = (*names, *lacks, *lacks.values(), *uses, *uses.values())
            return _are_texts(texts) and {*names} <= {*OUTPUTS}
    return False


def _are_texts(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) for value in values)
