"""Schedules of sums over the images themselves: weight and bias gradients.

The order of summation: positions of one leaf make one chain; a leaf is a block of rows
of an image, or a few whole images where these are tiny; the leaves are summed in a
binary tree. Leaves depend on the problem alone, so no tile, no thread count and no
grouping into work items changes a bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from rot180.errors import ScheduleError
from rot180.program._callspec import Count
from rot180.program._nodes import (
    Access,
    Affine,
    Alloc,
    Apply,
    Blocks,
    Buffer,
    Carry,
    Digit,
    Drain,
    Load,
    Loop,
    Number,
    Program,
    Reduction,
    Statement,
    Store,
    dense,
    index,
    substitute,
)
from rot180.program._target import Target
from rot180.schedules._rewrite import at, hold, split
from rot180.schedules._sum import IMAGE, IMAGES, Sum
from rot180.schedules._tile import Tile, flatten, marked, resize, sink, staged

_LEVELS = 40  # of a binary counter: more leaves than fit in any memory
_BLOCKS = 16  # blocks of results that keep a team busy by themselves


@dataclass(frozen=True, slots=True)
class Leaf:
    """What one chain sums: `images` whole images, or `rows` rows of one image."""

    images: int
    rows: int

    @classmethod
    def of(cls, sum_: Sum) -> Leaf:
        """The leaf of a problem; part of the meaning, so a function of sizes alone.

        Chains of at least 32 terms keep the tree's own additions rare; blocks of rows
        keep what a leaf reads, about 2^17 elements, near the processor.
        """
        extents = [sum_.extent(c) for c in sum_.chain]
        positions = 1
        for extent in extents:
            positions *= extent
        if positions < 32:
            return cls(
                1 << (31 // max(positions, 1)).bit_length(), max(extents, default=1)
            )
        row = positions // extents[0] * _channels(sum_)
        blocks = -(-extents[0] // max(1, (1 << 17) // max(row, 1)))
        return cls(1, -(-extents[0] // blocks))


def _channels(sum_: Sum) -> int:
    """Elements that one position of the chain reads."""
    total = 0
    for factor in sum_.factors:
        names = {a.terms[0][0] for a in factor.axes if len(a.terms) == 1}
        product = 1
        for name in names - {IMAGE, *sum_.chain}:
            product *= sum_.extent(name)
        total += product
    return total


def over_images(sum_: Sum, tile: Tile, target: Target) -> Program:
    """Schedule a sum over images.

    Rewrite:
        for k, c, r, s: for n, p, q: w[k,c,r,s] += y[..] * x[..]
        ->
        for item = (group of leaves, block of k, block of c):
            stage the leaves' x, padded, and y
            for k_block, r, s, c_block:
                hold tile[c, k]: for leaf: for p, q: tile += y * x
                    carry the leaf's tile into a binary counter
                part[item] = the counter's sum
        for k, c, r, s: w[k,c,r,s] = tree of part over groups

    Where there are blocks enough for any team, an item is a block alone: it goes
    through all groups itself, carries each into a counter in its scratch, and writes
    `w`.

    Registers on AVX-512 (32), 4 vectors x 4 channels: 16 sums, 4 of y, 4 of x.
    """
    lanes = target.lanes(sum_.out.buffer.dtype)
    leaf = Leaf.of(sum_)
    plan = _Plan(sum_, tile, leaf, lanes)
    symbols = (("leaves", Count(1, leaf.images)), ("groups", plan.groups))
    if plan.alone:
        item = plan.whole()
        return Program(sum_.name, sum_.arguments(), (item,), (), symbols)
    first = plan.parts()
    second = plan.combine()
    part = plan.part
    size = part.strides[0] * plan.groups.factor
    count = Count(size, plan.groups.divisor, lanes)
    return Program(
        sum_.name, sum_.arguments(), (first, second), ((part, count),), symbols
    )


def _level(counter: Buffer, axes: tuple[Affine, ...]) -> Access:
    return Access(counter, (index("level"), *axes))


class _Plan:
    """The numbers of one schedule, and its phases."""

    def __init__(self, sum_: Sum, tile: Tile, leaf: Leaf, lanes: int) -> None:
        self.sum, self.tile, self.leaf, self.lanes = sum_, tile, leaf, lanes
        self.row = sum_.chain[0] if sum_.chain else None
        rows = sum_.extent(self.row) if self.row else 1
        self.blocks = -(-rows // leaf.rows) if rows else 1
        self.group = tile.group if self.blocks == 1 else 1
        images = leaf.images * self.group
        self.groups = Count(self.blocks, images)
        self.outputs = sum_.outputs()
        self.sizes = {i: self._block(i) for i in self.outputs}
        self.counts = {i: -(-sum_.extent(i) // self.sizes[i]) for i in self.outputs}
        self.alone = math.prod(self.counts.values()) >= _BLOCKS
        self.part = self._part()

    def _block(self, name: str) -> int:
        size = min(dict(self.tile.blocks).get(name, 1 << 30), self.sum.extent(name))
        if name == self.tile.lane:
            step = self.tile.vectors * self.lanes
            size = -(-size // step) * step
        return max(size, 1)

    def _part(self) -> Buffer:
        if self.alone:
            sizes = tuple(self.sizes[i] for i in self._inner_order())
            return dense("sums", self.sum.out.buffer.dtype, sizes, "scratch")
        shape = [self.counts[i] for i in self.outputs]
        shape += [self.sizes[i] for i in self._inner_order()]
        buffer = dense("part", self.sum.out.buffer.dtype, (1, *shape), "temporary")
        return replace(buffer, shape=(None, *shape))

    def _inner_order(self) -> tuple[str, ...]:
        """Output indices inside a block, the lane innermost."""
        lane = self.tile.lane
        return (*(i for i in self.outputs if i != lane), lane)

    def _part_access(self) -> Access:
        outer = [index(f"{i}_part") for i in self.outputs]
        inner = [index(i) for i in self._inner_order()]
        if self.alone:
            return Access(self.part, tuple(inner))
        return Access(self.part, (index("group"), *outer, *inner))

    # ------------------------------------------------------------ first phase

    def parts(self) -> Loop:
        """Sums of groups of leaves."""
        derive, radix = self._block_digits()
        derive.append(Digit("group", radix, 0))
        derive += self._leaf_digits(radix)
        items = Count(radix * self.groups.factor, self.groups.divisor)
        body = self._one_group()
        return Loop("item", None, body, "parallel", derive=tuple(derive), items=items)

    def whole(self) -> Loop:
        """Sums of all groups, one block of results after the other."""
        derive, radix = self._block_digits()
        sums = self.part
        shape = tuple(e or 1 for e in sums.shape)
        counter = dense("counter_sums", sums.dtype, (_LEVELS, *shape), "scratch")
        merge = self._over_sums(
            lambda place, axes: Store(
                (place,),
                (Apply("add", (Load(_level(counter, axes)), Load(place))),),
            )
        )
        put = self._over_sums(
            lambda place, axes: Store((_level(counter, axes),), (Load(place),))
        )
        clear = self._over_sums(
            lambda place, axes: Store((place,), (Number(0.0, sums.dtype),))
        )
        groups = Loop(
            "group",
            None,
            (*self._one_group(), Carry("group", "level", merge, put)),
            limit=index("groups"),
            derive=tuple(self._leaf_digits(1)),
        )
        body: Blocks = (
            groups,
            *clear,
            Drain(index("groups"), "level", merge),
            *self._over_sums(self._written),
        )
        body = (Alloc(sums, (Alloc(counter, body),)),)
        items = Count(0, 1, radix)
        return Loop("item", None, body, "parallel", derive=tuple(derive), items=items)

    def _block_digits(self) -> tuple[list[Digit], int]:
        """Which block of results an item is, and how many there are."""
        derive: list[Digit] = []
        radix = 1
        for i in reversed(self.outputs):
            derive.append(Digit(f"{i}_part", radix, self.counts[i]))
            radix *= self.counts[i]
        return derive, radix

    def _leaf_digits(self, radix: int) -> list[Digit]:
        """The image and the block of rows of a leaf, where a group is one leaf."""
        if self.blocks == 1:
            return []
        image = Digit("image", radix * self.blocks, 0)
        return [image, Digit("block", radix, self.blocks)]

    def _one_group(self) -> Blocks:
        """The sums of one group of leaves."""
        body = self._held(self._tiled(self._nest()))
        for factor in self.sum.factors:
            body = staged(self.sum, self.tile, factor, body, self.lanes)
        return body

    def _over_sums(self, make: Callable[[Access, tuple[Affine, ...]], Store]) -> Blocks:
        """A store for every result of a block, lanes along the vectors."""
        names = [f"{i}_sum" for i in self._inner_order()]
        axes = [index(name) for name in names]
        axes[-1] = axes[-1] * self.lanes + index("sum_lane")
        store = make(Access(self.part, tuple(axes)), tuple(axes))
        body: Blocks = (Loop("sum_lane", self.lanes, (store,), "lanes"),)
        sizes = [self.sizes[i] for i in self._inner_order()]
        sizes[-1] //= self.lanes
        for name, size in reversed(list(zip(names, sizes, strict=True))):
            body = (Loop(name, size, body),)
        return body

    def _written(self, place: Access, axes: tuple[Affine, ...]) -> Store:
        """A sum, written where the caller wants it."""
        return Store((self._out(axes),), (Load(place),))

    def _out(self, axes: tuple[Affine, ...]) -> Access:
        """Where a result of a block belongs; blocks may reach beyond the end."""
        own = dict(zip(self._inner_order(), axes, strict=True))
        places = {i: index(f"{i}_part") * self.sizes[i] + own[i] for i in self.outputs}
        out = self.sum.out.map_axes(lambda a: a.substitute(places))
        return replace(out, check=tuple(range(len(out.axes))))

    def _nest(self) -> Blocks:
        sum_ = self.sum
        chain = sum_.chain
        if self.leaf.images > 1:
            chain = ("image_in", *chain)
        reduction = sum_.reduction("leaf", chain or ("image_in",))
        store = Store((self._part_access(),), sum_.values, reduction)
        body: Blocks = sum_.nest(sum_.chain, (store,))
        image = self._image()
        if self.blocks > 1 and self.row:
            body = resize(body, self.row, self.leaf.rows)
            body = self._limited_rows(body)
        if self.leaf.images > 1 or not sum_.chain:
            limit = index(IMAGES) + image * -1
            body = (Loop("image_in", self.leaf.images, body, limit=limit),)
            image = image + index("image_in")
        if self.group > 1:
            left = index("leaves") + index("group") * -self.group
            body = (Loop("leaf", self.group, body, limit=left),)
        places = {
            i: index(f"{i}_part") * self.sizes[i] + index(i) for i in self.outputs
        }
        body = _in_factors(body, {IMAGE: image, **places})
        for i in reversed(self._order()):
            body = (Loop(i, self.sizes[i], body),)
        return body

    def _image(self) -> Affine:
        """The first image of a leaf."""
        if self.blocks > 1:
            return index("image")
        place = index("group") * (self.group * self.leaf.images)
        if self.group > 1:
            place = place + index("leaf") * self.leaf.images
        return place

    def _limited_rows(self, body: Blocks) -> Blocks:
        row = self.row
        assert row is not None
        place = index("block") * self.leaf.rows + index(row)
        if self.sum.extent(row) % self.leaf.rows:
            limit = Affine((), self.sum.extent(row)) + index("block") * -self.leaf.rows
            body = at(body, row, lambda loop: (replace(loop, limit=limit),))
        return _in_factors(body, {row: place})

    def _order(self) -> tuple[str, ...]:
        """Output loops: the lane's blocks outermost, what is tiled innermost."""
        tiled = [name for name, _ in self.tile.pixels]
        plain = [i for i in self.outputs if i != self.tile.lane and i not in tiled]
        return (self.tile.lane, *plain, *tiled)

    def _tiled(self, body: Blocks) -> Blocks:
        tile, lane = self.tile, self.tile.lane
        body = split(
            body, lane, tile.vectors * self.lanes, f"{lane}_block", f"{lane}_in"
        )
        body = split(body, f"{lane}_in", self.lanes, f"{lane}_vector", f"{lane}_lane")
        inner = []
        for name, size in tile.pixels:
            body = split(body, name, size, f"{name}_block", f"{name}_in")
            inner.append(f"{name}_in")
        return sink(body, (*inner, f"{lane}_vector", f"{lane}_lane"))

    def _held(self, body: Blocks) -> Blocks:
        first = "image_in" if self.leaf.images > 1 or not self.sum.chain else self.row
        assert first is not None
        body = hold(body, first)
        if self.group > 1:
            left = index("leaves") + index("group") * -self.group
            levels = self.group.bit_length()
            body = at(body, "leaf", lambda loop: treed(loop, levels, left, self.group))
        return marked(tile=self.tile, body=body)

    # ------------------------------------------------------------ second phase

    def combine(self) -> Loop:
        """The tree over groups, written where the caller wants it."""
        tile, lane = self.tile, self.tile.lane
        reduction = Reduction("add", (0.0,), ("group",), "group")
        value = Load(self._part_access())
        out = self._out(tuple(index(i) for i in self._inner_order()))
        body: Blocks = (Store((out,), (value,), reduction),)
        body = (Loop("group", None, body, limit=index("groups")),)
        loops = [Loop(f"{i}_part", self.counts[i], ()) for i in self.outputs]
        loops += [Loop(i, self.sizes[i], ()) for i in self.outputs if i != lane]
        body = (Loop(lane, self.sizes[lane], body),)
        body = split(
            body, lane, tile.vectors * self.lanes, f"{lane}_block", f"{lane}_in"
        )
        body = split(body, f"{lane}_in", self.lanes, f"{lane}_vector", f"{lane}_lane")
        body = sink(body, (f"{lane}_vector", f"{lane}_lane"))
        body = hold(body, "group")
        every = index("groups")
        body = _treed_group(body, every)
        body = marked(replace(tile, pixels=(), unroll=()), body)
        return flatten([*loops], body, keep=0)


