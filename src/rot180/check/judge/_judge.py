"""Judging one configuration: calling the subject and comparing with the oracle."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from rot180.check.cases import OUTPUTS, Case
from rot180.check.judge._arithmetic import Arithmetic
from rot180.check.judge._failure import Failure, Reason
from rot180.check.judge._laws import LAWS, Law
from rot180.check.judge._oracle import (
    Operands,
    arguments,
    arrays,
    expected,
    operands,
    too_large,
)
from rot180.check.judge._samples import sampled
from rot180.check.judge._survey import Survey
from rot180.check.subjects import (
    EARLIER,
    Array,
    Died,
    Outcome,
    Raised,
    Runner,
    TimedOut,
    Values,
    differing,
    number,
)

# Above so many multiplications the reference is not asked; the laws are, and single
# positions of the forward pass.
_REFERENCE: Final = 4 * 10**8
_UNCOMPARED: Final = "too large for the oracle; only laws are asked of it"
# After so many calls that hung or ended the process, a function is not called again.
_PATIENCE: Final = 2
_INPUT_GRADS: Final = ("conv_input_grad", "conv_backward")
# Calls before a failure that are tried as its cause.
_REMEMBERED: Final = 12

# A call that was made: the case, the function, the operands.
Made = tuple[Case, str, Operands]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one function on one configuration.

    `unsupported` says why it could not be judged; otherwise it is right if there are no
    failures.
    """

    case: Case
    function: str
    failures: tuple[Failure, ...] = ()
    unsupported: str | None = None
    law: str | None = None


class _NotJudged(Exception):
    """A call of a law gave no values; its argument is the verdict on that call."""


