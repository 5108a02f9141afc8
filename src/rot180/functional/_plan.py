"""What would run for a call, and why: schedule, tile, program, assembly."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rot180 import autograd, ops, runtime
from rot180.errors import ArgumentError
from rot180.functional._step_plan import is_moving, step_plan

if TYPE_CHECKING:
    from rot180.program import Program, Target
    from rot180.schedules import Bound, Tile


@dataclass(frozen=True, repr=False)
class Plan:
    """How one op would be computed.

    Attributes:
        op: the op.
        target: the processor that is emitted for.
        algorithm: `direct`, `pointwise` or `row-wise`.
        tile: the numbers of the schedule; None where there is nothing to choose.
        candidates: the tiles among which the cost model chose, the best first; all
            give the same bits.
    """

    op: ops.Op
    target: Target
    algorithm: str
    tile: Tile | None
    candidates: tuple[Tile, ...]
    bound: Bound

    @cached_property
    def program(self) -> str:
        """The scheduled program as text."""
        from rot180.program import show

        return show(self._scheduled())

    @cached_property
    def ir(self) -> str:
        """The LLVM IR that is compiled."""
        from rot180 import codegen

        return codegen.emit(self._scheduled(), self.target).text

    @cached_property
    def assembly(self) -> str:
        """The machine code as text."""
        return runtime.compile_assembly(self.ir, self.target)

    def _scheduled(self) -> Program:
        from rot180 import schedules

        return schedules.scheduled(self.bound, self.target, self.tile)

    def __repr__(self) -> str:
        formula = getattr(self.op, "contraction", self.op)
        lines = [
            f"op         {formula}",
            f"algorithm  {self.algorithm}",
            f"target     {self.target.name} ({self.target.cpu}), "
            f"{self.target.registers} registers of {self.target.vector_bytes} bytes",
        ]
        if self.tile is not None:
            tile = self.tile
            pixels = " x ".join(f"{size} {name}" for name, size in tile.pixels)
            lines += [
                f"tile       {tile.vectors} vectors along {tile.lane}, "
                f"{pixels or 'alone'}",
                f"why        fewest cycles for multiply-adds and loads among "
                f"{len(self.candidates)} tiles of equal bits",
            ]
        return "\n".join([*lines, "program", *_indented(self.program)])

    def _repr_html_(self) -> str:
        """Returns the same for notebooks, whose cells would wrap the lines."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def _indented(text: str) -> list[str]:
    return ["  " + line for line in text.splitlines()]


def plan_of(op: ops.Op, *types: ops.TensorType) -> Plan:
    """The plan for an op on contiguous arrays of these types.

    Raises:
        ArgumentError: there is nothing to compute.
    """
    from rot180 import lower, schedules
    from rot180.program import Program

    operands = tuple(map(lower.Operand.dense, types))
    outputs = autograd.infer(op, *(o.type for o in operands))
    if autograd.is_empty(operands, outputs):
        shapes = ", ".join(str(t.shape) for t in (*types, *outputs))
        raise ArgumentError(
            f"plan: one of the shapes {shapes} is empty, so that no kernel runs\n"
            "  Pass arrays with elements."
        )
    bound = lower.bind(op, operands, tuple(map(lower.Operand.dense, outputs)))
    names = {
        Program: "direct",
        schedules.Pointwise: "pointwise",
        schedules.RowWise: "row-wise",
    }
    target = runtime.target()
    tiles = runtime.candidates(bound, target) if isinstance(bound, Program) else ()
    tile = runtime.chosen(bound, target)
    return Plan(op, target, names[type(bound)], tile, tiles, bound)


def plan(
    function: Callable[..., Any], *args: Any, measure: bool = False, **options: Any
) -> Any:
    """What `function(*args, **options)` would run, and why.

    Args:
        function: A public function, such as `rot180.conv`; or one of your own that
            `jit` could trace, jitted or not, such as a whole training step.
        args: Its operands, arrays or trees of them.
        measure: Whether a function of your own is run to see how long each kernel
            takes.
        options: Its options.

    Returns:
        For a public function the `Plan` of the first kernel that the call runs:
        `print` it, or read its `tile`, `program`, `ir` and `assembly`. For one of your
        own the `StepPlan` of all its kernels: `print` it, or see its `kernels`,
        `by_layer`, `to_json`, `chart` and `measure`.

    Raises:
        ShapeError, DTypeError, ArgumentError: As `function` does.

    Example:
        >>> import numpy as np
        >>> import rot180
        >>> x = np.ones((1, 4, 8, 8), np.float32)
        >>> w = np.ones((4, 4, 3, 3), np.float32)
        >>> step = rot180.jit(lambda x: rot180.relu(rot180.conv(x, w)))
        >>> [kernel.name for kernel in rot180.plan(step, x).kernels]
        ['conv', 'relu']
    """
    if not callable(function):
        raise ArgumentError(
            f"plan: a {type(function).__name__} is no function\n"
            "  Pass a function such as rot180.conv, and arrays."
        )
    ops.check_flags("plan", measure=measure)
    if not _is_public(function):
        step = step_plan(function, *args, **options)
        return step.measure() if measure else step
    if measure:
        raise ArgumentError(
            f"plan: measure=True, but {function.__name__} is no function of yours\n"
            "  Pass rot180.jit of it, or leave measure out."
        )
    for op, types in autograd.steps_of(function, *args, **options):
        if not is_moving(op):
            return plan_of(op, *types)
    raise ArgumentError(
        f"plan: {function.__name__} runs no kernel\n"
        "  Pass a function such as rot180.conv, and arrays."
    )


def _is_public(function: Callable[..., Any]) -> bool:
    """Whether it is one of ours, as it stands: not jitted, which keeps its names."""
    module = getattr(function, "__module__", None) or ""
    is_ours = module.startswith(f"{__package__}.")
    return is_ours and not hasattr(function, "__wrapped__")
