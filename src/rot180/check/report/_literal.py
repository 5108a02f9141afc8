"""Values as Python that gives them back exactly."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np

from rot180.check.subjects import Array

__all__ = ["array_literal", "literal", "wrapped"]

_WIDTH = 88


def literal(value: Any) -> str:
    """Returns a number, or a tuple, a text or None, as Python."""
    if isinstance(value, np.generic):
        return literal(value.item())
    if not isinstance(value, float):
        return repr(value)
    if math.isnan(value):
        return "np.nan"
    if math.isinf(value):
        return "np.inf" if value > 0 else "-np.inf"
    if value == 0 and math.copysign(1, value) < 0:
        return "-0.0"
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)


def array_literal(name: str, array: Array) -> list[str]:
    """Returns the lines of an assignment that makes `array` again, bit by bit."""
    shape, dtype = literal(array.shape), array.dtype.name
    if array.size == 0:
        return [f'{name} = np.zeros({shape}, "{dtype}")']
    texts = [literal(value) for value in array.reshape(-1)]
    if len(texts) > 1 and len(set(texts)) == 1:
        return [f'{name} = np.full({shape}, {texts[0]}, "{dtype}")']
    end = f'], "{dtype}")' + ("" if array.ndim == 1 else f".reshape({shape})")
    return wrapped(f"{name} = np.array([", ", ".join(texts), end)


def wrapped(head: str, body: str, tail: str) -> list[str]:
    """Returns a bracket and what is in it, on lines of its own if one is too short."""
    if len(head + body + tail) <= _WIDTH:
        return [head + body + tail]
    rows = textwrap.wrap(body, _WIDTH - 4, break_long_words=False)
    return [head, *(f"    {row}" for row in rows), tail]