@dataclass(slots=True)
class Judge:
    """Judges configurations of one subject.

    Attributes:
        runner: Calls the subject.
        arithmetic: What equality means.
        survey: What the subject has.
        slopes: The slopes that `relu_backward` was seen to take at 0.
        absent: Gradients in whose place None was returned, and of what function.
        probed: On calls that asked for a feature and were not survived.
        earlier: For each failure, by function and case, the calls before it.
    """

    runner: Runner
    arithmetic: Arithmetic
    survey: Survey
    slopes: set[str] = field(default_factory=set)
    absent: set[tuple[str, str]] = field(default_factory=set)
    probed: list[Verdict] = field(default_factory=list)
    earlier: dict[tuple[str, Case], tuple[Made, ...]] = field(default_factory=dict)
    _recent: deque[Made] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _endings: dict[str, int] = field(default_factory=dict)

    def operands(self, case: Case) -> dict[str, Array]:
        """Returns the operands to judge a case on."""
        return operands(case, most=self.arithmetic.largest)

    def verdicts(self, case: Case) -> Iterator[Verdict]:
        """Judges every function of the case's operation against the oracle."""
        given = self.operands(case)
        for function in self.survey.fitting_functions(case):
            if function in self.survey.fitting_functions(case):  # by what was learnt
                yield self.verdict(case, function, given)

    def verdict(
        self, case: Case, function: str, given: Operands, law: str = "reference"
    ) -> Verdict:
        """Judges one call against the oracle."""
        made = (case, function, given)
        outcome = self.call(*made)
        excuse = self.survey.excuse(case, function, outcome, self._plain_call)
        if excuse is not None:
            return Verdict(case, function, unsupported=excuse)
        failures = tuple(self._failures(made, outcome, law))
        known = case.work() <= _REFERENCE or _is_sampled(case, function)
        if not failures and not known:
            return Verdict(case, function, unsupported=_UNCOMPARED)
        if isinstance(outcome, Values) and any(f.reason == "values" for f in failures):
            again = self.call(*made)
            if isinstance(again, Values) and not _same_bits(outcome, again):
                failures = (_unsteady(made),)
        if failures:
            self.earlier[function, case] = tuple(self._recent)[:-1]
        return Verdict(case, function, failures)

    def _plain_call(self, case: Case, function: str) -> Outcome:
        """Asks for a feature; a call that is not survived is none of the answers."""
        made = (case, function, self.operands(case))
        outcome = self.call(*made)
        if isinstance(outcome, Died | TimedOut):
            found = self._failures(made, outcome, "reference")
            self.probed.append(Verdict(case, function, tuple(found)))
        return outcome

    def call(
        self, case: Case, function: str, given: Operands, memory: str = "plain"
    ) -> Outcome:
        """Calls the subject; counts the calls that it did not survive."""
        pairs = arguments(case, function, given)
        options, droppable = case.options(), case.droppable()
        outcome = self.runner.call(function, pairs, options, droppable, memory=memory)
        self._recent.append((case, function, given))
        if isinstance(outcome, Died | TimedOut):
            self._endings[function] = self._endings.get(function, 0) + 1
            if self._endings[function] >= _PATIENCE:
                what = "hung" if isinstance(outcome, TimedOut) else "ended the process"
                text = f"not called again: it {what} {_PATIENCE} times"
                self.survey.given_up[function] = text
        return outcome

    def _failures(self, made: Made, outcome: Outcome, law: str) -> Iterator[Failure]:
        failure, function = partial(_failure, made, law), made[1]
        match outcome:
            case Raised(kind, message, where):
                place = f" at {where}" if where else ""
                yield failure("raised", f"{function} raised {kind}{place}: {message}")
            case Died(how, last):
                ending = f"; its last words: {last}" if last else ""
                yield failure("died", f"{function}: the process {how}{ending}")
            case TimedOut(seconds):
                yield failure("timeout", f"{function} did not return in {seconds:g} s")
            case Values(results, wrote):
                for name in wrote:
                    what = name if name == EARLIER else f"its operand {name}"
                    yield failure("wrote", f"{function} changed {what}", name)
                yield from self._wrong_values(made, results, failure)

    def _wrong_values(
        self, made: Made, results: tuple[Any, ...], failure: Callable[..., Failure]
    ) -> Iterator[Failure]:
        _, function, given = made
        for name, got, want, bound in self._compared(made, results):
            problem = _unlike(function, name, got, want)
            if problem:
                yield failure(*problem, name, expected=want, got=_or_none(got))
                if problem[0] != "dtype":
                    continue
            wrong = differing(got, want, bound)
            if function == "relu_backward":
                wrong = wrong & ~self._admitted(got, given)
            if wrong.any():
                problem = _values_message(function, name, got, want, wrong)
                yield failure(*problem, name, expected=want, got=got, bound=bound)

    def _compared(
        self, made: Made, results: tuple[Any, ...]
    ) -> Iterator[tuple[str, Any, Array, Array | None]]:
        """Yields each output: its name, what came, what is right, and the bound.

        Of a large problem only some positions of the forward pass.
        """
        case, function, given = made
        if case.work() > _REFERENCE:
            if _is_sampled(case, function):
                yield from sampled(case, given, results[0], self.arithmetic)
            return
        right = expected(*made)
        bounds = self.arithmetic.bounds(*made, len(right))
        named = zip(OUTPUTS[function], results, right, bounds, strict=False)
        for name, *values in named:
            # A gradient that is not given is not judged; nothing at all is no result.
            if values[0] is not None or all(result is None for result in results):
                yield (name, *values)
            elif not isinstance(results[0], str):
                self.absent.add((name, function))

    def _admitted(self, got: Array, given: Operands) -> Array:
        """Where `x` is 0, any slope from 0 to 1 is right; which one is noted."""
        at_zero = given["x"] == 0
        share = got / given["dy"]  # which is never 0
        fine = at_zero & (share >= 0) & (share <= 1)
        self.slopes.update(f"{abs(s):g}" for s in np.unique(share[fine]).tolist())
        return np.asarray(fine)

    def laws(self, case: Case) -> list[Law]:
        """Returns the laws that can be asked of the case."""
        if self.arithmetic.name != "exact":
            return []
        functions = self.survey.fitting_functions(case)
        return [law for law in LAWS if law.concerns(case, functions)]

    def law(self, law: Law, case: Case) -> Verdict | None:
        """Judges a law; None where one of its calls was turned down.

        The calls of a broken law are held against the oracle, to name the one that is
        wrong; where the oracle finds none, the law itself is the failure.
        """
        calls: list[Made] = []

        def ask(of: Case, function: str, given: Operands) -> tuple[Array, ...]:
            if function not in self.survey.fitting_functions(of):
                raise KeyError(function)
            calls.append((of, function, given))
            outcome = self.call(*calls[-1])
            if not isinstance(outcome, Values):
                raise _NotJudged(self._fallen(calls[-1], outcome, law.name))
            named = zip(OUTPUTS[function], outcome.results, strict=True)
            if any(result is None for name, result in named if name != "db"):
                raise _NotJudged(None)
            return outcome.results  # type: ignore[return-value]

        name = next(n for n in law.needs[-1] if n in self.runner.facts.functions)
        try:
            holds = law.holds(ask, case, np.random.default_rng([case.seed, 1]))
        except KeyError:
            return None
        except _NotJudged as fallen:
            return fallen.args[0]  # type: ignore[no-any-return]
        except (TypeError, ValueError, IndexError, AttributeError, ArithmeticError):
            holds = False  # answers of another shape, no arrays, no finite numbers
        if holds:
            return Verdict(case, name, law=law.name)
        asked = () if law.alone or case.work() > _REFERENCE else calls
        for made in asked:
            found = self.verdict(*made, law.name)
            if found.failures:
                return replace(found, law=law.name)
        message = f"{law.name}: {law.text} does not hold"
        used = arrays(*calls[-1])
        output = OUTPUTS[name][0]
        fault = Failure(case, name, output, "values", message, law.name, used)
        return Verdict(case, name, (fault,), law=law.name)

    def memory(self, case: Case, function: str) -> Verdict | None:
        """Judges whether operands that lie otherwise give the same bits.

        They may be added in another order then, so only where no sum is rounded.
        """
        if self.arithmetic.name != "exact" or case.kind == "avg_pool":
            return None
        made = (case, function, self.operands(case))
        plain = self.call(*made)
        if not isinstance(plain, Values):
            return self._fallen(made, plain, "memory")
        for memory in self.survey.fitting_memory(function):
            other = self.call(*made, memory)
            if not isinstance(other, Values):
                return self._fallen(made, other, "memory", memory)
            self.survey.shown.setdefault(function, set()).add(memory)
            named = zip(OUTPUTS[function], other.results, plain.results, strict=False)
            for name, got, want in named:
                if _bits(got) != _bits(want):
                    text = _MEMORY[memory]
                    message = f"{function}: {name} is another where the operands {text}"
                    arrays = {"expected": _or_none(want), "got": _or_none(got)}
                    found = _failure(
                        made, "memory", "values", message, name, memory=memory, **arrays
                    )
                    return Verdict(case, function, (found,), law="memory")
        return Verdict(case, function, law="memory")

    def _fallen(
        self, made: Made, outcome: Outcome, law: str, memory: str = "plain"
    ) -> Verdict | None:
        """Returns the verdict on a call without values, None if it was turned down."""
        case, function, _ = made
        if memory != "plain":
            excused = self.survey.excuses_memory(case, function, memory, outcome)
        else:
            reason = self.survey.excuse(case, function, outcome, self._plain_call)
            excused = reason is not None
        if excused:
            return None
        found = self._failures(made, outcome, law)
        failures = tuple(replace(failure, memory=memory) for failure in found)
        return Verdict(case, function, failures, law=law)

    def history(self, case: Case, function: str) -> Iterator[Verdict | None]:
        """Judges calls of the same shapes with other options, and then the first again.

        What a subject keeps from one call to the next must not depend on shapes alone.
        """
        made = (case, function, self.operands(case))
        for other in _same_shapes(case):
            if function not in self.survey.fitting_functions(other):
                continue
            first = self.call(*made)
            if not isinstance(first, Values):
                yield self._fallen(made, first, "history")
                return
            verdict = self.verdict(other, function, self.operands(other), "history")
            failures = tuple(replace(f, before=made) for f in verdict.failures)
            yield replace(verdict, failures=failures, law="history")

    def repeats(self, case: Case, function: str, threads: int | None) -> Verdict | None:
        """Judges whether the same call gives the same bits, with more threads too."""
        made = (case, function, self.operands(case))
        first = self.call(*made)
        if threads is not None and not self.runner.set_threads(threads):
            return None
        again = self.call(*made)
        if threads is not None:
            self.runner.set_threads(1)
        if not (isinstance(first, Values) and isinstance(again, Values)):
            fallen = again if isinstance(first, Values) else first
            return self._fallen(made, fallen, "repeat")
        how = "a second time" if threads is None else f"with {threads} threads"
        failures = () if _same_bits(first, again) else (_unsteady(made, how),)
        return Verdict(case, function, failures, law="repeat")

    def is_consistent(self, case: Case) -> bool | None:
        """Returns whether the gradients are those of the subject's own forward pass.

        Within a thousandth, so that it can be said of inexact arithmetic, too; None if
        it has no such gradients.
        """
        given = {n: a for n, a in self.operands(case).items() if n != "b"}
        functions = self.survey.fitting_functions(case)
        backward = next((n for n in _INPUT_GRADS if n in functions), None)
        if backward is None or "conv" not in functions:
            return None
        forward = self.call(case, "conv", given)
        gradient = self.call(case, backward, given)
        if not (isinstance(forward, Values) and isinstance(gradient, Values)):
            return None
        y, dx = forward.results[0], gradient.results[0]
        if _unlike("", "", y, given["dy"]) or _unlike("", "", dx, given["x"]):
            return None
        products = [given["dy"] * y, given["x"] * dx]
        one, other = (float(p.sum(dtype="float64")) for p in products)
        slack = sum(float(np.abs(p).sum(dtype="float64")) for p in products) / 1000
        return abs(one - other) <= slack


