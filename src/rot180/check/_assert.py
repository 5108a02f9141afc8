"""The check as an assertion, for test suites."""

from __future__ import annotations

import difflib
import inspect
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from rot180.check._options import require
from rot180.check._run import check
from rot180.check.cases import OUTPUTS
from rot180.check.report import Report, show, write_reproductions
from rot180.errors import ArgumentError

__unittest = True  # by which unittest leaves out the frames of this file

_OPTIONS: Final = tuple(inspect.signature(check).parameters)[1:]
_DECLARED: Final = ("UNSUPPORTED", "ARITHMETIC", "VERSIONS", "set_num_threads")
_OTHER_FORM: Final = re.compile(
    r"(conv|conv[123]d|conv_transpose|(max_|avg_)?pool|relu)_(forward|backward)(_\w+)?"
)
# The command's name of an option that has another here.
_BY_COMMAND: Final = {"without": "lacking"}


def assert_conv(
    subject: Any = None,
    /,
    *,
    seconds: float = 5.0,
    brief: bool = False,
    reproductions: str | Path | None = None,
    **given: Any,
) -> Report:
    """Raise AssertionError, with the report as its text, unless all is right.

        def test_my_conv():
            assert_conv(my_conv)
            assert_conv("my_conv.py", profile="full", dtypes=["float32"])
            assert_conv(conv=my_conv.forward, conv_backward=my_conv.backward)

    Args:
        subject: A module or an object with the functions, called in this process; or a
            file or module by name, run in a child process.
        seconds: How long it may take.
        brief: Whether a line for each finding is enough.
        reproductions: A folder into which a script for each finding is written.
        **given: Further options of `check`: profile, shapes, seed, timeout, dtypes,
            arithmetic, lacking, only, diagnosis, strict, conv and backward (names in
            the subject); or, in place of a subject, functions by the names of rot180's
            own or of a course's.

    Returns:
        The report, if everything was judged and nothing is wrong.

    Raises:
        AssertionError: Something is wrong, or was not judged.
        ArgumentError: Neither a subject nor functions are given, or what is given has
            a name that is not known.
    """
    __tracebackhide__ = True
    functions = {n: f for n, f in given.items() if _is_function(n, f)}
    options = {n: value for n, value in given.items() if n not in functions}
    known = {*_OPTIONS} - ({*OUTPUTS} if subject is None else set())
    for name in options.keys() - known:
        raise ArgumentError(_unknown(name, given[name]))
    if (subject is None) == (not functions):
        raise ArgumentError(
            "assert_conv: pass either a subject or functions\n"
            "  For example assert_conv(my_module), or assert_conv(conv=my_conv)."
        )
    require(reproductions=reproductions)
    judged = SimpleNamespace(**functions) if subject is None else subject
    report = check(judged, seconds=seconds, **options)
    if report.status:
        named = options.get("diagnosis", True)
        raise AssertionError(_text(report, reproductions, brief=brief, diagnosis=named))
    return report


def _is_function(name: str, value: Any) -> bool:
    """Whether a keyword gives a function of the subject, or what it declares."""
    if name in _DECLARED:
        return True
    return callable(value) and (name in OUTPUTS or bool(_OTHER_FORM.fullmatch(name)))


def _unknown(name: str, value: Any) -> str:
    if name in OUTPUTS:
        return f"assert_conv: {name} is {value!r}\n  Pass a function."
    known = ("seconds", "brief", "reproductions", *_OPTIONS, *OUTPUTS)
    near = difflib.get_close_matches(_BY_COMMAND.get(name, name), known, 1, 0.0)[0]
    return (
        f"assert_conv: there is no option and no function {name!r}\n"
        f"  The nearest is {near!r}, of {', '.join(dict.fromkeys(known))}."
    )


def _text(
    report: Report, folder: str | Path | None, *, brief: bool, diagnosis: bool
) -> str:
    from rich.console import Console

    files: tuple[str, ...] = ()
    failed = ""
    try:
        if folder is not None:
            files = write_reproductions(report, Path(folder))
    except OSError as error:
        failed = f"the reproductions cannot be written: {error}\n"
    page = io.StringIO()
    show(
        report,
        Console(file=page, width=88, color_system=None),
        diagnosis=diagnosis,
        files=files,
        brief=brief,
        option="reproductions=DIR",
    )
    return page.getvalue() + failed
