"""What a function would run and return: its steps, and how long they take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rot180.autograd._graph import Graph, Node
from rot180.autograd._jit import converted, is_array, trace_call
from rot180.autograd._memory import owners
from rot180.autograd._origin import Origin
from rot180.autograd._program import Program, Step, prepare, simplified
from rot180.autograd._run import run_placed
from rot180.autograd._tree import tree_flatten
from rot180.errors import ArgumentError
from rot180.ops import Op, TensorType

Array = Any


@dataclass(frozen=True, slots=True)
class Part:
    """One recorded op, which a step may compute among others.

    Attributes:
        number: Of its first output: smaller ones were recorded before.
        op: What it computes.
        origin: Where it comes from.
    """

    number: int
    op: Op
    origin: Origin


@dataclass(frozen=True, slots=True)
class Described:
    """One step of a program, with what is known of it.

    Attributes:
        number: Among the program's steps.
        op: What runs.
        inputs: Numbers of the values it reads.
        outputs: Numbers of the values it writes.
        input_types: Of the values it reads.
        output_types: Of the values it writes.
        parts: The recorded ops that it computes, in order.
    """

    number: int
    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_types: tuple[TensorType, ...]
    output_types: tuple[TensorType, ...]
    parts: tuple[Part, ...]


class Compiled:
    """One call, prepared as `jit` prepares it.

    Attributes:
        program: What runs.
        inputs: The values given: the arrays of the arguments.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, **named: Any) -> None:
        trace = trace_call(function, *args, **named)
        graph, inputs, results = simplified(trace.graph, trace.inputs, trace.results)
        self.program: Program = prepare(graph, inputs, results)
        self.inputs = tuple(inputs)
        self._graph = graph
        leaves, _ = tree_flatten((args, named))
        self._arrays = [leaf for leaf in map(converted, leaves) if is_array(leaf)]

    @property
    def arena_bytes(self) -> int:
        """Size of the memory that temporaries share."""
        return self.program.memory.size

    def steps(self) -> list[Described]:
        """The program's steps in order."""
        types, makers = self.program.types, _makers(self._graph)
        return [
            Described(
                number,
                step.op,
                step.inputs,
                step.outputs,
                tuple(types[i] for i in step.inputs),
                tuple(types[i] for i in step.outputs),
                tuple(_parts(step, makers, self._graph.origins)),
            )
            for number, step in enumerate(self.program.steps)
        ]

    def peak_bytes(self) -> int:
        """Of temporaries and results, the most that live at once."""
        steps, types = self.program.steps, self.program.types
        owner = owners([Node(s.op, s.inputs, s.outputs) for s in steps])
        last = {owner.get(i, i): len(steps) for i in self.program.results}
        for n, step in enumerate(steps):
            for number in (*step.inputs, *step.outputs):
                own = owner.get(number, number)
                last[own] = max(last.get(own, 0), n)
        living, most, ends = 0, 0, [0] * (len(steps) + 1)
        for n, step in enumerate(steps):
            for number in step.outputs:
                if owner[number] == number:
                    living += types[number].nbytes
                    ends[last[number]] += types[number].nbytes
            most = max(most, living)
            living -= ends[n]
        return most

    def measure(self, repeats: int) -> list[float]:
        """Runs all steps on the call's own arrays; returns each one's least seconds.

        They run once before, which compiles what is not compiled yet.
        """
        arena = self.program.memory.take()
        try:
            run = _Timed(self.program, self._arrays)
            places = self.program.memory.arrays(arena)
            run.once(places)
            rounds = [run.once(places) for _ in range(repeats)]
        finally:
            self.program.memory.give(arena)
        return [min(seconds) for seconds in zip(*rounds, strict=True)]


class _Timed:
    """Runs a program step by step, each with a clock around it."""

    def __init__(self, program: Program, arrays: Sequence[Array]) -> None:
        self.program, self.arrays = program, arrays
        self._results: dict[int, Array] = {}  # of the round before, to be written again

    def once(self, places: Sequence[Array | None]) -> list[float]:
        known: list[Any] = [*places]
        for number, value in self.program.captures:
            known[number] = value
        for number, value in zip(self.program.inputs, self.arrays, strict=True):
            known[number] = value
        for number, value in self._results.items():
            known[number] = value
        return [self._timed(step, known) for step in self.program.steps]

    def _timed(self, step: Step, known: list[Any]) -> float:
        arrays = tuple([known[i] for i in step.inputs])
        places = tuple([known[i] for i in step.outputs])
        begun = time.perf_counter()
        outputs, call = run_placed(step.op, arrays, step.orders, places)
        seconds = time.perf_counter() - begun
        known_outputs = zip(step.outputs, outputs, strict=True)
        for output, value in known_outputs:
            known[output] = value
            if call is not None and not step.is_placed:
                self._results[output] = value
        return seconds


def _makers(graph: Graph) -> dict[int, Node]:
    return {number: node for node in graph.nodes for number in node.outputs}


def _parts(
    step: Step, makers: Mapping[int, Node], origins: Mapping[int, Origin]
) -> Iterable[Part]:
    """The recorded ops between what a step reads and what it writes.

    An output of a group may read another one, which is not among what the group reads.
    """
    found: dict[int, Node] = {}
    waiting, read = [*step.outputs], {*step.inputs}
    while waiting:
        number = waiting.pop()
        node = makers.get(number)
        if number in read or node is None or node.outputs[0] in found:
            continue
        found[node.outputs[0]] = node
        if step.op != node.op:  # a group
            waiting.extend(node.inputs)
    return [Part(i, found[i].op, origins[i]) for i in sorted(found)]


def steps_of(
    function: Callable[..., Any], *args: Any, **named: Any
) -> list[tuple[Op, tuple[TensorType, ...]]]:
    """The ops of one call in order, each with the types of its inputs.

    Args:
        function: Traceable by `jit`.
        args: Its arguments; arrays in them are traced.

    Raises:
        TraceError: The function needed the value of a traced tensor.
    """
    steps = Compiled(function, *args, **named).steps()
    return [(step.op, step.input_types) for step in steps]


def shape_of(function: Callable[..., Any], *args: Any, **named: Any) -> tuple[int, ...]:
    """The shape of the one array that a call returns.

    Raises:
        ArgumentError: It returns something else.
        TraceError: The function needed the value of a traced tensor.
    """
    trace = trace_call(function, *args, **named)
    if len(trace.results) != 1:
        raise ArgumentError(
            f"shape_of: the function returned {len(trace.results)} arrays, not one"
        )
    return trace.graph.types[trace.results[0]].shape
