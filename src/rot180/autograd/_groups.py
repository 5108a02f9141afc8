"""Which pointwise ops run together: the groups of a prepared graph.

Every value that must lie in memory, because a result or an op that is no formula reads
it, becomes a formula over other such values; what only formulas read is never stored.
Formulas over the same places that share operands then run in one walk through memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final

from rot180.autograd._graph import Node
from rot180.ops import NUMBER, Fused, Scalar, TensorType, aligned, extents

MOST_STEPS: Final = 24  # of one formula
MOST_LEAVES: Final = 12
MOST_ARRAYS: Final = 24  # of one kernel
MOST_JOINED: Final = 48  # steps of one kernel
# Functions that cost more than a pass over memory saves, if they are computed twice.
DEAR: Final = frozenset(("exp", "log", "sqrt", "div"))

Axes = tuple[int | None, ...]


def grouped(
    nodes: Sequence[Node], types: Sequence[TensorType], results: Iterable[int]
) -> list[Node]:
    """Returns the nodes with pointwise ones joined, in an order that can be run."""
    formulas = Formulas(nodes, types, results)
    return Units(nodes, formulas).ordered()


@dataclass(frozen=True, slots=True)
class Cone:
    """What one value is computed from without a pass over memory.

    Attributes:
        steps: The values on the way, itself included, that cost something.
        leaves: The stored values that are read.
    """

    steps: frozenset[int] = frozenset()
    leaves: frozenset[int] = frozenset()


class Formulas:
    """The values that formulas compute, and which of them are stored."""

    def __init__(
        self,
        nodes: Sequence[Node],
        types: Sequence[TensorType],
        results: Iterable[int],
    ) -> None:
        self.types = types
        self.maker: dict[int, Node] = {}
        self.cones: dict[int, Cone] = {}
        self.stored: set[int] = set()
        self._results = set(results)
        self._readers: dict[int, list[Node]] = {}
        for node in nodes:
            for number in set(node.inputs):
                self._readers.setdefault(number, []).append(node)
        self.maker = {n.outputs[0]: n for n in nodes if self.function(n) is not None}
        for number in self.maker:
            self._visit(number)

    def function(self, node: Node) -> str | None:
        """The scalar function of a node that is a formula, None if it is none."""
        if not self.types[node.outputs[0]].is_floating or len(node.outputs) > 1:
            return None
        return node.op.scalar(*(self.types[i] for i in node.inputs))

    def is_inlined(self, number: int) -> bool:
        """Whether a value is computed where it is read."""
        return number in self.maker and number not in self.stored

    def whole(self, number: int) -> list[int]:
        """The leaves that are as large as the value itself."""
        size = self._size(number)
        return [i for i in self.cones[number].leaves if self._size(i) == size]

    def _size(self, number: int) -> int:
        return math.prod(self.types[number].shape)

    def _visit(self, number: int) -> None:
        node = self.maker[number]
        cones = [
            self.cones[i] if self.is_inlined(i) else Cone(leaves=frozenset((i,)))
            for i in node.inputs
        ]
        own = {number} if self.function(node) else set()
        steps = own.union(*(cone.steps for cone in cones))
        leaves = set[int]().union(*(cone.leaves for cone in cones))
        self.cones[number] = Cone(frozenset(steps), frozenset(leaves))
        if self._must_be_stored(number):
            self._store(number)

    def _must_be_stored(self, number: int) -> bool:
        cone, readers = self.cones[number], self._readers.get(number, [])
        if number in self._results or any(self.function(n) is None for n in readers):
            return True
        if len(cone.steps) > MOST_STEPS or len(cone.leaves) > MOST_LEAVES:
            return True
        if not cone.steps:
            return False
        here = extents(self.types[number].shape)
        if any(extents(self.types[n.outputs[0]].shape) != here for n in readers):
            return True
        return len(readers) > 1 and self._is_dear(number)

    def _is_dear(self, number: int) -> bool:
        """Whether it is cheaper to read than to compute again."""
        fns = {self.function(self.maker[i]) for i in self.cones[number].steps}
        return len(self.whole(number)) > 1 or not DEAR.isdisjoint(fns)

    def _store(self, number: int) -> None:
        """Mark as stored; where nothing is computed, so is what is handed on."""
        self.stored.add(number)
        if self.cones[number].steps:
            return
        for operand in self.maker[number].inputs:
            if self.is_inlined(operand):
                self._store(operand)


@dataclass(slots=True)
class Unit:
    """Something that runs at one time: a node, or a group of formulas.

    Attributes:
        outputs: The values it stores.
        reads: The values it needs.
        node: What runs, unless it is a group.
        before: The units that must run earlier, as bits.
        steps: Of a group, the values that are computed.
    """

    outputs: list[int]
    reads: set[int]
    node: Node | None
    before: int = 0
    steps: frozenset[int] = field(default_factory=frozenset)


class Units:
    """Groups formulas, and puts all that runs in order."""

    def __init__(self, nodes: Sequence[Node], formulas: Formulas) -> None:
        self.formulas, self.types = formulas, formulas.types
        self.units: list[Unit] = []
        self.of: dict[int, int] = {}  # which unit stores a value
        self._readers: dict[int, list[int]] = {}  # groups that read a value
        for node in nodes:
            number = node.outputs[0]
            if formulas.is_inlined(number):
                continue
            if number in formulas.maker and formulas.cones[number].steps:
                self._place(number)
            else:
                self._add(Unit([*node.outputs], {*node.inputs}, node))

    def _add(self, unit: Unit) -> int:
        number = len(self.units)
        self.units.append(unit)
        unit.before = self._ancestors(unit.reads)
        self.of |= dict.fromkeys(unit.outputs, number)
        return number

    def _ancestors(self, values: Iterable[int]) -> int:
        before = 0
        for value in values:
            unit = self.of.get(value)
            if unit is not None:
                before |= self.units[unit].before | 1 << unit
        return before

    def _place(self, number: int) -> None:
        """Put a formula into a group that it shares operands with, or a new one."""
        cone = self.formulas.cones[number]
        group = self._partner(number)
        if group is None:
            node = self.formulas.maker[number]
            single = cone.steps == {number} and {*node.inputs} == cone.leaves
            group = self._add(
                Unit([number], {*cone.leaves}, node if single else None, 0, cone.steps)
            )
        else:
            self._join(group, number)
        for leaf in cone.leaves:
            self._readers.setdefault(leaf, []).append(group)

    def _partner(self, number: int) -> int | None:
        shared: dict[int, int] = {}
        for leaf in self.formulas.whole(number):
            for group in {self.of.get(leaf, -1), *self._readers.get(leaf, ())}:
                shared[group] = shared.get(group, 0) + 1
        fitting = [g for g in shared if g >= 0 and self._may_join(g, number)]
        return max(fitting, key=lambda g: (shared[g], g), default=None)

    def _may_join(self, group: int, number: int) -> bool:
        unit, cone = self.units[group], self.formulas.cones[number]
        if not unit.steps or not self._is_alike(unit.outputs[0], number):
            return False
        outputs = {*unit.outputs, number}
        reads = (unit.reads | cone.leaves) - outputs
        if len(reads) + len(outputs) > MOST_ARRAYS:
            return False
        if len(unit.steps | cone.steps) > MOST_JOINED:
            return False
        outside = cone.leaves - outputs
        return not self._ancestors(outside) >> group & 1

    def _is_alike(self, one: int, other: int) -> bool:
        """Whether two values stand over the same places."""
        a, b = self.types[one], self.types[other]
        return a.dtype == b.dtype and extents(a.shape) == extents(b.shape)

    def _join(self, group: int, number: int) -> None:
        unit, cone = self.units[group], self.formulas.cones[number]
        unit.node = None
        unit.outputs.append(number)
        unit.reads = (unit.reads | cone.leaves) - {*unit.outputs}
        unit.steps |= cone.steps
        self.of[number] = group
        unit.before |= self._ancestors(unit.reads)
        for later in self.units:  # what waits for the group waits for this too
            if later.before >> group & 1:
                later.before |= unit.before

    def ordered(self) -> list[Node]:
        """The nodes, each after those it reads from.

        The earliest recorded comes first; a group that nothing waits for comes as soon
        as it can, so that what it reads may go.
        """
        waiting = [
            {self.of[i] for i in unit.reads if i in self.of} for unit in self.units
        ]
        followers: list[list[int]] = [[] for _ in self.units]
        for number, needs in enumerate(waiting):
            for need in needs:
                followers[need].append(number)
        keys = [
            (bool(after) or not unit.steps, number)
            for number, (unit, after) in enumerate(
                zip(self.units, followers, strict=True)
            )
        ]
        ready = [keys[n] for n, needs in enumerate(waiting) if not needs]
        heapify(ready)
        nodes = []
        while ready:
            _, number = heappop(ready)
            nodes.append(self._node(self.units[number]))
            for follower in followers[number]:
                waiting[follower].discard(number)
                if not waiting[follower]:
                    heappush(ready, keys[follower])
        return nodes

    def _node(self, unit: Unit) -> Node:
        return unit.node or Builder(self.formulas, unit).node()


class Builder:
    """Writes one group as an op: formulas of the places, common parts once."""

    def __init__(self, formulas: Formulas, unit: Unit) -> None:
        self.formulas, self.types = formulas, formulas.types
        self.unit = unit
        self.inputs: dict[tuple[int, Axes], int] = {}
        self.steps: dict[tuple[str, tuple[int, ...], float], int] = {}
        self._values: dict[tuple[int, Axes], int] = {}

    def node(self) -> Node:
        """The node that computes the group's outputs."""
        kinds = [self.types[i] for i in self.unit.outputs]
        found = [
            (self._value(i, _axes(kind.shape)), kind.shape)
            for i, kind in zip(self.unit.outputs, kinds, strict=True)
        ]
        count = len(self.inputs)
        steps = tuple(
            Scalar(fn, tuple(_numbered(o, count) for o in operands), value)
            for fn, operands, value in self.steps
        )
        op = Fused(
            extents(kinds[0].shape),
            kinds[0].dtype,
            tuple(axes for _, axes in self.inputs),
            steps,
            tuple((_numbered(n, count), shape) for n, shape in found),
        )
        return Node(op, tuple(i for i, _ in self.inputs), tuple(self.unit.outputs))

    def _value(self, number: int, axes: Axes) -> int:
        """The number of a value along `axes`: -1, -2, ... for inputs, else a step."""
        key = number, axes
        if key not in self._values:
            self._values[key] = self._made(number, axes)
        return self._values[key]

    def _made(self, number: int, axes: Axes) -> int:
        own = number in self.unit.outputs
        if not own and not self.formulas.is_inlined(number):
            return self.inputs.setdefault((number, axes), -1 - len(self.inputs))
        node = self.formulas.maker[number]
        literal = node.op.literal
        if literal is not None:
            return self._step(NUMBER, (), literal)
        shape = self.types[number].shape
        operands = tuple(
            self._value(i, aligned(self.types[i].shape, shape, axes))
            for i in node.inputs
        )
        fn = self.formulas.function(node)
        return self._step(fn, operands, 0.0) if fn else operands[0]

    def _step(self, fn: str, operands: tuple[int, ...], value: float) -> int:
        return self.steps.setdefault((fn, operands, value), len(self.steps))


def _axes(shape: tuple[int, ...]) -> Axes:
    count = iter(range(len(shape)))
    return tuple(None if extent == 1 else next(count) for extent in shape)


def _numbered(number: int, inputs: int) -> int:
    """Inputs first, then steps."""
    return -1 - number if number < 0 else inputs + number
