"""Arrays of NumPy, PyTorch and JAX: how functions take them and gradients come.

It is the subject that imports the framework. This module needs nothing but NumPy, so
that its text can stand in a script.
"""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np


class Plain:
    """Arrays of NumPy, as they are."""

    scope = contextlib.nullcontext
    stack = np.stack

    @staticmethod
    def of(value: Any) -> Any:
        """Returns an operand as the function takes it."""
        return value

    array = of


class Torch:
    """Tensors of PyTorch."""

    scope = contextlib.nullcontext

    @staticmethod
    def of(value: Any) -> Any:
        """Returns an operand as a tensor."""
        torch = sys.modules["torch"]
        if not isinstance(value, np.ndarray):
            return value
        if value.dtype.name == "bfloat16":
            return torch.from_numpy(value.view("int16")).view(torch.bfloat16)
        return torch.from_numpy(value)

    @staticmethod
    def array(value: Any) -> Any:
        """Returns a result as it can be read."""
        if not hasattr(value, "detach"):
            return value
        if str(value.dtype) != "torch.bfloat16":
            return value.detach().cpu()
        return value.detach().cpu().float().numpy().astype("bfloat16")

    @staticmethod
    def stack(values: list[Any]) -> Any:
        """Returns tensors as one."""
        return sys.modules["torch"].stack(values)

    @staticmethod
    def gradients(function: Callable[..., Any], dy: Any, leaves: list[Any]) -> Any:
        """Returns what `backward` leaves in each leaf, None where it leaves nothing."""
        tensors = [Torch.of(leaf).requires_grad_() for leaf in leaves]
        y = function(*tensors)
        if y.dtype != Torch.of(dy).dtype:
            raise NotImplementedError(f"it answers in {y.dtype}")
        y.backward(Torch.of(dy))
        return [tensor.grad for tensor in tensors]


class Jax:
    """Arrays of JAX."""

    @staticmethod
    def scope() -> Any:
        """Returns a context in which JAX has float64, as it has not by itself."""
        jax = sys.modules["jax"]
        home = jax if hasattr(jax, "enable_x64") else jax.experimental
        return home.enable_x64(True)

    @staticmethod
    def of(value: Any) -> Any:
        """Returns an operand as an array of JAX, in its own dtype."""
        asarray = sys.modules["jax"].numpy.asarray
        return asarray(value) if isinstance(value, np.ndarray) else value

    array = Plain.of

    @staticmethod
    def stack(values: list[Any]) -> Any:
        """Returns arrays as one."""
        return sys.modules["jax"].numpy.stack(values)

    @staticmethod
    def gradients(function: Callable[..., Any], dy: Any, leaves: list[Any]) -> Any:
        """Returns what the function that `jax.vjp` gives makes of `dy`."""
        back = sys.modules["jax"].vjp(function, *map(Jax.of, leaves))[1]
        return back(Jax.of(dy))
