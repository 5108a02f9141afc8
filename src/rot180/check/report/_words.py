"""What a report says, in words; the terminal, Markdown and the scripts share it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rot180 import ops
from rot180.check.cases import OUTPUTS, POOL, Case
from rot180.check.judge import Failure, Finding, Tally, arguments
from rot180.check.report._causes import causes
from rot180.check.report._definition import shape
from rot180.check.report._formula import cell
from rot180.check.report._literal import literal
from rot180.check.report._report import Report
from rot180.check.subjects import EARLIER, Array, differing, number

__all__ = [
    "also", "call", "diagnoses", "exit_status", "facts", "fault", "first_wrong",
    "lacking", "laws", "lists", "messages", "plural", "remark", "rows",
    "scripts", "slices", "title", "told", "verdict", "worked_out", "wrong_cells",
]  # fmt: skip

Cells = NDArray[np.bool_]
_HISTORY: Final = (
    "right in a fresh process, wrong after other calls: it depends on what was called "
    "before"
)
_REMEDY: Final = (
    "If the code does not have this, let it raise NotImplementedError, or name it in "
    "UNSUPPORTED."
)
_SHOWN: Final = 8  # rows and columns of an array


def plural(count: int, name: str) -> str:
    """Returns `1 configuration`, `2 configurations`."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def fault(failure: Failure) -> str:
    """Returns what is wrong in a few words: `conv_backward: dw is wrong`."""
    output = failure.output or "the result"
    if failure.reason == "wrote" and failure.output != EARLIER:
        return f"{failure.function} changes its operand {failure.output}".rstrip()
    of_call = failure.reason in _CALLS
    what = (_CALLS if of_call else _RESULTS)[failure.reason].format(output)
    return f"{failure.function}{'' if of_call else f': {output}'} {what}"


_CALLS: Final = {
    "raised": "raises an error",
    "died": "ends the process",
    "timeout": "does not return",
    "wrote": "changes {}",
    "repeat": "gives other bits when it is called again",
    "invalid": "accepts invalid input",
}
_RESULTS: Final = {
    "values": "is wrong",
    "nan": "holds NaN",
    "shape": "has the wrong shape",
    "dtype": "has the wrong dtype",
    "type": "is not what it should be",
}


def title(finding: Finding) -> str:
    """Returns `conv_backward: dw is wrong (14 configurations)`."""
    return f"{fault(finding.failure)} ({plural(finding.count, 'configuration')})"


def remark(failure: Failure) -> str:
    """Returns what the message does not say: on what it depends, what may be done."""
    if failure.law == "history":
        return _HISTORY
    return _REMEDY if failure.reason == "raised" else ""


def messages(failure: Failure) -> list[str]:
    """Returns what else is to be said of a failure than its title."""
    told = failure.message if failure.message != fault(failure) else ""
    return [text for text in (told, remark(failure)) if text]


def call(failure: Failure, case: Case | None = None) -> str:
    """Returns the call as Python; options that say nothing are left out.

    Args:
        failure: What went wrong.
        case: The configuration, that of the failure by default.
    """
    case, named = case or failure.case, failure.operands
    given = [
        name if name in named or value is None else literal(value)
        for name, value in arguments(case, failure.function, named)
    ]
    shown = case.options().keys() - case.droppable()
    if case.kind in POOL:
        shown |= {"stride"}  # the default would be the kernel size
    given += [
        f"{name}={literal(value)}"
        for name, value in case.options().items()
        if name in shown
    ]
    return f"{failure.function}({', '.join(given)})"


def facts(failure: Failure) -> str:
    """Returns the shapes of the operands and the dtype."""
    shapes = [f"{name} {a.shape}" for name, a in failure.operands.items()]
    return ", ".join([*shapes, failure.case.dtype])


def wrong_cells(failure: Failure) -> Cells | None:
    """Returns which numbers of the output are wrong; None where it is not about them.

    Where `x` is 0, every slope of ReLU from 0 to 1 is right.
    """
    got, expected = failure.got, failure.expected
    if got is None or expected is None or got.shape != expected.shape:
        return None
    wrong: Cells = np.asarray(differing(got, expected, failure.bound), bool)
    if failure.function == "relu_backward" and not wrong.all():
        wrong = wrong & (failure.operands["x"] != 0)
    return wrong if wrong.any() else None


def first_wrong(failure: Failure) -> tuple[int, ...] | None:
    """Returns where the first wrong number stands."""
    wrong = wrong_cells(failure)
    return None if wrong is None else tuple(int(i) for i in np.argwhere(wrong)[0])


