"""Schedules of sums over the images themselves: weight and bias gradients.

Each chain is a leaf, a piece of an image or a few whole images, as the program says;
leaves are summed in a binary tree. A work item sums a group of them, a power of two, so
that no grouping changes the tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

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
    constant,
    dense,
    index,
    substitute,
)
from rot180.program._target import Target
from rot180.schedules._counter import MOST_LEVELS, summed
from rot180.schedules._nest import IMAGE, Nest
from rot180.schedules._rewrite import at, cut, fuse, hold, renamed, split
from rot180.schedules._tile import (
    Tile,
    axis_of,
    flatten,
    is_alone,
    marked,
    sink,
    staged,
)

BLOCKS = 16  # blocks of results that keep a team busy by themselves


def over_images(program: Program, tile: Tile, target: Target) -> Program:
    """Schedule a plain program that sums over images.

    Rewrite:
        for k, c, r, s: for n, p, q: w[k,c,r,s] += y[..] * x[..]
        ->
        for item = (group of leaves, block of k, block of c):
            stage the leaves' x, padded, and y (not what is read once, as it lies)
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
    nest = Nest.of(program)
    lanes = target.lanes(nest.out.buffer.dtype)
    plan = _Plan(nest, tile, lanes)
    symbols = (("leaves", Count(1, plan.images)), ("groups", plan.groups))
    if plan.alone:
        return replace(program, body=(plan.whole(),), symbols=symbols)
    part, groups = plan.part, plan.groups
    count = Count(part.strides[0] * groups.factor, groups.divisor, lanes)
    return replace(
        program,
        body=(plan.parts(), plan.combine()),
        temporaries=((part, count),),
        symbols=symbols,
    )


def _level(counter: Buffer, axes: tuple[Affine, ...]) -> Access:
    return Access(counter, (index("level"), *axes))


def power_of_two(least: int) -> int:
    """The smallest power of two that is not below `least`, nor below 1."""
    return 1 << max(least - 1, 0).bit_length()


