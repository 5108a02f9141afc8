"""One call of the code under test: what goes in, what is made of what comes out.

The same for a subject in a child process and for one in this process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rot180.check.cases import OUTPUTS, numpy_dtype
from rot180.check.subjects._outcome import (
    EARLIER,
    Array,
    Outcome,
    Unsupported,
    Values,
    is_number,
    printable,
)
from rot180.check.subjects._poison import fill
from rot180.check.subjects._raised import raised
from rot180.check.subjects._subject import Subject

Parameter = inspect.Parameter
_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAMED: Final = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
# How the operands of a call may lie: C-contiguous; so that the first axis is the one
# with neighbours; as views of every second element along the last axis, with NaN (the
# largest integer) between.
MEMORY: Final = ("plain", "fortran", "strided")


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `OUTPUTS` with its arguments.

    Attributes:
        function: Its name.
        arguments: Names and values of the positional arguments, in order.
        options: The options by name.
        droppable: Those that a function without such a parameter need not be given;
            for others that is `Unsupported`.
        memory: How the arrays lie, one of `MEMORY`.
    """

    function: str
    arguments: Sequence[tuple[str, Any]]
    options: Mapping[str, Any]
    droppable: frozenset[str] = frozenset()
    memory: str = "plain"


class Earlier:
    """What the last call returned: the arrays themselves, and what was in them."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: list[tuple[Array, bytes]] = []

    def is_changed(self) -> bool:
        """Whether one of the arrays is no longer what it was."""
        return any(array.tobytes() != content for array, content in self._kept)

    def keep(self, arrays: Iterable[Array]) -> None:
        """Takes the results of one call in the place of those of the call before."""
        self._kept = [(array, array.tobytes()) for array in arrays]


def invoke(
    subject: Subject,
    call: Call,
    earlier: Earlier,
    catch: tuple[type[BaseException], ...],
) -> Outcome:
    """Returns what becomes of a call; the subject gets copies of the operands.

    Args:
        subject: The code under test.
        call: What to call it with.
        earlier: The results of the call before, then of this one.
        catch: The exceptions that are an outcome; others leave this function.
    """
    function = subject.functions.get(call.function)
    if function is None:
        return Unsupported(f"there is no {call.function}")
    copies = [(name, _copy(value, call.memory)) for name, value in call.arguments]
    fitted = _fit(function, subject.signatures[call.function], call, copies)
    if isinstance(fitted, Unsupported):
        return fitted
    positional, named = fitted
    try:
        result = function(*positional, **named)
        read = _read(call.function, result)
    except catch as error:
        earlier.keep(())
        return raised(error, subject.folders, call.options)
    wrote = _written(call.arguments, copies)
    if earlier.is_changed():
        wrote = (*wrote, EARLIER)
    earlier.keep(one for one in read if isinstance(one, np.ndarray))
    return Values(tuple(_copy(one) for one in read), wrote)


def _copy(value: Any, memory: str = "plain") -> Any:
    """A fresh and aligned array that lies as is asked; other values as they are."""
    if not isinstance(value, np.ndarray):
        return value
    if memory == "strided" and value.ndim:
        return _strided(value)
    return np.array(value, order="F" if memory == "fortran" else "C")


def _strided(value: Array) -> Array:
    """A view of every second element of a larger array, with NaN between them."""
    larger = np.empty((*value.shape[:-1], 2 * value.shape[-1]), value.dtype)
    fill(larger)
    view = larger[..., ::2]
    view[...] = value
    return view


def _written(
    before: Sequence[tuple[str, Any]], after: Sequence[tuple[str, Any]]
) -> tuple[str, ...]:
    """The operands whose bits are no longer what they were."""
    pairs = zip(before, after, strict=True)
    return tuple(
        name
        for (name, old), (_, new) in pairs
        if isinstance(old, np.ndarray) and not _same_bits(old, new)
    )


def _same_bits(old: Array, new: Array) -> bool:
    kind = (old.shape, old.dtype) == (new.shape, new.dtype)
    return kind and old.tobytes() == new.tobytes()


def _fit(
    function: Callable[..., Any],
    signature: inspect.Signature | None,
    call: Call,
    arguments: list[tuple[str, Any]],
) -> tuple[Sequence[Any], dict[str, Any]] | Unsupported:
    """The arguments as the function takes them; what is not neutral if not known."""
    if signature is None:
        told = {n: v for n, v in call.options.items() if n not in call.droppable}
        return [value for _, value in arguments], told
    known = signature.parameters
    kinds = [parameter.kind for parameter in known.values()]
    anywhere = Parameter.VAR_POSITIONAL in kinds
    places = len(arguments) if anywhere else sum(kind in _POSITIONAL for kind in kinds)
    positional = [value for _, value in arguments[:places]]
    rest = dict(arguments[places:])
    absent = frozenset(name for name, value in rest.items() if value is None)
    names = {name for name, parameter in known.items() if parameter.kind in _NAMED}
    takes_all = Parameter.VAR_KEYWORD in kinds
    named = {}
    for name, value in (rest | dict(call.options)).items():
        if name in names or takes_all:
            named[name] = value
        elif name not in call.droppable | absent:
            return Unsupported(f"{call.function} has no parameter {name!r}")
    try:
        bound = signature.bind(*positional, **named)
    except TypeError as error:
        return Unsupported(f"{call.function} needs what it is not given: {error}")
    if not _takes(function, positional, named):
        bound.apply_defaults()
        return bound.args, bound.kwargs
    return positional, named


def _takes(function: Callable[..., Any], positional: Any, named: Any) -> bool:
    """Whether what stands around a function, as a compiler's, takes such arguments."""
    try:
        inspect.signature(function, follow_wrapped=False).bind(*positional, **named)
    except TypeError:
        return False
    return True


