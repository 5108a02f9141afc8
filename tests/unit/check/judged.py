"""Judging functions in this process, and ending a run at its first failure."""

from types import SimpleNamespace
from typing import Any

from rot180.check.cases._case import Case
from rot180.check.judge._arithmetic import arithmetic_of
from rot180.check.judge._judge import Judge
from rot180.check.judge._survey import Survey
from rot180.check.subjects._runner import LocalRunner, Runner


def judge_of(subject: Any, arithmetic: str = "exact") -> Judge:
    """Returns the judge of a subject, or of a dict of functions, in this process."""
    if isinstance(subject, dict):
        subject = SimpleNamespace(**subject)
    return judge_by(LocalRunner(subject), arithmetic)


def judge_by(runner: Runner, arithmetic: str = "exact") -> Judge:
    """Returns the judge of what a runner calls."""
    survey = Survey(runner)
    survey.declare((), ("float32", "float64"))
    return Judge(runner, arithmetic_of(arithmetic), survey)


def reasons(judge: Judge, case: Case) -> dict[tuple[str, str], str]:
    """Returns in what way each function and output is wrong on a case."""
    return {
        (failure.function, failure.output): failure.reason
        for verdict in judge.verdicts(case)
        for failure in verdict.failures
    }


def stop_at_first(done: int, planned: int | None, seconds: float, failed: int) -> None:
    """Ends a run, as Ctrl-C does, once something is wrong."""
    if failed:
        raise KeyboardInterrupt
