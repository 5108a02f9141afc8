"""From an op, on operands that lie somewhere in memory, to what is scheduled."""

from rot180.lower._contraction import product, sum_of
from rot180.lower._elementwise import elementwise
from rot180.lower._operand import Operand, dense_strides
from rot180.lower._ops import bind
from rot180.lower._plain import plain

__all__ = [
    "Operand",
    "bind",
    "dense_strides",
    "elementwise",
    "plain",
    "product",
    "sum_of",
]
