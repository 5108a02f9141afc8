"""The code under test: finding it, its form, calling it, the process it runs in."""

from rot180.check.subjects._invoke import MEMORY
from rot180.check.subjects._location import find
from rot180.check.subjects._outcome import (
    EARLIER,
    Array,
    Died,
    Outcome,
    Raised,
    TimedOut,
    Unsupported,
    Values,
    arrays_of,
    differing,
    number,
)
from rot180.check.subjects._runner import ChildRunner, LocalRunner, OutOfTime, Runner

__all__ = [
    "EARLIER",
    "MEMORY",
    "Array",
    "ChildRunner",
    "Died",
    "LocalRunner",
    "OutOfTime",
    "Outcome",
    "Raised",
    "Runner",
    "TimedOut",
    "Unsupported",
    "Values",
    "arrays_of",
    "differing",
    "find",
    "number",
]
