"""Compiled kernels: made once for what they compute, and called on arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.runtime._call import build_kernel
from rot180.runtime._choose import chosen, target

if TYPE_CHECKING:
    from rot180.program import CallSpec, Target
    from rot180.schedules import Bound, Tile

Array = np.ndarray[Any, Any]
_KERNELS = 1024


@dataclass(frozen=True, slots=True)
class Call:
    """A compiled op for arrays of given types: what to allocate, and what to run.

    Attributes:
        entry: takes outputs, inputs, then `count`.
        outputs: shape and dtype of each output.
        count: the run-time number: images, rows or elements.
        shape: of the first output.
        dtype: of the first output.
    """

    entry: Callable[..., None]
    outputs: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]
    count: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def unbatched(self) -> Call:
        """The same call, its one image's results without an image axis."""
        outputs = tuple((shape[1:], dtype) for shape, dtype in self.outputs)
        return Call(self.entry, outputs, self.count, *outputs[0])


def kernel(bound: Bound) -> Callable[..., None]:
    """The compiled entry of a bound formula, under the settings in force."""
    return _kernel(bound, target(), chosen(bound, target()))


@lru_cache(maxsize=_KERNELS)
def _kernel(bound: Bound, target: Target, tile: Tile | None) -> Callable[..., None]:
    def make() -> tuple[str, CallSpec]:
        from rot180 import codegen, schedules  # only what is not in the disk cache

        program = schedules.scheduled(bound, target, tile)
        module = codegen.emit(program, target)
        return module.text, codegen.call_spec(program, module)

    return build_kernel(f"{bound!r}\n{tile!r}", make, target, bound.name)
