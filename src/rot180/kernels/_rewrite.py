"""Rewritings of loop nests: each takes a body and returns one that means the same.

No rewriting changes the order in which the values of one element are combined; the ones
that could, refuse. A loop is named by its index; where a split has left two copies of a
nest (the tiles and the rest), a rewriting changes both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from rot180.errors import ScheduleError
from rot180.kernels._bounds import Ranges
from rot180.kernels._program import (
    Access,
    Affine,
    Alloc,
    Blocks,
    Buffer,
    Expression,
    Load,
    Loop,
    Number,
    Reduction,
    Space,
    Statement,
    Store,
    dense,
    index,
    loads,
    map_bodies,
    map_expression,
    substitute,
    walk,
)


def at(body: Blocks, name: str, change: Callable[[Loop], Blocks]) -> Blocks:
    """Replace every loop over `name` by what `change` makes of it.

    Raises:
        ScheduleError: no loop has that index.
    """
    result = _at(body, name, change)
    if result == body:
        if not any(isinstance(s, Loop) and s.index == name for s in walk(body)):
            raise ScheduleError(f"no loop over {name!r}")
    return result


def _at(body: Blocks, name: str, change: Callable[[Loop], Blocks]) -> Blocks:
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop) and statement.index == name:
            result.extend(change(statement))
        else:
            result.append(map_bodies(statement, lambda b: _at(b, name, change)))
    return tuple(result)


def split(
    body: Blocks, name: str, factor: int, outer: str, inner: str, *, guard: bool = False
) -> Blocks:
    """Split a loop into blocks.

    Rewrite:
        for i in E: S(i)
        ->
        for o in E // factor: for i in factor: S(o * factor + i)
        for i in E % factor: S(E // factor * factor + i)

    With `guard` there is one nest of ceil(E / factor) blocks, and accesses whose axis
    depends on the loop are checked: legal where being outside means nothing.
    """

    def change(loop: Loop) -> Blocks:
        if loop.extent is None or loop.limit is not None:
            raise ScheduleError(f"loop {name!r} has no extent to split")
        inside = _renamed_reduction(loop.body, name, (outer, inner))
        whole, rest = divmod(loop.extent, factor)
        if guard and rest:
            whole, rest, inside = whole + 1, 0, _checked(inside, name)
        nests: list[Statement] = []
        if whole:
            place = index(outer) * factor + index(inner)
            core = Loop(inner, factor, substitute(inside, {name: place}))
            nests.append(replace(loop, index=outer, extent=whole, body=(core,)))
        if rest:
            place = index(inner) + whole * factor
            nests.append(
                replace(
                    loop,
                    index=inner,
                    extent=rest,
                    body=substitute(inside, {name: place}),
                )
            )
        return tuple(nests)

    return at(body, name, change)


def _renamed_reduction(body: Blocks, name: str, names: tuple[str, ...]) -> Blocks:
    def change(statement: Statement) -> Statement:
        statement = map_bodies(statement, lambda b: tuple(map(change, b)))
        if isinstance(statement, Store) and statement.reduction:
            reduction = statement.reduction
            renamed = [
                n for old in reduction.loops for n in (names if old == name else (old,))
            ]
            return replace(
                statement, reduction=replace(reduction, loops=tuple(renamed))
            )
        return statement

    return tuple(map(change, body))


def _checked(body: Blocks, name: str) -> Blocks:
    """Check every axis that depends on `name`, of loads and of stores."""

    def check(access: Access) -> Access:
        moving = [i for i, a in enumerate(access.axes) if name in a.symbols()]
        return replace(access, check=tuple(sorted({*access.check, *moving})))

    return map_accesses(body, check, check)


def map_accesses(
    body: Blocks,
    read: Callable[[Access], Access],
    write: Callable[[Access], Access] = lambda access: access,
) -> Blocks:
    """Change every access that is read, and every one that is written."""

    def change(statement: Statement) -> Statement:
        statement = map_bodies(statement, lambda b: tuple(map(change, b)))
        if not isinstance(statement, Store):
            return statement
        values = tuple(
            map_expression(v, lambda a: Load(read(a))) for v in statement.values
        )
        return replace(
            statement, targets=tuple(map(write, statement.targets)), values=values
        )

    return tuple(map(change, body))


def reorder(body: Blocks, names: tuple[str, ...]) -> Blocks:
    """Put the loops of a perfect nest into another order.

    Rewrite:
        for a: for b: S   ->   for b: for a: S

    Raises:
        ScheduleError: the loops are not perfectly nested, or loops of a reduction
            would change their order.
    """
    first = next(
        (s.index for s in walk(body) if isinstance(s, Loop) and s.index in names), None
    )
    if first is None:
        raise ScheduleError(f"none of the loops {names} is there")

    def change(loop: Loop) -> Blocks:
        found: dict[str, Loop] = {}
        inside: Blocks = (loop,)
        while len(inside) == 1 and isinstance(inside[0], Loop):
            if inside[0].index not in names:
                break
            found[inside[0].index] = inside[0]
            inside = inside[0].body
        order = [n for n in names if n in found]
        _keep_order(inside, order)
        for name in reversed(order):
            inside = (replace(found[name], body=inside),)
        return inside

    return at(body, first, change)


def _keep_order(body: Blocks, order: list[str]) -> None:
    for statement in walk(body):
        if isinstance(statement, Store) and statement.reduction:
            kept = [n for n in statement.reduction.loops if n in order]
            if kept != [n for n in order if n in kept]:
                raise ScheduleError(
                    f"the order {order} would change the sum over {kept}"
                )


def mark(body: Blocks, name: str, kind: str) -> Blocks:
    """Make a loop `unroll`, `lanes` or `parallel`; the meaning stays."""
    return at(body, name, lambda loop: (replace(loop, kind=kind),))  # type: ignore[arg-type]


def hold(body: Blocks, name: str, *, keep: tuple[str, ...] | None = None) -> Blocks:
    """Keep the results of a reduction in registers while it runs.

    Rewrite:
        for r: for t: y[f(t)] += e
        ->
        with registers a[t]:
            for t: a[t] = identity
            for r: for t: a[t] += e
            for t: y[f(t)] = a[t]

    `name` is the outermost reduced loop. The loops inside it that are not reduced, or
    those in `keep`, make the tile.
    """
    return at(body, name, lambda loop: _held(loop, keep))


def _held(loop: Loop, keep: tuple[str, ...] | None) -> Blocks:
    chain: list[Loop] = []
    inside: Blocks = (loop,)
    while len(inside) == 1 and isinstance(inside[0], Loop):
        chain.append(inside[0])
        inside = inside[0].body
    stores = [s for s in inside if isinstance(s, Store)]
    if len(stores) != 1 or stores != list(inside) or stores[0].reduction is None:
        raise ScheduleError("hold needs one reduced store under a perfect nest")
    store = stores[0]
    reduction = stores[0].reduction
    assert reduction is not None
    tile = [c for c in chain if c.index not in reduction.loops]
    if keep is not None and {c.index for c in tile} != set(keep):
        raise ScheduleError(f"the tile is {[c.index for c in tile]}, not {list(keep)}")
    held = _tile_buffers(store, tile)
    axes = tuple(index(c.index) for c in tile)
    places = tuple(Access(b, axes) for b in held)
    clear = _nest(tile, _identity(places, reduction))
    work: Blocks = (replace(store, targets=places),)
    for level in reversed(chain):
        work = (replace(level, body=work),)
    back = _nest(
        tile,
        tuple(
            Store((t,), (Load(p),)) for t, p in zip(store.targets, places, strict=True)
        ),
    )
    result: Blocks = (*clear, *work, *back)
    for buffer in reversed(held):
        result = (Alloc(buffer, result),)
    return result


def _tile_buffers(store: Store, tile: list[Loop]) -> list[Buffer]:
    shape = []
    for loop in tile:
        if loop.extent is None:
            raise ScheduleError(f"tile loop {loop.index!r} has no extent")
        shape.append(loop.extent)
    return [
        dense(f"held_{t.buffer.name}", t.buffer.dtype, tuple(shape), "register")
        for t in store.targets
    ]


def _identity(places: tuple[Access, ...], reduction: Reduction) -> Blocks:
    return tuple(
        Store((p,), (Number(v, p.buffer.dtype),))
        for p, v in zip(places, reduction.identity, strict=True)
    )


def _nest(loops: list[Loop], body: Blocks) -> Blocks:
    for loop in reversed(loops):
        body = (replace(loop, body=body),)
    return body


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


def reads(body: Blocks) -> Iterator[Access]:
    """Every access that is read."""
    for statement in walk(body):
        if isinstance(statement, Store):
            for value in statement.values:
                yield from loads(value)


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
    order: tuple[int, ...] | None = None,
    lanes: int = 1,
    skew: bool = False,
    space: Space = "scratch",
) -> Blocks:
    """Copy the part of an operand that `body` reads into a scratch, padding included.

    Rewrite:
        for i: ... x[a*o + b*i] ...          (o: loops outside, i: loops in `body`)
        ->
        with scratch s:
            for k: s[k] = x[a*o + k + lowest]
            for i: ... s[b*i - lowest] ...

    Args:
        order: the order of the scratch's axes, outermost first.
        lanes: elements copied at once along the innermost axis.
        skew: leave a cache line free behind each innermost row, so that rows a power of
            two apart do not share a cache set.
    """
    accesses = [a for a in reads(body) if a.buffer.name == operand]
    if not accesses:
        raise ScheduleError(f"stage: {operand!r} is not read here")
    first, inner = accesses[0], inner_ranges(body)
    lows, sizes = _region(accesses, inner)
    order = order or tuple(range(len(sizes)))
    width = -(-sizes[order[-1]] // lanes) * lanes
    shape = [sizes[axis] for axis in order]
    shape[-1] = width
    line = 64 // (8 if first.buffer.dtype == "float64" else 4)
    pad = line if skew and width % (2 * line) == 0 else 0
    packed = dense(name, first.buffer.dtype, tuple(shape), space, pad=pad)
    strides = [0] * len(sizes)
    extents: list[int | None] = [0] * len(sizes)
    for position, axis in enumerate(order):
        strides[axis], extents[axis] = packed.strides[position], shape[position]
    scratch = replace(packed, shape=tuple(extents), strides=tuple(strides))
    outer = [_outer(axis, inner) for axis in first.axes]
    starts = tuple(o + low for o, low in zip(outer, lows, strict=True))
    fill = _fill(replace(first, axes=starts), scratch, order, lanes)

    def moved(access: Access) -> Access:
        if access.buffer.name != operand:
            return access
        axes = tuple(
            a + o * -1 + (-low)
            for a, o, low in zip(access.axes, outer, lows, strict=True)
        )
        return Access(scratch, axes)

    return (Alloc(scratch, (*fill, *map_accesses(body, moved))),)


def inner_ranges(body: Blocks) -> Ranges:
    """The ranges of all symbols that are bound inside `body`."""
    ranges = Ranges()
    for statement in walk(body):
        if isinstance(statement, Loop):
            ranges.widen(statement)
    return ranges


def _outer(axis: Affine, inner: Ranges) -> Affine:
    return Affine.of({s: c for s, c in axis.terms if not inner.knows(s)})


def _region(accesses: list[Access], inner: Ranges) -> tuple[list[int], list[int]]:
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
    access: Access, scratch: Buffer, order: tuple[int, ...], lanes: int
) -> Blocks:
    """The copy: loops over the scratch, lanes along the innermost axis."""
    names = [f"{scratch.name}_{axis}" for axis in range(len(order))]
    last = order[-1]
    lane = f"{names[last]}_lane"
    places = [index(name) for name in names]
    if lanes > 1:
        places[last] = index(names[last]) * lanes + index(lane)
    sources = tuple(a + p for a, p in zip(access.axes, places, strict=True))
    read = replace(access, axes=sources, check=tuple(range(len(order))))
    body: Blocks = (Store((Access(scratch, tuple(places)),), (Load(read),)),)
    if lanes > 1:
        body = (Loop(lane, lanes, body, "lanes"),)
    for axis in reversed(order):
        extent = scratch.shape[axis] or 1
        count = extent // lanes if axis == last else extent
        body = (Loop(names[axis], count, body),)
    return body


def fuse(
    body: Blocks, buffer: str, change: Callable[[Access, Expression], Expression]
) -> Blocks:
    """Apply an elementwise function where `buffer` is finally written.

    Rewrite:
        y[i] = a;  ...  for i: y[i] = f(y[i], i)
        ->
        y[i] = f(a, i)
    """

    def visit(statement: Statement) -> Statement:
        statement = map_bodies(statement, lambda b: tuple(map(visit, b)))
        if isinstance(statement, Store) and statement.reduction is None:
            target = statement.targets[0]
            if target.buffer.name == buffer:
                value = change(target, statement.values[0])
                return replace(statement, values=(value,))
        return statement

    return tuple(map(visit, body))
