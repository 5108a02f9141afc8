"""What was seen so far: counts, failures by kind, and the cases that were right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rot180.check.cases import Case
from rot180.check.judge._failure import Failure
from rot180.check.judge._judge import Verdict

# Failures of one kind that are kept for the diagnosis.
_KEPT: Final = 24
# Letters of an exception's message that tell it from another.
_TOLD_APART: Final = 80


@dataclass(slots=True)
class Tally:
    """How one function fared: how many calls passed, failed, were not supported."""

    passed: int = 0
    failed: int = 0
    unsupported: int = 0


@dataclass(slots=True)
class Seen:
    """The failures of one output in one way: the first ones, and how many."""

    failures: list[Failure] = field(default_factory=list)
    count: int = 0


@dataclass(slots=True)
class Ledger:
    """Adds up verdicts.

    Attributes:
        tallies: By function.
        laws: By law.
        seen: By function, output, and in what way it went wrong.
        features: By function, on how many configurations of each it was judged.
        lacking: Calls that turned out to be unsupported: the function, and why.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    laws: dict[str, Tally] = field(default_factory=dict)
    seen: dict[tuple[str, str, str], Seen] = field(default_factory=dict)
    features: dict[str, Counter[str]] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    _judged: dict[str, list[Case]] = field(default_factory=dict)
    _failed: dict[tuple[str, str], set[Case]] = field(default_factory=dict)

    def add(self, verdict: Verdict) -> None:
        """Counts a verdict and keeps its failures."""
        failed = bool(verdict.failures)
        tally = self.tallies.setdefault(verdict.function, Tally())
        if verdict.unsupported is not None:
            tally.unsupported += 1
            self.lacking.setdefault(verdict.function, verdict.unsupported)
            return
        if verdict.law is not None:
            law = self.laws.setdefault(verdict.law, Tally())
            law.failed += failed
            law.passed += not failed
        tally.failed += failed
        if verdict.law is None:
            tally.passed += not failed
            self._judged.setdefault(verdict.function, []).append(verdict.case)
            features = self.features.setdefault(verdict.function, Counter())
            features.update(verdict.case.features())
        for failure in verdict.failures:
            self._keep(failure)

    def _keep(self, failure: Failure) -> None:
        key = failure.function, failure.output, way(failure)
        seen = self.seen.setdefault(key, Seen())
        seen.count += 1
        if len(seen.failures) < _KEPT:
            seen.failures.append(failure)
        self._failed.setdefault(key[:2], set()).add(failure.case)

    def right(self, function: str, output: str) -> Iterator[tuple[Case, str]]:
        """Yields the cases on which an output was right, with the function."""
        failed = self._failed.get((function, output), set())
        failed = failed | self._failed.get((function, ""), set())
        for case in self._judged.get(function, ()):
            if case not in failed:
                yield case, function

    @property
    def failures(self) -> int:
        """How many failures there are."""
        return sum(seen.count for seen in self.seen.values())

    @property
    def judged_any(self) -> bool:
        """Whether any function could be judged at all."""
        return any(tally.passed or tally.failed for tally in self.tallies.values())


def way(failure: Failure) -> str:
    """In what way a call went wrong: the reason, or what was raised but its numbers."""
    if failure.reason != "raised":
        return failure.reason
    return re.sub(r"[^A-Za-z]+", " ", failure.message)[:_TOLD_APART]
