"""Reverse-mode differentiation: the gradient of a traced function is more graph."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from rot180 import ops
from rot180.autograd._graph import Graph
from rot180.autograd._origin import BACKWARD, FORWARD, during
from rot180.autograd._program import evaluate
from rot180.autograd._tensor import Tensor, as_array, lift
from rot180.autograd._tree import (
    check_callable,
    leaf_paths,
    tree_flatten,
    tree_unflatten,
)
from rot180.errors import ArgumentError, DTypeError, InternalError


def grad(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function that computes the gradient of `function`.

    The gradient is taken with respect to the first argument, a tree of float32 or
    float64 arrays (dictionaries, lists and tuples, nested at will), and has its
    structure. It can be differentiated again.

    Args:
        function: Maps its arguments to one number, a tensor of shape `()`.

    Raises:
        ArgumentError: The function returned something other than one number.
        DTypeError: A leaf of the first argument is not floating-point.
        TraceError: The function needed the value of a traced tensor.

    Example:
        >>> import numpy as np
        >>> import rot180
        >>> rot180.grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
        array([2., 4.])
    """
    check_callable("grad", function)
    both = value_and_grad(function)

    @functools.wraps(function)
    def gradient(first: Any, *rest: Any, **named: Any) -> Any:
        return both(first, *rest, **named)[1]

    return gradient


def value_and_grad(
    function: Callable[..., Any], has_aux: bool = False
) -> Callable[..., Any]:
    """Returns the function that computes `(value, gradient)` of `function`.

    Args:
        function: As for `grad`. With `has_aux` it returns `(value, aux)`, where `aux`
            is any tree, and the new function returns `((value, aux), gradient)`.
        has_aux: Whether `function` returns more than the value to differentiate.

    Raises:
        ArgumentError: The function returned something other than one number.
        DTypeError: A leaf of the first argument is not floating-point.
        TraceError: The function needed the value of a traced tensor.
    """
    check_callable("value_and_grad", function)
    ops.check_flags("value_and_grad", has_aux=has_aux)

    @functools.wraps(function)
    def value_and_gradient(first: Any, *rest: Any, **named: Any) -> Any:
        leaves, treedef = _inputs(first)
        graph = Graph()
        inputs = [graph.new_input(ops.type_of(leaf)) for leaf in leaves]
        traced = tree_unflatten(treedef, [Tensor(graph, i) for i in inputs])
        with during(FORWARD):
            returned = function(traced, *rest, **named)
        value, aux = _split(returned) if has_aux else (returned, None)
        number = _scalar(graph, value)
        gradients = pull(graph, number, inputs)
        aux_leaves, aux_tree = tree_flatten(aux)
        own = [i for i, leaf in enumerate(aux_leaves) if _belongs(leaf, graph)]
        results = [number, *gradients, *(lift(graph, aux_leaves[i]) for i in own)]
        outputs = evaluate(graph, inputs, results, leaves)
        for i, output in zip(own, outputs[1 + len(inputs) :], strict=True):
            aux_leaves[i] = output
        gradient = tree_unflatten(treedef, outputs[1 : 1 + len(inputs)])
        if has_aux:
            return (outputs[0], tree_unflatten(aux_tree, aux_leaves)), gradient
        return outputs[0], gradient

    return value_and_gradient


def pull(graph: Graph, result: int, inputs: Sequence[int]) -> list[int]:
    """Appends to `graph` the gradient of `result`; returns it for each of `inputs`.

    The steps that join `inputs` to `result` are walked from the last to the first; each
    op says, in terms of ops, what a cotangent of its outputs means for its inputs.
    """
    active = graph.descendants(inputs)
    cotangents: dict[int, Tensor] = {}
    if result in active:
        cotangents[result] = Tensor(graph, result).full(1.0)
    for node in reversed(graph.needed_for([result])):
        given = [cotangents.get(i) for i in node.outputs]
        needs = [i in active and graph.types[i].is_floating for i in node.inputs]
        if not any(needs) or all(c is None for c in given):
            continue
        operands = [Tensor(graph, i) for i in node.inputs]
        outputs = [Tensor(graph, i) for i in node.outputs]
        with during(BACKWARD, graph.origins[node.outputs[0]]):
            pulled = node.op.pullback(given, operands, outputs, needs)
            _accumulate(cotangents, node.op, operands, needs, pulled)
    return [_gradient(graph, i, cotangents.get(i)) for i in inputs]


def _accumulate(
    cotangents: dict[int, Tensor],
    op: ops.Op,
    operands: Sequence[Tensor],
    needs: Sequence[bool],
    pulled: Sequence[Any],
) -> None:
    for operand, needed, cotangent in zip(operands, needs, pulled, strict=True):
        if cotangent is None or not needed:
            continue
        if cotangent.type != operand.type:
            raise InternalError(
                f"{op}: the cotangent of an input of type {operand.type} has type "
                f"{cotangent.type}; please report this"
            )
        earlier = cotangents.get(operand.number)
        total = cotangent if earlier is None else earlier + cotangent
        cotangents[operand.number] = total


def _gradient(graph: Graph, number: int, cotangent: Tensor | None) -> int:
    if cotangent is None:
        return Tensor(graph, number).full(0.0).number
    return cotangent.number


def _inputs(first: Any) -> tuple[list[Any], Any]:
    leaves, treedef = tree_flatten(first)
    leaves = [leaf if ops.is_traced(leaf) else as_array(leaf) for leaf in leaves]
    for leaf, path in zip(leaves, leaf_paths(first), strict=True):
        kind = ops.type_of(leaf)
        if not kind.is_floating:
            raise DTypeError(
                f"grad: {path} has dtype {kind.dtype}, which has no gradient\n"
                "  Convert it with .astype(numpy.float32), or pass it as a later "
                "argument."
            )
    return leaves, treedef


def _split(returned: Any) -> tuple[Any, Any]:
    if isinstance(returned, tuple) and len(returned) == 2:
        return returned
    raise ArgumentError(
        "value_and_grad: with has_aux=True the function must return a pair, "
        f"(value, aux); it returned a {type(returned).__name__}"
    )


def _scalar(graph: Graph, value: Any) -> int:
    if isinstance(value, tuple | list | dict) or value is None:
        raise ArgumentError(
            f"grad: the function returned a {type(value).__name__}, not one number\n"
            "  To return more beside the number, use value_and_grad(f, has_aux=True)."
        )
    number = lift(graph, value)
    kind = graph.types[number]
    if kind.shape or not kind.is_floating:
        raise ArgumentError(
            f"grad: the function returned {kind}, not one floating-point number\n"
            "  Reduce it, for example with .sum() or .mean()."
        )
    return number


def _belongs(leaf: Any, graph: Graph) -> bool:
    return isinstance(leaf, Tensor) and leaf.graph.serial >= graph.serial