def _failure(
    made: Made, law: str, reason: Reason, message: str, output: str = "", **more: Any
) -> Failure:
    case, function, _ = made
    return Failure(case, function, output, reason, message, law, arrays(*made), **more)


def _unsteady(made: Made, how: str = "a second time") -> Failure:
    message = f"{made[1]} gave other numbers {how}"
    return _failure(made, "repeat", "repeat", message, OUTPUTS[made[1]][0])


def _is_sampled(case: Case, function: str) -> bool:
    """Whether single positions of the result are known where it is large."""
    return function == "conv" and case.layout == "channels_first"


# How operands lie, by the names of `Runner.call`.
_MEMORY: Final = {
    "fortran": "lie column by column",
    "strided": "are views with gaps between their numbers",
}


def _same_shapes(case: Case) -> Iterator[Case]:
    """Yields cases of the same shapes of `x` and `w`, of other dtype or options."""
    other = "float64" if case.dtype == "float32" else "float32"
    wide = 8 * case.seed + 1  # the style of the largest values
    candidates = [replace(case, dtype=other, seed=wide)]
    if case.kind == "conv":
        longer = tuple(step + 1 for step in case.stride)
        candidates.append(replace(case, stride=longer, seed=wide))
    for candidate in candidates:
        alike = (candidate.x_shape, candidate.w_shape) == (case.x_shape, case.w_shape)
        if alike and too_large(candidate) is None:
            yield candidate


