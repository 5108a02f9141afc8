"""Binary counters: how the results of a loop's iterations are summed in a tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rot180.errors import ScheduleError
from rot180.program._nodes import (
    Access,
    Affine,
    Alloc,
    Apply,
    Blocks,
    Buffer,
    Carry,
    Drain,
    Load,
    Loop,
    Number,
    Statement,
    Store,
    dense,
    index,
)
from rot180.schedules._rewrite import at

MOST_LEVELS = 40  # of a counter: more leaves than fit in any memory


def treed(loop: Loop, levels: int, count: Affine, at_most: int | None) -> Blocks:
    """Sum the results of a loop's iterations in a binary tree.

    Rewrite:
        for i: with registers a: clear a; work; out = a
        ->
        with registers a: with scratch c[levels]:
            for i: clear a; work; carry l of i: a = c[l] + a, then c[l] = a
            clear a
            drain l: a = c[l] + a
            out = a

    What is there may have come out of the same rewriting, of a loop further inside.
    """
    buffers, body = _allocated(loop.body)
    if not buffers or buffers[0].space != "register":
        raise ScheduleError("treed needs a held loop body")
    held = buffers[0]
    clear = next(s for s in body if _is_clear(s, held))
    cut = next(i for i, s in enumerate(body) if _takes(s, held))
    work, back = body[:cut], body[cut:]
    shape = tuple(e or 1 for e in held.shape)
    name = f"counter_{loop.index}_{held.name}"
    counter = dense(name, held.dtype, (levels, *shape), "scratch")
    merge = _over_tile(clear, counter, _merge)
    put = _over_tile(clear, counter, _put)
    carry = Carry(loop.index, "level", (merge,), (put,))
    inside: Blocks = (
        replace(loop, body=(*work, carry)),
        clear,
        Drain(count, "level", (merge,), at_most),
        *back,
    )
    for buffer in reversed((*buffers, counter)):
        inside = (Alloc(buffer, inside),)
    return inside


def summed(body: Blocks, name: str, count: Affine, at_most: int | None) -> Blocks:
    """Sum what the loops over `name` hold in trees, of `at_most` leaves if it is known.

    Raises:
        ScheduleError: there is no such loop, or it holds nothing.
    """
    levels = MOST_LEVELS if at_most is None else at_most.bit_length()
    return at(body, name, lambda loop: treed(loop, levels, count, at_most))


def _allocated(body: Blocks) -> tuple[list[Buffer], Blocks]:
    """The buffers that a body consists of, and what is done with them."""
    buffers: list[Buffer] = []
    while len(body) == 1 and isinstance(body[0], Alloc):
        buffers.append(body[0].buffer)
        body = body[0].body
    return buffers, body


def _merge(held: Access, counter: Access) -> Store:
    return Store((held,), (Apply("add", (Load(counter), Load(held))),))


def _put(held: Access, counter: Access) -> Store:
    return Store((counter,), (Load(held),))


def _over_tile(
    clear: Statement, counter: Buffer, make: Callable[[Access, Access], Store]
) -> Statement:
    """The tile's loops, as the clearing has them, around another store."""
    match clear:
        case Loop(body=(inner,)):
            return replace(clear, body=(_over_tile(inner, counter, make),))
        case Store(targets=(place,)):
            return make(place, Access(counter, (index("level"), *place.axes)))
    raise ScheduleError("not a clearing of registers")


def _is_clear(statement: Statement, held: Buffer) -> bool:
    match statement:
        case Loop(body=(inner,)):
            return _is_clear(inner, held)
        case Store(targets=(place,), values=(Number(),)):
            return place.buffer == held
    return False


def _takes(statement: Statement, held: Buffer) -> bool:
    """Whether a statement hands on what is held, and writes something else."""
    match statement:
        case Loop(body=(inner,)):
            return _takes(inner, held)
        case Store(targets=(place,), values=(Load(access),)):
            return access.buffer == held and place.buffer != held
    return False
