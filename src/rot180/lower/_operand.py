"""An array as a kernel sees it."""

from __future__ import annotations

from dataclasses import dataclass

from rot180.ops import TensorType


@dataclass(frozen=True, slots=True)
class Operand:
    """An array as a kernel sees it: its type, its strides and offset in elements."""

    type: TensorType
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def dense(cls, type_: TensorType) -> Operand:
        """A contiguous array."""
        return cls(type_, dense_strides(type_.shape))


def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a row-major array, in elements."""
    strides: list[int] = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))
