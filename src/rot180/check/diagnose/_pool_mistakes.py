"""Known mistakes of pooling, of ReLU and of the bias gradient, a line each."""

# The table reads best with a line for each mistake.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from rot180.check.diagnose._mistake import (
    Mistake,
    Predict,
    Seen,
    every,
    pooling,
    result,
)
from rot180.check.diagnose._pool import PoolProblem
from rot180.check.diagnose._problem import PlainProblem
from rot180.check.diagnose._sums import Array, kept

__all__ = ["POOL_MISTAKES"]

_AVG = ("avg", "avg_back")


def _rule(**rules: object) -> Predict:
    """Predicts with rules of the pooling altered."""
    return pooling(lambda p: replace(p, **rules))  # type: ignore[arg-type]


def _divisor(name: str, *, given: bool) -> Predict:
    """Predicts another divisor where one was given, or where none was."""
    return pooling(
        lambda p: (
            replace(p, divisor=name) if (p.override is not None) == given else None
        )
    )


def _average(problem: PoolProblem) -> Array | None:
    if problem.x is None or problem.backward:
        return None
    return replace(problem, kind="avg", divisor="inside").value()


def _left_out(at: int) -> Predict:
    """The last or the first windows of each dimension are left out of the gradient."""

    def change(problem: PoolProblem) -> PoolProblem | None:
        if problem.dy is None:
            return None
        dy = problem.dy
        for axis in range(2, dy.ndim):
            dy = dy - kept(dy, at, axis)
        return replace(problem, dy=dy)

    return pooling(change)


def _plain(change: Callable[[dict[str, Array]], Array | None]) -> Predict:
    """Predicts an output without a window from its operands."""

    def predict(seen: Seen) -> Array | None:
        if not isinstance(seen.problem, PlainProblem):
            return None
        return change(dict(seen.problem.operands))

    return result(predict)


def _db(change: Callable[[Array], Array | None]) -> Predict:
    """Predicts the bias gradient from `dy`, of which there is something."""
    return _plain(lambda given: change(given["dy"]) if given["dy"].size else None)


def _total(dy: Array) -> Array:
    return np.asarray(dy.sum(axis=(0, *range(2, dy.ndim))))


def _place(dy: Array, at: int) -> Array:
    return np.asarray(dy.reshape(*dy.shape[:2], -1)[:, :, at].sum(axis=0))


def _images_as_channels(dy: Array) -> Array | None:
    """Summed over channels instead of images, where the counts allow it."""
    total = dy.sum(axis=(1, *range(2, dy.ndim)))
    return total if len(total) == dy.shape[1] else None


