"""From bound formulas to LLVM IR: programs, rewritings, schedules, emission.

What compiles is loaded when it is first asked for: a call that finds its kernel in the
disk cache, and `import rot180`, do without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from rot180.kernels._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.kernels._elementwise import (
    CHOOSING,
    Pointwise,
    RowWise,
    pointwise,
    row_wise,
)
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
from rot180.kernels._sum import IMAGE, Sum, lower
from rot180.kernels._target import ITEM_BYTES, Target
from rot180.kernels._tile import Tile

if TYPE_CHECKING:
    from rot180.kernels._choose import candidates, schedule
    from rot180.kernels._emit import Module, emit
    from rot180.kernels._interpret import interpret
    from rot180.kernels._interruptible import interruptible
    from rot180.kernels._lower import bind, product
    from rot180.kernels._spec import call_spec

_LATER: Final = {
    "Module": "_emit",
    "bind": "_lower",
    "call_spec": "_spec",
    "candidates": "_choose",
    "emit": "_emit",
    "interpret": "_interpret",
    "interruptible": "_interruptible",
    "product": "_lower",
    "schedule": "_choose",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_LATER[name]}")
    globals()[name] = getattr(module, name)
    return globals()[name]


__all__ = [
    "CHOOSING",
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
    "interruptible",
    "lower",
    "pointwise",
    "product",
    "row_wise",
    "schedule",
    "show",
]
