"""What a subject has, as far as it is known: declared, or learnt from its answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from rot180.check.cases import (
    CORE,
    DTYPES,
    KINDS,
    LOUD,
    OUTPUTS,
    SHARED,
    Case,
    Kind,
    alone,
    plain,
    variants,
    without,
)
from rot180.check.judge._oracle import functions_of, result_shapes
from rot180.check.subjects import (
    MEMORY,
    Outcome,
    Raised,
    Runner,
    Unsupported,
    Values,
    arrays_of,
)

Call = Callable[[Case, str], Outcome]


@dataclass(slots=True)
class Survey:
    """What a subject has and has not.

    A function need not have every feature. That it has not, it says by lacking the
    parameter, by NotImplementedError or by raising an error of its own; what is not of
    everyday use it may also refuse by an error from elsewhere. When a call is turned
    down so, each feature of the call that no earlier call has shown to be there is
    asked for alone.

    Attributes:
        runner: Of the subject.
        only: The functions that are wanted; all if empty.
        skipped: Of each function, the features that it does not have.
        shown: Of each function, the features of calls that it has answered.
        given_up: Functions that are not called, or no longer, and why.
        unsupported: Features and functions that it does not have, and why.
        broken: Functions whose errors nothing excuses: the plainest cases raise them.
    """

    runner: Runner
    only: Collection[str] = ()
    skipped: dict[str, set[str]] = field(default_factory=dict)
    shown: dict[str, set[str]] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def declare(self, lacking: Collection[str], dtypes: Collection[str]) -> None:
        """Takes down what the subject, or the caller, says that it does not have."""
        self.unsupported |= self.runner.facts.unsupported
        self.unsupported |= dict.fromkeys(lacking, "left out as asked")
        left_out = {*DTYPES} - set(dtypes)
        features = {n for n in self.unsupported if n not in OUTPUTS} | left_out
        for function in OUTPUTS:
            self.skipped[function] = set(features)
            if function not in self.runner.facts.functions:
                self.unsupported.setdefault(function, "not there")
            elif function in self.unsupported:
                self.given_up[function] = self.unsupported[function]
            elif self.only and function not in self.only:
                self.given_up[function] = "not asked for"

    def open_functions(self, kind: Kind) -> tuple[str, ...]:
        """Returns the functions of an operation that can still be judged."""
        return tuple(
            name
            for name in functions_of(kind)
            if name in self.runner.facts.functions and name not in self.given_up
        )

    def open_kinds(self) -> tuple[Kind, ...]:
        """Returns the operations of which a function can still be judged."""
        return tuple(kind for kind in KINDS if self.open_functions(kind))

    def open_pairs(self) -> Iterator[tuple[Kind, str]]:
        """Yields every function that can still be judged, with its operation."""
        for kind in self.open_kinds():
            for function in self.open_functions(kind):
                yield kind, function

    def fitting_functions(self, case: Case) -> tuple[str, ...]:
        """Returns the functions that can be judged on a case."""
        features = case.features()
        return tuple(
            name
            for name in self.open_functions(case.kind)
            if not features & self.lacks(name, case.kind)
        )

    def lacks(self, function: str, kind: Kind) -> set[str]:
        """Returns the features that are not asked of a function.

        What the forward pass does not have is not asked of its gradients.
        """
        forward = functions_of(kind)[0]
        if forward not in self.open_functions(kind):
            return self.skipped[function]
        return self.skipped[function] | self.skipped[forward]

    def missing(self, kind: Kind) -> set[str]:
        """Returns the features that no function of an operation has."""
        lacks = [self.lacks(name, kind) for name in self.open_functions(kind)]
        return set.intersection(*lacks) if lacks else set()

    def excuse(
        self, case: Case, function: str, outcome: Outcome, call: Call
    ) -> str | None:
        """Returns why a call was turned down, None if nothing excuses what it gave.

        For that it may `call` the function plainly on other configurations.
        """
        reason = self._refusal(case, function, outcome)
        if reason is None:
            if isinstance(outcome, Values):
                self.shown.setdefault(function, set()).update(case.features())
            return None
        learnt = self._learn(case, function, call)
        if learnt is None and _is_slip(outcome):
            return None
        return learnt or reason

    def fitting_memory(self, function: str) -> tuple[str, ...]:
        """Returns how the operands of a function may lie besides plainly."""
        return tuple(m for m in MEMORY[1:] if m not in self.skipped.get(function, ()))

    def excuses_memory(
        self, case: Case, function: str, memory: str, outcome: Outcome
    ) -> bool:
        """Whether a call was turned down because its operands lie so.

        An error that is no `raise` of the subject's is a refusal only where no other
        call with such operands was answered.
        """
        reason = self._refusal(case, function, outcome)
        is_shown = memory in self.shown.get(function, ())
        if reason is None or (is_shown and _is_slip(outcome)):
            return False
        if not is_shown:
            self.skipped.setdefault(function, set()).add(memory)
            self.unsupported[f"{function}: {memory} operands"] = reason
        return True

    def _refusal(self, case: Case, function: str, outcome: Outcome) -> str | None:
        """Returns in which words a call was turned down, None if it was not."""
        match outcome:
            case Unsupported(reason):
                return reason
            case Raised(kind, message):
                lines = message.strip().splitlines() or ["no message"]
                return f"refused with {kind}: {lines[0]}"
            case Values():
                if case.features() & LOUD - self.shown.get(function, set()):
                    wanted = result_shapes(case, function)
                    for array, shape in zip(outcome.results, wanted, strict=False):
                        if isinstance(array, np.ndarray) and array.shape != shape:
                            return f"it answers in shape {array.shape}, not {shape}"
                # Course code allocates with `np.zeros(shape)`; it promises no dtype.
                dtypes = {str(a.dtype) for a in arrays_of(outcome)} - {case.dtype}
                if dtypes and self.runner.facts.adapted:
                    return f"it answers in {dtypes.pop()}"
        return None

    def _lack(
        self, case: Case, function: str, features: set[str], outcome: Outcome
    ) -> str | None:
        """Returns why a function has not the features that a plain case has.

        An error that is no `raise` of the subject's own is a slip, not a refusal, if
        every function has to have the features, or all passes that one of them has.
        """
        reason = self._refusal(case, function, outcome)
        if reason is None or not _is_slip(outcome):
            return reason
        others = [self.shown.get(name, set()) for name in functions_of(case.kind)]
        had = set(CORE) | SHARED & set().union(*others)
        return None if features <= had and not features & LOUD else reason

    def _learn(self, case: Case, function: str, call: Call) -> str | None:
        """Asks for the features of a case one by one; returns why one is not there."""
        reason = self._learn_base(case, function, call)
        if reason is not None or function in self.broken:
            return reason
        known = self.shown.setdefault(function, set())
        for feature in sorted(case.features() - known - self.skipped[function]):
            single = alone(feature, case)
            if single is None:
                continue
            single = without(single, self.skipped[function])
            if feature not in single.features():
                continue
            why = self._lack(single, function, {feature}, call(single, function))
            if why is not None:
                self._lacks(function, feature, why)
                reason = reason or why
            else:
                known.add(feature)
        return reason

    def _learn_base(self, case: Case, function: str, call: Call) -> str | None:
        """Asks for the rank and dtype of a case; gives up if nothing plain works."""
        if function in self.broken:
            return None
        base = plain(case.kind, rank=case.rank, dtype=case.dtype)
        base = without(base, self.skipped[function])
        outcome = call(base, function)
        why = self._lack(base, function, set(base.features()), outcome)
        if why is None:
            return None
        is_slip = _is_slip(outcome)
        for other in variants(case, self.skipped[function], declared=not is_slip):
            if function in self.given_up:
                return why
            if other.features() & self.skipped[function]:
                continue
            if self._refusal(other, function, call(other, function)) is None:
                for feature in base.features() - other.features():
                    self._lacks(function, feature, why)
                return why
        if is_slip:  # on the plainest case nothing excuses it
            self.broken.add(function)
            return None
        if not self.shown.get(function):
            self.unsupported[function] = self.given_up[function] = why
        return why

    def _lacks(self, function: str, feature: str, reason: str) -> None:
        self.skipped[function].add(feature)
        self.unsupported[f"{function}: {feature}"] = reason

    def summary(self) -> Iterator[tuple[str, str]]:
        """Yields what is not there, and why; a feature that several lack once."""
        merged: dict[tuple[str, str], list[str]] = {}
        for name, reason in self.unsupported.items():
            function, _, feature = name.partition(": ")
            if feature:
                merged.setdefault((feature, reason), []).append(function)
            else:
                yield name, reason
        for (feature, reason), functions in merged.items():
            yield f"{feature} in {', '.join(functions)}", reason
        for function, reason in self.given_up.items():
            if reason.startswith("not called"):
                yield f"{function}, the rest", reason


def _is_slip(outcome: Outcome) -> bool:
    """Whether an error was none of the subject's own words of refusal."""
    if not isinstance(outcome, Raised):
        return False
    return not (outcome.explicit and outcome.refusal)
