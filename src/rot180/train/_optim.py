"""Optimisers: functions from parameters, gradients and state to new ones."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180 import ops
from rot180.autograd import tree_flatten, tree_map, tree_unflatten
from rot180.errors import ArgumentError
from rot180.functional import add, divide, multiply, sqrt, subtract

Tree = Any
_ADAM = ("m", "v", "power1", "power2")


class Optimiser(ABC):
    """Holds the settings; what changes is in the state, a tree of arrays.

    `init` and `update` use ops only, so an update can be part of a compiled step.
    """

    lr: float

    @abstractmethod
    def init(self, params: Tree) -> Tree:
        """Returns the state before the first update."""

    @abstractmethod
    def update(
        self, params: Tree, grads: Tree, state: Tree, lr: Any = None
    ) -> tuple[Tree, Tree]:
        """Returns `(new_params, new_state)`.

        Args:
            params: Tree of arrays.
            grads: Tree of the same structure.
            state: As returned by `init` or by the last update.
            lr: Learning rate of this update, a number or an array of shape `()` and the
                parameters' dtype; by default the optimiser's own.
        """


@dataclass(frozen=True, slots=True)
class SGD(Optimiser):
    """Gradient descent with momentum, as `torch.optim.SGD`.

        g = grad + weight_decay * p
        v = momentum * v + g
        p = p - lr * v,   with nesterov: p - lr * (g + momentum * v)

    Source: Sutskever et al., "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    Attributes:
        lr: Learning rate.
        momentum: From 0, none, to below 1.
        weight_decay: Share of the parameters added to their gradient.
        nesterov: Whether the step looks ahead along the momentum.
    """

    lr: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_range("SGD", "lr", self.lr)
        check_range("SGD", "momentum", self.momentum, below=1.0)
        check_range("SGD", "weight_decay", self.weight_decay)
        ops.check_flags("SGD", nesterov=self.nesterov)
        if self.nesterov and not self.momentum:
            raise ArgumentError("SGD: nesterov=True needs a momentum above 0")

    def init(self, params: Tree) -> Tree:
        """Returns the velocities, zeros; None without momentum."""
        _check_arrays("SGD", tree_flatten(params)[0])
        return tree_map(np.zeros_like, params) if self.momentum else None

    def update(
        self, params: Tree, grads: Tree, state: Tree, lr: Any = None
    ) -> tuple[Tree, Tree]:
        """Returns `(new_params, new_velocities)`."""
        rate = _rate("SGD", self.lr, lr)
        if self.weight_decay:
            decay = self.weight_decay
            grads = tree_map(lambda g, p: add(g, multiply(p, decay)), grads, params)
        steps = grads
        if self.momentum:
            state = tree_map(self._blend, state, grads)
            steps = tree_map(self._blend, state, grads) if self.nesterov else state
        return tree_map(
            lambda p, s: subtract(p, multiply(s, rate)), params, steps
        ), state

    def _blend(self, v: Any, g: Any) -> Any:
        return add(multiply(v, self.momentum), g)


@dataclass(frozen=True, slots=True)
class Adam(Optimiser):
    """Steps scaled by running means of the gradient and its square.

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr / (1 - beta1**t) * m / (sqrt(v / (1 - beta2**t)) + eps)

    As `torch.optim.Adam`; with `decoupled`, as `torch.optim.AdamW`: the weight decay
    shrinks the parameters by `lr * weight_decay` instead of joining the gradient.
    Source: Kingma and Ba, arXiv 1412.6980; Loshchilov and Hutter, arXiv 1711.05101.

    Attributes:
        lr: Learning rate.
        betas: How much of the running means is kept.
        eps: Added to the root.
        weight_decay: Strength of the decay.
        decoupled: Whether the decay leaves the running means alone.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    def __post_init__(self) -> None:
        check_range("Adam", "lr", self.lr)
        if not isinstance(self.betas, tuple | list) or len(self.betas) != 2:
            raise ArgumentError(f"Adam: betas={self.betas!r} is no pair of numbers")
        check_range("Adam", "betas[0]", self.betas[0], below=1.0)
        check_range("Adam", "betas[1]", self.betas[1], below=1.0)
        check_range("Adam", "eps", self.eps)
        check_range("Adam", "weight_decay", self.weight_decay)

    def init(self, params: Tree) -> Tree:
        """Returns `m` and `v`, zeros, and the powers of the betas, ones."""
        leaves, _ = tree_flatten(params)
        _check_arrays("Adam", leaves)
        one = np.ones((), leaves[0].dtype if leaves else np.float32)
        zeros = tree_map(np.zeros_like, params)
        return {"m": zeros, "v": zeros, "power1": one, "power2": one}

    def update(
        self, params: Tree, grads: Tree, state: Tree, lr: Any = None
    ) -> tuple[Tree, Tree]:
        """Returns `(new_params, new_state)`."""
        if not isinstance(state, dict) or not {*_ADAM} <= {*state}:
            raise ArgumentError(
                f"Adam: state is no tree of {', '.join(_ADAM)}\n"
                "  Pass what init or the last update of this optimiser returned."
            )
        beta1, beta2 = self.betas
        rate = _rate("Adam", self.lr, lr)
        power1, power2 = (
            multiply(state["power1"], beta1),
            multiply(state["power2"], beta2),
        )
        step = divide(rate, subtract(1.0, power1))
        correction = sqrt(subtract(1.0, power2))
        kept = 1.0 - rate * self.weight_decay

        def one(p: Any, g: Any, m: Any, v: Any) -> tuple[Any, Any, Any]:
            if self.weight_decay and not self.decoupled:
                g = add(g, multiply(p, self.weight_decay))
            if self.weight_decay and self.decoupled:
                p = multiply(p, kept)
            m = add(multiply(m, beta1), multiply(g, 1 - beta1))
            v = add(multiply(v, beta2), multiply(multiply(g, g), 1 - beta2))
            root = add(divide(sqrt(v), correction), self.eps)
            return subtract(p, multiply(divide(m, root), step)), m, v

        _, treedef = tree_flatten(params)
        updated: list[Any] = []
        tree_map(
            lambda *row: updated.append(one(*row)),
            params,
            grads,
            state["m"],
            state["v"],
        )
        new, m, v = (tree_unflatten(treedef, [u[i] for u in updated]) for i in range(3))
        return new, {"m": m, "v": v, "power1": power1, "power2": power2}


