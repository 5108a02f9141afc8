"""The traced tensor: what a function sees in place of an array while it is recorded."""

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self, cast

import numpy as np

from rot180 import ops, runtime
from rot180.autograd._graph import Graph
from rot180.errors import ArgumentError, DTypeError, TraceError
from rot180.ops import Op, TensorType

Operand = Any  # a tensor, an array or a number


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One value of a graph: it has a shape and a dtype but no numbers yet.

    It takes part in arithmetic and comparisons with tensors, arrays and Python numbers,
    and in every function of `rot180.functional`.
    """

    graph: Graph
    number: int

    __array_ufunc__ = None  # an array on the left leaves the operation to us

    @property
    def type(self) -> TensorType:
        """Shape and dtype, as the ops see them."""
        return self.graph.types[self.number]

    @property
    def shape(self) -> tuple[int, ...]:
        """One extent per axis."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.type.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.type.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return np.dtype(self.type.dtype)

    @property
    def T(self) -> "Tensor":
        """The tensor with its axes in reverse order."""
        return self.transpose()

    def __rot180_apply__(self, op: Op, inputs: tuple[Any, ...]) -> tuple["Tensor", ...]:
        """Records `op` in the innermost trace that any of `inputs` belongs to."""
        graph = self.graph
        for value in inputs:
            if isinstance(value, Tensor) and value.graph.serial > graph.serial:
                graph = value.graph
        numbers = tuple(lift(graph, value) for value in inputs)
        return tuple(Tensor(graph, number) for number in graph.add(op, numbers))

    def __add__(self, other: Operand) -> "Tensor":
        return self._pointwise("add", self, other)

    def __radd__(self, other: Operand) -> "Tensor":
        return self._pointwise("add", other, self)

    def __sub__(self, other: Operand) -> "Tensor":
        return self._pointwise("sub", self, other)

    def __rsub__(self, other: Operand) -> "Tensor":
        return self._pointwise("sub", other, self)

    def __mul__(self, other: Operand) -> "Tensor":
        return self._pointwise("mul", self, other)

    def __rmul__(self, other: Operand) -> "Tensor":
        return self._pointwise("mul", other, self)

    def __truediv__(self, other: Operand) -> "Tensor":
        return self._pointwise("div", self, other)

    def __rtruediv__(self, other: Operand) -> "Tensor":
        return self._pointwise("div", other, self)

    def __neg__(self) -> "Tensor":
        return self._pointwise("neg", self)

    # Comparisons give 1 or 0 of the tensor's own dtype, as arrays give True or False.
    # Tensors are still hashed by identity, which tells values of a graph apart.

    __hash__ = object.__hash__

    def __eq__(self, other: Operand) -> Any:
        return self._pointwise("equal", self, other)

    def __ne__(self, other: Operand) -> Any:
        return 1.0 - self._pointwise("equal", self, other)

    def __gt__(self, other: Operand) -> "Tensor":
        return self._pointwise("greater", self, other)

    def __lt__(self, other: Operand) -> "Tensor":
        return self._pointwise("greater", other, self)

    # The sum of the two, as 1 - (b > a) would hold for NaN.

    def __ge__(self, other: Operand) -> "Tensor":
        return self.__gt__(other) + self._pointwise("equal", self, other)

    def __le__(self, other: Operand) -> "Tensor":
        return self.__lt__(other) + self._pointwise("equal", self, other)

    def __pow__(self, exponent: float) -> "Tensor":
        """Returns a power: the exponent is an integer or 0.5.

        Raises:
            ArgumentError: The exponent is something else.
        """
        number = _number(exponent)
        if number == 0.5:
            return self._pointwise("sqrt", self)
        if number is None or not number.is_integer():  # 2.0 and numpy.float32(2) are 2
            raise ArgumentError(
                f"power: the exponent {exponent!r} is neither an integer nor 0.5\n"
                "  Write exp(exponent * log(x)) for positive x."
            )
        if number < 0:
            return 1.0 / self ** -int(number)
        return _integer_power(self, int(number))

    def reshape(self, *shape: int | Sequence[int]) -> "Tensor":
        """Returns the same elements in another shape; one extent may be -1.

        Raises:
            ShapeError: The new shape does not hold as many elements.
        """
        wanted = _integers("reshape", shape)
        if wanted.count(-1) == 1:
            rest = -math.prod(wanted)
            guess = self.size // rest if rest else 0
            wanted = tuple(guess if n == -1 else n for n in wanted)
        return self._apply(ops.Reshape(shape=wanted))

    def __getitem__(self, index: Any) -> "Tensor":
        """Returns a part: integers, slices, `...` and None, as in NumPy.

        Raises:
            ArgumentError: The index is something else, or out of range.
        """
        return _part(self, index if isinstance(index, tuple) else (index,))

    def __len__(self) -> int:
        if not self.shape:
            raise TraceError(f"{self!r} has no axes, and so no length")
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    def transpose(self, *axes: int | Sequence[int]) -> "Tensor":
        """Returns the tensor with its axes permuted; without arguments, reversed."""
        order = (
            _integers("transpose", axes) if axes else tuple(reversed(range(self.ndim)))
        )
        order = tuple(a + self.ndim if -self.ndim <= a < 0 else a for a in order)
        return self._apply(ops.Transpose(axes=order))

    def sum(
        self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False
    ) -> "Tensor":
        """Returns the sum over `axis`, one or several; over all by default."""
        return self._reduce("sum", axis, keepdims)

    def mean(
        self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False
    ) -> "Tensor":
        """Returns the mean over `axis`, one or several; over all by default."""
        total = self.sum(axis, keepdims=keepdims)
        return total * (1.0 / max(self.size // max(total.size, 1), 1))

    def max(
        self, axis: int | Sequence[int] | None = None, *, keepdims: bool = False
    ) -> "Tensor":
        """Returns the maximum over `axis`, one or several; over all by default."""
        return self._reduce("max", axis, keepdims)

    def full(self, value: float) -> "Tensor":
        """Returns a tensor of this shape and dtype, each element `value`."""
        return cast("Tensor", ops.full_like(self, value))

    def _reduce(
        self, kind: Any, axis: int | Sequence[int] | None, keepdims: bool
    ) -> "Tensor":
        axes = ops.resolve_axes(kind, axis, self.shape)
        if not axes:
            return self
        result = self._apply(ops.Reduce(kind=kind, axes=axes))
        if keepdims:
            kept = (1 if i in axes else n for i, n in enumerate(self.shape))
            return result.reshape(*kept)
        return result

    def _pointwise(self, fn: Any, *operands: Operand) -> "Tensor":
        return self._apply_to(ops.Pointwise(fn), *map(self._weakly, operands))

    def _weakly(self, value: Any) -> Any:
        """A Python number takes the dtype of the tensor it meets."""
        if isinstance(value, np.generic) or not isinstance(value, int | float):
            return value
        return ops.scalar_like(self, value)

    def _apply(self, op: Op) -> "Tensor":
        return self._apply_to(op, self)

    def _apply_to(self, op: Op, *inputs: Any) -> "Tensor":
        (output,) = self.__rot180_apply__(op, inputs)
        return output

    def _has_no_value(self, wanted: str) -> NoReturn:
        raise TraceError(
            f"a traced tensor of shape {self.shape} has no {wanted} yet\n"
            "  Inside grad and jit, decide on shapes and Python values only; to choose "
            "by value use where, maximum or relu."
        )

    def __bool__(self) -> bool:
        self._has_no_value("truth value")

    def __float__(self) -> float:
        self._has_no_value("numeric value")

    def __int__(self) -> int:
        self._has_no_value("numeric value")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._has_no_value("NumPy array")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"Tensor({self.type})"


def lift(graph: Graph, value: Any) -> int:
    """Returns the number under which `value` is known in `graph`.

    Raises:
        TraceError: `value` is a tensor of a trace that began later than `graph` and is
            over, or is nothing an array can be made of.
    """
    if not isinstance(value, Tensor):
        return graph.capture(as_array(value))
    if value.graph is graph:
        return value.number
    if value.graph.serial > graph.serial:
        raise TraceError(
            f"{value!r} was used outside the function whose tracing made it\n"
            "  Return it from that function instead of storing it elsewhere."
        )
    return graph.capture(value, key=(value.graph.serial, value.number))


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """Returns `value` as an array of a dtype that ops know.

    Raises:
        TraceError: It is not a number or an array of numbers.
        ArgumentError: No array can be made of it, or it is a masked one.
        DTypeError: It holds numbers of another dtype.
    """
    array = runtime.plain_array(value)
    is_array = isinstance(value, np.ndarray | np.generic)
    if array.dtype.kind not in "fiub" and not is_array:
        raise TraceError(
            f"a {type(value).__name__} cannot be part of a traced computation\n"
            "  Pass a NumPy array or a number."
        )
    if array.dtype.name not in _DTYPES:
        raise DTypeError(
            f"dtype {array.dtype.name} is not supported\n"
            f"  Convert with .astype; known are {', '.join(_DTYPES)}."
        )
    return array


_DTYPES = ("float32", "float64", "int32", "int64", "bool")


def _integers(op: str, values: tuple[Any, ...]) -> tuple[int, ...]:
    """(2, 3) from 2, 3 or from (2, 3).

    Raises:
        ArgumentError: They are no integers.
    """
    found = ops.ints_of(values[0] if len(values) == 1 else values)
    if found is None:
        raise ArgumentError(
            f"{op}: {values} are not integers\n  Pass integers, or a tuple of them."
        )
    return found


def _part(tensor: Tensor, index: tuple[Any, ...]) -> Tensor:
    """A slice along each axis, then another shape: integers drop axes, None adds."""
    named = [part for part in index if part is not None and part is not ...]
    if len(named) > tensor.ndim or sum(part is ... for part in index) > 1:
        raise ArgumentError(
            f"index {index} has too many parts for a tensor of shape {tensor.shape}"
        )
    rest = (slice(None),) * (tensor.ndim - len(named))
    at = next((i for i, part in enumerate(index) if part is ...), len(index))
    full = (*index[:at], *rest, *index[at + 1 :])
    ranges, shape, axis = [], [], 0
    for part in full:
        if part is None:
            shape.append(1)
            continue
        taken = _taken(part, tensor.shape, axis)
        ranges.append(taken)
        if isinstance(part, slice):
            shape.append(len(taken))
        axis += 1
    counts, steps = tuple(map(len, ranges)), tuple(r.step for r in ranges)
    found = tensor
    if counts != tensor.shape or any(step != 1 for step in steps):
        found = tensor._apply(ops.Slice(tuple(r.start for r in ranges), counts, steps))
    return found if found.shape == tuple(shape) else found.reshape(shape)


def _taken(part: Any, shape: tuple[int, ...], axis: int) -> range:
    """The positions along an axis that a slice or an integer names."""
    extent = shape[axis]
    if isinstance(part, slice):
        return range(extent)[part]
    try:
        if isinstance(part, bool | np.bool_):  # NumPy chooses by it, or adds an axis
            raise TypeError
        place = range(extent)[operator.index(part)]
    except TypeError:
        raise ArgumentError(
            f"a traced tensor of shape {shape} cannot be indexed with "
            f"{type(part).__name__}\n  Use integers, slices, ... and None; to choose "
            "by value use where."
        ) from None
    except IndexError:
        raise ArgumentError(
            f"index {part} is out of range for axis {axis} of a tensor of shape {shape}"
        ) from None
    return range(place, place + 1)


def _number(value: Any) -> float | None:
    """The value as a float; None if it is no number."""
    if isinstance(value, str | bytes):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _integer_power(base: Tensor, exponent: int) -> Tensor:
    """Repeated squaring; the last square is never used and so never computed."""
    result = None
    while exponent:
        if exponent & 1:
            result = base if result is None else result * base
        base, exponent = base * base, exponent >> 1
    return base.full(1) if result is None else result
