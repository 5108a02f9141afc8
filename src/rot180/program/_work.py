"""How much a program does, about: what decides about threads and about looking up."""

from __future__ import annotations

from rot180.program._nodes import Blocks, Loop, Store, bodies

_UNKNOWN = 8  # iterations assumed of a loop whose extent is known only at run time


def work(body: Blocks) -> float:
    """Stores that a body executes, about."""
    total = 0.0
    for statement in body:
        if isinstance(statement, Store):
            total += 1
            continue
        inner = sum(work(b) for b in bodies(statement))
        if isinstance(statement, Loop):
            extent = statement.extent
            inner *= _UNKNOWN if extent is None else extent
        total += inner
    return total