# fmt: off
POOL_MISTAKES: Final = (
    # Which window gives what.
    Mistake("overlap-overwritten", "overlapping windows overwrite instead of adding", 13, ("max_back",), every(_rule(collect="last"), _rule(collect="last", whole=True))),
    Mistake("overlap-first", "of overlapping windows only the first is added", 13, ("max_back",), every(_rule(collect="first"), _rule(collect="first", whole=True))),
    Mistake("ties-all", "every tied position gets the whole gradient", 13, ("max_back",), _rule(ties="all")),
    Mistake("ties-last", "the last of tied positions gets the gradient", 13, ("max_back",), _rule(ties="last")),
    Mistake("ties-share", "tied positions share the gradient", 13, ("max_back",), _rule(ties="share")),
    Mistake("ties-all-overwritten", "tied positions all get it, windows overwrite", 13, ("max_back",), every(_rule(ties="all", collect="last"), _rule(ties="all", collect="last", whole=True))),
    Mistake("overlap-overwritten", "overlapping windows overwrite instead of adding", 13, ("avg_back",), _rule(collect="last")),
    Mistake("overlap-first", "of overlapping windows only the first is added", 13, ("avg_back",), _rule(collect="first")),
    Mistake("padding-as-zero", "padding is read as 0, not as minus infinity", 5, ("max",), _rule(outside=0.0)),
    Mistake("padding-takes-gradient", "padding of 0 takes gradients as a maximum", 5, ("max_back",), _rule(outside=0.0)),
    Mistake("minimum", "the smallest value instead of the largest", None, ("max",), pooling(lambda p: replace(p, outside=np.inf).reduced(np.min))),
    Mistake("average", "the mean instead of the largest value", None, ("max",), pooling(_average)),
    Mistake("last-window-dropped", "the last window of every dimension is left out", 6, ("max_back", "avg_back"), _left_out(-1)),
    # The divisor.
    Mistake("divisor-override-ignored", "divisor_override is ignored", 12, _AVG, _divisor("not overridden", given=True)),
    Mistake("divisor-override-and-count", "divides by divisor_override and by the count too", 12, _AVG, _divisor("override and count", given=True)),
    Mistake("divisor-area-override", "divides by the kernel's area, not divisor_override", 12, _AVG, _divisor("area", given=True)),
    Mistake("divisor-area", "divides by the kernel's area, overhang included", 12, _AVG, _divisor("area", given=False)),
    Mistake("divisor-counts-padding", "padding counts in the divisor", 12, _AVG, _divisor("padded", given=False)),
    Mistake("divisor-inside", "padding does not count in the divisor", 12, _AVG, _divisor("inside", given=False)),
    Mistake("divisor-padding", "count_include_pad is the wrong way round", 12, _AVG, _divisor("other count", given=False)),
    Mistake("divisor-missing", "sum of the window, not divided", 12, _AVG, _rule(divisor="none")),
    # ReLU.
    Mistake("slope-everywhere", "dy goes through everywhere", None, ("relu_backward",), _plain(lambda g: g["dy"])),
    Mistake("slope-at-zero", "slope at x = 0 is 1, must be 0", None, ("relu_backward",), _plain(lambda g: np.where(g["x"] >= 0, g["dy"], 0))),
    Mistake("slope-half-at-zero", "slope at x = 0 is 1/2, must be 0", None, ("relu_backward",), _plain(lambda g: np.where(g["x"] > 0, g["dy"], np.where(g["x"] == 0, g["dy"] / 2, 0)))),
    Mistake("slope-where-negative", "dy goes through where x < 0", None, ("relu_backward",), every(_plain(lambda g: np.where(g["x"] < 0, g["dy"], 0)), _plain(lambda g: np.where(g["x"] <= 0, g["dy"], 0)))),
    Mistake("slope-by-dy", "goes by the sign of dy, not of x", None, ("relu_backward",), every(_plain(lambda g: np.maximum(g["dy"], 0)), _plain(lambda g: np.where((g["x"] > 0) & (g["dy"] > 0), g["dy"], 0)))),
    Mistake("dy-ignored", "dy is ignored", None, ("relu_backward",), every(_plain(lambda g: (g["x"] > 0) * 1.0), _plain(lambda g: np.maximum(g["x"], 0)))),
    Mistake("not-clipped", "negative values are left", None, ("relu",), _plain(lambda g: g["x"])),
    Mistake("absolute", "the absolute value", None, ("relu",), _plain(lambda g: np.abs(g["x"]))),
    Mistake("clipped-above", "positive values are clipped", None, ("relu",), _plain(lambda g: np.minimum(g["x"], 0))),
    Mistake("step", "1 where x is positive, not x", None, ("relu",), _plain(lambda g: (g["x"] > 0) * 1.0)),
    Mistake("clipped-at-one", "values are clipped at 1", None, ("relu",), _plain(lambda g: np.clip(g["x"], 0, 1))),
    Mistake("clipped-at-six", "values are clipped at 6", None, ("relu",), _plain(lambda g: np.clip(g["x"], 0, 6))),
    # The bias gradient.
    Mistake("first-image-only", "only the first image counts, no sum over images", 8, ("db",), _db(lambda dy: _total(dy[:1]))),
    Mistake("last-image-only", "only the last image counts, no sum over images", 8, ("db",), _db(lambda dy: _total(dy[-1:]))),
    Mistake("last-image-missing", "the last image is missing", 8, ("db",), _db(lambda dy: _total(dy[:-1] if len(dy) > 1 else dy))),
    Mistake("first-image-missing", "the first image is missing", 8, ("db",), _db(lambda dy: _total(dy[1:] if len(dy) > 1 else dy))),
    Mistake("first-position-only", "only the first position counts, no sum over positions", 8, ("db",), _db(lambda dy: _place(dy, 0))),
    Mistake("last-position-only", "only the last position counts, no sum over positions", 8, ("db",), _db(lambda dy: _place(dy, -1))),
    Mistake("mean-over-images", "mean over the images instead of sum", 8, ("db",), _db(lambda dy: _total(dy) / len(dy))),
    Mistake("mean-over-positions", "mean over the positions instead of sum", 8, ("db",), _db(lambda dy: _total(dy) / max(dy[0, 0].size, 1))),
    Mistake("mean-over-both", "mean over images and positions instead of sum", 8, ("db",), _db(lambda dy: _total(dy) / max(dy[:, 0].size, 1))),
    Mistake("sum-over-all", "sum over the channels too", 8, ("db",), _db(lambda dy: np.full(dy.shape[1], dy.sum()))),
    Mistake("sum-over-channels", "sum over the channels instead of the images", 8, ("db",), _db(_images_as_channels)),
    Mistake("channels-reversed", "channels in reverse order", None, ("db",), _db(lambda dy: _total(dy)[::-1])),
)
# fmt: on
