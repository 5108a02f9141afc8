"""In which order the axes of a program's temporaries lie in memory.

Only what a program is given and returns lies as its user has it. What slides windows
reads and writes channels side by side, and formulas follow what they read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rot180.autograd._graph import Node
from rot180.ops import TensorType

Order = tuple[int, ...]  # the axes, the one whose elements stand side by side last


def orders(
    nodes: Sequence[Node], types: Sequence[TensorType], fixed: set[int]
) -> dict[int, Order]:
    """Returns the order of each value that does not lie row by row.

    Args:
        nodes: In the order in which they run.
        types: Of all values.
        fixed: Values that lie row by row.
    """
    found: dict[int, Order] = {}
    for node in nodes:
        for number in node.outputs:
            order = None if number in fixed else _order(node, number, types, found)
            if order is not None:
                found[number] = order
    return found


def _order(
    node: Node, number: int, types: Sequence[TensorType], found: dict[int, Order]
) -> Order | None:
    shape = types[number].shape
    inner = node.op.inner_axis(len(shape))
    if inner is not None:
        return _inner_last(len(shape), inner)
    if node.op.may_alias or not node.op.is_formula:
        return None
    followed = (found.get(i) for i in node.inputs if types[i].shape == shape)
    return next((order for order in followed if order is not None), None)


def _inner_last(ndim: int, inner: int) -> Order | None:
    if inner == ndim - 1:
        return None
    return (*(axis for axis in range(ndim) if axis != inner), inner)


def strides_of(shape: tuple[int, ...], order: Order | None, size: int) -> Order:
    """Returns the strides, in steps of `size`, of axes that lie in that order."""
    strides = [0] * len(shape)
    for axis in reversed(order or range(len(shape))):
        strides[axis] = size
        size *= max(shape[axis], 1)
    return tuple(strides)
