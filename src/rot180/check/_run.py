"""A run: what the subject has, which configurations it is judged on, the report."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from rot180.check._options import require
from rot180.check.cases import (
    DTYPES,
    OUTPUTS,
    Case,
    Kind,
    alone,
    corners,
    covering,
    draw,
    every_cell,
    known_features,
    numpy_dtype,
    read_shapes,
    without,
)
from rot180.check.judge import (
    Finding,
    Judge,
    Ledger,
    Survey,
    Tally,
    arithmetic_of,
    too_large,
)
from rot180.check.report import SHRINKING, Report, findings, lenient_findings
from rot180.check.subjects import MEMORY, ChildRunner, LocalRunner, OutOfTime, Runner
from rot180.errors import ArgumentError, DataError

# `(configurations judged, planned or None, seconds so far, failures so far)`
Progress = Callable[[int, int | None, float, int], None]
Profile = Literal["quick", "full"]
# Every so many cases are computed with two threads as well, which are slow to start.
_THREADED = 7
# Configurations of each feature that a verdict needs, and how many are drawn for them.
ENOUGH: Final = 3
_DRAWS: Final = 200
# Seconds for fresh processes and diagnoses, beside those for shrinking.
_TELLING = 3.0
# The last call may go on until so many times the seconds that a run is given.
_OVERTIME = 1.1


def check(
    subject: Any,
    *,
    profile: Profile = "quick",
    shapes: str | Path | None = None,
    seed: int = 0,
    seconds: float = 30.0,
    timeout: float = 10.0,
    dtypes: Collection[str] = ("float32", "float64"),
    arithmetic: str | None = None,
    lacking: Collection[str] = (),
    only: Collection[str] = (),
    diagnosis: bool = True,
    strict: bool = False,
    conv: str | None = None,
    backward: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judge convolution code against an exact oracle.

    Args:
        subject: A Python file, a module, `module:attribute`, or the name of a ready
            adapter, each of which is run in a child process; or an object with the
            functions, such as a module, which is called in this process.
        profile: `"quick"`, the fixed corners and then random configurations until
            `seconds` have passed; or `"full"`, every pair of levels of all parameters.
        shapes: A file of convolutions, one a line, to judge instead of a profile.
        seed: Of the values and of the random configurations.
        seconds: How long the quick profile may take.
        timeout: How long one call may take, in seconds.
        dtypes: Which to judge, of `"float32"`, `"float64"`, `"float16"`, `"bfloat16"`.
        arithmetic: What the subject's numbers may differ by: `"exact"`, `"direct"`,
            `"fft"`, `"winograd"` or `"tf32"`; None for what it declares.
        lacking: Features or functions that the subject does not have.
        only: Functions to judge, all by default.
        diagnosis: Whether to compare failures with known mistakes.
        strict: Whether accepting input without meaning is wrong too.
        conv: The name in the subject of its convolution, and nothing else is judged.
        backward: The name in it of the backward pass of that convolution.
        progress: Called after every configuration.

    Returns:
        What was found; `status` is 0, 1 or 2.

    Raises:
        ArgumentError: An option is out of range.
        DataError: The subject cannot be found, loaded or understood.
    """
    require(
        seed=seed, seconds=seconds, timeout=timeout, dtypes=dtypes, only=only,
        lacking=lacking, shapes=shapes, progress=progress, conv=conv,
        backward=backward, profile=profile,
    )  # fmt: skip
    _check_names("dtypes", dtypes, DTYPES)
    for dtype in dtypes:
        numpy_dtype(dtype)
    _check_names("only", only, tuple(OUTPUTS))
    _check_names("lacking", lacking, (*OUTPUTS, *known_features()))
    given = _read(shapes)
    runner: Runner
    if isinstance(subject, str):
        name, runner = subject, ChildRunner(subject, conv, backward, timeout=timeout)
    else:
        name = str(getattr(subject, "__name__", type(subject).__name__))
        runner = LocalRunner(subject, conv, backward)
    try:
        declared = arithmetic or runner.facts.arithmetic
        judge = Judge(runner, arithmetic_of(declared), Survey(runner, only))
        return _Run(
            name, judge, profile, given, seed, seconds, tuple(dtypes), diagnosis,
            strict, progress,
        ).report(lacking)  # fmt: skip
    finally:
        runner.close()