def _read(function: str, result: Any) -> tuple[Array | str | None, ...]:
    """One result for each output; the first says what is wrong with all of them.

    The arrays are those that the function returned, not copies.
    """
    outputs = OUTPUTS[function]
    count = len(outputs)
    if count == 1:
        return (_read_one(result),)
    if isinstance(result, tuple | list):
        read = tuple(_read_one(one) for one in result)
        if len(read) == count - 1 and outputs[-1] == "db":  # of code without a bias
            return (*read, None)
        if len(read) == count:
            return read
    wanted = count if isinstance(result, tuple | list) else f"a tuple of {count}"
    return (f"{_kind(result)}, not {wanted}", *[None] * (count - 1))


def _read_one(value: Any) -> Array | str | None:
    """An array, or what can become one; a text for anything else."""
    if value is None:
        return None
    if isinstance(value, np.generic | int | float | complex):
        return "a number, not an array"
    try:
        array = _array(value)
    except Exception as error:
        return printable(f"{_kind(value)} that NumPy cannot read: {error}")
    if array is None:
        return _kind(value)
    if not is_number(array.dtype):
        kind = "objects" if array.dtype.kind == "O" else printable(str(array.dtype))
        return f"an array of {kind}"
    return array


def _array(value: Any) -> Array | None:
    """What NumPy reads of a value: of a tensor with a graph, or on a device, too."""
    for step in ("detach", "cpu", "get", "numpy"):
        if isinstance(value, np.ndarray):
            break
        if step == "numpy" and str(getattr(value, "dtype", "")) == "torch.bfloat16":
            value = value.float().numpy().astype(numpy_dtype("bfloat16"))
            break
        take = getattr(value, step, None)
        if callable(take) and not isinstance(value, Mapping):
            value = take()
    if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
        value = np.from_dlpack(value)
    return np.asarray(value) if hasattr(value, "__array__") else None


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return "an array"
    name = printable(type(value).__name__, "")
    article = "an" if name.startswith(tuple("aeiouAEIOU")) else "a"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"{article} {name}{size}"
