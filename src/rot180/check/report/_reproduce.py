"""A failure as a script that anybody can run, with nothing of rot180 in it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from rot180.check.cases import Case
from rot180.check.judge import Failure
from rot180.check.report._ending import call, ending, kept, needed, stands_for_itself
from rot180.check.report._literal import array_literal, literal, wrapped
from rot180.check.report._words import fault
from rot180.check.subjects import EARLIER, Array

__all__ = ["Before", "reproduction"]

Lines = list[str]
# A call that was made first: on which case, of which function, on which operands.
Before = tuple[Case, str, Mapping[str, Array]]
_WIDTH: Final = 88
# The same numbers, laid otherwise in memory: column by column, or with gaps.
_LAID: Final = {
    "fortran": "np.asfortranarray({0})",
    "strided": "np.repeat({0}, 2, axis=-1)[..., ::2]",
}

_POISON: Final = """

# Memory that was never written may hold the right numbers by luck. Here it holds NaN,
# so that reading it shows.
def poisoned(allocate):
    def allocate_poisoned(*args, **kwargs):
        array = allocate(*args, **kwargs)
        if array.dtype.kind in "fc":
            array.fill(np.nan)
        return array

    return allocate_poisoned


np.empty, np.empty_like = poisoned(np.empty), poisoned(np.empty_like)"""

_PERTURBED: Final = """
# Memory that compiled code allocates and does not write shows too, where the C library
# is glibc: it is filled. That has to be asked for before the process starts.
if os.environ.get("MALLOC_PERTURB_") != "128":
    asked = {"MALLOC_PERTURB_": "128", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    command = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **asked})
"""

_TAKEN: Final = '''

def taken(function, neutral, options):
    """The options without the neutral ones that the function does not have."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return options
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return options
    names = {p.name for p in parameters} | (options.keys() - neutral)
    return {name: value for name, value in options.items() if name in names}

'''


def reproduction(
    failure: Failure,
    source: str,
    *,
    seconds: float = 60.0,
    before: Before | None = None,
) -> str:
    """Returns a Python script that ends with an error as long as the defect is there.

    It needs numpy and the code under test. The operands stand in it as numbers, and the
    right result is computed by loops straight from the definition, or the law that was
    broken.

    Args:
        failure: What went wrong.
        source: Lines of Python that make the functions attributes of `subject`.
        seconds: After how long a call that does not return is ended.
        before: A call without which it does not go wrong; it is made first.

    Returns:
        The script; nothing where the failure has no operands, is that of a law which
        several calls broke together, or needs other calls first that are not known.
    """
    unknown = failure.law == "history" and before is None
    if not failure.operands or unknown or _is_of_several_calls(failure):
        return ""
    failure = _called(failure)
    first = None if before is None else _first(failure, before)
    calls = [failure] if first is None else [failure, first]
    parts = [
        _title(failure, first),
        _imports(calls),
        _PERTURBED if _is_from_heap(failure) else "",
        _POISON if failure.reason in ("values", "nan") else "",
        _TAKEN if any(map(_neutral, calls)) else "",
        source.strip("\n"),
        *_made_first(failure, first),
        _options(failure),
        _operands(failure),
        *_with_others(failure, first),
        "\n".join(ending(failure, seconds)),
    ]
    text = "\n\n".join(part for part in parts if part)
    return re.sub(r"\n{4,}", "\n\n\n", text) + "\n"


def _is_of_several_calls(failure: Failure) -> bool:
    single = stands_for_itself(failure) or failure.expected is not None
    return failure.reason == "values" and not single


def _called(failure: Failure) -> Failure:
    """The failure on the case that says whether a bias was passed."""
    with_bias = "b" in failure.operands
    return replace(failure, case=replace(failure.case, bias=with_bias))


def _first(failure: Failure, before: Before) -> Failure:
    """The call made first, in the form of the failure that it leads to."""
    case, function, operands = before
    first = replace(failure, case=case, function=function, operands=operands)
    return _called(replace(first, output="", memory="plain"))


def _made_first(failure: Failure, first: Failure | None) -> Lines:
    """The parts of the call made first; its operands make room for the others."""
    if first is None:
        return []
    keeps = failure.output == EARLIER
    lines = kept(first) if keeps else [call(first)]
    return [
        "# The call that has to come first:",
        _options(first),
        _operands(first),
        "\n".join([*lines, f"del {', '.join(needed(first))}"]),
        "# The call that goes wrong after it:",
    ]


def _with_others(failure: Failure, first: Failure | None) -> Lines:
    """Where a result is overwritten by any other call: a call, and other operands."""
    if failure.output != EARLIER or first is not None:
        return []
    others = [f"{name} = {name} + 1" for name in needed(failure)]
    return ["\n".join([*kept(failure), *others])]


def _title(failure: Failure, first: Failure | None) -> str:
    wrong = fault(failure)
    more = textwrap.fill(failure.message, _WIDTH, break_long_words=False)
    more = more.replace("\\", "\\\\").replace('"""', "'''")
    if first is not None:
        name = first.function
        more += (
            f"\n\nIt goes wrong only after another call, of {name}, made here first."
        )
    return (
        f'"""{wrong}.\n\n{more}\n\n'
        "This script needs numpy and the code under test. It ends with an error as\n"
        'long as the defect is there, and without one once it is mended.\n"""'
    )


def _imports(calls: Sequence[Failure]) -> str:
    failure = calls[0]
    names = {
        "faulthandler": failure.reason == "timeout",
        "ml_dtypes": failure.case.dtype == "bfloat16",
        "inspect": any(map(_neutral, calls)),
        "os": _is_from_heap(failure),
        "sys": _is_from_heap(failure),
    }
    lines = [f"import {name}" for name, needed in names.items() if needed]
    return "\n".join([*lines, *[""] * bool(lines), "import numpy as np"])


def _is_from_heap(failure: Failure) -> bool:
    """Whether a result looks like the bytes with which glibc fills memory."""
    if failure.got is None or failure.reason not in ("values", "nan"):
        return False
    return bool(np.any(np.abs(failure.got).astype("float64") > 1e30))


def _neutral(failure: Failure) -> list[str]:
    return sorted(failure.case.options().keys() & failure.case.droppable())


def _options(failure: Failure) -> str:
    """The options; a function that lacks a neutral one is called without it."""
    options = failure.case.options()
    if not options:
        return ""
    given = ", ".join(f"{name}={literal(value)}" for name, value in options.items())
    lines = wrapped("options = dict(", given, ")")
    neutral = _neutral(failure)
    if not neutral:
        return "\n".join(lines)
    names = ", ".join(f'"{name}"' for name in neutral)
    given = f"subject.{failure.function}, {{{names}}}, options"
    return "\n".join([*lines, *wrapped("options = taken(", given, ")")])


def _operands(failure: Failure) -> str:
    lines: Lines = []
    for name, array in needed(failure).items():
        lines += array_literal(name, array)
        if failure.memory in _LAID:
            lines.append(f"{name} = {_LAID[failure.memory].format(name)}")
    return "\n".join(lines)
