"""A line of the table of known mistakes, and the ways to write one.

A line says what one alteration of the right computation would give. The functions here
turn an alteration of the window, of the operands or of the result into a prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rot180.check.cases import Case
from rot180.check.diagnose._pool import PoolProblem
from rot180.check.diagnose._problem import ConvProblem, PlainProblem, Problem
from rot180.check.diagnose._sums import Array, Dim, Pass, meets

__all__ = [
    "ALL", "CONV", "POOL", "Mistake", "Seen", "conv", "dims", "ends", "every", "only",
    "operand", "pooling", "result", "window",
]  # fmt: skip

CONV = ("y", "x", "w")
POOL = ("max", "max_back", "avg", "avg_back")
ALL = (*CONV, *POOL, "db", "relu", "relu_backward")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One call to be explained; arrays as `canonical` gives them.

    Attributes:
        case: The configuration.
        output: Which output, by its name in reports.
        problem: What had to be computed.
        expected: The right result.
        got: What came; None if nothing is to be explained.
        bound: The largest difference allowed.
    """

    case: Case
    output: str
    problem: Problem
    expected: Array
    got: Array | None = None
    bound: Array | None = None


Predict = Callable[[Seen], Iterable[Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """A known mistake.

    Attributes:
        name: Short and fixed; a diagnosis puts the output before it.
        text: What is wrong, to stand behind the name of the output.
        kind: Its number among the kinds of mistakes seen in the field, or None.
        roles: The passes in which it is looked for.
        predict: What it would give: none if it does not apply, several if it has forms.
        detail: The text for one call that the mistake explains, told in place of `text`
            where it is the same for all.
    """

    name: str
    text: str
    kind: int | None
    roles: tuple[str, ...]
    predict: Predict
    detail: Callable[[Seen], str] | None = None


def dims(change: Callable[[Dim], Dim | None]) -> Predict:
    """Predicts with every dimension altered; a dimension may be left as it is."""
    return window(lambda given: tuple(change(dim) or dim for dim in given))


def only(which: int, change: Callable[[Dim], Dim | None]) -> Predict:
    """Predicts with one of several dimensions altered."""

    def altered(given: tuple[Dim, ...]) -> tuple[Dim, ...] | None:
        if len(given) < 2:
            return None
        new = list(given)
        new[which] = change(new[which]) or new[which]
        return tuple(new)

    return window(altered)


def window(change: Callable[[tuple[Dim, ...]], tuple[Dim, ...] | None]) -> Predict:
    """Predicts with the dimensions altered together."""

    def predict(seen: Seen) -> Iterator[Array]:
        problem = seen.problem
        if isinstance(problem, PlainProblem):
            return
        new = change(problem.dims)
        if new is not None and new != problem.dims:
            yield problem.value(dims=new)

    return predict


def ends(change: Callable[[Array, Dim], Array | None]) -> Predict:
    """Predicts with the table of where input and output meet altered."""

    def predict(seen: Seen) -> Iterator[Array]:
        problem = seen.problem
        if not isinstance(problem, ConvProblem):
            return
        right = [meets(dim) for dim in problem.dims]
        new = [change(t.copy(), d) for t, d in zip(right, problem.dims, strict=True)]
        if any(table is not None for table in new):
            pairs = zip(new, right, strict=True)
            yield problem.value(meets=tuple(t if n is None else n for n, t in pairs))

    return predict


def every(*predictions: Predict) -> Predict:
    """Predicts each of several forms of one mistake."""

    def predict(seen: Seen) -> Iterator[Array]:
        for one in predictions:
            yield from one(seen)

    return predict


def conv(change: Callable[[ConvProblem], ConvProblem | Array | None]) -> Predict:
    """Predicts with the convolution altered, or its grouped output before the bias."""

    def predict(seen: Seen) -> Iterator[Array]:
        problem = seen.problem
        if not isinstance(problem, ConvProblem):
            return
        new = change(problem)
        if new is not None:
            new = new.value() if isinstance(new, ConvProblem) else problem.finished(new)
            yield new

    return predict


def operand(name: Pass, change: Callable[[Array], Array]) -> Predict:
    """Predicts with one operand of the convolution altered, where it is one."""
    return conv(lambda p: p.reading(**{name: change}) if name != p.out else None)


def pooling(change: Callable[[PoolProblem], PoolProblem | Array | None]) -> Predict:
    """Predicts with a rule of the pooling altered."""

    def predict(seen: Seen) -> Iterator[Array]:
        if not isinstance(seen.problem, PoolProblem):
            return
        new = change(seen.problem)
        if new is not None:
            yield new.value() if isinstance(new, PoolProblem) else new

    return predict


def result(change: Callable[[Seen], Array | None]) -> Predict:
    """Predicts from the whole call."""

    def predict(seen: Seen) -> Iterator[Array]:
        new = change(seen)
        if new is not None:
            yield new

    return predict
