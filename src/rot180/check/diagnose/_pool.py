"""Pooling and its gradient with every rule a field, so that a mistake is one field."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rot180.check.diagnose._sums import Array, Dims, touched

__all__ = ["DIVISORS", "PoolProblem"]

Ties = Literal["first", "last", "all", "share"]
Collect = Literal["add", "last", "first"]


@dataclass(frozen=True, slots=True, eq=False)
class PoolProblem:
    """A pooling or its gradient.

    Attributes:
        kind: `"max"` or `"avg"`.
        backward: Whether it is the gradient.
        dims: The window.
        x: The images; None where they do not matter.
        dy: The gradient of the output.
        include: Whether padding counts in the divisor.
        override: The divisor instead.
        divisor: The rule for the divisor, a name of `DIVISORS`.
        outside: What the maximum reads outside the images.
        ties: Which of equal values the gradient goes to.
        collect: What becomes of several gradients that meet at a position.
        whole: Whether a window writes all its positions, zeros too.
    """

    kind: Literal["max", "avg"]
    backward: bool
    dims: Dims
    x: Array | None
    dy: Array | None
    include: bool = True
    override: int | None = None
    divisor: str = "right"
    outside: float = -np.inf
    ties: Ties = "first"
    collect: Collect = "add"
    whole: bool = False

    @property
    def role(self) -> str:
        """The pass, by which fingerprints are chosen."""
        return f"{self.kind}_back" if self.backward else self.kind

    def value(self) -> Array:
        """Returns the output."""
        return self._scattered() if self.backward else self.reduced(np.max)

    def windows(self) -> Array:
        """Returns what each output sees, `(n, c, outputs, taps)`."""
        assert self.x is not None
        place, inside = touched(self.dims)
        flat = self.x.reshape(*self.x.shape[:2], math.prod(self.x.shape[2:]))
        outside = self.outside if self.kind == "max" else 0.0
        if flat.shape[2] == 0:
            return np.full((*flat.shape[:2], *place.shape), outside)
        return np.where(inside, flat[:, :, place], outside)

    def reduced(self, best: Callable[..., Array]) -> Array:
        """Returns the forward pass, with another choice than the maximum if given."""
        windows = self.windows()
        if self.kind == "max":
            y = best(windows, axis=-1)
        else:
            y = windows.sum(axis=-1) / DIVISORS[self.divisor](self)
        return y.reshape(*y.shape[:2], *(dim.count for dim in self.dims))

    def _scattered(self) -> Array:
        assert self.dy is not None
        place, inside = touched(self.dims)
        dy = self.dy.reshape(*self.dy.shape[:2], len(place), 1)
        if self.kind == "max":
            share = self._chosen() * dy
        else:
            share = inside * (dy / DIVISORS[self.divisor](self)[:, None])
        written = np.broadcast_to(inside, share.shape)
        if self.kind == "max" and not self.whole:
            written = written & (self._chosen() != 0)
        return self._collected(share, place, written)

    def _chosen(self) -> Array:
        """Returns each tap's part of its window's gradient."""
        windows = self.windows()
        if windows.size == 0:
            return windows
        equal = windows == windows.max(axis=-1, keepdims=True)
        if self.ties in ("first", "last"):
            step = 1 if self.ties == "first" else -1
            place = equal[..., ::step].argmax(axis=-1)[..., None]
            place = place if step == 1 else equal.shape[-1] - 1 - place
            chosen = np.arange(equal.shape[-1]) == place
            return np.asarray(chosen, np.float64)
        count = equal.sum(axis=-1, keepdims=True) if self.ties == "share" else 1
        return np.asarray(equal / count)

    def _collected(self, share: Array, place: Array, written: Array) -> Array:
        """Returns the image that the windows' shares come to, one after another."""
        size = [dim.size for dim in self.dims]
        n, c, outputs, _ = share.shape
        dx = np.zeros((n * c, int(np.prod(size))))
        share = share.reshape(n * c, outputs, place.shape[1])
        written = written.reshape(share.shape)
        image, p, tap = np.nonzero(written)
        at, values = (image, place[p, tap]), share[image, p, tap]
        if self.collect == "add":
            np.add.at(dx, at, values)
        elif self.collect == "last":
            dx[at] = values
        else:
            # Copies: through a reversed view NumPy would assign in the memory's order.
            backwards = tuple(index[::-1].copy() for index in at)
            dx[backwards] = values[::-1].copy()
        return dx.reshape(n, c, *size)


def _counts(problem: PoolProblem, padded: bool) -> Array:
    """Returns how many positions of each window count, with or without padding."""
    total = np.ones(1)
    for dim in problem.dims:
        at = dim.places()
        begin, end = (-dim.low, dim.size + dim.high) if padded else (0, dim.size)
        row = ((at >= begin) & (at < end)).sum(axis=1)
        total = (total[:, None] * row).reshape(-1)
    return np.maximum(total, 1)


def _area(problem: PoolProblem) -> Array:
    return np.array([np.prod([dim.taps for dim in problem.dims])], np.float64)


def _right(problem: PoolProblem) -> Array:
    if problem.override is not None:
        return np.array([float(problem.override)])
    return _counts(problem, problem.include)


# What a window's sum is divided by, one number for each output or one for all.
DIVISORS: dict[str, Callable[[PoolProblem], Array]] = {
    "right": _right,
    "area": _area,
    "inside": lambda problem: _counts(problem, padded=False),
    "padded": lambda problem: _counts(problem, padded=True),
    "not overridden": lambda problem: _counts(problem, problem.include),
    "other count": lambda problem: _counts(problem, not problem.include),
    "override and count": lambda problem: (
        _right(problem) * _counts(problem, problem.include)
    ),
    "none": lambda problem: np.ones(1),
}
