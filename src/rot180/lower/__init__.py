"""From an op, on operands that lie somewhere in memory, to what is scheduled."""

from rot180.lower._contraction import plain, product
from rot180.lower._ops import Operand, bind, dense_strides, elementwise

__all__ = [
    "Operand",
    "bind",
    "dense_strides",
    "elementwise",
    "plain",
    "product",
]
