"""Reading ints from arguments."""

from __future__ import annotations

import operator
from typing import Any

from rot180.errors import ArgumentError


def dimensions(rank: int) -> str:
    """Returns `2 spatial dimensions`."""
    return f"{rank} spatial dimension{'s' * (rank != 1)}"


def index_of(value: object) -> int | None:
    """Returns `value` as an int, None if it is not one; a bool is not one."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def resolve_ints(
    op: str, name: str, value: Any, rank: int, *, repeat: bool = True
) -> tuple[int, ...]:
    """Returns one int per dimension.

    Args:
        op: The function's name, for messages.
        name: The argument's.
        value: One int for all dimensions, or a sequence of one for each.
        rank: The number of dimensions.
        repeat: Whether a sequence of one int stands for all dimensions too.
    """
    single = index_of(value)
    if single is not None:
        return (single,) * rank
    try:
        each = None if isinstance(value, str) else [index_of(item) for item in value]
    except TypeError:
        each = None
    result = tuple(item for item in each or () if item is not None)
    if each is None or len(result) != len(each):
        raise ArgumentError(
            f"{op}: {name} is {value!r}, which is neither an int nor ints\n"
            f"  Pass one int for all dimensions, or {_wanted(rank)}."
        )
    if repeat and len(result) == 1:
        return result * rank
    if len(result) != rank:
        raise ArgumentError(
            f"{op}: {name} has {len(result)} values for {dimensions(rank)}\n"
            f"    {name} is {result}\n"
            f"  Pass one int for all dimensions, or {_wanted(rank)}."
        )
    return result


def _wanted(rank: int) -> str:
    return "one for the one dimension" if rank == 1 else f"{rank} ints"
