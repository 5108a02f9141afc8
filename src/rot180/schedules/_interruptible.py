"""Where a long kernel may be stopped, so that Ctrl-C need not wait for its end."""

from __future__ import annotations

from dataclasses import replace

from rot180.program._nodes import Blocks, Loop, Program, Statement, map_bodies, walk
from rot180.program._work import work

# Stores between two looks: 0.1 ms of multiply-adds at 100 GFLOP/s, and under 0.1 s of
# the slowest (20 ns each, into memory that the system has yet to find). A look costs
# 10 ns.
GRAIN = 1 << 22
_UNKNOWN = 1 << 14  # iterations that a loop of unknown extent may well have


def interruptible(program: Program) -> Program:
    """Let the call end early inside items that are long.

    Rewrite:
        for item: for p: (for r: y += x * w)
        ->
        for item: for p: stop if asked, before every 64th p; (for r: y += x * w)

    A piece of items is short by itself, unless one item is long; so only loops inside
    an item look, the innermost that reach `GRAIN` stores. Kernels of short items stay
    as they are.
    """
    return replace(program, body=tuple(map(_inside, program.body)))


def _inside(statement: Statement) -> Statement:
    return map_bodies(statement, lambda body: tuple(map(_stopping, body)))


def _stopping(statement: Statement) -> Statement:
    statement = _inside(statement)
    if not isinstance(statement, Loop) or statement.kind != "serial":
        return statement
    extent = _UNKNOWN if statement.extent is None else statement.extent
    once = work(statement.body)
    if extent < 2 or extent * once < GRAIN or _stops(statement.body):
        return statement
    return replace(statement, stops=_power_of_two(GRAIN / once))


def _stops(body: Blocks) -> bool:
    return any(isinstance(s, Loop) and s.stops for s in walk(body))


def _power_of_two(most: float) -> int:
    """The largest power of two that is not above `most`, and at least 1."""
    return 1 << max(int(most).bit_length() - 1, 0)
