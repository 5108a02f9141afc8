"""Results of earlier runs that nobody holds any more, taken for new results.

A step returns parameters and slots of the shapes that it was given, and its caller
drops the old ones. So two sets of them suffice for any number of steps, and the system
need not find new memory for each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from rot180.ops import TensorType
from rot180.runtime import fork_safe_lock

Array = np.ndarray[Any, Any]
# Smaller arrays are found again by the allocator without a page fault.
LEAST_BYTES: Final = 1 << 16
_MOST: Final = 2  # of each result: the one just returned, and the one before
_NOBODY: Final = 2  # references to an array in a list that nobody else holds


class Recycled:
    """Arrays that a program returned, as long as they are of use to it.

    An array is taken again only if no reference to it, nor to any view of it, is left.

    Attributes:
        numbers: Of the results concerned.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        self.numbers = tuple(numbers) if _counts_references() else ()
        self._kept: dict[int, list[Array]] = {number: [] for number in self.numbers}

    def take(self, number: int) -> Array | None:
        """An array for a result, None if a new one is due."""
        with _lock:
            kept = self._kept[number]
            for place in range(len(kept)):
                if sys.getrefcount(kept[place]) == _NOBODY:
                    return kept.pop(place)
        return None

    def give(self, number: int, array: Array) -> None:
        """Remember a result that is about to be returned."""
        with _lock:
            kept = self._kept[number]
            kept.append(array)
            del kept[:-_MOST]


def recyclable(
    results: Iterable[int], inputs: Iterable[int], types: Sequence[TensorType]
) -> list[int]:
    """Returns which results are large and of the type of an input."""
    given = {types[i] for i in inputs}
    return [
        i
        for i in dict.fromkeys(results)
        if types[i] in given and types[i].nbytes >= LEAST_BYTES
    ]


def _counts_references() -> bool:
    """Whether the number of references is exact: not without the interpreter's lock."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


_lock = fork_safe_lock()
