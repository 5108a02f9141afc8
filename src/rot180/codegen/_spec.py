"""What the caller of a program must provide, derived from the program."""

from __future__ import annotations

import math

from rot180.codegen._emit import Module
from rot180.program._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.program._nodes import Buffer, Loop, Program, Store, walk
from rot180.program._target import ITEM_BYTES
from rot180.program._work import flops


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
        Phase(name, loop.items or Count(0), flops(loop.body))
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
