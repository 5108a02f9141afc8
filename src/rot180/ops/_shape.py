"""Operations that move, rename or replace elements without computing."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError
from rot180.ops._op import FLOATS, INTEGERS, Op, TensorType, is_ordinary
from rot180.ops._tracing import Traced, apply

Grads = tuple[Traced | None, ...]
Cotangents = Sequence[Traced | None]
Tensors = Sequence[Traced]


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    """The same elements in row-major order under another shape."""

    shape: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of that shape."""
        (x,) = inputs
        if math.prod(x.shape) != math.prod(self.shape):
            raise ShapeError(
                f"reshape: {math.prod(x.shape)} elements do not fill {self.shape}\n"
                f"    x has shape {x.shape}; {self.shape} holds "
                f"{math.prod(self.shape)}\n"
                "  Pass a shape with the same number of elements."
            )
        return (TensorType(self.shape, x.dtype),)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """The cotangent in the input's shape."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        return (apply(Reshape(inputs[0].type.shape), cotangent),)

    @property
    def may_alias(self) -> bool:
        """The same memory, if it lies so that it can be."""
        return True

    def scalar(self, *inputs: TensorType) -> str | None:
        """Hands each element on where only axes of extent 1 come or go."""
        return "" if extents(inputs[0].shape) == extents(self.shape) else None


@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """The axes in another order: output axis `i` is input axis `axes[i]`."""

    axes: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type with permuted extents."""
        (x,) = inputs
        if sorted(self.axes) != list(range(x.ndim)):
            raise ShapeError(
                f"transpose: {self.axes} is no order of {x.ndim} axes\n"
                f"    x has shape {x.shape}\n"
                f"  Name each of the axes 0 to {x.ndim - 1} once."
            )
        return (TensorType(tuple(x.shape[axis] for axis in self.axes), x.dtype),)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """The axes back in their places."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        back = tuple(self.axes.index(axis) for axis in range(len(self.axes)))
        return (apply(Transpose(back), cotangent),)

    @property
    def may_alias(self) -> bool:
        """The same memory, if it lies so that it can be."""
        return True


@dataclass(frozen=True, slots=True)
class Flip(Op):
    """The elements in reverse order along `axes`; its own inverse."""

    axes: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the input's type."""
        check_axes("flip", self.axes, inputs[0])
        return inputs[:1]

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """Flips back."""
        (cotangent,) = cotangents
        return (None if cotangent is None else apply(self, cotangent),)


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """Along each axis `counts[i]` elements from `starts[i]` on, `steps[i]` apart."""

    starts: tuple[int, ...]
    counts: tuple[int, ...]
    steps: tuple[int, ...]

    def index(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Returns the slices of an array of that shape; a step may be negative."""
        ends = [
            start + count * step
            for start, count, step in zip(
                self.starts, self.counts, self.steps, strict=True
            )
        ]
        return tuple(
            slice(start, end if end >= 0 else None, step) if count else slice(0, 0)
            for start, end, step, count in zip(
                self.starts, ends, self.steps, self.counts, strict=True
            )
        )

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of those counts."""
        return (TensorType(self.counts, inputs[0].dtype),)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """The cotangent where it came from, zero elsewhere."""
        (cotangent,) = cotangents
        if cotangent is None:
            return (None,)
        return (apply(Unslice(self, inputs[0].type.shape), cotangent),)

    @property
    def may_alias(self) -> bool:
        """The same memory, if it lies so that it can be."""
        return True


@dataclass(frozen=True, slots=True)
class Unslice(Op):
    """The adjoint of a slice: its elements in an array of `shape`, zero elsewhere."""

    slice: Slice
    shape: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of `shape`."""
        return (TensorType(self.shape, inputs[0].dtype),)

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """The slice of the cotangent."""
        (cotangent,) = cotangents
        return (None if cotangent is None else apply(self.slice, cotangent),)


@dataclass(frozen=True, slots=True)
class Identity(Op):
    """The input itself; enters a tensor into another recording."""

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the input's type."""
        return inputs[:1]

    def pullback(
        self,
        cotangents: Cotangents,
        inputs: Tensors,
        outputs: Tensors,
        needs: Sequence[bool],
    ) -> Grads:
        """The cotangent itself."""
        return (cotangents[0],)

    @property
    def may_alias(self) -> bool:
        """The same memory, if it lies so that it can be."""
        return True

    def scalar(self, *inputs: TensorType) -> str | None:
        """Hands each element on."""
        return ""


@dataclass(frozen=True, slots=True)
class StopGradient(Op):
    """The input itself, taken as a constant: its cotangent is zero."""

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the input's type."""
        return inputs[:1]

    @property
    def may_alias(self) -> bool:
        """The same memory, if it lies so that it can be."""
        return True

    def scalar(self, *inputs: TensorType) -> str | None:
        """Hands each element on."""
        return ""


@dataclass(frozen=True, slots=True)
class Full(Op):
    """A tensor of one repeated value; takes no inputs, see `full_like`."""

    shape: tuple[int, ...]
    dtype: str
    value: float

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type of that shape and dtype."""
        return (TensorType(self.shape, self.dtype),)

    @property
    def literal(self) -> float | None:
        """The value, rounded to the dtype, where a kernel may hold it."""
        if self.dtype not in FLOATS:
            return None
        value = rounded(self.value, self.dtype)
        return value if is_ordinary(value, self.dtype) else None

    def scalar(self, *inputs: TensorType) -> str | None:
        """Hands its number on."""
        return None if self.literal is None else ""


@dataclass(frozen=True, slots=True)
class OneHot(Op):
    """`y[n, j] = 1 if labels[n] == j else 0`.

    Attributes:
        classes: How many there are.
        dtype: Of the ones and zeros.
        owner: The function in whose name a label outside `classes` is refused.
    """

    classes: int
    dtype: str = "float32"
    owner: str = "one_hot"

    @property
    def checks_values(self) -> bool:
        """Labels are looked at."""
        return True

    def check_values(self, *arrays: Any) -> None:
        """Refuse labels outside `classes`.

        Raises:
            DataError: There is one.
        """
        check_labels(f"{self.owner}: labels", arrays[0], self.classes)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the type `(n, classes)`."""
        (labels,) = inputs
        if labels.dtype not in INTEGERS:
            raise DTypeError(
                f"{self.owner}: labels are {labels.dtype}, not int32 or int64\n"
                "  Convert them with .astype(numpy.int64)."
            )
        return (TensorType((*labels.shape, self.classes), self.dtype),)


def extents(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the extents other than 1."""
    return tuple(extent for extent in shape if extent != 1)


def rounded(value: float, dtype: str) -> float:
    """Returns the number of `dtype` that is nearest to `value`."""
    if dtype == "float64" or not math.isfinite(value):
        return value
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def check_labels(name: str, labels: Any, classes: int) -> None:
    """Refuse an array of labels of which one is no class.

    Args:
        name: How the operand is called in the message.
        labels: An array of integers.
        classes: Labels go from 0 to this, exclusive.

    Raises:
        DataError: One is out of range.
    """
    if not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise DataError(
            f"{name}: label {wrong} is out of range\n"
            f"  With {classes} classes, labels go from 0 to {classes - 1}."
        )


def full_like(like: Traced, value: float) -> Traced:
    """Returns `value` repeated in the shape and dtype of `like`."""
    return _full(like, like.type.shape, value)


def scalar_like(like: Traced, value: float) -> Traced:
    """Returns `value` as a tensor without axes, of the dtype of `like`."""
    return _full(like, (), value)


def _full(like: Traced, shape: tuple[int, ...], value: float) -> Traced:
    check_number(value, like.type.dtype)
    (result,) = like.__rot180_apply__(Full(shape, like.type.dtype, float(value)), ())
    return result


def check_number(value: Any, dtype: str) -> None:
    """Refuses a number that arrays of `dtype` would cut off.

    Raises:
        ArgumentError: It is no number.
        DTypeError: It has a fraction where they have none, or is too large.
    """
    try:
        float(value)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"an operand: {value!r} is not a number\n  Pass an int or a float."
        ) from None
    except OverflowError:
        pass
    low, high = _LIMITS[dtype]
    whole = isinstance(value, int)
    if (whole and low <= value <= high) or (not whole and dtype in FLOATS):
        return
    raise DTypeError(
        f"a number: {value!r} does not fit an operand of dtype {dtype}\n"
        "  Convert the operand, for example with .astype(numpy.float64)."
    )


# Whole numbers that each dtype holds, those of floats rounded.
_LIMITS: Final[dict[str, tuple[int, int]]] = {
    "float32": (-(2**127), 2**127),
    "float64": (-(2**1023), 2**1023),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "bool": (0, 1),
}


def broadcast_shapes(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the common shape by NumPy's rule.

    Raises:
        ShapeError: Two extents on one axis differ and neither is 1.
    """
    ndim = max((len(shape) for shape in shapes), default=0)
    padded = [(1,) * (ndim - len(shape)) + shape for shape in shapes]
    result = []
    for extents in zip(*padded, strict=True):
        distinct = {extent for extent in extents if extent != 1}
        if len(distinct) > 1:
            listed = " and ".join(str(shape) for shape in shapes)
            raise ShapeError(
                f"{op}: shapes {listed} do not broadcast\n"
                f"    on one axis the extents are {', '.join(map(str, extents))}\n"
                "  Each extent must be 1 or equal, counted from the last axis."
            )
        result.append(distinct.pop() if distinct else 1)
    return tuple(result)


def check_axes(op: str, axes: tuple[int, ...], x: TensorType) -> None:
    """Raises ShapeError unless `axes` are distinct axes of `x`."""
    if len(set(axes)) != len(axes) or any(not 0 <= axis < x.ndim for axis in axes):
        raise ShapeError(
            f"{op}: axes {axes} are not distinct axes of x\n"
            f"    x has shape {x.shape}\n"
            f"  Name axes from 0 to {x.ndim - 1}, each at most once."
        )
