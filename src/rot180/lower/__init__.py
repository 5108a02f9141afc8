"""From an op, on operands that lie somewhere in memory, to what is scheduled."""

from rot180.lower._contraction import plain, product
from rot180.lower._elementwise import elementwise
from rot180.lower._operand import Operand, dense_strides
from rot180.lower._ops import bind
from rot180.lower._order import LONG

__all__ = [
    "LONG",
    "Operand",
    "bind",
    "dense_strides",
    "elementwise",
    "plain",
    "product",
]
