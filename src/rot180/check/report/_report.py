"""What a run found, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rot180.check.judge import Finding, Tally

__all__ = ["Report"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run found.

    Attributes:
        subject: As it was named.
        versions: Of the packages that took part, by name; `python` among them.
        profile: `"quick"`, `"full"` or `"shapes"`.
        seed: Of the random configurations.
        dtypes: That were judged.
        arithmetic: What equality meant: exact, or the bound, in a sentence.
        seconds: How long it took.
        configurations: How many were judged.
        planned: How many there are in a profile with an end; None otherwise.
        tallies: By function, in the order of `OUTPUTS`.
        unsupported: Features and functions that the subject does not have, and why.
        notes: What is no failure but worth knowing, such as the rule for ties.
        findings: What is wrong.
        problem: Why the run could not start or go on; None if it could.
        laws: By law, how often it held and how often not.
        strict: Whether accepting invalid input is wrong too.
        incomplete: What was not judged in full: a sentence for each, which function or
            output and why.
    """

    subject: str
    versions: Mapping[str, str]
    profile: str
    seed: int
    dtypes: tuple[str, ...]
    arithmetic: str
    seconds: float
    configurations: int
    planned: int | None
    tallies: Mapping[str, Tally]
    unsupported: Mapping[str, str]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    problem: str | None = None
    laws: Mapping[str, Tally] = field(default_factory=dict)
    strict: bool = False
    incomplete: tuple[str, ...] = ()

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The findings but those about invalid input, which are counted apart."""
        return tuple(f for f in self.findings if f.failure.reason != "invalid")

    @property
    def lenient(self) -> tuple[Finding, ...]:
        """The findings about invalid input that was accepted."""
        return tuple(f for f in self.findings if f.failure.reason == "invalid")

    @property
    def counted(self) -> tuple[Finding, ...]:
        """The findings that make it wrong: all, where invalid input counts."""
        return self.findings if self.strict else self.wrong

    @property
    def judged(self) -> bool:
        """Whether any call could be judged."""
        return any(tally.passed or tally.failed for tally in self.tallies.values())

    @property
    def status(self) -> Literal[0, 1, 2]:
        """The exit status: 0 right, 1 wrong, 2 not judged in full."""
        if self.counted:
            return 1
        is_whole = self.judged and self.problem is None and not self.incomplete
        return 0 if is_whole else 2
