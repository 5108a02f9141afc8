"""A call whose result is not what it has to be, and what was found out about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rot180.check.cases import Case
from rot180.check.subjects import Array

Reason = Literal[
    "values",  # a number is wrong
    "nan",  # NaN where a number belongs, or memory that was never written
    "shape",
    "dtype",
    "type",  # something else than an array
    "raised",
    "died",
    "timeout",
    "wrote",  # an operand was changed
    "repeat",  # the same call gave other bits: another run, another number of threads
    "invalid",  # input that means nothing was accepted
]


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """One call that went wrong.

    Attributes:
        case: The configuration.
        function: The function that was called.
        output: Which of its outputs is wrong, as in `OUTPUTS`; `""` for the whole call.
        reason: In what way.
        message: The same in a sentence.
        law: The law that was broken, `"reference"` for the comparison with the oracle.
        operands: The operands of the call by name: `x w b dy`, and `ddx ddw`.
        expected: The right result, if the reason is about values.
        got: What came instead.
        bound: The largest difference that was allowed; None for exact equality.
        memory: How the operands lay, as for `Runner.call`.
        before: A call without which it does not show: its case, function and operands.
    """

    case: Case
    function: str
    output: str
    reason: Reason
    message: str
    law: str = "reference"
    operands: Mapping[str, Array] = field(default_factory=dict)
    expected: Array | None = None
    got: Array | None = None
    bound: Array | None = None
    memory: str = "plain"
    before: tuple[Case, str, Mapping[str, Array]] | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A known mistake, or a condition, that explains failures.

    Attributes:
        name: Short and fixed, such as `"dx-filter-not-rotated"`.
        text: One line: what is wrong, and where.
        explained: How many of the failures that were looked at it explains.
        of: How many were looked at.
        parts: The statements about configurations that hold together, of a condition.
    """

    name: str
    text: str
    explained: int
    of: int
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What a report says of one function's output that is wrong in one way.

    Attributes:
        failure: On the smallest configuration found.
        first: The configuration on which it was first seen.
        count: How many configurations failed so.
        formula: The formula of the pass, with the case's numbers.
        diagnoses: The known mistakes that fit, best first.
        reproduction: A Python script that shows the failure without rot180.
    """

    failure: Failure
    first: Case
    count: int
    formula: str = ""
    diagnoses: tuple[Diagnosis, ...] = ()
    reproduction: str = ""