def _check_arrays(owner: str, leaves: list[Any]) -> None:
    for leaf in leaves:
        if not isinstance(getattr(leaf, "dtype", None), np.dtype | str):
            raise ArgumentError(
                f"{owner}: params hold a {type(leaf).__name__}, not an array\n"
                "  Pass what init or load_state_dict of the network returned."
            )


def _rate(owner: str, usual: float, given: Any) -> Any:
    """The learning rate of a step: the usual one, or a number or scalar array."""
    if given is None:
        return usual
    if not hasattr(given, "dtype"):
        check_range(owner, "lr", given)
    return given


def one_cycle(
    step: int, steps: int, *, warm_up: float = 0.2, last: float = 0.01
) -> float:
    """Returns the share of the peak learning rate at `step` of `steps`.

    It rises in a line during `warm_up` of the steps, then falls as half a cosine, and
    ends at `last` or above; beyond `steps` it stays there. Source: Smith
    and Topin, arXiv 1708.07120; Loshchilov and Hutter, arXiv 1608.03983.
    """
    given = {"step": step, "steps": steps, "warm_up": warm_up, "last": last}
    for name, value in given.items():
        check_range("one_cycle", name, value)
    rising = warm_up * steps
    if step < rising:
        return max((step + 1) / (rising + 1), last)
    fallen = min((step - rising) / max(steps - rising, 1), 1.0)
    return max(0.5 * (1 + math.cos(math.pi * fallen)), last)


def check_range(
    owner: str,
    name: str,
    value: Any,
    *,
    below: float = math.inf,
    most: float = math.inf,
) -> None:
    """Refuse a setting that is no number from 0 to `most`, and less than `below`.

    Raises:
        ArgumentError: It is not.
    """
    is_number = isinstance(value, int | float | np.number) and not isinstance(
        value, bool
    )
    if is_number and 0 <= value < below and value <= most:
        return
    limit = f" and below {below:g}" if below < math.inf else " and finite"
    limit = f" and at most {most:g}" if most < math.inf else limit
    raise ArgumentError(f"{owner}: {name}={value!r} must be at least 0{limit}")
