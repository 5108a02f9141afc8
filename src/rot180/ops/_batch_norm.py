"""Batch normalisation, an op made of simpler ones but with a shorter gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rot180.errors import ArgumentError, ShapeError
from rot180.ops._layout import Layout, channel_axis, check_layout
from rot180.ops._op import Op, TensorType, expect_dtype
from rot180.ops._pointwise import (
    Broadcast,
    Pointwise,
    Reduce,
    add,
    div,
    mul,
    scale,
    sub,
)
from rot180.ops._shape import Reshape, scalar_like
from rot180.ops._tracing import Traced, apply


@dataclass(frozen=True, slots=True)
class BatchNorm(Op):
    """Each channel shifted and scaled to mean 0 and variance 1, then by `w` and `b`.

        mean[c] = sum over n, p of x[n, c, p] / m
        var[c]  = sum over n, p of (x[n, c, p] - mean[c])**2 / m
        y[n, c, p] = (x[n, c, p] - mean[c]) / sqrt(var[c] + eps) * w[c] + b[c]

    where `m` is the number of elements of a channel. Inputs `(x, w, b)`, outputs
    `(y, mean, var)`.

    Source: Ioffe and Szegedy, arXiv 1502.03167.

    Attributes:
        layout: Where the channels stand.
        eps: Added to the variance.
    """

    layout: Layout = "channels_first"
    eps: float = 1e-5

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the types of `y`, `mean` and `var`."""
        x, w, b = inputs
        check_layout("batch_norm", self.layout)
        dtype = expect_dtype("batch_norm", "x w b", x, w, b)
        if self.eps < 0:
            raise ArgumentError(f"batch_norm: eps={self.eps} is negative")
        if x.ndim < 2:
            raise ShapeError(
                f"batch_norm: x has no channel axis\n    x has shape {x.shape}\n"
                "  Pass images, (n, c, *spatial), or rows, (n, c)."
            )
        channels = (x.shape[channel_axis(self.layout, x.ndim)],)
        if w.shape != channels or b.shape != channels:
            raise ShapeError(
                f"batch_norm: w and b do not have one number per channel\n"
                f"    x has shape {x.shape}: {channels[0]} channels\n"
                f"    w has shape {w.shape}, b has shape {b.shape}"
            )
        return x, TensorType(channels, dtype), TensorType(channels, dtype)

    @property
    def is_composite(self) -> bool:
        """It is."""
        return True

    def expand(self, *inputs: Traced) -> tuple[Traced, ...]:
        """Follows the formula."""
        x, w, b = inputs
        mean = self._average(x, x)
        centred = sub(x, self._column(mean, x))
        var = self._average(apply(Pointwise("square"), centred), x)
        scaled = mul(centred, self._column(mul(w, self._inverse(var)), x))
        return add(scaled, self._column(b, x)), mean, var

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """The closed form, shorter than the formula differentiated step by step.

        With `d = x - mean` and `s = 1 / sqrt(var + eps)`:

            db = sum of dy,  dw = s * sum of dy * d
            dx = w * s * (dy - db/m - d * s * dw/m) + dmean/m + 2 * dvar/m * d
        """
        (dy, dmean, dvar), (x, w, _), (_, mean, var) = cotangents, inputs, outputs
        share = 1.0 / max(self._count(x), 1)
        centred = sub(x, self._column(mean, x))
        slope = None if dvar is None else scale(dvar, 2.0 * share)
        offset = None if dmean is None else scale(dmean, share)
        if dy is None:
            return self._line(None, centred, slope, offset), None, None
        inverse = self._inverse(var)
        db = self._sum(dy)
        dw = mul(self._sum(mul(dy, centred)), inverse)
        gain = mul(w, inverse)
        if needs[0]:
            slope = _minus(slope, scale(mul(mul(gain, inverse), dw), share))
            offset = _minus(offset, scale(mul(gain, db), share))
            through = mul(dy, self._column(gain, x))
            return self._line(through, centred, slope, offset), dw, db
        return None, dw, db

    def _line(
        self,
        through: Traced | None,
        centred: Traced,
        slope: Traced | None,
        offset: Traced | None,
    ) -> Traced | None:
        """Returns `through + slope * centred + offset`, None standing for zero."""
        total = through
        if slope is not None:
            term = mul(centred, self._column(slope, centred))
            total = term if total is None else add(total, term)
        if offset is not None:
            column = self._column(offset, centred)
            if total is None:
                return apply(Broadcast(centred.type.shape), column)
            total = add(total, column)
        return total

    def _inverse(self, var: Traced) -> Traced:
        deviation = apply(Pointwise("sqrt"), add(var, scalar_like(var, self.eps)))
        return div(scalar_like(var, 1.0), deviation)

    def _sum(self, x: Traced) -> Traced:
        channel = channel_axis(self.layout, x.type.ndim)
        axes = tuple(axis for axis in range(x.type.ndim) if axis != channel)
        return apply(Reduce("sum", axes), x)

    def _average(self, value: Traced, x: Traced) -> Traced:
        return scale(self._sum(value), 1.0 / max(self._count(x), 1))

    def _count(self, x: Traced) -> int:
        shape = x.type.shape
        channel = channel_axis(self.layout, len(shape))
        return math.prod(n for axis, n in enumerate(shape) if axis != channel)

    def _column(self, vector: Traced, x: Traced) -> Traced:
        """Returns one number per channel in a shape that repeats over `x`."""
        ndim = x.type.ndim
        channel = channel_axis(self.layout, ndim)
        channels = vector.type.shape[0]
        shape = tuple(channels if axis == channel else 1 for axis in range(ndim))
        return apply(Reshape(shape), vector)


def _minus(a: Traced | None, b: Traced) -> Traced:
    return scale(b, -1.0) if a is None else sub(a, b)
