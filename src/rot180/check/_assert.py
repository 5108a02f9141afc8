"""The check as an assertion, for test suites."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

from rot180.check._run import check
from rot180.check.report import Report
from rot180.errors import ArgumentError

__all__ = ["assert_conv"]


def assert_conv(
    subject: Any = None,
    /,
    *,
    seconds: float = 5.0,
    seed: int = 0,
    lacking: Collection[str] = (),
    arithmetic: str | None = None,
    strict: bool = False,
    **functions: Callable[..., Any],
) -> Report:
    """Raise AssertionError, with the report as its text, if a convolution is wrong.

        def test_my_conv():
            assert_conv(my_conv)
            assert_conv(conv=my_conv.forward, conv_backward=my_conv.backward)

    Args:
        subject: A module or an object with the functions, called in this process; or a
            file or module by name, run in a child process.
        seconds: How long it may take.
        seed: Of the values and of the random configurations.
        lacking: Features or functions that it does not have, such as `"groups"`.
        arithmetic: As in `check`.
        strict: Whether accepting input without meaning is wrong too.
        **functions: Functions by the names of rot180's own, in place of a subject.

    Returns:
        The report, if nothing is wrong.

    Raises:
        AssertionError: Something is wrong, or nothing could be judged.
        ArgumentError: Neither a subject nor functions are given.
    """
    if (subject is None) == (not functions):
        raise ArgumentError(
            "assert_conv: pass either a subject or functions\n"
            "  For example assert_conv(my_module), or assert_conv(conv=my_conv)."
        )
    report = check(
        SimpleNamespace(**functions) if subject is None else subject,
        seconds=seconds,
        seed=seed,
        lacking=lacking,
        arithmetic=arithmetic,
        strict=strict,
    )
    if report.status:
        raise AssertionError(_text(report))
    return report


def _text(report: Report) -> str:
    from rich.console import Console

    from rot180.check.report._render import show

    page = io.StringIO()
    show(report, Console(file=page, width=88, color_system=None))
    return "\n" + page.getvalue()
