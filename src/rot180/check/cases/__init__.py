"""What can be asked: one configuration, its features, and where cases come from."""

from rot180.check.cases._case import (
    CONV,
    KINDS,
    POOL,
    Case,
    Kind,
    altered,
    fitted,
    make,
    parameters,
)
from rot180.check.cases._corners import IMPULSES, corners, covering
from rot180.check.cases._dtypes import BITS, DTYPES, HALF, epsilon, numpy_dtype
from rot180.check.cases._features import (
    CORE,
    LOUD,
    SHARED,
    alone,
    known_features,
    plain,
    variants,
    without,
)
from rot180.check.cases._outputs import OUTPUTS
from rot180.check.cases._profiles import cases, draw, every_cell, read_shapes

__all__ = [
    "BITS", "CONV", "CORE", "DTYPES", "HALF", "IMPULSES", "KINDS", "LOUD", "OUTPUTS",
    "POOL", "SHARED", "Case", "Kind", "alone", "altered", "cases", "corners",
    "covering", "draw", "epsilon", "every_cell", "fitted", "known_features", "make",
    "numpy_dtype", "parameters", "plain", "read_shapes", "variants", "without",
]  # fmt: skip
