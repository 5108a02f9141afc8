"""Judging convolution code against an exact oracle.

    $ rot180 check my_conv.py

or from Python, and in a test:

    from rot180.check import assert_conv, check

    report = check("my_conv.py", seconds=10)
    assert_conv(my_conv)
"""

from rot180.check._assert import assert_conv
from rot180.check._case import Case
from rot180.check._export import to_json, to_markdown, write_reproductions
from rot180.check._failure import Diagnosis, Failure, Finding
from rot180.check._profiles import cases
from rot180.check._render import show
from rot180.check._report import Report, Tally
from rot180.check._run import check

__all__ = [
    "Case",
    "Diagnosis",
    "Failure",
    "Finding",
    "Report",
    "Tally",
    "assert_conv",
    "cases",
    "check",
    "show",
    "to_json",
    "to_markdown",
    "write_reproductions",
]
