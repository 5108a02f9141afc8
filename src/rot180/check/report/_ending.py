"""How a reproduction ends: the call, and the test that fails with the defect."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from string import Template
from typing import Any, Final

from rot180.check.cases import OUTPUTS
from rot180.check.judge import Failure, arguments
from rot180.check.report._definition import shape, sums
from rot180.check.report._literal import array_literal, literal
from rot180.check.report._loops import definition, maxima
from rot180.check.subjects import EARLIER, Array

__all__ = ["call", "ending", "kept", "needed", "stands_for_itself"]

Lines = list[str]


def ending(failure: Failure, seconds: float) -> Lines:
    """Returns the lines that call the subject and hold it against what is right.

    Args:
        failure: What went wrong; its operands are variables of the script by now.
        seconds: After how long a call that does not return is ended.
    """
    is_law = stands_for_itself(failure)
    name = failure.law if is_law else failure.reason
    if failure.reason == "wrote" and failure.output == EARLIER:
        name = EARLIER
    if name in _ENDINGS:
        return _ENDINGS[name](failure)
    return _filled(failure, name, seconds)


def stands_for_itself(failure: Failure) -> bool:
    """Whether a law was broken in a call whose right result is not the only one."""
    has_result = failure.expected is not None
    return failure.reason == "values" and failure.law in _LAWS and not has_result


def needed(failure: Failure) -> Mapping[str, Array]:
    """Returns the operands that the call reads, by name."""
    names = [name for name, _ in _arguments(failure)]
    return {name: a for name, a in failure.operands.items() if name in names}


def _arguments(failure: Failure) -> tuple[tuple[str, Any], ...]:
    return arguments(failure.case, failure.function, failure.operands)


def call(failure: Failure) -> str:
    """Returns the call, on variables of the script."""
    given = [
        name if name in failure.operands else literal(value)
        for name, value in _arguments(failure)
    ]
    if failure.case.options():
        given.append("**options")
    return f"subject.{failure.function}({', '.join(given)})"


def _call_for(failure: Failure, output: str) -> str:
    """The call and, of several outputs, the choice of one."""
    outputs = OUTPUTS[failure.function]
    place = f"[{outputs.index(output)}]" if len(outputs) > 1 else ""
    return call(failure) + place


def _outputs(failure: Failure) -> tuple[str, ...]:
    return (failure.output,) if failure.output else OUTPUTS[failure.function]


# Endings of one form, in which `$call` is the call and `$chosen` the output of it.
_TEXTS: Final[Mapping[str, str]] = {
    "raised": "print($call)  # raises",
    "died": "print($call)  # ends the process",
    "timeout": """\
# The call does not return. After $seconds seconds it is shown where it
# is, and the process ends with status 1.
faulthandler.dump_traceback_later($seconds, exit=True)
print($call)
faulthandler.cancel_dump_traceback_later()""",
    "shape": """\
got = np.shape($chosen)
print("got shape", got, "expected", $wanted)
assert got == $wanted, got""",
    "dtype": """\
got = np.asarray($chosen).dtype
print("got", got, "expected $dtype")
assert got == "$dtype", got""",
    "repeat": """\
# Which runs differ depends on the machine and its load, so there are many.
first = np.array($chosen)
for run in range(200):
    if hasattr(subject, "set_num_threads"):
        subject.set_num_threads(1 + run % 8)
    again = np.array($chosen)
    if again.tobytes() != first.tobytes():
        print("first:", first, f"run {run}:", again, sep="\\n")
        raise AssertionError(f"run {run} differs from the first")""",
    "invalid": """\
try:
    got = $call
except Exception as refusal:
    print("refused:", refusal)
else:
    print("accepted, with the result:", got, sep="\\n")
    raise AssertionError("input that means nothing was accepted")""",
    "wrote": """\
operands = {$named}
before = {name: array.copy() for name, array in operands.items()}
$call
for name, array in operands.items():
    print(name, 'before:', before[name], 'after:', array, sep='\\n')
for name, array in operands.items():
    assert array.tobytes() == before[name].tobytes(), f"{name} was changed"
""",
    EARLIER: """\
$call
for result, copy in zip(results, copies):
    print("before:", copy, "after:", np.asarray(result), sep="\\n")
for result, copy in zip(results, copies):
    same = np.asarray(result).tobytes() == copy.tobytes()
    assert same, "the second call changed the result of the first"
""",
    "sum": """\
