"""Rewritings of loop nests: each takes a body and returns one that means the same.

No rewriting changes the order in which the values of one element are combined; the ones
that could, refuse. A loop is named by its index; where a split has left two copies of a
nest (the tiles and the rest), a rewriting changes both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from rot180.errors import ScheduleError
from rot180.program._nodes import (
    Access,
    Alloc,
    Apply,
    Blocks,
    Buffer,
    Expression,
    Kind,
    Load,
    Loop,
    Number,
    Reduction,
    Statement,
    Store,
    constant,
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

    Raises:
        ScheduleError: there is no such loop, its extent is known only at run time, or
            with `guard` no operand ends where the loop does.
    """

    def change(loop: Loop) -> Blocks:
        if loop.extent is None or loop.limit is not None:
            raise ScheduleError(f"loop {name!r} has no extent to split")
        inside = renamed(loop.body, name, (outer, inner))
        whole, rest = divmod(loop.extent, factor)
        if guard and rest:
            _ends_with(inside, name, loop.extent)
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


def renamed(body: Blocks, name: str, names: tuple[str, ...]) -> Blocks:
    """The body, in whose reductions other loops stand for the loop `name`."""

    def put(loops: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(n for o in loops for n in (names if o == name else (o,)))

    def change(statement: Statement) -> Statement:
        statement = map_bodies(statement, lambda b: tuple(map(change, b)))
        if isinstance(statement, Store) and statement.reduction:
            reduction = statement.reduction
            loops, tree = put(reduction.loops), put(reduction.tree)
            changed = replace(reduction, loops=loops, tree=tree)
            return replace(statement, reduction=changed)
        return statement

    return tuple(map(change, body))


def _ends_with(body: Blocks, name: str, extent: int) -> None:
    """See that behind the end of a loop something is outside its buffer."""
    for store in walk(body):
        if isinstance(store, Store):
            read = (a for value in store.values for a in loads(value))
            if not any(_is_out(a, name, extent) for a in (*store.targets, *read)):
                raise ScheduleError(f"split: nothing guards the end of loop {name!r}")


def _is_out(access: Access, name: str, place: int) -> bool:
    """Whether an access is outside wherever the index is at least `place`."""
    for axis, extent in zip(access.axes, access.buffer.shape, strict=True):
        step = axis.coefficient(name)
        least = step * place + axis.const
        rises = step > 0 and all(c >= 0 for _, c in axis.terms)
        if rises and extent is not None and least >= extent:
            return True
    return False


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
            would change their order, or one needs a number that another defines.
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
        if missing := [n for n in names if n not in found]:
            raise ScheduleError(
                f"loops {missing} are in no perfect nest with {first!r}"
            )
        order = list(names)
        _keep_order(inside, order)
        _keep_scope([found[n] for n in order])
        for name in reversed(order):
            inside = (replace(found[name], body=inside),)
        return inside

    return at(body, first, change)


def _reduced(store: Store) -> tuple[str, ...]:
    """The loops whose order is the order of a store's sum, outermost first."""
    return () if store.reduction is None else store.reduction.all_loops


def _keep_order(body: Blocks, order: list[str]) -> None:
    for statement in walk(body):
        if isinstance(statement, Store):
            kept = [n for n in _reduced(statement) if n in order]
            if kept != [n for n in order if n in kept]:
                raise ScheduleError(
                    f"the order {order} would change the sum over {kept}"
                )


def _keep_scope(loops: list[Loop]) -> None:
    for number, loop in enumerate(loops):
        needed = loop.limit.symbols() if loop.limit else frozenset()
        for later in loops[number:]:
            if needed & {later.index, *(d.name for d in later.derive)}:
                raise ScheduleError(
                    f"loop {loop.index!r} ends where {later.index!r} says"
                )


def cut(body: Blocks, name: str, size: int) -> Blocks:
    """Cut the next loop of a chain into the leaves that its reduction declares.

    Rewrite:
        for r in R: for s: y += e                       leaves of r: 3
        ->
        for r_leaf in ceil(R / 3): for r in 3 (at most R - 3*r_leaf): for s:
            y += e[r -> 3*r_leaf + r]                   a tree over r_leaf

    Leaves of single steps need no inner loop.

    Raises:
        ScheduleError: there is no such loop, or the reduction declares another leaf.
    """

    def change(loop: Loop) -> Blocks:
        leaf = f"{name}_leaf"
        inside = _declared(loop.body, (name, size), leaf)
        if size == 1:
            inside = substitute(inside, {name: index(leaf)})
            return (replace(loop, index=leaf, body=inside),)
        place = index(leaf) * size + index(name)
        inside = substitute(inside, {name: place})
        limit, extent = loop.limit, loop.extent
        if limit is None and extent is not None and extent % size:
            limit = constant(extent)
        left = None if limit is None else limit + index(leaf) * -size
        count = None if extent is None else -(-extent // size)
        inner = Loop(name, size, inside, limit=left)
        return (Loop(leaf, count, (inner,)),)

    return at(body, name, change)


def _declared(body: Blocks, leaf: tuple[str, int], loop: str) -> Blocks:
    """The body, its reductions with `loop` in the place of a leaf that is to be cut."""

    def change(statement: Statement) -> Statement:
        statement = map_bodies(statement, lambda b: tuple(map(change, b)))
        if not isinstance(statement, Store) or statement.reduction is None:
            return statement
        reduction = statement.reduction
        if reduction.leaves[:1] != (leaf,):
            raise ScheduleError(f"cut: {leaf} is not the next of {reduction.leaves}")
        tree = (*reduction.tree, loop)
        whole = [n for n in reduction.loops if leaf != (n, 1)]
        changed = replace(
            reduction, loops=tuple(whole), leaves=reduction.leaves[1:], tree=tree
        )
        return replace(statement, reduction=changed)

    return tuple(map(change, body))


def mark(body: Blocks, name: str, kind: Kind) -> Blocks:
    """Make a loop `unroll`, `lanes` or `parallel`; the meaning stays.

    Raises:
        ScheduleError: there is no such loop, or it is summed over and would no longer
            run in order.
    """
    stores = [s for s in walk(body) if isinstance(s, Store)]
    if kind in ("lanes", "parallel") and any(name in _reduced(s) for s in stores):
        raise ScheduleError(f"{kind}: loop {name!r} is summed over in order")
    return at(body, name, lambda loop: (replace(loop, kind=kind),))


def hold(body: Blocks, name: str) -> Blocks:
    """Keep the results of a reduction in registers while it runs.

    Rewrite:
        for r: for t: y[f(t)] += e
        ->
        with registers a[t]:
            for t: a[t] = identity
            for r: for t: a[t] += e
            for t: y[f(t)] = a[t], a maximum settled: choosing flushes no denormals

    `name` is the outermost loop of the chain; the loops inside it that are not reduced
    make the tile. A reduction over a tree needs `treed` next.

    Raises:
        ScheduleError: there is no such loop, it holds no single reduced store, or part
            of the reduction lies outside it.
    """
    return at(body, name, _held)


def _held(loop: Loop) -> Blocks:
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
    if reduction.leaves:
        raise ScheduleError(f"hold: the leaves {reduction.leaves} are not cut yet")
    inner = {c.index for c in chain}
    if not inner.issuperset(reduction.loops):
        outer = [n for n in reduction.loops if n not in inner]
        raise ScheduleError(
            f"hold: the sum goes on over {outer} outside {loop.index!r}"
        )
    tile = [c for c in chain if c.index not in reduction.loops]
    held = _tile_buffers(store, tile)
    axes = tuple(index(c.index) for c in tile)
    places = tuple(Access(b, axes) for b in held)
    clear = _nest(tile, _identity(places, reduction))
    work: Blocks = (
        replace(store, targets=places, reduction=replace(reduction, tree=())),
    )
    for level in reversed(chain):
        work = (replace(level, body=work),)
    back = _nest(
        tile,
        tuple(
            Store((t,), (value,))
            for t, value in zip(store.targets, _results(places, reduction), strict=True)
        ),
    )
    result: Blocks = (*clear, *work, *back)
    for buffer in reversed(held):
        result = (Alloc(buffer, result),)
    return result


def _results(
    places: tuple[Access, ...], reduction: Reduction
) -> tuple[Expression, ...]:
    first, *others = (Load(place) for place in places)
    is_sum = reduction.kind == "add"
    return (first if is_sum else Apply("settle", (first,)), *others)


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


def reads(body: Blocks) -> Iterator[Access]:
    """Every access that is read."""
    for statement in walk(body):
        if isinstance(statement, Store):
            for value in statement.values:
                yield from loads(value)


def fuse(
    body: Blocks, buffer: str, change: Callable[[Access, Expression], Expression]
) -> Blocks:
    """Apply an elementwise function where `buffer` is finally written.

    Rewrite:
        y[i] = a;  ...  for i: y[i] = f(y[i], i)
        ->
        y[i] = f(a, i)

    Raises:
        ScheduleError: `buffer` is never written, or still being summed.
    """
    writes = [s for s in walk(body) if isinstance(s, Store) and _is_of(s, buffer)]
    if not writes or any(s.reduction for s in writes):
        state = "is still summed" if writes else "is not written here"
        raise ScheduleError(f"fuse: {buffer!r} {state}")

    def visit(statement: Statement) -> Statement:
        statement = map_bodies(statement, lambda b: tuple(map(visit, b)))
        if isinstance(statement, Store) and _is_of(statement, buffer):
            value = change(statement.targets[0], statement.values[0])
            return replace(statement, values=(value,))
        return statement

    return tuple(map(visit, body))


def _is_of(store: Store, buffer: str) -> bool:
    return store.targets[0].buffer.name == buffer
