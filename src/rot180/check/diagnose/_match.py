"""Which known mistakes give exactly what came."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rot180.check.cases import Case, epsilon
from rot180.check.diagnose._any_mistakes import ANY_FIRST, ANY_MISTAKES
from rot180.check.diagnose._conv_mistakes import CONV_MISTAKES
from rot180.check.diagnose._group_mistakes import GROUP_MISTAKES
from rot180.check.diagnose._mistake import Mistake, Seen
from rot180.check.diagnose._pool import PoolProblem
from rot180.check.diagnose._pool_mistakes import POOL_MISTAKES
from rot180.check.diagnose._problem import Problem, canonical, drawn, problem_of
from rot180.check.diagnose._sums import Array
from rot180.check.judge import Failure

__all__ = ["MISTAKES", "Match", "matches", "seen", "showing"]

# In the order in which they are preferred if they explain the same.
MISTAKES: Final[tuple[Mistake, ...]] = (
    *ANY_FIRST,
    *CONV_MISTAKES,
    *GROUP_MISTAKES,
    *POOL_MISTAKES,
    *ANY_MISTAKES,
)
# The part of the failures it could explain that a mistake has to explain, and the part
# of all failures below which it is not worth telling.
_SHARE: Final = 0.6
_WORTH: Final = 0.15
# After how many failures more than it explains a mistake is given up.
_PATIENCE: Final = 4
# Wrong numbers that have to be predicted before a match is no accident.
_EVIDENCE: Final = 3
# The part of the right calls that may speak against a mistake, and how many numbers it
# has to explain if more do.
_REFUTED: Final = 0.5
_CERTAIN: Final = 6
# The most numbers that an average or its gradient is taken to add up.
_SUMMANDS: Final = 64
_PASSES_TRIED: Final = 16
_PASSES_SHOWN: Final = 160
_TOLD: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """A mistake that explains failures.

    Attributes:
        mistake: The line of the table.
        explained: The numbers of the failures it explains.
        refuted: The part of the right calls that the mistake would have made wrong:
            above 0, the mistake is made under a condition only.
    """

    mistake: Mistake
    explained: frozenset[int]
    refuted: float


def seen(failure: Failure) -> Seen | None:
    """Returns the failure in canonical form, or None if it is not about numbers."""
    case, expected, got = failure.case, failure.expected, failure.got
    if expected is None or got is None or np.shape(got) != np.shape(expected):
        return None
    if np.asarray(got).dtype.kind not in "fiubV":  # the last is bfloat16
        return None
    problem = problem_of(case, failure.function, failure.output, failure.operands)
    if problem is None:
        return None
    name = failure.output
    right = canonical(case, name, np.asarray(expected)).astype(np.float64)
    bound = _rounding(problem, case.dtype)
    if failure.bound is not None:
        full = np.broadcast_to(failure.bound, np.shape(expected))
        bound = canonical(case, name, full).astype(np.float64)
    if not _equal(problem.value(), right, bound, case.dtype):
        return None
    came = canonical(case, name, np.asarray(got)).astype(np.float64)
    return Seen(case, name, problem, right, came, bound)


def _rounding(problem: Problem, dtype: str) -> Array | None:
    """Returns what the divisions of an average may lose; other sums are exact."""
    if not isinstance(problem, PoolProblem) or problem.kind == "max":
        return None
    operand = problem.dy if problem.dy is not None else problem.x
    largest = np.abs(operand).max(initial=0.0) if operand is not None else 0.0
    return np.asarray(_SUMMANDS * epsilon(dtype) * largest)


def _equal(a: Array, b: Array, bound: Array | None, dtype: str) -> bool:
    """Whether two arrays agree within the bound, or a few units in the last place."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        if bound is None:
            bound = 4 * epsilon(dtype) * np.abs(b)
        near = (a == b) | (np.abs(a - b) <= bound) & np.isfinite(b)
    return bool(np.all(near | np.isnan(a) & np.isnan(b)))