# The law: every number of dy is handed on whole, so that the sums are equal,
# but for the rounding of the additions.
got = np.asarray($call)
of_dx, of_dy = got.sum(dtype="float64"), dy.sum(dtype="float64")
eps = $finfo.finfo("$dtype").eps
allowed = 64 * eps * abs(dy).sum(dtype="float64")
print("dx:", got, "sum of dx:", of_dx, "sum of dy:", of_dy, sep="\\n")
assert abs(of_dx - of_dy) <= allowed, f"{of_dx} is not {of_dy}"
""",
    "ties": """\
# The law: only what is the largest in some window gets a gradient; which of
# several equals does is free.
$maxima

got = np.asarray($call)
print("x:", x, "dx:", got, sep="\\n")
wrong = (got != 0) & ~is_maximum
assert not wrong.any(), f"{wrong.sum()} of {wrong.size} are wrong"
""",
}


def _filled(failure: Failure, name: str, seconds: float) -> Lines:
    text, case, output = _TEXTS[name], failure.case, _outputs(failure)[0]
    fields: dict[str, Callable[[], str]] = {
        "call": lambda: call(failure),
        "chosen": lambda: _call_for(failure, output),
        "wanted": lambda: literal(shape(case, output)),
        "dtype": lambda: case.dtype,
        "finfo": lambda: "ml_dtypes" if case.dtype == "bfloat16" else "np",
        "seconds": lambda: f"{seconds:g}",
        "named": lambda: ", ".join(f'"{name}": {name}' for name in needed(failure)),
        "maxima": lambda: "\n".join(maxima(case)),
    }
    given = {field: get() for field, get in fields.items() if f"${field}" in text}
    return Template(text).substitute(given).splitlines()


def _values(failure: Failure) -> Lines:
    lines: Lines = []
    for output in _outputs(failure):
        lines += ["# The definition, one product at a time:"]
        lines += _patience(failure, output)
        lines += definition(failure.case, failure.function, output)
        lines += ["", f"got = np.asarray({_call_for(failure, output)})"]
        lines += [f'print("{output}, got:", got, "expected:", expected, sep="\\n")', ""]
        lines += [*_comparison(failure), ""]
    return lines[:-1]


def _patience(failure: Failure, output: str) -> Lines:
    """A word to those who wait, at about a million products in a second."""
    parts = sums(failure.case, failure.function, output)
    count = sum(math.prod(part.extents.values()) for part in parts)
    return [f"# ({count:,} products take a while.)"] if count > 10**7 else []


def _comparison(failure: Failure) -> Lines:
    lines = ["assert got.shape == expected.shape, got.shape"]
    if failure.bound is not None:
        lines += ["# How far this way of computing may be off."]
        lines += array_literal("allowed", failure.bound)
        lines += ["wrong = ~(abs(got - expected) <= allowed)  # NaN is wrong too"]
    elif failure.function == "relu_backward":
        lines += ["# Where x is 0, any slope from 0 to 1 is right."]
        lines += ["admitted = (x == 0) & (got / dy >= 0) & (got / dy <= 1)"]
        lines += ["wrong = (got != expected) & ~admitted"]
    else:
        lines += ["wrong = got != expected"]
    return [
        *lines,
        'assert not wrong.any(), f"{wrong.sum()} of {wrong.size} are wrong"',
    ]


def _type(failure: Failure) -> Lines:
    outputs = OUTPUTS[failure.function]
    lines = [f"got = {call(failure)}", 'print("got", type(got))']
    if len(outputs) > 1:
        lines += [
            f"assert isinstance(got, tuple | list) and len(got) == {len(outputs)}"
        ]
    if len(outputs) > 1 and failure.output:
        lines += [f"got = got[{outputs.index(failure.output)}]"]
    if len(outputs) > 1 and not failure.output:
        return lines
    return [
        *lines,
        "# An array, or what can be read as one; no single number and no list.",
        'assert hasattr(got, "__array__"), type(got)',
        "assert not isinstance(got, np.generic), type(got)",
        'assert np.asarray(got).dtype.kind in "biufc", np.asarray(got).dtype',
    ]


def kept(failure: Failure) -> Lines:
    """Returns the lines of a first call whose results are kept, and copied."""
    several = len(OUTPUTS[failure.function]) > 1
    results = call(failure) if several else f"[{call(failure)}]"
    return [
        f"results = [result for result in {results} if result is not None]",
        "copies = [np.array(result) for result in results]",
    ]


# Laws that a single call can break, where several results are right.
_LAWS: Final = ("sum", "ties")
_ENDINGS: Final[Mapping[str, Callable[[Failure], Lines]]] = {
    "values": _values,
    "nan": _values,
    "type": _type,
}
