"""A network on its problem, on our side: `step()` and `infer()`, from given weights."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import rot180
from benchmarks._nets import OURS, Net, build
from rot180 import functional, train

Array = NDArray[Any]
RATE, MOMENTUM = 0.01, 0.9


@dataclass(frozen=True, slots=True)
class Problem:
    """A network, and images with labels, the same ones each time.

    Attributes:
        net: The network.
        x: Images, `(n, c, h, w)`.
        y: Labels, `(n,)`.
    """

    net: Net
    x: Array
    y: Array

    @classmethod
    def of(cls, net: Net, batch: int) -> "Problem":
        rng = np.random.default_rng(180)
        x = rng.standard_normal((batch, *net.image)).astype(np.float32)
        return cls(net, x, rng.integers(0, net.classes, batch))


class Side(Protocol):
    """One framework's network at work."""

    def step(self) -> Any:
        """Do one training step, forward, backward and update; return its loss."""

    def infer(self) -> Any:
        """Return the scores of all images."""

    def arrays(self) -> dict[str, Array]:
        """Return parameters and running statistics by their names."""


class Ours:
    """rot180: the whole step is one traced function, as in `rot180.train.Trainer`."""

    def __init__(
        self, problem: Problem, weights: dict[str, Array] | None = None
    ) -> None:
        self.problem = problem
        self.net = build(problem.net.part, OURS)
        made = self.net.init(0) if weights is None else None
        params, state = made or self.net.load_state_dict(weights)
        self._optimiser = train.SGD(RATE, momentum=MOMENTUM)
        self.kept = (params, state, self._optimiser.init(params))
        self._step = rot180.jit(self._traced_step)
        self._infer = rot180.jit(self._scores)

    def _loss(self, params: Any, state: Any, x: Any, y: Any) -> Any:
        scores, state = self.net.apply(params, state, x, training=True)
        return functional.cross_entropy(scores, y), state

    def _traced_step(self, params: Any, state: Any, slots: Any, x: Any, y: Any) -> Any:
        differentiated = rot180.value_and_grad(self._loss, has_aux=True)
        (loss, state), grads = differentiated(params, state, x, y)
        params, slots = self._optimiser.update(params, grads, slots)
        return params, state, slots, loss

    def _scores(self, params: Any, state: Any, x: Any) -> Any:
        return self.net.apply(params, state, x, training=False)[0]

    def step(self) -> Any:
        *kept, loss = self._step(*self.kept, self.problem.x, self.problem.y)
        self.kept = tuple(kept)
        return loss

    def infer(self) -> Any:
        return self._infer(*self.kept[:2], self.problem.x)

    def arrays(self) -> dict[str, Array]:
        return dict(self.net.state_dict(*self.kept[:2]))
