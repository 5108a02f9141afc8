"""Traced tensors and what is done with them: gradients, and running without Python."""

from rot180.autograd._grad import grad, value_and_grad
from rot180.autograd._jit import jit
from rot180.autograd._origin import BACKWARD, FORWARD, inside
from rot180.autograd._run import call_for, infer, is_empty, run
from rot180.autograd._steps import Compiled, Described, Part, shape_of, steps_of
from rot180.autograd._tensor import Tensor
from rot180.autograd._tree import check_callable, tree_flatten, tree_map, tree_unflatten

__all__ = [
    "BACKWARD",
    "FORWARD",
    "Compiled",
    "Described",
    "Part",
    "Tensor",
    "call_for",
    "check_callable",
    "grad",
    "infer",
    "inside",
    "is_empty",
    "jit",
    "run",
    "shape_of",
    "steps_of",
    "tree_flatten",
    "tree_map",
    "tree_unflatten",
    "value_and_grad",
]