@np.errstate(all="ignore")  # operands of too few bits may become infinite
def matches(seen: Sequence[Seen], passed: Sequence[Case], function: str) -> list[Match]:
    """Returns the mistakes that explain failures, the best first.

    Args:
        seen: The failures, all of one output of one function.
        passed: Configurations in which the output is right.
        function: The function.
    """
    if not seen:
        return []
    order = sorted(range(len(seen)), key=lambda i: seen[i].case.work())
    found = []
    for mistake in MISTAKES:
        if seen[0].problem.role in mistake.roles:
            explained = _explained(mistake, seen, order)
            if explained:
                found.append((mistake, explained))
    right = _right_calls(passed, function, seen[0].output) if found else []
    judged = [Match(m, e, _refuted(m, right)) for m, e in found]
    judged.sort(key=lambda match: (-len(match.explained), match.refuted))
    return _worth_telling(judged, seen)


def _explained(
    mistake: Mistake, seen: Sequence[Seen], order: Sequence[int]
) -> frozenset[int]:
    """Returns which failures a mistake explains; none if they are too few."""
    explained, missed, evidence = set(), 0, 0
    for i in order:
        hit = _verdict(mistake, seen[i])
        if hit:
            explained.add(i)
            evidence += _wrong_numbers(seen[i])
        elif hit is False:
            missed += 1
            if missed > min((1 - _SHARE) * len(seen), len(explained) + _PATIENCE):
                return frozenset()
    enough = evidence >= _EVIDENCE or (mistake.kind == 10 and evidence > 0)
    share = len(explained) >= _SHARE * (len(explained) + missed)
    worth = len(explained) >= max(1, math.ceil(_WORTH * len(seen)))
    return frozenset(explained) if enough and share and worth else frozenset()


def _verdict(mistake: Mistake, one: Seen) -> bool | None:
    """Whether a mistake gives what came; None if it would do no harm here."""
    assert one.got is not None
    verdict = None
    for predicted in mistake.predict(one):
        if _equal(predicted, one.expected, one.bound, one.case.dtype):
            continue
        if _equal(one.got, predicted, one.bound, one.case.dtype):
            return True
        verdict = False
    return verdict


def _wrong_numbers(one: Seen) -> int:
    return int(np.count_nonzero(one.got != one.expected))


def _right_calls(passed: Sequence[Case], function: str, output: str) -> list[Seen]:
    """Returns some of the right calls, on operands drawn anew, small ones first."""
    few = sorted(passed, key=Case.work)
    step = max(1, len(few) // (2 * _PASSES_TRIED))
    return list(_calls(few[::step][:_PASSES_TRIED], function, output))


def _calls(cases: Sequence[Case], function: str, output: str) -> Iterator[Seen]:
    for number, case in enumerate(cases):
        problem = drawn(case, function, output, number)
        if problem is not None:
            yield Seen(case, output, problem, problem.value())


@np.errstate(all="ignore")
def showing(
    mistake: Mistake, passed: Sequence[Case], function: str, output: str
) -> list[Case]:
    """Returns the right calls in which a mistake would have given wrong numbers."""
    few = sorted(passed, key=Case.work)[:_PASSES_SHOWN]
    calls = _calls(few, function, output)
    return [one.case for one in calls if _refuted(mistake, [one])]


def _refuted(mistake: Mistake, right: Sequence[Seen]) -> float:
    """Returns in which part of the right calls the mistake would have shown."""
    wrong = 0
    for one in right:
        same = [
            _equal(predicted, one.expected, None, one.case.dtype)
            for predicted in mistake.predict(one)
        ]
        wrong += bool(same) and not any(same)
    return wrong / max(len(right), 1)


def _worth_telling(ranked: Sequence[Match], seen: Sequence[Seen]) -> list[Match]:
    """Returns the best, and others that no right call speaks against.

    These explain the same failures as well, or some that the best does not.  A mistake
    that right calls speak against is made under a condition, if at all: what it leaves
    unexplained, or explains in few numbers, is more than a guess may say.
    """
    told: list[Match] = []
    covered: frozenset[int] = frozenset()
    for match in ranked:
        best = told[0] if told else match
        as_good = (match.explained, match.refuted) == (best.explained, best.refuted)
        more = match.refuted == 0 and not match.explained <= covered
        sure = match.refuted <= _REFUTED or _is_certain(match, seen)
        if sure and (match is best or as_good or more):
            told.append(match)
            covered |= match.explained
    return told[:_TOLD]


def _is_certain(match: Match, seen: Sequence[Seen]) -> bool:
    """Whether a mistake explains most failures, and many numbers of them."""
    counts = [_wrong_numbers(seen[i]) for i in match.explained]
    many = sum(count for count in counts if count > 1) >= _CERTAIN
    return many and len(counts) >= _SHARE * len(seen)
