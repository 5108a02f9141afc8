"""What the schedules of sums share: the tile, and moves of loops and accesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rot180.errors import ScheduleError
from rot180.program._callspec import Count
from rot180.program._nodes import (
    Access,
    Affine,
    Blocks,
    Digit,
    Loop,
    Statement,
    Store,
    Table,
    constant,
    index,
    map_bodies,
    substitute,
)
from rot180.schedules._copies import stage, staged_bytes
from rot180.schedules._counter import summed
from rot180.schedules._nest import IMAGE, Nest
from rot180.schedules._rewrite import cut, hold, map_accesses, mark

_MOST_STAGED = 1 << 26  # bytes; more would be copied through memory for nothing


@dataclass(frozen=True, slots=True)
class Tile:
    """The numbers of a schedule; no choice of them changes a bit of the result.

    Attributes:
        lane: the index that runs along the vectors.
        vectors: vectors of it in one tile.
        pixels: the other indices of a tile, with how many of each.
        unroll: indices of the chain that are written out, so that neighbouring steps
            share what they load.
        rows: how much of the first position index one work item takes.
        blocks: for sums over images, extents of the blocks of output indices.
        group: for sums over images, leaves of one work item, a power of two.
    """

    lane: str
    vectors: int
    pixels: tuple[tuple[str, int], ...] = ()
    rows: int = 1
    blocks: tuple[tuple[str, int], ...] = ()
    group: int = 1
    unroll: tuple[str, ...] = ()


def has(access: Access, name: str) -> bool:
    """Whether an index occurs in an access."""
    return any(a.coefficient(name) for a in access.axes)


def axis_of(access: Access, name: str) -> int:
    """The axis of an access in which an index stands."""
    return next(i for i, a in enumerate(access.axes) if a.coefficient(name))


def roles(nest: Nest) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
    """The factors that belong to the images, and those that do not."""
    images = tuple(f for f in nest.factors if has(f, IMAGE))
    return images, tuple(f for f in nest.factors if f not in images)


def positions(nest: Nest, lane: str) -> tuple[str, ...]:
    """Output indices that only image factors have: what slides.

    Without a filter, those that do not stand alone everywhere; channels do.
    """
    images, filters = roles(nest)
    return tuple(
        i
        for i in nest.outputs()
        if i not in (IMAGE, lane)
        and any(has(f, i) for f in images)
        and not any(has(f, i) for f in filters)
        and (filters or not all(is_alone(f, i) for f in images))
    )


def is_alone(access: Access, name: str) -> bool:
    """Whether an index stands alone in its axis."""
    return any(a.terms == ((name, 1),) and a.const == 0 for a in access.axes)


def resize(body: Blocks, name: str, extent: int) -> Blocks:
    """Give the loops over `name` another extent."""

    def change(statement: Statement) -> Statement:
        if isinstance(statement, Loop) and statement.index == name:
            return replace(statement, extent=extent)
        return map_bodies(statement, lambda b: tuple(map(change, b)))

    return tuple(map(change, body))


def placed(body: Blocks, name: str, place: Affine, *, check: bool) -> Blocks:
    """Let an index stand for a place in a larger extent, which it may leave."""

    def checked(access: Access) -> Access:
        axes = [i for i, a in enumerate(access.axes) if a.coefficient(name)]
        return replace(access, check=tuple(sorted({*access.check, *axes})))

    if check:
        body = map_accesses(body, checked, checked)
    return substitute(body, {name: place})


def sink(body: Blocks, names: tuple[str, ...]) -> Blocks:
    """Move loops to the innermost place of every nest, in the given order.

    Raises:
        ScheduleError: one of them is summed over, in an order that would change.
    """

    def visit(body: Blocks, carried: Mapping[str, Loop]) -> Blocks:
        result: list[Statement] = []
        for statement in body:
            match statement:
                case Loop() if statement.index in names:
                    inner = {**carried, statement.index: statement}
                    result.extend(visit(statement.body, inner))
                case Store():
                    result.extend(_wrapped(statement, carried, names))
                case _:
                    result.append(map_bodies(statement, lambda b: visit(b, carried)))
        return tuple(result)

    return visit(body, {})


def _wrapped(
    store: Store, carried: Mapping[str, Loop], names: tuple[str, ...]
) -> Blocks:
    body: Blocks = (store,)
    summed = store.reduction.loops if store.reduction else ()
    if any(name in summed for name in carried):
        raise ScheduleError(f"sink: a loop of {list(carried)} is summed over in order")
    for name in reversed(names):
        if name in carried:
            body = (replace(carried[name], body=body),)
    return body


def held(nest: Nest, body: Blocks) -> Blocks:
    """Hold the results of a nest, the leaves of its chains summed in their trees."""
    reduction = nest.reduction
    single = [i for i, size in reduction.leaves if size == 1]
    for name, size in reduction.leaves:
        body = cut(body, name, size)
    chain = [i for i in reduction.loops if i not in single]
    if not chain:
        return body
    body = hold(body, chain[0])
    for name, size in reversed(reduction.leaves):
        pieces = -(-nest.extent(name) // size)
        limit = dict(nest.limits).get(name) if size == 1 else None
        count = constant(pieces) if limit is None else index(limit)
        body = summed(body, f"{name}_leaf", count, pieces)
    return body


def marked(tile: Tile, body: Blocks) -> Blocks:
    """Unroll the tile and let its innermost loop run along the vector."""
    for name in (*(f"{name}_in" for name, _ in tile.pixels), *tile.unroll):
        body = mark(body, name, "unroll")
    body = mark(body, f"{tile.lane}_vector", "unroll")
    return mark(body, f"{tile.lane}_lane", "lanes")


def flatten(loops: list[Loop], body: Blocks, keep: int) -> Loop:
    """One parallel loop over all but the `keep` innermost loops of a nest."""
    cut = max(len(loops) - keep, 0)
    outer, inner = loops[:cut], loops[cut:]
    for loop in reversed(inner):
        body = (replace(loop, body=body),)
    total = 1
    derive: list[Digit | Table] = []
    for loop in reversed(outer):
        extent = loop.extent or 1
        derive.append(Digit(loop.index, total, extent))
        total *= extent
    for loop in outer:
        derive.extend(loop.derive)
    items = Count(0, 1, total)
    return Loop("item", None, body, "parallel", derive=tuple(derive), items=items)


def staged(nest: Nest, tile: Tile, factor: Access, body: Blocks, lanes: int) -> Blocks:
    """Stage one factor, the axis that is read fastest innermost.

    What would not fit in any cache (a dilation far beyond the image) is read in place.
    """
    if staged_bytes(body, factor.buffer.name) > _MOST_STAGED:
        return body
    order = _stage_order(nest, tile, factor)
    bare = [index(name) for name, _ in nest.extents if name != IMAGE]
    extent = factor.buffer.shape[order[-1]]
    wide = extent is not None and extent >= lanes
    name = f"rows_{factor.buffer.name}"
    return stage(
        body,
        factor.buffer.name,
        name,
        order=order,
        lanes=lanes if wide else 1,
        skew=True,
        loose=tuple(a for a, place in enumerate(factor.axes) if place in bare),
        ends=_ends(nest, factor),
    )


def _ends(nest: Nest, factor: Access) -> dict[int, int]:
    """Where reading ends along the axes that an image's leaves are cut along."""
    if nest.is_of_images:
        return {}
    cuts = {name for name, _ in nest.reduction.leaves[1:]}
    return {
        axis: _last(nest, place) + 1
        for axis, place in enumerate(factor.axes)
        if cuts & place.symbols()
    }


def _last(nest: Nest, place: Affine) -> int:
    """The largest value of an affine sum."""
    high = {name: (extent or 1) - 1 for name, extent in nest.extents}
    return place.const + sum(max(c, 0) * high.get(s, 0) for s, c in place.terms)


def _stage_order(nest: Nest, tile: Tile, factor: Access) -> tuple[int, ...]:
    """The scratch's axes: the lane innermost, else what a tile steps along."""
    last = _fastest(nest, tile, factor)
    slides = [i for i, a in enumerate(factor.axes) if len(a.terms) != 1 and i != last]
    rest = [i for i in range(len(factor.axes)) if i not in slides and i != last]
    return (*rest, *slides, last)


def _fastest(nest: Nest, tile: Tile, factor: Access) -> int:
    if has(factor, tile.lane):
        return axis_of(factor, tile.lane)
    tiled = [name for name, _ in tile.pixels]
    for name in (*reversed(tiled), *reversed(nest.chain)):
        slides = name in positions(nest, tile.lane)
        if not slides and any(a.terms == ((name, 1),) for a in factor.axes):
            return axis_of(factor, name)
    return len(factor.axes) - 1
