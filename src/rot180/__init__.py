"""Convolution's forward and backward passes, from one definition, compiled for CPUs."""

from rot180.autograd import grad, jit, value_and_grad
from rot180.errors import Rot180Error
from rot180.functional import (
    avg_pool,
    avg_pool_backward,
    conv,
    conv_backward,
    conv_input_grad,
    conv_transpose,
    conv_weight_grad,
    max_pool,
    max_pool_backward,
    plan,
    relu,
    relu_backward,
    rot180,
)
from rot180.runtime import get_num_threads, set_num_threads

__version__ = "0.1.0"

__all__ = [
    "Rot180Error",
    "avg_pool",
    "avg_pool_backward",
    "conv",
    "conv_backward",
    "conv_input_grad",
    "conv_transpose",
    "conv_weight_grad",
    "get_num_threads",
    "grad",
    "jit",
    "max_pool",
    "max_pool_backward",
    "plan",
    "relu",
    "relu_backward",
    "rot180",
    "set_num_threads",
    "value_and_grad",
]
