"""From failures to findings: the smallest configuration, the mistake, a script."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from rot180.check.cases import CONV, IMPULSES, Case
from rot180.check.diagnose import diagnose, shrink
from rot180.check.judge import (
    Diagnosis,
    Failure,
    Finding,
    Judge,
    Ledger,
    Seen,
    accepted_nonsense,
    output_size,
    way,
)
from rot180.check.report._formula import formula
from rot180.check.report._reproduce import reproduction
from rot180.check.subjects import OutOfTime
from rot180.errors import DataError

__all__ = ["SHRINKING", "findings", "lenient_findings"]

# Seconds that shrinking may take, all findings together.
SHRINKING: Final = 4.0
# How many configurations are tried, and where each costs the child process its life.
_TRIES: Final = 300
_COSTLY: Final = {"timeout": 4, "died": 12}
# The largest extent of a configuration that is compared with known mistakes.
_SHORT: Final = 300


def findings(judge: Judge, ledger: Ledger, *, diagnosis: bool) -> Iterator[Finding]:
    """Yields one finding for each kind of failure."""
    until = time.monotonic() + SHRINKING
    for number, seen in enumerate(ledger.seen.values()):
        share = (until - time.monotonic()) / (len(ledger.seen) - number)
        failure = seen.failures[0]
        # As it was seen last, if the time is over or the subject does not start again.
        with contextlib.suppress(DataError, OutOfTime):
            failure = _smallest(judge, seen.failures, max(share, 0.2))
            failure = _in_fresh_process(judge, failure)
        yield Finding(
            failure,
            seen.failures[0].case,
            seen.count,
            formula(failure.case, failure.function, failure.output),
            _diagnoses(ledger, seen, failure) if diagnosis else (),
            reproduction(failure, judge.runner.facts.source, before=failure.before),
        )


def lenient_findings(judge: Judge) -> Iterator[Finding]:
    """Yields one finding for each input without meaning that is accepted."""
    for failure in accepted_nonsense(judge):
        text = reproduction(failure, judge.runner.facts.source)
        yield Finding(failure, failure.case, 1, reproduction=text)


def _diagnoses(ledger: Ledger, seen: Seen, smallest: Failure) -> tuple[Diagnosis, ...]:
    wrong = [f for f in (smallest, *seen.failures) if _is_short(f.case)]
    right = ledger.right(smallest.function, smallest.output)
    return diagnose(wrong, [(case, name) for case, name in right if _tells(case)])


def _tells(case: Case) -> bool:
    """Whether a right call speaks against a mistake, as empty ones do not.

    Nor do those of single numbers, which hide many mistakes.
    """
    is_single = case.kind in CONV and case.seed % 8 == IMPULSES
    is_empty = case.images == 0 or 0 in (*case.size, *output_size(case))
    return _is_short(case) and not is_empty and not is_single


def _is_short(case: Case) -> bool:
    """Whether tables of positions by positions are small."""
    return max(case.size) <= _SHORT


def _smallest(judge: Judge, failures: list[Failure], seconds: float) -> Failure:
    """Returns the failure on the smallest configuration that is found to show it."""
    first = min(
        failures,
        key=lambda f: (f.law != "reference", f.case.work(), len(f.case.features())),
    )
    if first.law != "reference" or first.reason == "repeat":
        return first  # the law drew its own data; another case's would be others
    until = time.monotonic() + seconds
    found = {first.case: first}
    lacks = judge.survey.skipped.get(first.function, set())

    def fails(case: Case) -> bool:
        if time.monotonic() > until or case.features() & lacks:
            return False
        again = None
        with contextlib.suppress(OutOfTime):
            again = _again(judge, case, first)
        if again is not None:
            found[case] = again
        return again is not None

    return found[shrink(first.case, fails, _COSTLY.get(first.reason, _TRIES))]


def _in_fresh_process(judge: Judge, failure: Failure) -> Failure:
    """Returns the failure; with the call that it needs before it, if it needs one."""
    if failure.before is not None and judge.runner.fresh():
        return _again(judge, failure.case, failure) or failure
    if failure.law != "reference" or failure.reason in (*_COSTLY, "repeat"):
        return failure
    if not judge.runner.fresh() or _again(judge, failure.case, failure):
        return failure
    for before in reversed(judge.earlier.get((failure.function, failure.case), ())):
        judge.runner.fresh()
        judge.call(*before)
        again = _again(judge, failure.case, failure)
        if again is not None:
            return replace(again, law="history", before=before)
    return replace(failure, law="history")


def _again(judge: Judge, case: Case, first: Failure) -> Failure | None:
    """Returns the same failure on another case, None if it is not there."""
    verdict = judge.verdict(case, first.function, judge.operands(case))
    for failure in verdict.failures:
        if failure.output == first.output and _alike(failure, first):
            return failure
    return None


def _alike(found: Failure, first: Failure) -> bool:
    """Whether a failure is of the kind looked for; wrong numbers may become NaN."""
    return way(found) == way(first) or (first.reason, found.reason) == ("values", "nan")
