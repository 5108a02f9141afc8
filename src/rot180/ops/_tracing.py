"""The protocol by which one function takes arrays and traced tensors alike."""

from __future__ import annotations

from typing import Any, Protocol, cast

from rot180.errors import TraceError
from rot180.ops._op import Op, TensorType


class Traced(Protocol):
    """A tensor in a graph that is being recorded: a type, and no values yet."""

    @property
    def type(self) -> TensorType:
        """Shape and dtype."""

    def __rot180_apply__(self, op: Op, inputs: tuple[Any, ...]) -> tuple[Traced, ...]:
        """Records `op` applied to `inputs`, which may mix traced tensors and arrays."""


def is_traced(value: object) -> bool:
    """Whether `value` stands for a tensor in a graph being recorded."""
    return hasattr(type(value), "__rot180_apply__")


def apply_all(op: Op, *inputs: Any) -> tuple[Traced, ...]:
    """Records `op` in the graph of the first traced input; returns all its outputs.

    Raises:
        TraceError: No input is traced.
    """
    for value in inputs:
        if is_traced(value):
            return cast("Traced", value).__rot180_apply__(op, inputs)
    raise TraceError(
        f"{type(op).__name__}: none of the {len(inputs)} inputs is a traced tensor\n"
        "  Call the function of rot180 that takes arrays instead."
    )


def apply(op: Op, *inputs: Any) -> Traced:
    """Records `op`, which has one output, and returns that output."""
    (output,) = apply_all(op, *inputs)
    return output