def _read(shapes: str | Path | None) -> tuple[Case, ...] | None:
    if shapes is None:
        return None
    try:
        text = Path(shapes).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"check: {shapes} cannot be read: {error}\n"
            "  Pass a text file with one convolution a line."
        ) from error
    return read_shapes(text, str(shapes))


def _check_names(option: str, given: Collection[str], known: tuple[str, ...]) -> None:
    names = [given] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in known]
    if unknown or isinstance(given, str) or (option == "dtypes" and not given):
        what = f"{unknown[0]!r} is not known" if unknown else f"it is {given!r}"
        raise ArgumentError(
            f"check: {option}: {what}\n  Use a tuple of any of {', '.join(known)}."
        )


@dataclass(slots=True)
class _Run:
    name: str
    judge: Judge
    profile: Profile
    shapes: tuple[Case, ...] | None
    seed: int
    seconds: float
    dtypes: tuple[str, ...]
    diagnosis: bool
    strict: bool
    progress: Progress | None
    ledger: Ledger = field(default_factory=Ledger)
    begun: float = field(default_factory=time.monotonic)
    judged: set[Case] = field(default_factory=set)
    planned: int | None = None
    notes: list[str] = field(default_factory=list)
    consistent: bool = False
    problem: str | None = None
    cut: list[str] = field(default_factory=list)
    pending: list[tuple[int, int, Case]] = field(default_factory=list)
    turns: Iterator[int] = field(default_factory=itertools.count)

    def report(self, lacking: Collection[str]) -> Report:
        """Runs, and returns what was found; Ctrl-C ends it early."""
        self.judge.survey.declare(lacking, self.dtypes)
        self.judge.runner.set_threads(1)
        self.begun = time.monotonic()  # the subject is loaded now
        if self._is_timed():
            self.judge.runner.until = self.begun + self.seconds * _OVERTIME
        for _, function in self.judge.survey.open_pairs():
            self.ledger.tallies[function] = Tally()
        try:
            self._explore()
        except OutOfTime as over:
            self.cut = [*map(str, over.args)]
            if self.planned is not None:
                done, planned = max(len(self.judged), 1), self.planned
                whole = (time.monotonic() - self.begun) * planned / done
                self.cut.append(
                    f"the time was over after {done} of the first {planned} "
                    f"configurations, which take about {whole:.0f} s in all"
                )
        except KeyboardInterrupt:
            self.problem = "interrupted; this is what was found until then"
        except DataError as error:  # the child does not start again
            self.problem = str(error)
        for verdict in self.judge.probed:
            self.ledger.add(verdict)
        found: list[Finding] = []
        try:
            found.extend(findings(self.judge, self.ledger, diagnosis=self.diagnosis))
            if self.shapes is None and self.problem is None:
                with contextlib.suppress(OutOfTime):
                    found.extend(lenient_findings(self.judge))
        except KeyboardInterrupt:
            self.problem = "interrupted; some of what was found is not told"
        return self._reported(tuple(found))

    def _explore(self) -> None:
        if self.shapes is not None:
            self._judge_all(list(self._possible(self.shapes)))
            return
        if self.profile == "full":
            self._judge_all((*corners(self.seed), *every_cell(self.seed)))
            return
        needed, rest = covering(corners(self.seed), ENOUGH)
        self._judge_all(needed, laws=False)
        self.planned = None
        self._judge_scarce()
        self._judge_random(rest)

    def _possible(self, shapes: Iterable[Case]) -> Iterator[Case]:
        """Yields the shapes in each dtype; of those too large it is said why."""
        for number, shape in enumerate(shapes, 1):
            for dtype in self.dtypes:
                case = replace(shape, dtype=dtype, seed=shape.seed + self.seed)
                reason = too_large(case)
                if reason is None:
                    yield case
                else:
                    where = f"convolution {number} of the shapes, in {dtype}"
                    self.judge.survey.unsupported[where] = reason

    def _is_timed(self) -> bool:
        return self.profile == "quick" and self.shapes is None

    def _check_time(self) -> None:
        """Raises OutOfTime at the end; sooner where failures have to be shrunk."""
        reserve = min(SHRINKING + _TELLING, self.seconds / 4) * bool(self.ledger.seen)
        left = self.begun + self.seconds - reserve - time.monotonic()
        if self._is_timed() and left < 0:
            raise OutOfTime

    def _judge_all(self, given: Collection[Case], *, laws: bool = True) -> None:
        """Judges cases, and then what the laws say of those that came out right."""
        kinds = self.judge.survey.open_kinds()
        wanted = [case for case in given if case.kind in kinds]
        self.planned = len(wanted)
        for case in wanted:
            self._judge_first(case)
        while self.pending and laws:
            self._judge_laws(heappop(self.pending)[2])

    def _judge_first(self, case: Case) -> None:
        """Judges a case; the laws are asked of the smallest first."""
        for right in self._judge(case):
            heappush(self.pending, (right.work(), len(self.judged), right))

    def _judge_scarce(self) -> None:
        """Judges more of the features that the corners have seldom."""
        rng = np.random.default_rng([self.seed, ENOUGH])
        survey = self.judge.survey
        for kind in survey.open_kinds():
            for _ in range(_DRAWS):
                functions = survey.open_functions(kind)
                scarce = {name for f in functions for name in self._scarce(f, kind)}
                if not scarce:
                    break
                case = draw(kind, (1, 2, 3), rng)
                if not scarce & without(case, survey.missing(kind)).features():
                    single = alone(min(scarce), case) or case
                    case = replace(single, seed=case.seed, in_group=case.in_group)
                self._judge_first(case)

    def _scarce(self, function: str, kind: Kind) -> list[str]:
        """Returns features that a function has, judged on too few configurations."""
        counts = self.ledger.features.get(function, Counter())
        survey = self.judge.survey
        had = survey.shown.get(function, set()) - survey.lacks(function, kind)
        names = had.difference(MEMORY)
        return sorted(name for name in names if counts[name] < ENOUGH)

    def _judge_random(self, rest: Iterable[Case]) -> None:
        """Judges the other corners, then random configurations; until time is over."""
        for case in itertools.chain(rest, self._random()):
            if case.kind in self.judge.survey.open_kinds():
                for right in self._judge(case):
                    self._judge_laws(right)
            if self.pending:  # of the first, in turn with these
                self._judge_laws(heappop(self.pending)[2])

    def _random(self) -> Iterator[Case]:
        """Yields configurations of the operations in turn; convolutions most."""
        rng = np.random.default_rng(self.seed)
        while kinds := self.judge.survey.open_kinds():
            weighted = [kind for kind in kinds for _ in range(1 + (kind == "conv"))]
            kind = weighted[int(rng.integers(len(weighted)))]
            yield draw(kind, (1, 2, 3), rng)

    def _judge(self, wanted: Case) -> Iterator[Case]:
        """Judges a case, fitted to what the subject has; yields it if it is right."""
        self._check_time()
        survey = self.judge.survey
        lacks = survey.missing(wanted.kind)
        case = without(wanted, lacks)
        if self.shapes is not None and case != wanted:
            where = f"x {wanted.x_shape} with w {wanted.w_shape} of the shapes"
            needed = ", ".join(sorted(wanted.features() & lacks))
            survey.unsupported[where] = f"it needs {needed}"
            return
        if f"rank {case.rank}" in lacks or case in self.judged or too_large(case):
            return
        if not survey.fitting_functions(case):
            return
        verdicts = list(self.judge.verdicts(case))
        self.judged.add(case)
        for verdict in verdicts:
            self.ledger.add(verdict)
        if all(verdict.unsupported for verdict in verdicts):
            if survey.missing(wanted.kind) != lacks:
                yield from self._judge(wanted)  # with what was learnt
        elif not any(verdict.failures for verdict in verdicts):
            yield case
        elif not self.consistent and case.kind == "conv":
            self._judge_consistency(case)
        self._show_progress()

    def _show_progress(self) -> None:
        if self.progress is not None:
            seconds = time.monotonic() - self.begun
            failures = self.ledger.failures
            self.progress(len(self.judged), self.planned, seconds, failures)

    def _judge_laws(self, case: Case) -> None:
        """Asks laws of a case: two of them in the quick profile, else all."""
        self._check_time()
        judge, turn = self.judge, next(self.turns)
        laws = judge.laws(case)
        if laws and self._is_timed():
            laws = [laws[turn % len(laws)], laws[(turn + 1) % len(laws)]]
        verdicts = [judge.law(law, case) for law in laws]
        functions = judge.survey.fitting_functions(case)
        if functions:
            function = functions[turn % len(functions)]
            threads = 2 if turn % _THREADED == 0 else None
            verdicts.append(judge.repeats(case, function, threads))
            if turn // len(functions) % 2:
                verdicts.append(judge.memory(case, function))
            else:
                verdicts += judge.history(case, function)
        for verdict in filter(None, verdicts):
            self.ledger.add(verdict)

    def _judge_consistency(self, case: Case) -> None:
        """Notes whether gradients and a wrong forward pass at least fit together."""
        if not any(key[:2] == ("conv", "y") for key in self.ledger.seen):
            return
        fits = self.judge.is_consistent(case)
        if fits is not None:
            self.consistent = True
            what = "are" if fits else "are not"
            self.notes.append(
                f"the gradients {what} those of the wrong forward pass: "
                f"<dy, y> {'==' if fits else '!='} <dx, x>"
            )

    def _reported(self, found: tuple[Finding, ...]) -> Report:
        slopes = sorted(self.judge.slopes)
        if slopes:
            self.notes.append(f"relu_backward: the slope at 0 is {', '.join(slopes)}")
        if self.problem is None and not self.ledger.judged_any:
            self.problem = (
                "every function is missing or refuses its input"
                if not self.judge.survey.open_kinds()
                else "the time was over before anything was judged"
            )
        unsupported = dict(self.judge.survey.summary())
        known = set(unsupported.values())
        for function, reason in self.ledger.lacking.items():
            if reason not in known:
                unsupported[f"{function}, some calls"] = reason
        for name, function in self._absent():
            unsupported[f"{name} of {function}"] = "None was returned"
        return Report(
            subject=self.name,
            versions=self.judge.runner.facts.versions,
            profile="shapes" if self.shapes is not None else self.profile,
            seed=self.seed,
            dtypes=self.dtypes,
            arithmetic=self.judge.arithmetic.text,
            seconds=time.monotonic() - self.begun,
            configurations=len(self.judged),
            planned=self.planned,
            tallies=self.ledger.tallies,
            unsupported=unsupported,
            notes=tuple(self.notes),
            findings=found,
            problem=self.problem,
            laws=self.ledger.laws,
            strict=self.strict,
            incomplete=tuple(self._incomplete()),
        )

    def _absent(self) -> Iterator[tuple[str, str]]:
        """Yields the gradients that were not given, and of what function.

        That of the bias is not missed where the forward pass has none.
        """
        for output, function in sorted(self.judge.absent):
            forward = function.removesuffix("_backward")
            lacks = self.judge.survey.skipped.get(forward, set())
            if not (output == "db" and "bias" in lacks):
                yield output, function

    def _incomplete(self) -> Iterator[str]:
        """Yields what keeps this from being a verdict on all that the subject has."""
        yield from self.cut
        given_up = self.judge.survey.given_up
        for function, tally in self.ledger.tallies.items():
            reason = given_up.get(function) or self.ledger.lacking.get(function)
            if not tally.passed + tally.failed:
                reason = reason or "the time was over before its turn came"
                yield f"{function} was not judged: {reason}"
            elif function in given_up:
                yield f"{function}: {reason}"
        for output, function in self._absent():
            yield f"{function}: {output} was not judged: None was returned"
        if self.shapes is None:
            yield from self._too_few()

    def _too_few(self) -> Iterator[str]:
        """Yields a sentence on the features that were judged too seldom."""
        told: dict[str, list[str]] = {}
        for kind, function in self.judge.survey.open_pairs():
            if names := ", ".join(self._scarce(function, kind)):
                told.setdefault(names, []).append(function)
        for names, functions in told.items():
            which = ", ".join(functions)
            yield f"{which}: fewer than {ENOUGH} configurations of {names}"
