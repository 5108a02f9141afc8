"""Arguments that are one of a few words, or a flag."""

from __future__ import annotations

from collections.abc import Collection

from rot180.errors import ArgumentError


def is_among(value: object, words: Collection[str]) -> bool:
    """Whether `value` is one of the words; an array is none, element by element."""
    return isinstance(value, str) and value in words


def check_flags(op: str, **flags: object) -> None:
    """Refuses what is neither true nor false: a text is true, an array may be both.

    Raises:
        ArgumentError: A flag is not True, False, 1 or 0.
    """
    for name, value in flags.items():
        if not _is_flag(value):
            raise ArgumentError(
                f"{op}: {name}={value!r} is no flag\n  Pass {name}=True or False."
            )


def _is_flag(value: object) -> bool:
    if isinstance(value, int):
        return value in (0, 1)
    # NumPy's own truth value, without NumPy.
    return getattr(value, "shape", None) == () and str(value) in ("True", "False")
