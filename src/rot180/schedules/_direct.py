"""The schedule of sums whose results belong to single images.

An outer product of lanes and pixels: each result is one chain, held in a register while
the chain runs. One factor is read as vectors (lanes), the other as scalars that are
broadcast, or as vectors too where both have the lane index.
"""

from __future__ import annotations

from dataclasses import replace

from rot180.program._bounds import leaves
from rot180.program._callspec import Count
from rot180.program._nodes import (
    Access,
    Blocks,
    Buffer,
    Digit,
    Loop,
    Program,
    Statement,
    index,
    map_bodies,
)
from rot180.program._target import Target
from rot180.schedules._copies import inner_ranges, pack
from rot180.schedules._nest import IMAGE, Nest
from rot180.schedules._rewrite import fuse, reads, split
from rot180.schedules._tile import (
    Tile,
    flatten,
    has,
    held,
    marked,
    placed,
    positions,
    resize,
    roles,
    sink,
    staged,
)


def direct(program: Program, tile: Tile, target: Target) -> Program:
    """Schedule a plain program whose results belong to single images.

    Rewrite:
        for n, k, p, q: for r, s, c: y[n,k,p,q] += x[..] * w[..]
        ->
        pack w by (k_block, r, s, c, k_in)
        for item = (n, block of rows):
            stage the rows of x, padded, channels innermost
            for k_block, p_block, q_block:
                hold tile[p, q, k]: for r, s, c: tile += x * w

    Registers on AVX-512 (32), 2 vectors x 14 pixels: 28 sums, 2 of w, 1 of x.
    """
    nest = Nest.of(program)
    lanes = target.lanes(nest.out.buffer.dtype)
    images, filters = roles(nest)
    body = _tiled(nest, tile, lanes, _items(nest, tile))
    phases: list[Statement] = []
    temporaries: list[tuple[Buffer, Count]] = []
    for factor in filters:
        order = _pack_order(nest, tile, factor)
        name = f"packed_{factor.buffer.name}"
        buffer, fill, body = pack(body, factor.buffer.name, name, order, "temporary")
        phases.append(_packing(fill, tile, has(factor, tile.lane)))
        temporaries.append((buffer, Count(0, 1, buffer.elements() + lanes)))
    body = held(nest, body)
    body = fuse(body, nest.out.buffer.name, nest.finished)
    body = marked(tile, body)
    (item,) = body
    assert isinstance(item, Loop)
    inside = item.body
    for factor in images:
        if not _lies_ready(factor, tile, item):
            inside = staged(nest, tile, factor, inside, lanes)
    phases.append(replace(item, body=inside))
    return replace(program, body=tuple(phases), temporaries=tuple(temporaries))


def _items(nest: Nest, tile: Tile) -> Blocks:
    """One work item is an image and a block of its rows, or a block of images."""
    slid = positions(nest, tile.lane)
    loose = (IMAGE, tile.lane, *slid)
    others = tuple(i for i in nest.outputs() if i not in loose)
    inner = nest.nest(nest.chain, (nest.store(),))
    if slid:
        row, extent = slid[0], nest.extent(slid[0])
        blocks = max(-(-extent // tile.rows), 1)
        body = nest.nest((*others, tile.lane, *reversed(slid)), inner)
        body = resize(body, row, min(tile.rows, extent))
        place = index("block") * tile.rows + index(row)
        body = placed(body, row, place, check=extent % tile.rows != 0)
        derive: tuple[Digit, ...] = (
            Digit(IMAGE, blocks, 0),
            Digit("block", 1, blocks),
        )
        items = Count(blocks)
    else:
        body = _around(nest.nest((*others, tile.lane), ()), IMAGE, tile.rows, inner)
        place = index("block") * tile.rows + index(IMAGE)
        body = placed(body, IMAGE, place, check=tile.rows > 1)
        derive = (Digit("block", 1, 0),)
        items = Count(1, tile.rows)
    for residue in reversed(nest.residues):
        body = (Loop(residue.index, residue.extent, body, derive=residue.derive),)
    return (Loop("item", None, body, "parallel", derive=derive, items=items),)


def _around(nest: Blocks, name: str, extent: int, inner: Blocks) -> Blocks:
    """Put a loop into the empty middle of a nest."""
    if not nest:
        return (Loop(name, extent, inner),)
    return tuple(map_bodies(s, lambda b: _around(b, name, extent, inner)) for s in nest)


def _tiled(nest: Nest, tile: Tile, lanes: int, body: Blocks) -> Blocks:
    """Split lanes and pixels, and move the tile inside the chain."""
    lane, block = tile.lane, tile.vectors * lanes
    body = split(body, lane, block, f"{lane}_block", f"{lane}_in", guard=True)
    body = split(body, f"{lane}_in", lanes, f"{lane}_vector", f"{lane}_lane")
    for name, size in tile.pixels:
        guard = any(has(f, name) for f in roles(nest)[1])
        body = split(body, name, size, f"{name}_block", f"{name}_in", guard=guard)
    inner = [f"{name}_in" for name, _ in tile.pixels]
    return sink(body, (*inner, f"{lane}_vector", f"{lane}_lane"))


def _pack_order(nest: Nest, tile: Tile, factor: Access) -> tuple[str, ...]:
    """A filter in the order in which a tile reads it."""
    lane = tile.lane
    used = {s for a in factor.axes for s in a.symbols()}
    residues = [r.index for r in nest.residues if any(t.name in used for t in r.derive)]
    pixels = [name for name, _ in tile.pixels if name in used]
    plain = [i for i in nest.outputs() if i in used and i not in (lane, *pixels)]
    blocks = [f"{name}_block" for name in pixels]
    chain = [c for c in nest.chain if c in used]
    tail = [f"{name}_in" for name in pixels]
    if lane in used:
        blocks.append(f"{lane}_block")
        tail += [f"{lane}_vector", f"{lane}_lane"]
    return (*residues, *plain, *blocks, *chain, *tail)


def _packing(fill: Blocks, tile: Tile, wide: bool) -> Loop:
    """A packing nest as work items, lanes along the vectors."""
    loops: list[Loop] = []
    inside: Blocks = fill
    while len(inside) == 1 and isinstance(inside[0], Loop):
        loops.append(inside[0])
        inside = inside[0].body
    if wide:
        lane = loops.pop()
        inside = (replace(lane, kind="lanes", body=inside),)
    return flatten(loops, inside, keep=2)


def _lies_ready(factor: Access, tile: Tile, item: Loop) -> bool:
    """Whether a factor can be read where it lies: as vectors, and never outside."""
    ranges = inner_ranges((item,))
    for access in reads((item,)):
        if access.buffer != factor.buffer:
            continue
        lane = f"{tile.lane}_lane"
        if access.address().coefficient(lane) != 1:
            return False
        for number in access.check:
            axis, extent = access.axes[number], access.buffer.shape[number]
            if not axis.coefficient(lane) and any(leaves(axis, extent, ranges)):
                return False
    return True
