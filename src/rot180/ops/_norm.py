"""Normalisations over an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rot180.errors import ShapeError
from rot180.ops._op import Op, TensorType, expect_dtype
from rot180.ops._pointwise import Broadcast, Pointwise, Reduce, mul, sub
from rot180.ops._shape import Reshape
from rot180.ops._tracing import Traced, apply


@dataclass(frozen=True, slots=True)
class LogSoftmax(Op):
    """`y[n, j] = x[n, j] - log(sum over i of exp(x[n, i]))`, over the last axis."""

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the input's type."""
        (x,) = inputs
        expect_dtype("log_softmax", "x", x)
        if x.ndim == 0:
            raise ShapeError(
                "log_softmax: x has no axes\n  Pass one axis of classes at least."
            )
        return (x,)

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """`dx[n, j] = dy[n, j] - exp(y[n, j]) * sum over i of dy[n, i]`."""
        (dy,) = cotangents
        if dy is None:
            return (None,)
        shape = dy.type.shape
        total = apply(Reduce("sum", (len(shape) - 1,)), dy)
        spread = apply(Broadcast(shape), apply(Reshape((*shape[:-1], 1)), total))
        return (sub(dy, mul(apply(Pointwise("exp"), outputs[0]), spread)),)
