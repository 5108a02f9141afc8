"""Formulas computed element by element, repeating, and its adjoint: the sum.

The pullback of each records the others, so they stand in one module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rot180.errors import ArgumentError, DTypeError, ShapeError
from rot180.ops._op import FLOATS, Op, TensorType, expect_dtype
from rot180.ops._shape import (
    Cotangents,
    Grads,
    Reshape,
    Tensors,
    broadcast_shapes,
    check_axes,
    scalar_like,
)
from rot180.ops._tracing import Traced, apply

# dy, y, inputs -> cotangent of one input, before the sum over repeated axes.
Rule = Callable[[Traced, Traced, Sequence[Traced]], Traced]


@dataclass(frozen=True, slots=True)
class Formula:
    """One pointwise formula.

    Attributes:
        text: How it reads.
        rules: For each input, its cotangent; None where it is zero.
    """

    text: str
    rules: tuple[Rule | None, ...]

    @property
    def arity(self) -> int:
        """Number of inputs."""
        return len(self.rules)


@dataclass(frozen=True, slots=True)
class Pointwise(Op):
    """A formula of the table `POINTWISE`, element by element, with broadcasting."""

    fn: str

    @property
    def label(self) -> str:
        """The function's name."""
        return self.fn

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the common shape and dtype."""
        formula = POINTWISE.get(self.fn)
        if formula is None:
            raise ArgumentError(
                f"pointwise: {self.fn!r} is not in the table\n"
                f"  Use one of {', '.join(POINTWISE)}."
            )
        if len(inputs) != formula.arity:
            raise ShapeError(
                f"{self.fn}: {len(inputs)} inputs for {formula.arity}\n"
                f"    {formula.text}\n"
                f"  Pass {formula.arity}."
            )
        shape = broadcast_shapes(self.fn, *(t.shape for t in inputs))
        return (TensorType(shape, self._dtype(inputs)),)

    @property
    def is_formula(self) -> bool:
        """It does."""
        return True

    def scalar(self, *inputs: TensorType) -> str | None:
        """The formula."""
        return self.fn

    def _dtype(self, inputs: Sequence[TensorType]) -> str:
        names = "c a b" if self.fn == "where" else "a b"
        if self.fn == "where" and inputs[0].dtype == "bool":
            return expect_dtype(self.fn, "a b", *inputs[1:])
        if self.fn in _INTEGER_TOO and all(t.dtype not in FLOATS for t in inputs):
            if len({t.dtype for t in inputs}) == 1 and inputs[0].dtype != "bool":
                return inputs[0].dtype
            raise DTypeError(
                f"{self.fn}: operands have dtypes "
                f"{' and '.join(t.dtype for t in inputs)}\n"
                "  Convert them to one dtype with .astype."
            )
        return expect_dtype(self.fn, names, *inputs)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """Follows the table, then sums over the axes along which an input repeats."""
        (dy,) = cotangents
        if dy is None:
            return (None,) * len(inputs)
        grads: list[Traced | None] = []
        for rule, x, needed in zip(
            POINTWISE[self.fn].rules, inputs, needs, strict=True
        ):
            if rule is None or not needed:
                grads.append(None)
                continue
            grads.append(unbroadcast(rule(dy, outputs[0], inputs), x.type.shape))
        return tuple(grads)


def add(a: Traced, b: Traced) -> Traced:
    """Returns `a + b`."""
    return apply(Pointwise("add"), a, b)


def sub(a: Traced, b: Traced) -> Traced:
    """Returns `a - b`."""
    return apply(Pointwise("sub"), a, b)


def mul(a: Traced, b: Traced) -> Traced:
    """Returns `a * b`."""
    return apply(Pointwise("mul"), a, b)


def div(a: Traced, b: Traced) -> Traced:
    """Returns `a / b`."""
    return apply(Pointwise("div"), a, b)


def neg(a: Traced) -> Traced:
    """Returns `-a`."""
    return apply(Pointwise("neg"), a)


def scale(a: Traced, factor: float) -> Traced:
    """Returns `factor * a`."""
    return mul(a, scalar_like(a, factor))


def _share(a: Traced, b: Traced) -> Traced:
    """Returns `a`'s share of `maximum(a, b)`: 1, 0, or one half if equal."""
    half = scale(apply(Pointwise("equal"), a, b), 0.5)
    return add(apply(Pointwise("greater"), a, b), half)


def _where(c: Traced, a: Traced, b: Traced) -> Traced:
    return apply(Pointwise("where"), c, a, b)


