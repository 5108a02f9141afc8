"""What became of one call of the code under test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# What `Values.wrote` says of an array that an earlier call returned.
EARLIER: Final = "the result of the call before"


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """The call returned.

    Attributes:
        results: One for each output of the function, in the order of its result: an
            array; None where None was returned; or, for what is neither, a text that
            says what it is, such as `"a list"`.
        wrote: The names of the operands that the call changed; and `EARLIER` if it
            changed an array that the call before had returned.
    """

    results: tuple[Array | str | None, ...]
    wrote: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The subject lacks the function or the option, or raised NotImplementedError."""

    reason: str


@dataclass(frozen=True, slots=True)
class Raised:
    """The call raised.

    Attributes:
        kind: The name of the exception's class.
        message: Its text, or the line of the subject's code where it has none.
        where: The innermost place in the subject's own code, `file.py:12 in conv`.
        refusal: Whether it is of a class by which code refuses input: TypeError,
            ValueError, AssertionError, RuntimeError or one named like
            NotImplementedError.
        explicit: Whether a `raise` or `assert` in the subject's own code raised it, or
            the arguments did not fit a signature; an error inside NumPy or of an
            operator is not.
    """

    kind: str
    message: str
    where: str = ""
    refusal: bool = False
    explicit: bool = False


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended in the middle of the call.

    Attributes:
        how: `"was killed by SIGSEGV"` or `"exited with status 3"`.
        last: The last lines it wrote to its standard error.
    """

    how: str
    last: str = ""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The call did not return in time and was ended."""

    seconds: float


def printable(text: str, kept: str = "\n") -> str:
    """Returns text of the subject without what would steer a terminal.

    Characters that are not printable, such as the beginning of an escape sequence or
    half of a surrogate pair, become escapes as in Python; those in `kept` stay.
    """
    return "".join(
        char
        if char.isprintable() or char in kept
        else char.encode("unicode_escape").decode("ascii")
        for char in text.expandtabs()
    )


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether elements are numbers that can be compared."""
    return dtype.kind in "biufc" or dtype.name == "bfloat16"


def arrays_of(values: Values) -> list[Array]:
    """Returns the results that are arrays."""
    return [result for result in values.results if isinstance(result, np.ndarray)]


Outcome = Values | Unsupported | Raised | Died | TimedOut


def differing(got: Array, expected: Array, bound: Array | None = None) -> NDArray[Any]:
    """Returns where two arrays of one shape differ, by more than `bound` if given.

    NaN differs from everything.
    """
    with np.errstate(invalid="ignore"):
        if bound is None:
            return np.asarray(got != expected)
        return np.asarray(~(np.abs(got - expected.astype("float64")) <= bound))


def number(value: Any) -> str:
    """Returns a number as short as it can be written: `2`, not `2.0`."""
    if np.iscomplexobj(value):
        return str(complex(value))
    plain = float(value)
    if plain.is_integer() and abs(plain) < 1e16:
        return str(int(plain))
    return str(value)
