"""A graph made ready to run: the steps that matter, and when each value is dropped."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np

from rot180 import ops
from rot180.autograd._graph import Graph, Node
from rot180.autograd._groups import grouped
from rot180.autograd._layout import Order, orders
from rot180.autograd._memory import Plan, owners, plan
from rot180.autograd._origin import noted
from rot180.autograd._recycled import Recycled, recyclable
from rot180.autograd._run import empty, generation, run, run_placed
from rot180.autograd._tensor import Tensor, lift
from rot180.ops import Op
from rot180.runtime import Call

_KINDS: Final = 8  # of inputs, told apart by how they lie


@dataclass(frozen=True, slots=True)
class Step:
    """`outputs = op(*inputs)`, after which the values numbered `dead` are dropped.

    Attributes:
        dead: Without those that lie in the arena.
        orders: How each output lies in memory.
        is_placed: Whether all outputs lie in the arena.
    """

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    dead: tuple[int, ...]
    orders: tuple[Order | None, ...]
    is_placed: bool


class Ready(NamedTuple):
    """A step as a run needs it, once its compiled call is known.

    A step without one, such as a view, has no `entry`.

    Attributes:
        entry: Runs the kernel.
        arguments: Finds outputs and inputs among the values.
        items: The kernel's run-time number.
        made: Number, shape, dtype and order of outputs that do not lie in the arena.
        dead: As of the step.
        step: What it was made of.
    """

    entry: Callable[..., None] | None
    arguments: Callable[[list[Any]], Iterable[Any]]
    items: int
    made: tuple[tuple[int, tuple[int, ...], np.dtype[Any], Order | None], ...]
    dead: tuple[int, ...]
    step: Step


def _ready(step: Step, call: Call | None) -> Ready:
    numbers = (*step.outputs, *step.inputs)
    arguments = itemgetter(*numbers)
    if call is None or len(numbers) == 1:
        return Ready(None, arguments, 0, (), step.dead, step)
    made = tuple(
        (number, shape, dtype, order)
        for number, (shape, dtype), order in zip(
            step.outputs, call.outputs, step.orders, strict=True
        )
        if not step.is_placed
    )
    return Ready(call.entry, arguments, call.count, made, step.dead, step)


class Calls:
    """The compiled calls of a program's steps, for a few kinds of inputs."""

    def __init__(self) -> None:
        self._known: dict[Hashable, list[Ready]] = {}

    def get(self, key: Hashable) -> list[Ready] | None:
        """The calls for inputs of a kind, None if there are none yet."""
        return self._known.get(key)

    def remember(self, key: Hashable, calls: list[Ready]) -> None:
        """Keep calls; start afresh when there are too many."""
        if len(self._known) >= _KINDS:
            self._known = {}
        self._known[key] = calls


@dataclass(frozen=True, slots=True)
class Program:
    """The part of a graph that computes `results` from `inputs`.

    Attributes:
        inputs: The values given at each run.
        results: The values wanted.
        steps: What to do, in order.
        captures: The values known beforehand.
        types: Of every value.
        copied: The results, by position, that would share memory with an input, a
            capture or another result.
        memory: Where the temporaries lie.
        recycled: Results of earlier runs that are free again.
        calls: What the steps come to.
    """

    types: tuple[ops.TensorType, ...]
    inputs: tuple[int, ...]
    results: tuple[int, ...]
    steps: tuple[Step, ...]
    captures: tuple[tuple[int, Any], ...]
    copied: tuple[int, ...]
    memory: Plan
    recycled: Recycled
    calls: Calls = field(default_factory=Calls)

    def __call__(self, *arrays: Any) -> list[Any]:
        """Returns the results for `arrays`, one per input, each an array of its own."""
        arena = self.memory.take()
        try:
            return self._run(arrays, [*self.memory.arrays(arena)])
        finally:
            self.memory.give(arena)

    def _run(self, arrays: Sequence[Any], known: list[Any]) -> list[Any]:
        """Run the steps; what is known of a value before its step is its place."""
        for number, value in self.captures:
            known[number] = value
        for number, value in zip(self.inputs, arrays, strict=True):
            known[number] = value
        for number in self.recycled.numbers:
            known[number] = self.recycled.take(number)
        kinds = tuple([(a.shape, a.strides, a.dtype) for a in arrays])
        key = generation(), kinds
        calls = self.calls.get(key)
        if calls is None:
            found = [_ready(step, _step(known, step)) for step in self.steps]
            self.calls.remember(key, found)
        else:  # the types of all values follow from those of the inputs
            _again(known, calls)
        for number in self.recycled.numbers:
            self.recycled.give(number, known[number])
        wanted = [known[number] for number in self.results]
        for position in self.copied:
            wanted[position] = np.array(wanted[position], order="C")
        return wanted


def _again(known: list[Any], calls: Sequence[Ready]) -> None:
    """Run steps whose calls are known: no function of ours is called for one."""
    for entry, arguments, items, made, dead, step in calls:
        if entry is None:
            _step(known, step)
            continue
        for number, shape, dtype, order in made:
            if known[number] is None:
                known[number] = empty(shape, dtype, order)
        entry(*arguments(known), items)
        for number in dead:
            known[number] = None