def _bits(result: Any) -> Any:
    """What has to be the same again; adding 0 makes -0.0 the 0.0 that it equals."""
    if not isinstance(result, np.ndarray):
        return result
    return result.shape, result.dtype.str, (result + 0).tobytes()


def _or_none(result: Any) -> Array | None:
    return result if isinstance(result, np.ndarray) else None


def _same_bits(a: Values, b: Values) -> bool:
    return [*map(_bits, a.results)] == [*map(_bits, b.results)]


def _unlike(
    function: str, name: str, got: Any, want: Array
) -> tuple[Reason, str] | None:
    """Returns what is wrong before any number is looked at."""
    if not isinstance(got, np.ndarray):
        return "type", f"{function}: {name} is {got}, not an array"
    if got.shape != want.shape:
        return "shape", f"{function}: {name} has shape {got.shape}, not {want.shape}"
    if got.dtype != want.dtype:
        return "dtype", f"{function}: {name} is {got.dtype}, not {want.dtype}"
    return None


def _values_message(
    function: str, name: str, got: Array, want: Array, wrong: Array
) -> tuple[Reason, str]:
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    first = f"{name}{list(at)} is {number(got[at])}, not {number(want[at])}"
    count = f"{int(wrong.sum())} of {wrong.size} numbers are wrong"
    if np.isnan(got).any():
        what = f"{name} holds NaN, or was not written"
        return "nan", f"{function}: {what}; {count}; {first}"
    return "values", f"{function}: {count}; {first}"
