"""What a function would run and return, without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rot180.autograd._jit import trace_call
from rot180.autograd._program import prepare
from rot180.errors import ArgumentError
from rot180.ops import Op, TensorType


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
    trace = trace_call(function, *args, **named)
    program = prepare(trace.graph, trace.inputs, trace.results)
    types = program.types
    return [(s.op, tuple(types[i] for i in s.inputs)) for s in program.steps]


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
