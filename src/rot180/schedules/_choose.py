"""Tiles for a sum of products, the likely fastest first.

Every tile gives the same bits, so this may use whatever it likes. The model counts, for
one step of the chain, multiply-adds and loads, and takes the larger: a core does about
as many of either in a cycle, and needs eight chains to hide the latency.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product

from rot180.program._nodes import Access, Program
from rot180.program._target import ITEM_BYTES, Target
from rot180.schedules._direct import direct
from rot180.schedules._elementwise import Pointwise, RowWise, pointwise, row_wise
from rot180.schedules._interruptible import interruptible
from rot180.schedules._nest import IMAGE, Nest
from rot180.schedules._tile import Tile, has, is_alone, positions, roles
from rot180.schedules._tree import BLOCKS, over_images, power_of_two

Bound = Program | Pointwise | RowWise

_CANDIDATES = 6
_L2 = 1 << 20
_STAGED = 5 << 17  # bytes of one item of a sum over images
_CHAINS = 8
_LONGEST = 12  # taps that are written out
_REST = 3.0  # what a step of a smaller last tile costs, against a full one


def scheduled(bound: Bound, target: Target, tile: Tile | None) -> Program:
    """The program that is compiled."""
    match bound:
        case Program():
            assert tile is not None
            return interruptible(schedule(bound, tile, target))
        case Pointwise():
            return interruptible(pointwise(bound, target))
        case RowWise():
            return interruptible(row_wise(bound, target))


def schedule(program: Program, tile: Tile, target: Target) -> Program:
    """A plain program, made fast with one tile."""
    make = direct if Nest.of(program).is_of_images else over_images
    return make(program, tile, target)


def candidates(program: Program, target: Target) -> tuple[Tile, ...]:
    """A few tiles for a plain program, the likely fastest first."""
    nest = Nest.of(program)
    make = _direct_tiles if nest.is_of_images else _tree_tiles
    costs: dict[Tile, float] = {}
    for cost, tile in make(nest, target):
        costs.setdefault(tile, cost)
    ranked = sorted(costs, key=lambda tile: costs[tile])
    return tuple(ranked[:_CANDIDATES])


def _balanced(extent: int, most: int) -> int:
    """The size of equal blocks no larger than `most`."""
    blocks = -(-max(extent, 1) // max(most, 1))
    return -(-max(extent, 1) // blocks)


def _registers(target: Target, vectors: int, shared: int) -> int:
    """Results that fit beside the operands of one step.

    `vectors` of one factor and a broadcast of the other; where both have the lane and
    `shared` taps are written out, as many vectors of the image as there are results and
    taps. AVX-512 multiplies with a broadcast from memory.
    """
    if shared:
        return max((target.registers - shared) // (2 * vectors), 1)
    return max((target.registers - vectors - 1) // vectors, 1)


def _written_out(nest: Nest, lane: str) -> tuple[str, ...]:
    """The last tap, where image and filter both have the lane: its loads are shared."""
    images, _ = roles(nest)
    taps = [c for c in nest.chain if nest.extent(c) > 1]
    if not taps or not all(has(f, lane) for f in images):
        return ()
    if nest.limits or nest.reduction.leaves:
        return ()
    last = taps[-1]
    if any(is_alone(f, last) for f in images) or nest.extent(last) > _LONGEST:
        return ()
    return (last,)


def _lane_score(nest: Nest, access: Access, name: str, lanes: int) -> float:
    """How full the vectors are, less what a scattered store costs."""
    extent = max(nest.extent(name), 1)
    full = extent / (-(-extent // lanes) * lanes)
    steps = sum(
        a.coefficient(name) * s
        for a, s in zip(access.axes, access.buffer.strides, strict=True)
    )
    return full * (1.0 if steps == 1 else 0.9)


def _direct_tiles(nest: Nest, target: Target) -> Iterator[tuple[float, Tile]]:
    lanes = target.lanes(nest.out.buffer.dtype)
    images, filters = roles(nest)
    for lane in _direct_lanes(nest, lanes):
        slid = positions(nest, lane)
        count = -(-nest.extent(lane) // lanes)
        others = [
            i
            for i in nest.outputs()
            if i not in (IMAGE, lane, *slid)
            and nest.extent(i) > 1
            and not (any(has(f, i) for f in images) and any(has(f, i) for f in filters))
        ]
        for most in range(1, min(4, count) + 1):
            vectors = _balanced(count, most)
            unroll = _written_out(nest, lane)
            shared = nest.extent(unroll[0]) if unroll else 0
            room = _registers(target, vectors, shared)
            for pixels in _pixels(nest, (*others, *slid), room):
                cost = _step_cost(nest, lane, vectors, pixels, lanes)
                rows = _rows(nest, lane, pixels)
                yield cost, Tile(lane, vectors, pixels, rows, unroll=unroll)


def _direct_lanes(nest: Nest, lanes: int) -> list[str]:
    """The indices that make full vectors; channels, else the last position.

    A position must move the image by one element, and costs a scattered store.
    """
    slid = positions(nest, "")
    channels = [i for i in nest.outputs() if i != IMAGE and i not in slid]
    scores = {i: _lane_score(nest, nest.out, i, lanes) for i in channels}
    if slid and nest.chain and max(scores.values(), default=0.0) < 0.5:
        images, _ = roles(nest)
        steps = {a.coefficient(slid[-1]) for f in images for a in f.axes} - {0}
        if steps == {1}:
            scores[slid[-1]] = 0.9 * _lane_score(nest, nest.out, slid[-1], lanes)
    best = max(scores, key=lambda i: scores[i])
    return [best]


def _pixels(
    nest: Nest, names: tuple[str, ...], room: int
) -> Iterator[tuple[tuple[str, int], ...]]:
    """Tiles of at most `room` results, along the innermost indices first."""
    if not names:
        if any(i == IMAGE for i in nest.outputs()) and not positions(nest, ""):
            for size in (room, max(room // 2, 1)):
                yield ((IMAGE, size),)
        else:
            yield ()
        return
    last = names[-1]
    sizes = {_balanced(nest.extent(last), most) for most in range(1, room + 1)}
    for size in sorted(sizes, reverse=True)[:4]:
        yield ((last, size),)
        left = room // size
        if left >= 2 and len(names) > 1:
            upper = names[-2]
            second = _balanced(nest.extent(upper), left)
            if second > 1:
                yield ((upper, second), (last, size))


def _step_cost(
    nest: Nest, lane: str, vectors: int, pixels: tuple[tuple[str, int], ...], lanes: int
) -> float:
    """Time over all tiles, for one step of the chain each."""
    total = 0.0
    choices = []
    for name, size in pixels:
        extent = size if name == IMAGE else nest.extent(name)
        whole, rest = divmod(extent, size)
        choices.append([(size, whole)] * bool(whole) + [(rest, 1)] * bool(rest))
    for chosen in product(*choices):
        sizes = {
            name: size for (name, _), (size, _) in zip(pixels, chosen, strict=True)
        }
        times = math.prod(number for _, number in chosen)
        work = vectors * math.prod(sizes.values())
        reads = sum(_reads(f, lane, vectors, sizes) for f in nest.factors)
        full = sizes == dict(pixels)
        step = max(work, reads, _CHAINS) + 0.3 + 0.05 * reads
        total += times * step * (1 if full else _REST)
    covered = math.prod(
        size if name == IMAGE else nest.extent(name) for name, size in pixels
    )
    blocks = -(-nest.extent(lane) // (vectors * lanes))
    return total * blocks / max(covered, 1) / max(nest.extent(lane), 1)


def _reads(factor: Access, lane: str, vectors: int, sizes: dict[str, int]) -> int:
    """Loads of one factor in one step."""
    count = vectors if has(factor, lane) else 1
    for name, size in sizes.items():
        if has(factor, name):
            count *= size
    return count


def _rows(nest: Nest, lane: str, pixels: tuple[tuple[str, int], ...]) -> int:
    """Rows of one item: few staged twice, and all that is staged in the second cache.

    Where the filter is small, next to nothing else needs the cache.
    """
    slid = positions(nest, lane)
    sizes = dict(pixels)
    if not slid:
        return sizes.get(IMAGE, 1)
    row = slid[0]
    extent, step = max(nest.extent(row), 1), sizes.get(row, 1)
    images, _ = roles(nest)
    bytes_ = max(_row_bytes(f, row) for f in images)
    halo = max(_halo(nest, f, row) for f in images)
    budget = _L2 if all(has(f, lane) for f in images) else _L2 // 2
    best, rows = math.inf, step
    for blocks in _block_counts(min(2, extent // 32 + 1), extent):
        size = -(-extent // blocks)
        size = -(-size // step) * step
        fits = (size + halo) * bytes_ <= budget
        cost = -(-extent // size) * (size + halo)
        if (fits or size == step) and cost < best:
            best, rows = cost, size
    return rows


def _block_counts(first: int, extent: int) -> Iterator[int]:
    """Every number of blocks up to 64, then about eight for each doubling."""
    count = first
    while count <= extent:
        yield count
        count += max(1, count // 8 if count >= 64 else 1)
    yield extent


def _halo(nest: Nest, factor: Access, row: str) -> int:
    """Rows that two neighbouring blocks both read."""
    axis = next((a for a in factor.axes if a.coefficient(row)), None)
    if axis is None:
        return 0
    known = dict(nest.extents)
    spans = [abs(c) * ((known.get(s) or 1) - 1) for s, c in axis.terms if s != row]
    return sum(spans) // max(abs(axis.coefficient(row)), 1)


def _row_bytes(factor: Access, row: str) -> int:
    """Bytes of one image that one step along `row` moves over."""
    total = ITEM_BYTES[factor.buffer.dtype]
    for axis, extent in zip(factor.axes, factor.buffer.shape, strict=True):
        step = abs(axis.coefficient(row))
        total *= step or (extent or 1)
    return total


def _tree_tiles(nest: Nest, target: Target) -> Iterator[tuple[float, Tile]]:
    lanes = target.lanes(nest.out.buffer.dtype)
    outputs = nest.outputs()
    scores = {
        i: _lane_score(nest, nest.out, i, lanes)
        for i in outputs
        if all(
            a.terms == ((i, 1),)
            for f in nest.factors
            for a in f.axes
            if a.coefficient(i)
        )
    }
    lane = max(scores, key=lambda i: scores[i]) if scores else outputs[-1]
    count = -(-nest.extent(lane) // lanes)
    images = [f for f in nest.factors if has(f, IMAGE)]
    rest = [i for i in outputs if i != lane and nest.extent(i) > 1]
    rest.sort(
        key=lambda i: sum(any(a.terms == ((i, 1),) for a in f.axes) for f in images)
    )
    for most in range(1, min(4, count) + 1):
        vectors = _balanced(count, most)
        room = max((target.registers - vectors - 1) // vectors, 1)
        for pixels in _pixels(nest, tuple(rest), room) if rest else ((),):
            cost = _step_cost(nest, lane, vectors, pixels, lanes)
            yield cost, _blocked(nest, Tile(lane, vectors, pixels), lanes)


def _blocked(nest: Nest, tile: Tile, lanes: int) -> Tile:
    """Blocks of about 64 channels, and as many leaves as stay in the second cache."""
    step = tile.vectors * lanes
    sizes = dict(tile.pixels)
    blocks: list[tuple[str, int]] = []
    for name in nest.outputs():
        extent = nest.extent(name)
        if name == tile.lane:
            wanted = max(step, 64 // step * step)
        elif _stands_alone(nest, name):
            part = sizes.get(name, 1)
            wanted = (
                extent if extent <= 96 else -(-_balanced(extent, 64) // part) * part
            )
        else:
            continue
        if wanted < extent:
            blocks.append((name, wanted))
    limits = dict(blocks)
    most, budget = _most_leaves(nest), _item_bytes(nest, limits, tile.lane, step)
    group = 1
    while group < most and _staged(nest, limits, 2 * group) <= budget:
        group *= 2
    return Tile(tile.lane, tile.vectors, tile.pixels, 1, tuple(blocks), group)


def _item_bytes(nest: Nest, limits: Mapping[str, int], lane: str, step: int) -> int:
    """What an item may copy: as much as it writes, where items write all results."""
    sizes = {i: nest.extent(i) for i in nest.outputs()}
    blocks = math.prod(-(-size // limits.get(i, size)) for i, size in sizes.items())
    if blocks >= BLOCKS:
        return _STAGED
    sizes[lane] = -(-sizes[lane] // step) * step
    return max(_STAGED, math.prod(sizes.values()) * ITEM_BYTES[nest.out.buffer.dtype])


def _most_leaves(nest: Nest) -> int:
    """Leaves of one item: some images, or all of one that is cut."""
    if len(nest.reduction.leaves) == 1:
        return 8
    name, size = nest.reduction.leaves[1]
    return power_of_two(-(-nest.extent(name) // size))


def _staged(nest: Nest, limits: Mapping[str, int], group: int) -> int:
    """Bytes that an item of `group` leaves copies."""
    (_, images), *cuts = nest.reduction.leaves
    rows = {name: size * group for name, size in cuts[:1]}
    total = 0
    for factor in nest.factors:
        size = ITEM_BYTES[factor.buffer.dtype] * (images if cuts else images * group)
        for axis, extent in zip(factor.axes, factor.buffer.shape, strict=True):
            known = extent or 1
            for name in axis.symbols():
                known = min(known, limits.get(name, known))
                if name in rows:
                    step = abs(axis.coefficient(name))
                    halo = _halo(nest, factor, name) * step
                    known = min(known, rows[name] * step + halo)
            size *= known
        total += size
    return total


def _stands_alone(nest: Nest, name: str) -> bool:
    return all(
        len(a.terms) == 1 for f in nest.factors for a in f.axes if a.coefficient(name)
    )