# What follows is the whole of pointwise differentiation: for each input, dy times the
# partial derivative. Where a derivative jumps, the value at the jump is PyTorch's.
POINTWISE: Final[dict[str, Formula]] = {
    "add": Formula("a + b", (lambda dy, y, x: dy, lambda dy, y, x: dy)),
    "sub": Formula("a - b", (lambda dy, y, x: dy, lambda dy, y, x: neg(dy))),
    "mul": Formula(
        "a * b", (lambda dy, y, x: mul(dy, x[1]), lambda dy, y, x: mul(dy, x[0]))
    ),
    "div": Formula(
        "a / b",
        (
            lambda dy, y, x: div(dy, x[1]),
            lambda dy, y, x: neg(mul(dy, div(y, x[1]))),
        ),
    ),
    "neg": Formula("-a", (lambda dy, y, x: neg(dy),)),
    "exp": Formula("exp(a)", (lambda dy, y, x: mul(dy, y),)),
    "log": Formula("log(a)", (lambda dy, y, x: div(dy, x[0]),)),
    "sqrt": Formula("sqrt(a)", (lambda dy, y, x: scale(div(dy, y), 0.5),)),
    "abs": Formula("|a|", (lambda dy, y, x: mul(dy, apply(Pointwise("sign"), x[0])),)),
    "sign": Formula("-1, 0 or 1", (None,)),
    "square": Formula("a * a", (lambda dy, y, x: scale(mul(dy, x[0]), 2.0),)),
    "maximum": Formula(
        "max(a, b)",
        (
            lambda dy, y, x: mul(dy, _share(x[0], x[1])),
            lambda dy, y, x: mul(dy, _share(x[1], x[0])),
        ),
    ),
    "relu": Formula(
        "max(a, 0)", (lambda dy, y, x: apply(Pointwise("relu_grad"), dy, x[0]),)
    ),
    "relu_grad": Formula(
        "b > 0 ? a : 0",
        (lambda dy, y, x: apply(Pointwise("relu_grad"), dy, x[1]), None),
    ),
    "greater": Formula("a > b ? 1 : 0", (None, None)),
    "equal": Formula("a == b ? 1 : 0", (None, None)),
    "where": Formula(
        "c != 0 ? a : b",
        (
            None,
            lambda dy, y, x: _where(x[0], dy, scalar_like(dy, 0.0)),
            lambda dy, y, x: _where(x[0], scalar_like(dy, 0.0), dy),
        ),
    ),
}
_INTEGER_TOO: Final = ("add", "sub", "mul", "neg", "abs", "maximum")


@dataclass(frozen=True, slots=True)
class Broadcast(Op):
    """The input repeated to `shape` by NumPy's rule."""

    shape: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of that shape."""
        (x,) = inputs
        if broadcast_shapes("broadcast", x.shape, self.shape) != self.shape:
            raise ShapeError(
                f"broadcast: shape {x.shape} does not repeat to {self.shape}\n"
                "  Each extent must be 1 or equal, counted from the last axis."
            )
        return (TensorType(self.shape, x.dtype),)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """The sum over the repeated axes."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        return (unbroadcast(cotangent, inputs[0].type.shape),)

    def scalar(self, *inputs: TensorType) -> str | None:
        """Hands each element on."""
        return ""


@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """The sum or the maximum over `axes`, which are removed.

    The gradient of a maximum is shared evenly among the elements that attain it, as
    `torch.amax` does.
    """

    kind: Literal["sum", "max"]
    axes: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type without `axes`."""
        (x,) = inputs
        expect_dtype(self.kind, "x", x)
        check_axes(self.kind, self.axes, x)
        if self.kind == "max" and 0 in (x.shape[axis] for axis in self.axes):
            raise ShapeError(
                f"max: no elements along axes {self.axes}\n"
                f"    x has shape {x.shape}\n"
                "  A maximum needs at least one element."
            )
        kept = (size for axis, size in enumerate(x.shape) if axis not in self.axes)
        return (TensorType(tuple(kept), x.dtype),)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """Sum: the cotangent repeated. Maximum: shared among the attaining elements."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        (x,) = inputs
        if self.kind == "sum":
            return (self._restore(cotangent, x),)
        attained = apply(Pointwise("equal"), x, self._restore(outputs[0], x))
        count = self._restore(apply(Reduce("sum", self.axes), attained), x)
        share = apply(Pointwise("div"), attained, count)
        return (apply(Pointwise("mul"), self._restore(cotangent, x), share),)

    @property
    def may_alias(self) -> bool:
        """Over no axes it is the operand."""
        return not self.axes

    def _restore(self, value: Traced, x: Traced) -> Traced:
        """Repeats a reduced `value` over the reduced axes of `x`."""
        shape = x.type.shape
        column = tuple(
            1 if axis in self.axes else size for axis, size in enumerate(shape)
        )
        return apply(Broadcast(shape), apply(Reshape(column), value))


def unbroadcast(value: Traced, shape: tuple[int, ...]) -> Traced:
    """Sums `value` over the axes along which `shape` was repeated to it."""
    current = value.type.shape
    if current == shape:
        return value
    added = len(current) - len(shape)
    axes = tuple(
        axis
        for axis, extent in enumerate(current)
        if axis < added or (shape[axis - added] == 1 and extent != 1)
    )
    summed = apply(Reduce("sum", axes), value)
    return summed if summed.type.shape == shape else apply(Reshape(shape), summed)
