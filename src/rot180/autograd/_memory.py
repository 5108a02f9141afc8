"""Memory for the temporaries of a prepared graph: planned once, found again each run.

A new array of megabytes costs the system a page fault for every 4 KiB; so a run takes
an arena that an earlier run has given back. An arena belongs to one run at a time, and
goes with the last program that used it.
"""

from __future__ import annotations

import weakref
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from rot180.autograd._graph import Node
from rot180.autograd._layout import Order, strides_of
from rot180.ops import TensorType
from rot180.runtime import fork_safe_lock

Array = np.ndarray[Any, Any]
ALIGNMENT: Final = 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lies: its type, byte offset in the arena and strides in bytes."""

    number: int
    type: TensorType
    offset: int
    strides: tuple[int, ...]

    def is_like(self, other: Place) -> bool:
        """Whether the other value's elements would lie upon this one's."""
        return (self.type, self.strides) == (other.type, other.strides)

    def view(self, buffer: Array) -> Array:
        """The value's array in a buffer."""
        return np.ndarray(
            self.type.shape, self.type.dtype, buffer, self.offset, self.strides
        )


class Arena:
    """Memory of one run at a time, with the arrays that plans have made in it."""

    __slots__ = ("__weakref__", "buffer", "views")

    def __init__(self, size: int) -> None:
        raw = np.empty(size + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        self.buffer = raw[start : start + size]
        self.views: weakref.WeakKeyDictionary[Plan, list[Array | None]]
        self.views = weakref.WeakKeyDictionary()


class Plan:
    """Where the temporaries of a program lie in an arena.

    Attributes:
        size: Bytes of the arena.
        places: Of each value that has one.
    """

    def __init__(self, size: int, values: int, places: Sequence[Place]) -> None:
        self.size, self.places = size, tuple(places)
        self._values = values
        self._held: Arena | None = None  # keeps it for the next run

    def take(self) -> Arena:
        """An arena that no other run uses, large enough."""
        if not self.size:
            return _NOTHING
        with _lock:
            arena = max(_free, key=lambda a: a.buffer.size, default=None)
            if arena is not None and arena.buffer.size >= self.size:
                _free.remove(arena)
                return arena
        return Arena(self.size)

    def give(self, arena: Arena) -> None:
        """Let another run have the arena."""
        if arena is _NOTHING:
            return
        with _lock:
            self._held = arena
            _free.add(arena)

    def arrays(self, arena: Arena) -> list[Array | None]:
        """The temporaries' arrays by value number."""
        views = arena.views.get(self)
        if views is None:
            views = [None] * self._values
            for place in self.places:
                views[place.number] = place.view(arena.buffer)
            arena.views[self] = views
        return views


_lock = fork_safe_lock()
_free: weakref.WeakSet[Arena] = weakref.WeakSet()
_NOTHING: Final = Arena(0)  # for all runs at once


def plan(
    nodes: Sequence[Node],
    types: Sequence[TensorType],
    laid: dict[int, Order],
    outside: set[int],
) -> Plan:
    """Returns places in one arena for what the nodes compute.

    A formula writes over an operand that nothing reads afterwards: what is read already
    need not be fetched again to be written.

    Args:
        nodes: In the order in which they run.
        types: Of all values.
        laid: The order of axes of values that do not lie row by row.
        outside: Values that need an array of their own.
    """
    owner = owners(nodes)
    last = _last_uses(nodes, owner)
    free = _FreeList()
    ends: dict[int, list[tuple[int, int]]] = {}
    places: dict[int, Place] = {}
    for n, node in enumerate(nodes):
        dying = [
            places[i]
            for i in _overwritable(node, owner)
            if i in places and last[i] == n
        ]
        for number in node.outputs:
            kind = types[number]
            if number in outside or node.op.may_alias or 0 in kind.shape:
                continue
            strides = strides_of(kind.shape, laid.get(number), _item(kind))
            place = Place(number, kind, 0, strides)
            size = -(-kind.nbytes // ALIGNMENT) * ALIGNMENT
            taken = next((old for old in dying if old.is_like(place)), None)
            if taken is not None:
                dying.remove(taken)
                ends[n].remove((taken.offset, size))
            offset = free.take(size) if taken is None else taken.offset
            places[number] = replace(place, offset=offset)
            ends.setdefault(last[number], []).append((offset, size))
        for offset, size in ends.pop(n, ()):
            free.give(offset, size)
    return Plan(free.end, len(types), tuple(places.values()))


def _overwritable(node: Node, owner: dict[int, int]) -> list[int]:
    """Inputs whose places a formula reads before it writes there.

    Not what it also reads otherwise, along other axes or through a view.
    """
    if not node.op.is_formula:
        return []
    read = [owner.get(i, -1) for i in node.inputs]
    return [i for i in node.inputs if read.count(owner.get(i, -1)) == 1]


def _item(kind: TensorType) -> int:
    return np.dtype(kind.dtype).itemsize


def owners(nodes: Sequence[Node]) -> dict[int, int]:
    """Returns for each computed value the one whose memory it may share, or itself.

    What may share memory with something given, not computed, is owned by -1.
    """
    owner: dict[int, int] = {}
    for node in nodes:
        if node.op.may_alias:
            owner |= {i: owner.get(node.inputs[0], -1) for i in node.outputs}
        else:
            owner |= {i: i for i in node.outputs}
    return owner


def _last_uses(nodes: Sequence[Node], owner: dict[int, int]) -> dict[int, int]:
    """For each owner, after which node nothing reads its memory any more."""
    last: dict[int, int] = {}
    for n, node in enumerate(nodes):
        for number in (*node.inputs, *node.outputs):
            last[owner.get(number, -1)] = n
    return last


class _FreeList:
    """Gaps of an arena that grows where no gap is large enough: the best fit."""

    def __init__(self) -> None:
        self.end = 0
        self._gaps: list[tuple[int, int]] = []  # offset and size, in order

    def take(self, size: int) -> int:
        fitting = [gap for gap in self._gaps if gap[1] >= size]
        if not fitting:
            return self._grow(size)
        offset, room = min(fitting, key=lambda gap: gap[1])
        self._gaps.remove((offset, room))
        if room > size:
            insort(self._gaps, (offset + size, room - size))
        return offset

    def _grow(self, size: int) -> int:
        """Space at the end, a last gap included."""
        offset = self.end
        if self._gaps and sum(self._gaps[-1]) == self.end:
            offset = self._gaps.pop()[0]
        self.end = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        """Return space, joined with the gaps beside it."""
        joined = [g for g in self._gaps if sum(g) == offset or g[0] == offset + size]
        for gap in joined:
            self._gaps.remove(gap)
        start = min([offset, *(g[0] for g in joined)])
        insort(self._gaps, (start, size + sum(g[1] for g in joined)))
