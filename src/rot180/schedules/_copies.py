"""Rewritings that copy operands to where they are read faster.

Copies change where numbers lie, never the order in which they are summed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from rot180.errors import ScheduleError
from rot180.program._bounds import Ranges
from rot180.program._nodes import (
    Access,
    Affine,
    Alloc,
    Blocks,
    Buffer,
    Load,
    Loop,
    Space,
    Store,
    constant,
    dense,
    index,
    walk,
)
from rot180.program._target import ITEM_BYTES
from rot180.schedules._rewrite import map_accesses, reads


def pack(
    body: Blocks, operand: str, name: str, indices: tuple[str, ...], space: Space
) -> tuple[Buffer, Blocks, Blocks]:
    """Address an operand by loop indices: a copy in the order in which it is read.

    Rewrite:
        ... w[f(i, j)] ...
        ->
        for i: for j: p[i, j] = w[f(i, j)]     (given back as the second result)
        ... p[i, j] ...

    Elements outside `w` are copied as its `outside` value, so the copy has no tails.

    Returns:
        The packed buffer, the nest that fills it, and the changed body.
    """
    extents = _extents(body)
    accesses = {a for a in reads(body) if a.buffer.name == operand}
    if len(accesses) != 1:
        raise ScheduleError(f"pack: {operand!r} is read in {len(accesses)} ways")
    (access,) = accesses
    shape = tuple(extents[i] for i in indices)
    buffer = dense(name, access.buffer.dtype, shape, space)
    place = Access(buffer, tuple(index(i) for i in indices))
    source = replace(access, check=tuple(range(len(access.axes))))
    fill: Blocks = (Store((place,), (Load(source),)),)
    derive = {s.index: s.derive for s in walk(body) if isinstance(s, Loop)}
    for i in reversed(indices):
        fill = (Loop(i, extents[i], fill, derive=derive[i]),)
    changed = map_accesses(body, lambda a: place if a == access else a)
    return buffer, fill, changed


def _extents(body: Blocks) -> dict[str, int]:
    return {
        s.index: s.extent
        for s in walk(body)
        if isinstance(s, Loop) and s.extent is not None
    }


def stage(
    body: Blocks,
    operand: str,
    name: str,
    *,
    lanes: int,
    order: tuple[int, ...] | None = None,
    skew: bool = False,
    loose: tuple[int, ...] = (),
    ends: Mapping[int, int] | None = None,
    space: Space = "scratch",
) -> Blocks:
    """Copy the part of an operand that `body` reads into a scratch, padding included.

    Rewrite:
        for i: ... x[a*o + b*i] ...          (o: loops outside, i: loops in `body`)
        ->
        with scratch s:
            for k: s[k] = x[a*o + k + lowest]
            for i: ... s[b*i - lowest] ...

    Along the axis of the images only those that exist are copied; nothing reads more.

    Args:
        body: what reads the operand; the scratch lives as long.
        operand: the name of the buffer that is read.
        name: the name of the scratch.
        order: the order of the scratch's axes, outermost first.
        lanes: elements copied at once along the innermost axis.
        skew: leave a cache line free behind each innermost row, so that rows a power of
            two apart do not share a cache set.
        loose: axes along which nothing that counts is read behind the operand's end, so
            that the scratch may be left as it is there.
        ends: of axes, the place in the operand from which on nothing is read; the
            innermost axis is copied whole.
        space: where the copy lives.
    """
    first, inner = _first_read(body, operand), inner_ranges(body)
    lows, sizes = _region(body, operand, inner)
    order = order or tuple(range(len(sizes)))
    if lanes > 1 and first.buffer.shape[order[-1]] is None:
        raise ScheduleError("stage: vectors cannot run along what is counted later")
    width = -(-sizes[order[-1]] // lanes) * lanes
    shape = [sizes[axis] for axis in order]
    shape[-1] = width
    line = 64 // ITEM_BYTES[first.buffer.dtype]
    pad = line if skew and width % (2 * line) == 0 else 0
    packed = dense(name, first.buffer.dtype, tuple(shape), space, pad=pad)
    strides = [0] * len(sizes)
    extents: list[int | None] = [0] * len(sizes)
    for position, axis in enumerate(order):
        strides[axis], extents[axis] = packed.strides[position], shape[position]
    scratch = replace(packed, shape=tuple(extents), strides=tuple(strides))
    outer = [_outer(axis, inner) for axis in first.axes]
    starts = tuple(o + low for o, low in zip(outer, lows, strict=True))
    left = {
        axis: constant(end) + starts[axis] * -1
        for axis, end in (ends or {}).items()
        if axis != order[-1]
    }
    fill = _fill(replace(first, axes=starts), scratch, order, lanes, loose, left)

    def moved(access: Access) -> Access:
        if access.buffer.name != operand:
            return access
        axes = tuple(
            a + o * -1 + (-low)
            for a, o, low in zip(access.axes, outer, lows, strict=True)
        )
        return Access(scratch, axes)

    return (Alloc(scratch, (*fill, *map_accesses(body, moved))),)


def staged_bytes(body: Blocks, operand: str) -> int:
    """How much of an operand `stage` would copy."""
    first = _first_read(body, operand)
    _, sizes = _region(body, operand, inner_ranges(body))
    return math.prod(sizes) * ITEM_BYTES[first.buffer.dtype]


def _first_read(body: Blocks, operand: str) -> Access:
    found = next((a for a in reads(body) if a.buffer.name == operand), None)
    if found is None:
        raise ScheduleError(f"stage: {operand!r} is not read here")
    return found


def inner_ranges(body: Blocks) -> Ranges:
    """The ranges of all symbols that are bound inside `body`."""
    ranges = Ranges()
    for statement in walk(body):
        if isinstance(statement, Loop):
            ranges.widen(statement)
    return ranges


def _outer(axis: Affine, inner: Ranges) -> Affine:
    return Affine.of({s: c for s, c in axis.terms if not inner.knows(s)})


def _region(body: Blocks, operand: str, inner: Ranges) -> tuple[list[int], list[int]]:
    """The lowest place read on each axis, and how many from there on."""
    accesses = [a for a in reads(body) if a.buffer.name == operand]
    lows: list[int] = []
    sizes: list[int] = []
    for axis in range(len(accesses[0].axes)):
        outer = _outer(accesses[0].axes[axis], inner)
        ends = []
        for access in accesses:
            rest = access.axes[axis] + outer * -1
            low, high = inner.of(rest)
            if low is None or high is None:
                raise ScheduleError(f"stage: {access} has no bounded region")
            ends.append((low, high))
        lows.append(min(low for low, _ in ends))
        sizes.append(max(high for _, high in ends) - lows[-1] + 1)
    return lows, sizes


def _fill(
    access: Access,
    scratch: Buffer,
    order: tuple[int, ...],
    lanes: int,
    loose: tuple[int, ...],
    left: Mapping[int, Affine],
) -> Blocks:
    """The copy: loops over the scratch, lanes along the innermost axis."""
    names = [f"{scratch.name}_{axis}" for axis in range(len(order))]
    last = order[-1]
    lane = f"{names[last]}_lane"
    places = [index(name) for name in names]
    if lanes > 1:
        places[last] = index(names[last]) * lanes + index(lane)
    sources = tuple(a + p for a, p in zip(access.axes, places, strict=True))
    ends = {axis: _end(access.buffer.shape[axis]) for axis in range(len(order))}
    bounded = {
        axis: end + access.axes[axis] * -1
        for axis, end in ends.items()
        if access.buffer.shape[axis] is None
        or (axis in loose and (axis != last or lanes == 1))
    }
    check = tuple(axis for axis in range(len(order)) if axis not in bounded)
    read = replace(access, axes=sources, check=check)
    body: Blocks = (Store((Access(scratch, tuple(places)),), (Load(read),)),)
    if lanes > 1:
        body = (Loop(lane, lanes, body, "lanes"),)
    for axis in reversed(order):
        extent = scratch.shape[axis] or 1
        count = extent // lanes if axis == last else extent
        limit = left.get(axis, bounded.get(axis))
        body = (Loop(names[axis], count, body, limit=limit),)
    return body


def _end(extent: int | None) -> Affine:
    return index("images") if extent is None else Affine((), extent)