def _in_factors(body: Blocks, values: dict[str, Affine]) -> Blocks:
    """Substitute in what is read, not in what is written."""

    def change(statement: Statement) -> Statement:
        match statement:
            case Store():
                (changed,) = substitute((statement,), values)
                assert isinstance(changed, Store)
                return replace(changed, targets=statement.targets)
            case Loop():
                return replace(statement, body=tuple(map(change, statement.body)))
            case _:
                return statement

    return tuple(map(change, body))


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
    """
    (alloc,) = loop.body
    if not isinstance(alloc, Alloc):
        raise ScheduleError("treed needs a held loop body")
    held = alloc.buffer
    cut = next(
        i
        for i, s in enumerate(alloc.body)
        if _reads_held(s, held.name) and not _writes(s, held.name)
    )
    work, back = alloc.body[:cut], alloc.body[cut:]
    clear = alloc.body[:1]
    shape = tuple(e or 1 for e in held.shape)
    counter = dense(f"counter_{held.name}", held.dtype, (levels, *shape), "scratch")
    merge = _over_tile(clear[0], held, counter, _merge)
    put = _over_tile(clear[0], held, counter, _put)
    carry = Carry(loop.index, "level", (merge,), (put,))
    inside: Blocks = (
        replace(loop, body=(*work, carry)),
        *clear,
        Drain(count, "level", (merge,), at_most),
        *back,
    )
    return (Alloc(held, (Alloc(counter, inside),)),)


def _merge(held: Access, counter: Access) -> Store:
    return Store((held,), (Apply("add", (Load(counter), Load(held))),))


def _put(held: Access, counter: Access) -> Store:
    return Store((counter,), (Load(held),))


def _over_tile(clear: Statement, held: Buffer, counter: Buffer, make) -> Statement:  # type: ignore[no-untyped-def]
    """The tile's loops, as the clearing has them, around another store."""
    match clear:
        case Loop():
            (inner,) = clear.body
            return replace(clear, body=(_over_tile(inner, held, counter, make),))
        case Store(targets):
            place = targets[0]
            store: Store = make(place, Access(counter, (index("level"), *place.axes)))
            return store
    raise ScheduleError("not a clearing of registers")


def _reads_held(statement: Statement, name: str) -> bool:
    match statement:
        case Loop():
            return any(_reads_held(s, name) for s in statement.body)
        case Store(_, values):
            return any(
                isinstance(v, Load) and v.access.buffer.name == name for v in values
            )
    return False


def _writes(statement: Statement, name: str) -> bool:
    match statement:
        case Loop():
            return any(_writes(s, name) for s in statement.body)
        case Store(targets):
            return any(t.buffer.name == name for t in targets)
    return False


def _treed_group(body: Blocks, count: Affine) -> Blocks:
    """The tree over groups: the held loop itself is the tree."""

    def change(statement: Statement) -> Statement:
        match statement:
            case Alloc() if statement.buffer.space == "register":
                clear, work, back = statement.body
                assert isinstance(work, Loop)
                inner = replace(
                    work, body=(Alloc(statement.buffer, (clear, *work.body, back)),)
                )
                (made,) = treed(inner, _LEVELS, count, None)
                return made
            case Loop() | Alloc():
                return replace(statement, body=tuple(map(change, statement.body)))
        return statement

    return tuple(map(change, body))
