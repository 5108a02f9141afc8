"""What would run for a call, and why: schedule, tile, program, assembly."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property

from rot180 import kernels, ops
from rot180.errors import ArgumentError
from rot180.kernels import Sum, Target, Tile
from rot180.runtime._bind import Bound, Operand, bind
from rot180.runtime._choose import candidates, chosen, target
from rot180.runtime._compiler import compile_assembly
from rot180.runtime._execute import infer, is_empty, scheduled


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
        return kernels.show(scheduled(self.bound, self.target, self.tile))

    @cached_property
    def ir(self) -> str:
        """The LLVM IR that is compiled."""
        program = scheduled(self.bound, self.target, self.tile)
        return kernels.emit(program, self.target).text

    @cached_property
    def assembly(self) -> str:
        """The machine code as text."""
        return compile_assembly(self.ir, self.target)

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
    operands = tuple(map(Operand.dense, types))
    outputs = infer(op, *(o.type for o in operands))
    if is_empty(operands, outputs):
        shapes = ", ".join(str(t.shape) for t in (*types, *outputs))
        raise ArgumentError(
            f"plan: one of the shapes {shapes} is empty, so that no kernel runs\n"
            "  Pass arrays with elements."
        )
    bound = bind(op, operands, tuple(map(Operand.dense, outputs)))
    names = {Sum: "direct", kernels.Pointwise: "pointwise", kernels.RowWise: "row-wise"}
    tiles = candidates(bound, target()) if isinstance(bound, Sum) else ()
    return Plan(op, target(), names[type(bound)], chosen(bound, target()), tiles, bound)