def worked_out(failure: Failure) -> str:
    """Returns the sum of the first wrong number, in letters and in numbers."""
    at = first_wrong(failure)
    if at is None or failure.reason == "repeat" or failure.expected is None:
        return ""
    if failure.output not in OUTPUTS[failure.function] or not failure.operands:
        return ""
    if failure.expected.ndim != len(at) or _is_sample(failure):
        return ""
    return cell(failure.case, failure.function, failure.output, at, failure.operands)


def _is_sample(failure: Failure) -> bool:
    """Whether only some positions of a large output were looked at."""
    assert failure.expected is not None
    return failure.expected.shape != shape(failure.case, failure.output)


def slices(failure: Failure) -> tuple[str, list[list[str]], list[list[str]]] | None:
    """Returns the part of the output around the first wrong number, as texts.

    Returns:
        What part it is, the rows of what came, with `!` behind wrong numbers, and the
        rows of what is right; None where there is at most one number to show.
    """
    at, wrong = first_wrong(failure), wrong_cells(failure)
    got, expected = failure.got, failure.expected
    if at is None or wrong is None or got is None or expected is None:
        return None
    if expected.size == 1:
        return None
    axes = () if _is_sample(failure) else _plane(failure)
    index: list[int | slice] = list(at)
    names = [str(i) for i in at]
    for axis in axes or (expected.ndim - 1,) * bool(expected.ndim):
        first = max(0, min(at[axis] - 3, expected.shape[axis] - _SHOWN))
        end = min(first + _SHOWN, expected.shape[axis])
        index[axis] = slice(first, end)
        whole = end - first == expected.shape[axis]
        names[axis] = ":" if whole else f"{first}:{end}"
    part = tuple(index)
    right = _rows(expected[part], np.zeros_like(wrong[part]))
    return f"[{', '.join(names)}]", _rows(got[part], wrong[part]), right


def _plane(failure: Failure) -> tuple[int, ...]:
    """The last two spatial axes of an output, or the one that it has."""
    case = failure.case
    if failure.output == "db":
        return (0,)
    if failure.output in ("dw", "gw"):
        spatial = ops.filter_axes(case.layout, case.rank + 2)[2]
    else:
        spatial = ops.spatial_axes(case.layout, case.rank + 2)
        spatial = tuple(axis - (case.images is None) for axis in spatial)
    return spatial[-2:]


def _rows(values: Array, wrong: Cells) -> list[list[str]]:
    plane, marks = np.atleast_2d(values), np.atleast_2d(wrong)
    return [
        [number(v) + ("!" if mark else " ") for v, mark in zip(row, flags, strict=True)]
        for row, flags in zip(plane, marks, strict=True)
    ]


def diagnoses(finding: Finding) -> Iterator[str]:
    """Yields the known mistakes that fit, best first."""
    for known in finding.diagnoses:
        count = f" (explains {known.explained} of {known.of} failures)"
        yield known.text if known.text.endswith("right)") else known.text + count


def told(finding: Finding, *, diagnosis: bool = True) -> str:
    """Returns what is known of a finding besides its title: the error, the mistake."""
    raised = finding.failure.message if finding.failure.reason == "raised" else ""
    best = finding.diagnoses[:1] if diagnosis else ()
    known = [one.text.partition(": ")[2] for one in best]
    return "; ".join(filter(None, (raised, *known)))


def also(finding: Finding, *, diagnosis: bool = True) -> str:
    """Returns a finding that has the cause of another in a line."""
    more = told(finding, diagnosis=diagnosis)
    return f"{title(finding)}: {call(finding.failure)}{more and '; '}{more}"


def rows(report: Report) -> Iterator[tuple[str, ...]]:
    """Yields the table by function, first the names of its columns.

    Where no call was unsupported, that column is left out.
    """
    wrong = {finding.failure.function for finding in report.wrong}
    some = any(tally.unsupported for tally in report.tallies.values())
    yield ("function", "passed", "failed", *("unsupported",) * some, "verdict")
    for name, tally in report.tallies.items():
        counts = (tally.passed, tally.failed, *(tally.unsupported,) * some)
        word = _word(tally, name in wrong, _is_incomplete(report, name))
        yield (name, *map(str, counts), word)


def _is_incomplete(report: Report, function: str) -> bool:
    told = re.compile(rf"(\w+, )*{function}\b")
    return any(told.match(sentence) for sentence in report.incomplete)


def _word(tally: Tally, wrong: bool, incomplete: bool) -> str:
    if wrong or tally.failed:
        return "wrong"
    if not tally.passed:
        return "not judged"
    return "incomplete" if incomplete else "right"


