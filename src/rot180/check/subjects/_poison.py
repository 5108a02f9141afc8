"""Makes memory that was never written visible in the results.

`numpy.empty` often returns zeros by chance, so that forgotten elements look right. Here
it returns NaN, or the largest integer. Memory that compiled code allocates for itself
is filled by the C library.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from rot180.check.subjects._outcome import Array, is_number

_UNFILLED: Final = ("empty", "empty_like")
_MARK: Final = "_rot180_fills"


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment in which glibc fills what it allocates.

    The byte is the complement of the number: 0x7f, so that a float32 is 3.4e38 and a
    float64 1.4e306. Blocks in the per-thread cache would be handed out as they are.
    """
    tunables = [own.get("GLIBC_TUNABLES", ""), "glibc.malloc.tcache_count=0"]
    return {
        **own,
        "MALLOC_PERTURB_": str(0x80),
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)),
    }


def poison() -> None:
    """Replaces the functions of NumPy that return memory as it is."""
    for name in _UNFILLED:
        setattr(np, name, _filling(getattr(np, name)))


@contextlib.contextmanager
def poisoned() -> Iterator[None]:
    """Replaces them for a block; one inside another has nothing to do."""
    plain = {name: getattr(np, name) for name in _UNFILLED}
    if hasattr(np.empty, _MARK):
        yield
        return
    poison()
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(np, name, function)


def _filling(allocate: Callable[..., Array]) -> Callable[..., Array]:
    @functools.wraps(allocate)
    def filled(*arguments: Any, **options: Any) -> Array:
        array = allocate(*arguments, **options)
        if isinstance(array, np.ndarray):
            fill(array)
        return array

    setattr(filled, _MARK, True)
    return filled


def fill(array: Array) -> None:
    """Fills an array with NaN, or the largest integer, so that a read shows."""
    match array.dtype.kind.replace("V", "f" if is_number(array.dtype) else "V"):
        case "f" | "c":
            array.fill(np.nan)
        case "i" | "u":
            array.fill(np.iinfo(array.dtype).max)
        case "b":
            array.fill(True)
