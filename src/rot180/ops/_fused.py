"""Pointwise ops joined into one: several formulas at each place, nothing in between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rot180.ops._op import Op, TensorType

NUMBER: Final = "number"  # the function of a literal


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar function applied to numbered values, or a literal.

    Attributes:
        fn: A name of `POINTWISE`, or `NUMBER`.
        operands: Values: the inputs come first, then the steps.
        value: The literal.
    """

    fn: str
    operands: tuple[int, ...] = ()
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Fused(Op):
    """Pointwise ops in one walk through memory; each rounds as it does alone.

    Made when a graph is prepared, never recorded: it has no pullback.

    Attributes:
        shape: The places; no extent is 1.
        dtype: Of all results.
        reads: For each input and each of its axes, which axis of `shape` it goes along,
            None where its extent is 1.
        steps: What is computed at each place, in order.
        results: The values that come out, each with its shape: `shape` with axes of
            extent 1 in between.
    """

    shape: tuple[int, ...]
    dtype: str
    reads: tuple[tuple[int | None, ...], ...]
    steps: tuple[Scalar, ...]
    results: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def is_formula(self) -> bool:
        """It does."""
        return True

    def __str__(self) -> str:
        """The steps, read as assignments to `v0, v1, ...`; inputs come first."""
        names = [f"v{number}" for number in range(len(self.reads))]
        parts = []
        for step in self.steps:
            if step.fn == NUMBER:
                names.append(str(step.value))
                continue
            operands = ", ".join(names[o] for o in step.operands)
            names.append(f"v{len(names)}")
            parts.append(f"{names[-1]} = {step.fn}({operands})")
        results = ", ".join(names[number] for number, _ in self.results)
        return f"Fused({'; '.join(parts)} -> {results})"

    @property
    def label(self) -> str:
        """The first of its functions, and how many follow."""
        functions = [step.fn for step in self.steps if step.fn != NUMBER]
        more = len(functions) - 1
        return f"{functions[0]} and {more} more" if more else functions[0]

    def operations(self, *inputs: TensorType) -> int:
        """Returns one for each function at each place."""
        count = sum(step.fn != NUMBER for step in self.steps)
        return count * math.prod(self.shape)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the results' types."""
        return tuple(TensorType(shape, self.dtype) for _, shape in self.results)


def aligned(
    operand: tuple[int, ...], out: tuple[int, ...], axes: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """Returns which places an operand goes along, given those of what is made of it.

    Args:
        operand: Its shape.
        out: The shape of what is made of it by a scalar function.
        axes: For each axis of `out`, which axis of the places it goes along.
    """
    named = [axis for axis in axes if axis is not None]
    wide = [extent for extent in operand if extent != 1]
    if len(wide) == len(named):  # axes of extent 1 may have come or gone
        rest = iter(named)
        return tuple(None if extent == 1 else next(rest) for extent in operand)
    own = axes[len(out) - len(operand) :]
    return tuple(
        None if extent == 1 else axis for extent, axis in zip(operand, own, strict=True)
    )
