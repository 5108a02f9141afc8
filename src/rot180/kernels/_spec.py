"""What the caller of a program must provide, derived from the program."""

from __future__ import annotations

import math

from rot180.kernels._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.kernels._emit import Module
from rot180.kernels._program import Blocks, Buffer, Loop, Program, Store, bodies, walk
from rot180.kernels._target import ITEM_BYTES

_UNKNOWN = 8  # iterations assumed of a loop whose extent is known only at run time


def call_spec(program: Program, module: Module) -> CallSpec:
    """The interface of an emitted program."""
    written = {
        target.buffer.name
        for statement in walk(program.body)
        if isinstance(statement, Store)
        for target in statement.targets
    }
    arrays = tuple(ArrayArg(_size(b), b.name in written) for b in program.arguments)
    temporaries = tuple(
        _scaled(count, ITEM_BYTES[buffer.dtype])
        for buffer, count in program.temporaries
    )
    loops = [s for s in program.body if isinstance(s, Loop)]
    phases = tuple(
        Phase(name, loop.items or Count(0), 2 * work(loop.body))
        for name, loop in zip(module.jobs, loops, strict=True)
    )
    return CallSpec(arrays, temporaries, module.scratch_bytes, phases)


def _size(buffer: Buffer) -> Count:
    """Bytes of an array of the buffer's shape; an axis of stride 0 has one element."""
    axes = list(zip(buffer.shape, buffer.strides, strict=True))
    known = math.prod(e for e, s in axes if e is not None and s)
    size = known * ITEM_BYTES[buffer.dtype]
    if any(e is None and s for e, s in axes):
        return Count(size)
    return Count(0, 1, size)


def _scaled(count: Count, factor: int) -> Count:
    return Count(count.factor * factor, count.divisor, count.constant * factor)


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
