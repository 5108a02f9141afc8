"""The dtypes that can be judged, and how many bits their numbers have."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from rot180.errors import ArgumentError

__all__ = ["BITS", "DTYPES", "HALF", "epsilon", "numpy_dtype"]

# Of the significand, with the one that is not stored: integers up to 2 to that many are
# exact, and the unit roundoff is 2 to minus that many.
BITS: Final[Mapping[str, int]] = {
    "float32": 24, "float64": 53, "float16": 11, "bfloat16": 8,
}  # fmt: skip
DTYPES: Final = tuple(BITS)
HALF: Final = DTYPES[2:]


def epsilon(dtype: str) -> float:
    """Returns the distance from 1 to the next number, twice the unit roundoff."""
    return 2.0 ** (1 - BITS[dtype])


def numpy_dtype(name: str) -> np.dtype[Any]:
    """Returns NumPy's dtype; that of bfloat16 comes with a package of its own.

    Raises:
        ArgumentError: The package is not installed.
    """
    try:
        if name == "bfloat16":
            importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise ArgumentError(
            "check: NumPy has no bfloat16 by itself\n  Run: pip install ml_dtypes"
        ) from error
    return np.dtype(name)
