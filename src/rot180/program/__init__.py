"""Programs: loops and stores over buffers, what they mean, and what a caller brings.

The nodes, the slow interpreter, ranges of indices, and the interface of what is made of
a program. Nothing here knows what a convolution is, or how anything is made fast.
"""

from rot180.program._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.program._interpret import interpret
from rot180.program._nodes import (
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
from rot180.program._target import ITEM_BYTES, Target

__all__ = [
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
    "Number",
    "Phase",
    "Position",
    "Program",
    "Target",
    "index",
    "interpret",
    "show",
]
