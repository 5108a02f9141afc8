"""A line of the table of known mistakes, and the ways to write one.

A line says what one alteration of the right computation would give. The functions here
turn an alteration of the window, of the operands or of the result into a prediction.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rot180.check.cases import Case
from rot180.check.diagnose._pool import PoolProblem
from rot180.check.diagnose._problem import ConvProblem, PlainProblem, Problem
from rot180.check.diagnose._sums import Array, Dim, Dims, Pass, Rule, tables

__all__ = [
    "ALL", "CONV", "POOL", "Mistake", "Predict", "Seen", "conv", "dims", "ends",
    "every", "only", "operand", "pooling", "result", "window",
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


def result(change: Callable[[Seen], Array | None]) -> Predict:
    """Predicts from the whole call."""

    def predict(seen: Seen) -> Iterator[Array]:
        new = change(seen)
        if new is not None:
            yield new

    return predict


def every(*predictions: Predict) -> Predict:
    """Predicts each of several forms of one mistake."""
    return lambda seen: itertools.chain.from_iterable(p(seen) for p in predictions)


def window(change: Callable[[Dims], Dims]) -> Predict:
    """Predicts with the dimensions altered together."""

    def changed(seen: Seen) -> Array | None:
        problem = seen.problem
        if isinstance(problem, PlainProblem):
            return None
        new = change(problem.dims)
        return None if new == problem.dims else replace(problem, dims=new).value()

    return result(changed)


def dims(**rules: Rule) -> Predict:
    """Predicts with every dimension altered, each field by its rule."""
    return window(lambda given: tuple(dim.by(**rules) for dim in given))


def only(which: int, **rules: Rule) -> Predict:
    """Predicts with one of several dimensions altered."""

    def altered(given: Dims) -> Dims:
        new = list(given)
        if len(given) > 1:
            new[which] = new[which].by(**rules)
        return tuple(new)

    return window(altered)


def conv(change: Callable[[ConvProblem], ConvProblem | Array | None]) -> Predict:
    """Predicts with the convolution altered, or its grouped output before the bias."""

    def changed(seen: Seen) -> Array | None:
        if not isinstance(seen.problem, ConvProblem):
            return None
        new = change(seen.problem)
        if isinstance(new, ConvProblem):
            return new.value()
        return None if new is None else seen.problem.finished(new)

    return result(changed)


def ends(change: Callable[[Array, Dim], Array | None]) -> Predict:
    """Predicts with the table of where input and output meet altered."""

    def changed(problem: ConvProblem) -> Array | None:
        right = tables(problem.dims)
        new = [change(t.copy(), d) for t, d in zip(right, problem.dims, strict=True)]
        if all(table is None for table in new):
            return None
        pairs = zip(new, right, strict=True)
        return problem.grouped(tuple(t if n is None else n for n, t in pairs))

    return conv(changed)


def operand(name: Pass, change: Callable[[Array], Array]) -> Predict:
    """Predicts with one operand of the convolution altered, where it is one."""
    return conv(lambda p: p.reading(**{name: change}) if name != p.out else None)


def pooling(change: Callable[[PoolProblem], PoolProblem | Array | None]) -> Predict:
    """Predicts with a rule of the pooling altered, or its output."""

    def changed(seen: Seen) -> Array | None:
        if not isinstance(seen.problem, PoolProblem):
            return None
        new = change(seen.problem)
        return new.value() if isinstance(new, PoolProblem) else new

    return result(changed)
