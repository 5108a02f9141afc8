"""How much a program does, about: what decides about threads and about looking up."""

from __future__ import annotations

from collections.abc import Callable

from rot180.program._nodes import Access, Blocks, Loop, Store, bodies, loads

_UNKNOWN = 8  # iterations assumed of a loop whose extent is known only at run time


# Flops in the time that an element of an argument takes on its way: 100 GFLOP/s of one
# core against 6 elements a nanosecond, between the second cache and memory.
_PASSAGE = 16


def work(body: Blocks) -> float:
    """Stores that a body executes, about."""
    return _total(body, lambda store: 1.0)


def flops(body: Blocks) -> float:
    """What a body costs, about: its arithmetic, and its walk through arguments.

    A reduction's operands are taken to be near.
    """
    return _total(body, lambda store: 2.0 + _PASSAGE * _moved(store))


def _moved(store: Store) -> int:
    """Elements of arguments that a store reads and writes."""
    if store.reduction is not None:
        return 0
    read = dict.fromkeys(a for value in store.values for a in loads(value))
    return sum(map(_is_far, (*store.targets, *read)))


def _is_far(access: Access) -> bool:
    return access.buffer.space == "argument" and any(access.buffer.strides)


def _total(body: Blocks, cost: Callable[[Store], float]) -> float:
    total = 0.0
    for statement in body:
        if isinstance(statement, Store):
            total += cost(statement)
            continue
        inner = sum(_total(b, cost) for b in bodies(statement))
        if isinstance(statement, Loop):
            extent = statement.extent
            inner *= _UNKNOWN if extent is None else extent
        total += inner
    return total