def lacking(report: Report) -> list[str]:
    """Returns which features were not judged and why; a line for each reason."""
    told: dict[str, dict[str, list[str]]] = {}
    for name, reason in report.unsupported.items():
        if name in OUTPUTS and reason == "not there":
            continue  # the table shows what is there
        short = textwrap.shorten(
            _PARAMETER.sub("no parameter for it", reason), 90, placeholder=" ..."
        )
        feature, _, functions = name.partition(" in ")
        group = told.setdefault(short, {}).setdefault(feature, [])
        group += functions.split(", ") if functions else []
    return [f"{_listed(features)}: {reason}" for reason, features in told.items()]


_PARAMETER: Final = re.compile(r"^\w+ has no parameter '\w+'$")


def _listed(features: Mapping[str, Sequence[str]]) -> str:
    """`layout, flip in conv; groups`: features with the functions that lack them."""
    by_functions: dict[str, list[str]] = {}
    for feature, functions in features.items():
        by_functions.setdefault(", ".join(functions), []).append(feature)
    return "; ".join(
        ", ".join(names) + (f" in {functions}" if functions else "")
        for functions, names in by_functions.items()
    )


def laws(report: Report) -> list[str]:
    """Returns how often each broken law was broken, and how many others held."""
    broken = {name: tally for name, tally in report.laws.items() if tally.failed}
    held = sum(t.passed for n, t in report.laws.items() if n not in broken)
    rest = plural(len(report.laws) - len(broken), "law")
    lines = [
        f"{name}: {tally.passed} held, {tally.failed} broken"
        for name, tally in broken.items()
    ]
    return lines + [f"{rest} held wherever asked, {plural(held, 'time')}"] * bool(held)


def lists(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Yields what stands between the table and the findings, if it is not empty."""
    groups = {
        "Not judged in full": list(report.incomplete),
        "Not supported, and so not judged": lacking(report),
        "Laws": laws(report) if report.wrong else [],
        "Notes": list(report.notes),
    }
    yield from ((heading, lines) for heading, lines in groups.items() if lines)


def scripts(option: str) -> str:
    """Returns how the reproductions are had."""
    return (
        f"{option} writes a script for each finding; it needs only NumPy and the code."
    )


def verdict(report: Report) -> list[str]:
    """Returns the verdict; its first line says right, wrong or incomplete, of what."""
    unheard = list(_unheard(report))
    lines = list(_headlines(report)) or unheard[:1]
    if lines[0] not in unheard and unheard:
        lines.append(unheard[0])
    if report.lenient and not report.strict:
        lines.append(f"accepts invalid input: {plural(len(report.lenient), 'way')}")
    return lines


def _headlines(report: Report) -> Iterator[str]:
    """Yields `wrong: ...` or `right: ...`; nothing where it is neither."""
    if report.status == 1:
        number = plural(len(causes(report.counted)), "finding")
        yield f"wrong: {_places(report.counted)}; {number}"
    elif report.status == 0:
        seed = f"(seed {report.seed})"
        right = ", ".join(
            name for name, tally in report.tallies.items() if tally.passed
        )
        yield f"right: {right}; nothing wrong in {_judged(report)} {seed}"


def _places(findings: Sequence[Finding]) -> str:
    """`conv: y; conv_backward: dx, dw`: the functions, and which of their outputs."""
    outputs: dict[str, dict[str, None]] = {}
    for failure in (finding.failure for finding in findings):
        named = outputs.setdefault(failure.function, {})
        if failure.output in OUTPUTS[failure.function]:
            named[failure.output] = None
    return "; ".join(f"{f}: {', '.join(o)}" if o else f for f, o in outputs.items())


def _unheard(report: Report) -> Iterator[str]:
    """Yields `incomplete: ...`, if anything was not judged in full."""
    if not report.judged:
        why = report.problem or "no call gave a result"
        yield f"incomplete: nothing was judged: {why}"
    elif report.problem is not None:
        yield f"incomplete: {report.problem}"
    elif report.incomplete:
        first, *others = report.incomplete
        more = f" (and {len(others)} more)" if others else ""
        yield f"incomplete: {first}{more}"


def _judged(report: Report) -> str:
    """Returns how many configurations were judged, of how many if the time was over."""
    if report.planned is not None and report.configurations < report.planned:
        first = plural(report.planned, "configuration")
        return f"{report.configurations} of the first {first}"
    return plural(report.configurations, "configuration")


def exit_status(report: Report) -> str:
    """Returns the exit status and what it means."""
    meaning = ("nothing is wrong", "something is wrong", "not everything was judged")
    text = f"exit status {report.status}: {meaning[report.status]}"
    if report.lenient and not report.strict and report.status == 0:
        text += "; accepting invalid input counts only with --strict"
    return text
