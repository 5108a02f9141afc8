"""What an operation is, and what is known of a tensor without its values."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rot180.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from rot180.ops._tracing import Traced

FLOATS: Final = ("float32", "float64")
INTEGERS: Final = ("int32", "int64")
DTYPES: Final = (*FLOATS, *INTEGERS, "bool")
_ITEM_BYTES: Final = dict(zip(DTYPES, (4, 8, 4, 8, 1), strict=True))
# Elements; 4 TiB of float32 are more than a machine gives to one array.
_MOST: Final = 2**40


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and element type of a tensor.

    Attributes:
        shape: One extent per axis; extents may be zero.
        dtype: One of `float32`, `float64`, `int32`, `int64`, `bool`.
    """

    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        # An extent of 0 beside them makes the others no smaller for NumPy.
        if math.prod(extent or 1 for extent in self.shape) > _MOST:
            raise ShapeError(
                f"an array of shape {self.shape} is larger than any memory\n"
                "  Look for a size, a stride or a padding that is larger than meant."
            )

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of an array of this type."""
        return math.prod(self.shape) * _ITEM_BYTES[self.dtype]

    @property
    def is_floating(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.dtype in FLOATS

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Op(ABC):
    """An operation on tensors: a hashable value that holds no arrays.

    Concrete operations are frozen dataclasses. What one means on arrays is said in
    `rot180.reference`; how its gradient follows is said here, by `pullback`.
    """

    __slots__ = ()

    @abstractmethod
    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        """Returns the types of the outputs.

        Raises:
            ShapeError: The shapes do not fit each other or the operation.
            DTypeError: The element types differ or are not supported.
        """

    def pullback(
        self,
        cotangents: Sequence[Traced | None],
        inputs: Sequence[Traced],
        outputs: Sequence[Traced],
        needs: Sequence[bool],
    ) -> tuple[Traced | None, ...]:
        """Returns the cotangent of each input, None where it is zero or not needed.

        Args:
            cotangents: One per output; None stands for zero.
            inputs: What the operation was applied to.
            outputs: What it returned.
            needs: Which inputs' cotangents are wanted.
        """
        return (None,) * len(inputs)

    @property
    def label(self) -> str:
        """A short name for people."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def multiply_adds(self, *inputs: TensorType) -> int:
        """Returns how many products are summed, padding included."""
        return 0

    def operations(self, *inputs: TensorType) -> int:
        """Returns how many multiply-adds, or how many other functions of numbers."""
        types = (*inputs, *self.infer(*inputs))
        sums = self.multiply_adds(*inputs)
        return sums or max(math.prod(t.shape) for t in types)

    @property
    def may_alias(self) -> bool:
        """Whether the output may be the first input itself, or a view of it."""
        return False

    @property
    def checks_values(self) -> bool:
        """Whether `check_values` must see the inputs before each run."""
        return False

    def check_values(self, *arrays: Any) -> None:
        """Refuses arrays with values that the operation cannot take."""
        del arrays  # any will do

    @property
    def is_composite(self) -> bool:
        """Whether `expand` replaces it by simpler ops before a graph is run."""
        return False

    def expand(self, *inputs: Traced) -> tuple[Traced, ...]:
        """Returns the outputs, computed by simpler ops."""
        raise NotImplementedError(f"{self} is not made of simpler ops")

    @property
    def literal(self) -> float | None:
        """The one ordinary number that the output repeats, None if it does not."""
        return None

    @property
    def is_formula(self) -> bool:
        """Whether each element comes from those at its place in the operands."""
        return False

    def scalar(self, *inputs: TensorType) -> str | None:
        """Returns the function that makes each element from those at its place.

        Operands with as many extents above 1 as the output are at its place element by
        element; others repeat by NumPy's rule. An empty name hands the operand on; None
        says that there is no such function.
        """
        return None

    def inner_axis(self, ndim: int) -> int | None:
        """Returns the axis along which outputs of that rank best lie side by side."""
        return None


def is_ordinary(value: float, dtype: str) -> bool:
    """Whether arithmetic takes a literal as it takes the same number from memory.

    Not so -0.0, which equals 0.0, NaN, which does not equal itself, and denormals.
    """
    if value == 0:
        return math.copysign(1.0, value) > 0
    least = 2.0**-126 if dtype == "float32" else 2.0**-1022
    return abs(value) >= least and math.isfinite(value)


def type_of(value: Any) -> TensorType:
    """Returns the type of an array or of a traced tensor.

    Raises:
        DTypeError: The library does not compute with its dtype.
    """
    known = getattr(value, "type", None)
    if isinstance(known, TensorType):
        return known
    if value.dtype.name not in DTYPES:
        raise DTypeError(
            f"an array of shape {tuple(value.shape)} has dtype {value.dtype}\n"
            f"  Convert it with .astype; known are {', '.join(DTYPES)}."
        )
    return TensorType(tuple(value.shape), value.dtype.name)


def expect_dtype(op: str, names: str, *types: TensorType) -> str:
    """Returns the one floating-point dtype that `types` share.

    Args:
        op: The operation, for the message.
        names: The operands' names, separated by blanks.
        *types: The operands' types.

    Raises:
        DTypeError: They differ, or are not float32 or float64.
    """
    labels = names.split()
    facts = "".join(
        f"\n    {label} is {t.dtype}, of shape {t.shape}"
        for label, t in zip(labels, types, strict=False)
    )
    dtype = types[0].dtype
    if any(t.dtype not in FLOATS for t in types):
        wrong = next(t.dtype for t in types if t.dtype not in FLOATS)
        raise DTypeError(
            f"{op}: dtype {wrong} is not supported{facts}\n"
            "  Convert the operands with .astype(numpy.float32)."
        )
    if any(t.dtype != dtype for t in types):
        kinds = " and ".join(dict.fromkeys(t.dtype for t in types))
        other = next(i for i, t in enumerate(types) if t.dtype != dtype)
        raise DTypeError(
            f"{op}: operands have two dtypes, {kinds}{facts}\n"
            f"  Convert one of them, for example {labels[other]}.astype({dtype!r})."
        )
    return dtype
