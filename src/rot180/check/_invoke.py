"""One call of the code under test: what goes in, what is made of what comes out.

The same for a subject in a child process and for one in this process.
"""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from rot180.check._failure import OUTPUTS
from rot180.check._outcome import Array, Outcome, Raised, Unsupported, Values
from rot180.check._subject import Subject

__all__ = ["Call", "invoke", "own_frames"]

Parameter = inspect.Parameter
_POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NAMED: Final = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
# Numbers that can be compared; arrays of anything else are named in words.
_KINDS: Final = "biufc"
# What may lie in a subject's folder without being its own code: an environment with
# its packages and its standard library, and rot180 itself.
_FOREIGN: Final = {"site-packages", Path(sysconfig.get_path("stdlib")).name}
_OURS: Final = f"{Path(__file__).parent}{os.sep}_"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `OUTPUTS` with its arguments.

    Attributes:
        function: Its name.
        arguments: Names and values of the positional arguments, in order.
        options: The options by name.
        droppable: Those that a function without such a parameter need not be given.
    """

    function: str
    arguments: Sequence[tuple[str, Any]]
    options: Mapping[str, Any]
    droppable: frozenset[str] = frozenset()


def invoke(
    subject: Subject, call: Call, catch: tuple[type[BaseException], ...]
) -> Outcome:
    """Returns what becomes of a call; the subject gets copies of the operands.

    Args:
        subject: The code under test.
        call: What to call it with.
        catch: The exceptions that are an outcome; others leave this function.
    """
    function = subject.functions.get(call.function)
    if function is None:
        return Unsupported(f"there is no {call.function}")
    copies = [(name, _copy(value)) for name, value in call.arguments]
    fitted = _fit(subject.signatures[call.function], call, copies)
    if isinstance(fitted, Unsupported):
        return fitted
    positional, named = fitted
    try:
        result = function(*positional, **named)
        results = _results(call.function, result)
    except catch as error:
        return _raised(error, subject.folders)
    return Values(results, _written(call.arguments, copies))


def _copy(value: Any) -> Any:
    """A fresh array, C-contiguous and aligned; other values as they are."""
    return np.array(value, order="C") if isinstance(value, np.ndarray) else value


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
    signature: inspect.Signature | None, call: Call, arguments: list[tuple[str, Any]]
) -> tuple[list[Any], dict[str, Any]] | Unsupported:
    """The arguments as the function takes them; all where that is not known."""
    if signature is None:
        return [value for _, value in arguments], dict(call.options)
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
        signature.bind(*positional, **named)
    except TypeError as error:
        return Unsupported(f"{call.function} needs what it is not given: {error}")
    return positional, named


def _results(function: str, result: Any) -> tuple[Array | str | None, ...]:
    """One result for each output; the first says what is wrong with all of them."""
    count = len(OUTPUTS[function])
    if count == 1:
        return (_result(result),)
    if isinstance(result, tuple | list) and len(result) == count:
        return tuple(_result(one) for one in result)
    wanted = count if isinstance(result, tuple | list) else f"a tuple of {count}"
    return (f"{_kind(result)}, not {wanted}", *[None] * (count - 1))


def _result(value: Any) -> Array | str | None:
    """A copy of an array, or of what can become one; a text for anything else."""
    if value is None:
        return None
    if isinstance(value, np.generic | int | float | complex):
        return "a number, not an array"
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__"):
            return _kind(value)
        try:
            value = np.asarray(value)
        except Exception as error:
            return f"{_kind(value)} that NumPy cannot read: {error}"
    if value.dtype.kind not in _KINDS:
        return f"an array of {value.dtype}"
    return np.array(value, order="C")


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "an array"
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
    return f"{article} {name}{size}"


def _raised(error: BaseException, folders: Sequence[str]) -> Raised | Unsupported:
    if isinstance(error, NotImplementedError):
        return Unsupported(str(error) or "raised NotImplementedError")
    refusal = isinstance(error, TypeError | ValueError)
    return Raised(type(error).__name__, _text(error), _place(error, folders), refusal)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"its text raises {type(second).__name__}"


def _place(error: BaseException, folders: Sequence[str]) -> str:
    """Returns the innermost place in the subject's own code, `file.py:12 in conv`."""
    own = own_frames(error, folders)
    if not own:
        return ""
    return f"{Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}"


def own_frames(
    error: BaseException, folders: Sequence[str]
) -> list[traceback.FrameSummary]:
    """Returns the part of a traceback that is in the subject's own code.

    Args:
        error: What was raised.
        folders: Where the subject's code lies; packages installed there do not count.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if _is_within(frame.filename, folders)]


def _is_within(filename: str, folders: Sequence[str]) -> bool:
    path = Path(filename)
    if filename.startswith(_OURS):
        return False
    for folder in folders:
        if path.is_relative_to(folder):
            return not _FOREIGN & {*path.relative_to(folder).parts}
    return False
