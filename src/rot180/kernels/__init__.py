"""From bound formulas to LLVM IR: programs, rewritings, schedules, emission."""

from rot180.kernels._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.kernels._choose import candidates, schedule
from rot180.kernels._elementwise import Pointwise, RowWise, pointwise, row_wise
from rot180.kernels._emit import Module, emit
from rot180.kernels._interpret import interpret
from rot180.kernels._lower import bind, product
from rot180.kernels._program import (
    Access,
    Affine,
    Apply,
    Buffer,
    Expression,
    Load,
    Number,
    Position,
    Program,
    index,
    show,
)
from rot180.kernels._spec import call_spec
from rot180.kernels._sum import IMAGE, Sum, lower
from rot180.kernels._target import ITEM_BYTES, Target
from rot180.kernels._tile import Tile

__all__ = [
    "IMAGE",
    "ITEM_BYTES",
    "Access",
    "Affine",
    "Apply",
    "ArrayArg",
    "Buffer",
    "CallSpec",
    "Count",
    "Expression",
    "Load",
    "Module",
    "Number",
    "Phase",
    "Pointwise",
    "Position",
    "Program",
    "RowWise",
    "Sum",
    "Target",
    "Tile",
    "bind",
    "call_spec",
    "candidates",
    "emit",
    "index",
    "interpret",
    "lower",
    "pointwise",
    "product",
    "row_wise",
    "schedule",
    "show",
]