def _step(known: list[Any], step: Step) -> Call | None:
    """Run one step; returns the call that it comes to."""
    arrays = tuple([known[i] for i in step.inputs])
    places = tuple([known[i] for i in step.outputs])
    outputs, call = run_placed(step.op, arrays, step.orders, places)
    for number, value in zip(step.outputs, outputs, strict=True):
        known[number] = value
    for number in step.dead:
        known[number] = None
    return call


def prepare(graph: Graph, inputs: Sequence[int], results: Sequence[int]) -> Program:
    """Returns the program that computes `results` of `graph` from `inputs`.

    The graph holds no tensors of another trace.
    """
    graph, inputs, results = simplified(graph, inputs, results)
    nodes = grouped(graph.needed_for(results), graph.types, results)
    constants, nodes = _constants(nodes, keep={*results})
    read = {number for node in nodes for number in node.inputs} | {*results}
    owner = owners(nodes)
    outside = {owner.get(number, -1) for number in results}
    laid = orders(nodes, graph.types, outside)
    memory = plan(nodes, graph.types, laid, outside)
    steps = _steps(nodes, laid, {p.number for p in memory.places}, keep={*results})
    return Program(
        types=tuple(graph.types),
        inputs=tuple(inputs),
        results=tuple(results),
        steps=steps,
        captures=tuple(
            (i, v) for i, v in (graph.captures | constants).items() if i in read
        ),
        copied=_copied(owner, results),
        memory=memory,
        recycled=Recycled(
            i for i in recyclable(results, inputs, graph.types) if owner.get(i) == i
        ),
    )


def simplified(
    graph: Graph, inputs: Sequence[int], results: Sequence[int]
) -> tuple[Graph, Sequence[int], Sequence[int]]:
    """Returns the same computation without composite ops."""
    while any(node.op.is_composite for node in graph.nodes):
        graph, inputs, results = _expanded(graph, inputs, results)
    return graph, inputs, results


def _copied(owner: Mapping[int, int], results: Sequence[int]) -> tuple[int, ...]:
    """Returns the positions of results whose memory is not theirs alone."""
    taken = {-1}  # stands for all inputs and captures
    copied = []
    for position, number in enumerate(results):
        memory = owner.get(number, -1)
        if memory in taken:
            copied.append(position)
        taken.add(memory)
    return tuple(copied)


def _constants(
    nodes: Sequence[Node], keep: set[int]
) -> tuple[dict[int, Any], list[Node]]:
    """Runs what has no inputs; returns its values and the other nodes.

    Results are left out, so that each run returns arrays of its own.
    """
    values: dict[int, Any] = {}
    others = []
    for node in nodes:
        if node.inputs or not keep.isdisjoint(node.outputs):
            others.append(node)
        else:
            values |= zip(node.outputs, run(node.op), strict=True)
    return values, others


def _steps(
    nodes: Sequence[Node],
    laid: Mapping[int, Order],
    placed: set[int],
    keep: set[int],
) -> tuple[Step, ...]:
    last = {i: n for n, node in enumerate(nodes) for i in node.outputs}
    last |= {i: n for n, node in enumerate(nodes) for i in node.inputs}
    dead: list[list[int]] = [[] for _ in nodes]
    for number, n in last.items():
        if number not in keep and number not in placed:
            dead[n].append(number)
    return tuple(
        Step(
            node.op,
            node.inputs,
            node.outputs,
            tuple(numbers),
            tuple(laid.get(i) for i in node.outputs),
            placed.issuperset(node.outputs),
        )
        for node, numbers in zip(nodes, dead, strict=True)
    )


def _expanded(
    graph: Graph, inputs: Sequence[int], results: Sequence[int]
) -> tuple[Graph, Sequence[int], Sequence[int]]:
    """Returns the same computation, composite ops replaced by what they stand for."""
    simpler = Graph()
    fresh = [Tensor(simpler, simpler.new_input(graph.types[i])) for i in inputs]
    outputs = _replay(graph, inputs, results, fresh, simpler, expand=True)
    return simpler, [t.number for t in fresh], [lift(simpler, v) for v in outputs]


def evaluate(
    graph: Graph, inputs: Sequence[int], results: Sequence[int], values: Sequence[Any]
) -> list[Any]:
    """Returns `results` of `graph`, given what stands for its `inputs`.

    If a value, or something the graph captured, is a tensor of another trace, the steps
    are recorded there; otherwise they are run.
    """
    leaves = [*values, *graph.captures.values()]
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if not tensors:
        return prepare(graph, inputs, results)(*values)
    host = max((tensor.graph for tensor in tensors), key=lambda g: g.serial)
    return _replay(graph, inputs, results, values, host, expand=False)


def _replay(
    graph: Graph,
    inputs: Sequence[int],
    results: Sequence[int],
    values: Sequence[Any],
    host: Graph,
    *,
    expand: bool,
) -> list[Any]:
    """Records the steps of `graph` in `host`."""
    known: dict[int, Any] = graph.captures | dict(zip(inputs, values, strict=True))
    for node in graph.needed_for(results):
        operands = [Tensor(host, lift(host, known[i])) for i in node.inputs]
        outputs: Sequence[Any]
        with noted(graph.origins[node.outputs[0]]):
            if expand and node.op.is_composite:
                outputs = node.op.expand(*operands)
            else:
                numbers = host.add(node.op, tuple(t.number for t in operands))
                outputs = [Tensor(host, number) for number in numbers]
        known |= zip(node.outputs, outputs, strict=True)
    return [known[number] for number in results]
