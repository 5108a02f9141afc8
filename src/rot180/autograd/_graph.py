"""A recorded computation: ops applied to numbered values, in order."""

import itertools
import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from rot180 import ops
from rot180.autograd._origin import Origin, origin
from rot180.ops import Op, TensorType

_serials = itertools.count()


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a graph: `outputs = op(*inputs)`, values given by number."""

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Graph:
    """A list of nodes that grows while a function is traced.

    Values are numbered. A value is an input of the graph, a captured array, a tensor
    captured from an enclosing trace, or the output of a node. A node that repeats an
    earlier one is not recorded twice.

    Attributes:
        nodes: The steps, each after those it depends on.
        types: Shape and dtype of each value.
        captures: The captured arrays and outer tensors, by value number.
        origins: Where what nodes compute comes from, by value number.
    """

    def __init__(self) -> None:
        self.serial: Final = next(_serials)
        self.nodes: list[Node] = []
        self.types: list[TensorType] = []
        self.captures: dict[int, Any] = {}
        self.origins: dict[int, Origin] = {}
        self._captured: dict[Hashable, int] = {}
        self._recorded: dict[Hashable, tuple[int, ...]] = {}

    def new_input(self, kind: TensorType) -> int:
        """Adds a value that is known only when the graph is run."""
        self.types.append(kind)
        return len(self.types) - 1

    def capture(self, value: Any, key: Hashable = None) -> int:
        """Returns the number of `value`, an array or a tensor of an outer trace.

        Two values of one `key` are the same; an array's key is its identity.
        """
        key = id(value) if key is None else key
        known = self._captured.get(key)
        if known is not None:
            return known
        number = self.new_input(ops.type_of(value))
        self.captures[number] = value  # keeps the array alive, so its id stays its own
        self._captured[key] = number
        return number

    def add(self, op: Op, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """Records `op`, or finds the node that did the same; returns its outputs."""
        key = (op, _sign(op), inputs)
        known = self._recorded.get(key)
        if known is not None:
            return known
        kinds = op.infer(*(self.types[i] for i in inputs))
        outputs = tuple(self.new_input(kind) for kind in kinds)
        self.nodes.append(Node(op, inputs, outputs))
        self._recorded[key] = outputs
        self.origins |= dict.fromkeys(outputs, origin())
        return outputs

    @property
    def is_closed(self) -> bool:
        """Whether nothing was captured from an enclosing trace."""
        return not any(map(ops.is_traced, self.captures.values()))

    def descendants(self, roots: Iterable[int]) -> set[int]:
        """Returns `roots` and every value computed from any of them."""
        found = set(roots)
        for node in self.nodes:
            if not found.isdisjoint(node.inputs):
                found.update(node.outputs)
        return found

    def needed_for(self, results: Iterable[int]) -> list[Node]:
        """Returns the nodes that `results` depend on, in order."""
        wanted = set(results)
        nodes = []
        for node in reversed(self.nodes):
            if not wanted.isdisjoint(node.outputs):
                wanted.update(node.inputs)
                nodes.append(node)
        return nodes[::-1]


def _sign(op: Op) -> float:
    """What tells the constants -0.0 and 0.0, which are equal, apart."""
    return math.copysign(1.0, op.value) if isinstance(op, ops.Full) else 1.0
