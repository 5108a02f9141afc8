"""Whether our training step does what PyTorch's does, before anyone times it."""

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks._net_rivals import FORMATS, Torch, weights_of
from benchmarks._net_sides import Array, Ours, Problem, Side

STEPS = 2  # from the second on the momentum counts
# Of how far a parameter moves, in the 2-norm, beside a multiple of the error that
# PyTorch makes in float32, in its worse layout: a ReLU at its corner turns a rounding
# into a whole gradient, and a gradient whose terms cancel is all rounding.
BOUND, TIMES = 1e-3, 4.0
LOSS_BOUND = 1e-5
# Of each number: a float32's rounding near one.  The mean of what batch norm has
# centred is all rounding.
ROUNDING = 2.0**-23


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors against PyTorch in float64, after `STEPS` steps from equal weights.

    Attributes:
        worst: The name with the largest error relative to its limit.
        error: Its error, relative to how far it moved.
        share: That error over its limit: above 1 is wrong.
    """

    worst: str
    error: float
    share: float

    @property
    def is_right(self) -> bool:
        return self.share <= 1  # false for NaN


def errors(problem: Problem, ours: Side | None = None) -> Errors:
    """Return how far our losses, parameters and statistics are from PyTorch's."""
    weights = weights_of(problem.net)
    got = _after_steps(ours or Ours(problem, weights))
    rounded = [_after_steps(Torch(problem, weights, layout=form)) for form in FORMATS]
    truth = _after_steps(Torch(problem, weights, dtype=torch.float64))
    before = weights | {name: np.zeros(()) for name in truth if name not in weights}
    found = [
        _error(name, got[name], [r[name] for r in rounded], truth[name], before[name])
        for name in truth
    ]
    return max(found, key=lambda e: np.inf if np.isnan(e.share) else e.share)


def _after_steps(side: Side) -> dict[str, Array]:
    losses = [np.asarray(side.step()) for _ in range(STEPS)]
    return side.arrays() | {f"loss {i}": loss for i, loss in enumerate(losses, 1)}


def _error(
    name: str, got: Array, rounded: list[Array], truth: Array, before: Array
) -> Errors:
    moved, error = _norm(truth - before), _norm(got - truth)
    allowed = TIMES * max(_norm(r - truth) for r in rounded)
    bound = LOSS_BOUND if name.startswith("loss") else BOUND
    limit = allowed + bound * moved + ROUNDING * float(np.sqrt(truth.size))
    return Errors(name, _ratio(error, moved), _ratio(error, limit))


def _ratio(part: float, whole: float) -> float:
    """0 of nothing is nothing; something of nothing is infinite."""
    return part / whole if whole else 0.0 if part == 0 else np.inf


def _norm(array: Array) -> float:
    return float(np.linalg.norm(np.asarray(array, np.float64)))