class _Plan:
    """The numbers of one schedule, and its phases.

    A group is `group` leaves of whole images; where an image is cut, of its rows, and
    the groups of an image, `chunks` of them, count to a power of two, the last ones
    empty: then groups and images are one binary counter.
    """

    def __init__(self, nest: Nest, tile: Tile, lanes: int) -> None:
        self.nest, self.tile, self.lanes = nest, tile, lanes
        (_, self.images), *self.cuts = nest.reduction.leaves
        self.group, self.chunks = tile.group, 1
        self.groups = Count(1, self.images * self.group)
        if self.cuts:
            self.group = min(self.group, power_of_two(self._pieces(0)))
            self.chunks = power_of_two(-(-self._pieces(0) // self.group))
            self.groups = Count(self.chunks)
        self.outputs = nest.outputs()
        self.sizes = {i: self._block(i) for i in self.outputs}
        self.counts = {i: -(-nest.extent(i) // self.sizes[i]) for i in self.outputs}
        self.alone = math.prod(self.counts.values()) >= BLOCKS
        self.part = self._part()

    def _pieces(self, number: int) -> int:
        """Into how many pieces a loop of the chain is cut."""
        name, size = self.cuts[number]
        return -(-self.nest.extent(name) // size)

    def _block(self, name: str) -> int:
        size = min(dict(self.tile.blocks).get(name, 1 << 30), self.nest.extent(name))
        if name == self.tile.lane:
            step = self.tile.vectors * self.lanes
            size = -(-size // step) * step
        return max(size, 1)

    def _part(self) -> Buffer:
        if self.alone:
            sizes = tuple(self.sizes[i] for i in self._inner_order())
            return dense("sums", self.nest.out.buffer.dtype, sizes, "scratch")
        shape = [self.counts[i] for i in self.outputs]
        shape += [self.sizes[i] for i in self._inner_order()]
        buffer = dense("part", self.nest.out.buffer.dtype, (1, *shape), "temporary")
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
        derive += self._chunk_digits(radix)
        items = Count(radix * self.groups.factor, self.groups.divisor)
        body = self._one_group()
        return Loop("item", None, body, "parallel", derive=tuple(derive), items=items)

    def whole(self) -> Loop:
        """Sums of all groups, one block of results after the other."""
        derive, radix = self._block_digits()
        sums = self.part
        shape = tuple(e or 1 for e in sums.shape)
        counter = dense("counter_sums", sums.dtype, (MOST_LEVELS, *shape), "scratch")
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
            derive=tuple(self._chunk_digits(1)),
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

    def _chunk_digits(self, radix: int) -> list[Digit]:
        """The image and the rows of a group, where images are cut."""
        if not self.cuts:
            return []
        image = Digit("image", radix * self.chunks, 0)
        return [image, Digit("chunk", radix, self.chunks)]

    def _one_group(self) -> Blocks:
        """The sums of one group of leaves."""
        body = self._held(self._tiled(self._around()))
        for factor in self.nest.factors:
            if not self._is_read_once_by_vectors(factor):
                body = staged(self.nest, self.tile, factor, body, self.lanes)
        return body

    def _is_read_once_by_vectors(self, factor: Access) -> bool:
        """Whether a copy gains nothing: whole vectors as they lie, none read again."""
        lane = self.tile.lane
        if not all(is_alone(factor, name) for name, _ in self.nest.extents):
            return False
        is_dense = factor.buffer.strides[axis_of(factor, lane)] == 1
        return is_dense and self.nest.extent(lane) % self.sizes[lane] == 0

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
        out = self._out(axes)
        return Store((out,), (self.nest.finished(out, Load(place)),))

    def _out(self, axes: tuple[Affine, ...]) -> Access:
        """Where a result of a block belongs; blocks may reach beyond the end."""
        own = dict(zip(self._inner_order(), axes, strict=True))
        places = {i: index(f"{i}_part") * self.sizes[i] + own[i] for i in self.outputs}
        out = self.nest.out.map_axes(lambda a: a.substitute(places))
        return replace(out, check=tuple(range(len(out.axes))))

    def _around(self) -> Blocks:
        """The leaves of a group, and around them the results of a block."""
        nest = self.nest
        store = replace(nest.store(), targets=(self._part_access(),))
        body = nest.nest(nest.reduction.loops, (store,))
        for name, size in nest.reduction.leaves:
            body = cut(body, name, size)
        body = self._grouped(body)
        body = _in_factors(
            body,
            {i: index(f"{i}_part") * self.sizes[i] + index(i) for i in self.outputs},
        )
        for i in reversed(self._order()):
            body = (Loop(i, self.sizes[i], body),)
        return body

    def _grouped(self, body: Blocks) -> Blocks:
        """Let the loops over leaves run inside a group."""
        images = f"{IMAGE}_leaf"
        if not self.cuts:
            return at(body, images, self._within)
        body = at(body, images, lambda loop: _placed(loop, (), index("image")))
        return at(body, f"{self.cuts[0][0]}_leaf", self._within)

    def _within(self, loop: Loop) -> Blocks:
        first = index("chunk" if self.cuts else "group") * self.group
        body = _placed(loop, ("leaf",), first + index("leaf"))
        return (Loop("leaf", self.group, body, limit=self._left()),)

    def _left(self) -> Affine:
        """How many leaves there are from the first of a group on."""
        if self.cuts:
            return constant(self._pieces(0)) + index("chunk") * -self.group
        return index("leaves") + index("group") * -self.group

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
        reduction = self.nest.reduction
        first, *_ = (i for i in reduction.loops if (i, 1) not in reduction.leaves)
        body = hold(body, first)
        for number in range(len(self.cuts) - 1, 0, -1):
            pieces = self._pieces(number)
            name, _ = self.cuts[number]
            body = summed(body, f"{name}_leaf", constant(pieces), pieces)
        body = summed(body, "leaf", self._left(), self.group)
        return marked(tile=self.tile, body=body)

    # ------------------------------------------------------------ second phase

    def combine(self) -> Loop:
        """The tree over groups, written where the caller wants it."""
        tile, lane = self.tile, self.tile.lane
        out = self._out(tuple(index(i) for i in self._inner_order()))
        reduction = Reduction("add", (0.0,), (), tree=("group",))
        body: Blocks = (Store((out,), (Load(self._part_access()),), reduction),)
        body = (Loop("group", None, body, limit=index("groups")),)
        loops = [Loop(f"{i}_part", self.counts[i], ()) for i in self.outputs]
        loops += [Loop(i, self.sizes[i], ()) for i in self.outputs if i != lane]
        body = (Loop(lane, self.sizes[lane], body),)
        body = split(
            body, lane, tile.vectors * self.lanes, f"{lane}_block", f"{lane}_in"
        )
        body = split(body, f"{lane}_in", self.lanes, f"{lane}_vector", f"{lane}_lane")
        body = sink(body, (f"{lane}_vector", f"{lane}_lane"))
        body = hold(body, f"{lane}_vector")
        body = summed(body, "group", index("groups"), None)
        body = fuse(body, out.buffer.name, self.nest.finished)
        body = marked(replace(tile, pixels=(), unroll=()), body)
        return flatten([*loops], body, keep=0)


def _placed(loop: Loop, names: tuple[str, ...], place: Affine) -> Blocks:
    """The body of a loop over leaves, which now count as `place`."""
    body = renamed(loop.body, loop.index, names)
    return substitute(body, {loop.index: place})


def _in_factors(body: Blocks, values: Mapping[str, Affine]) -> Blocks:
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
