"""The options of `check`, refused where they are of no use."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import numpy as np

from rot180.errors import ArgumentError

Test = Callable[[Any], bool]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_span(value: Any) -> bool:
    is_number = _is_integer(value) or isinstance(value, float | np.floating)
    return is_number and math.isfinite(value) and value > 0


def _are_names(value: Any) -> bool:
    return isinstance(value, Collection)


def _is_name(value: Any) -> bool:
    return value is None or (isinstance(value, str) and bool(value))


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike | None)


_WANTED: Final[Mapping[str, tuple[Test, str]]] = {
    "profile": (lambda v: v in ("quick", "full"), "one of 'quick' and 'full'"),
    "seed": (lambda v: _is_integer(v) and v >= 0, "a whole number from 0, such as 7"),
    "seconds": (_is_span, "a number above 0, such as 30"),
    "timeout": (_is_span, "a number above 0, such as 10"),
    "dtypes": (_are_names, 'a tuple of names, as in ("float32",)'),
    "lacking": (_are_names, 'a tuple of names, as in ("groups",)'),
    "only": (_are_names, 'a tuple of names, as in ("conv",)'),
    "conv": (_is_name, 'a name of the subject, as in "my_conv", or None'),
    "backward": (_is_name, 'a name of the subject, as in "my_conv_backward", or None'),
    "shapes": (_is_path, "a path, or None"),
    "reproductions": (_is_path, "a path, or None"),
    "progress": (lambda v: v is None or callable(v), "a function, or None"),
}


def require(**options: Any) -> None:
    """Raises ArgumentError for the first option whose value is of no use."""
    for name, value in options.items():
        test, wanted = _WANTED[name]
        if not test(value):
            raise ArgumentError(f"check: {name} is {value!r}\n  Use {wanted}.")
