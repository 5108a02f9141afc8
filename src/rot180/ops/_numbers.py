"""Reading ints from arguments."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

from rot180.errors import ArgumentError

LONGEST: Final = 2**31 - 1  # extent of an axis


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


def ints_of(value: Any) -> tuple[int, ...] | None:
    """Returns one int, or a sequence of them, as a tuple; None if it is neither."""
    single = index_of(value)
    if single is not None:
        return (single,)
    try:
        each = None if isinstance(value, str) else [index_of(item) for item in value]
    except TypeError:
        return None
    result = tuple(item for item in each or () if item is not None)
    return result if each is not None and len(result) == len(each) else None


def resolve_axes(op: str, axis: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """Returns which axes are meant, sorted; all by None.

    A number, without axes, has an axis 0 that is the number itself, as in NumPy.

    Raises:
        ArgumentError: They are no ints, out of range, or one of them stands twice.
    """
    ndim = len(shape)
    named = tuple(range(ndim)) if axis is None else ints_of(axis)
    if named is None:
        raise ArgumentError(
            f"{op}: axis {axis!r} is neither an int nor ints\n"
            "  Pass one axis, a tuple of them, or None for all."
        )
    most = max(ndim, 1)
    for item in named:
        if not -most <= item < most:
            raise ArgumentError(
                f"{op}: axis {item} is out of range for {ndim} axes\n"
                f"    x has shape {tuple(shape)}\n"
                f"  Use {-most} to {most - 1}."
            )
    found = sorted({item % most for item in named})
    if len(found) != len(named):
        raise ArgumentError(
            f"{op}: axis {axis!r} names an axis twice\n"
            f"    x has shape {tuple(shape)}\n"
            "  Name each axis once."
        )
    return tuple(found) if ndim else ()


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
    result = ints_of(value)
    if result is None:
        raise ArgumentError(
            f"{op}: {name} is {value!r}, which is neither an int nor ints\n"
            f"  Pass one int for all dimensions, or {_wanted(rank)}."
        )
    if max(map(abs, result), default=0) > LONGEST:
        raise ArgumentError(
            f"{op}: {name} is {value}, more than an axis can be long\n"
            f"  Pass at most {LONGEST}."
        )
    if len(result) == 1 and (repeat or index_of(value) is not None):
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
