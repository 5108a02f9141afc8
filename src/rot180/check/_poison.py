"""Makes memory that was never written visible in the results.

`numpy.empty` often returns zeros by chance, so that forgotten elements look right. Here
it returns NaN, or the largest integer. Memory that compiled code allocates for itself
is filled by the C library.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rot180.check._outcome import Array

__all__ = ["environment", "poison"]


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
    for name in ("empty", "empty_like"):
        setattr(np, name, _filling(getattr(np, name)))


def _filling(allocate: Callable[..., Array]) -> Callable[..., Array]:
    @functools.wraps(allocate)
    def filled(*arguments: Any, **options: Any) -> Array:
        array = allocate(*arguments, **options)
        if isinstance(array, np.ndarray):
            _fill(array)
        return array

    return filled


def _fill(array: Array) -> None:
    match array.dtype.kind:
        case "f" | "c":
            array.fill(np.nan)
        case "i" | "u":
            array.fill(np.iinfo(array.dtype).max)
        case "b":
            array.fill(True)
