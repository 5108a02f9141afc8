"""Judging convolution code against an exact oracle.

    $ rot180 check my_conv.py

or from Python, and in a test:

    from rot180.check import assert_conv, check

    report = check("my_conv.py", seconds=10)
    assert_conv(my_conv)
"""

from rot180.check._assert import assert_conv
from rot180.check._run import check
from rot180.check.cases import Case, cases
from rot180.check.judge import Diagnosis, Failure, Finding, Tally
from rot180.check.report import (
    Report,
    causes,
    show,
    to_github,
    to_json,
    to_junit,
    to_markdown,
    write_reproductions,
)

__all__ = [
    "Case",
    "Diagnosis",
    "Failure",
    "Finding",
    "Report",
    "Tally",
    "assert_conv",
    "cases",
    "causes",
    "check",
    "show",
    "to_github",
    "to_json",
    "to_junit",
    "to_markdown",
    "write_reproductions",
]
