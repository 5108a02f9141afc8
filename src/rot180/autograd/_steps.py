"""The ops that a function would run, without running it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rot180.autograd._jit import trace_call
from rot180.autograd._program import prepare
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
