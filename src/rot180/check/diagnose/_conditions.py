"""What the configurations that go wrong have in common, and those that pass do not."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rot180.check.cases import CONV, DTYPES, Case
from rot180.check.diagnose._shapes import SHARED
from rot180.check.diagnose._sums import Array

__all__ = ["Condition", "condition", "holds"]

# Fewer tell nothing; two that are wrong tell something only if much is right, and of
# what is known to go wrong.
_FEWEST_WRONG: Final = 3
_FEWEST_RIGHT: Final = 8
_RIGHT_OF_FEW: Final = 30
_LIKELY: Final = ("groups > 1", "stride > 1")
# Right calls that a condition may include, as a part of the wrong ones: on some the
# mistake does no harm by chance.
_LENIENCE: Final = 0.15
_MOST_PASSES: Final = 800
# Of a text, without the output's name.
_WIDTH: Final = 75

Test = Callable[[Case], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """A statement about configurations that separates the wrong from the right.

    Attributes:
        parts: The statements that hold together, such as `"groups > 1"`.
        counts: The parts that equate a count of channels or groups with a number.
        wrong: How many of the wrong configurations it holds for.
        right: How many of the right ones.
        exact: Whether it holds for all that are wrong and for none that is right.
        passed: How many right ones there are.
    """

    parts: tuple[str, ...]
    counts: int
    wrong: int
    right: int
    exact: bool
    passed: int

    @property
    def text(self) -> str:
        """The statement, `"wrong exactly when groups > 1 (14 wrong, 61 right)"`."""
        how, right = (
            ("mostly", self.right) if not self.exact else ("exactly", self.passed)
        )
        text = f"wrong {how} when {' and '.join(self.parts)}"
        longer = f"{text} ({self.wrong} wrong, {right} right)"
        return longer if len(longer) <= _WIDTH else text


def _padding(test: Callable[[int, int], bool]) -> Test:
    """Whether any dimension's padding, in numbers, passes a test."""

    def check(case: Case) -> bool:
        if isinstance(case.padding, str):
            return False
        return any(test(low, high) for low, high in case.padding)

    return check


def _differs(name: str) -> Test:
    return lambda case: len(set(getattr(case, name))) > 1


# Statements about a configuration, the simplest and the most general first. Of several
# that separate equally well the first is told.
_STATEMENTS: Final[tuple[tuple[str, Test], ...]] = (
    ("groups > 1", lambda c: c.groups > 1),
    ("groups == 1", lambda c: c.groups == 1),
    ("stride > 1", lambda c: max(c.stride) > 1),
    ("dilation > 1", lambda c: max(c.dilation) > 1),
    ("padding is not 0", _padding(lambda low, high: low != 0 or high != 0)),
    ("padding is asymmetric", _padding(lambda low, high: low != high)),
    ("padding is negative", _padding(lambda low, high: min(low, high) < 0)),
    ("padding is a word", lambda c: isinstance(c.padding, str)),
    ("bias is given", lambda c: c.bias),
    ("flip is set", lambda c: c.flip),
    ("layout is channels_last", lambda c: c.layout == "channels_last"),
    ("output_padding > 0", lambda c: max(c.output_padding) > 0),
    ("ceil_mode is set", lambda c: c.ceil_mode),
    ("not count_include_pad", lambda c: not c.count_include_pad),
    ("divisor_override is given", lambda c: c.divisor_override is not None),
    ("there are no images", lambda c: c.images == 0),
    ("there is no image axis", lambda c: c.images is None),
    ("images > 1", lambda c: (c.images or 0) > 1),
    ("kernel > 1", lambda c: max(c.kernel_size) > 1),
    ("a kernel extent is even", lambda c: any(k % 2 == 0 for k in c.kernel_size)),
    ("kernel == 1", lambda c: set(c.kernel_size) == {1}),
    ("stride leaves a rest", lambda c: any(c.remainder())),
    ("stride and dilation differ", lambda c: c.stride != c.dilation),
    ("stride > kernel", lambda c: any(map(operator.gt, c.stride, c.kernel_size))),
    ("windows overlap", lambda c: any(map(operator.lt, c.stride, c.kernel_size))),
    ("channels in a group > 1", lambda c: c.in_group > 1),
    ("filters in a group > 1", lambda c: c.out_group > 1),
    ("channels != filters", lambda c: c.channels != c.filters),
    ("it is depthwise", lambda c: c.groups > 1 and c.in_group == 1),
    ("strides differ", _differs("stride")),
    ("dilations differ", _differs("dilation")),
    ("kernel is not square", _differs("kernel_size")),
    ("paddings differ", _differs("padding")),
    *((shared.statement, shared.differs) for shared in SHARED),
    ("image is not square", _differs("size")),
    ("an extent is 0", lambda c: 0 in c.size),
    ("an extent is 1", lambda c: 1 in c.size),
    *((f"dtype is {name}", lambda c, name=name: c.dtype == name) for name in DTYPES),
    *((f"rank is {rank}", lambda c, r=rank: c.rank == r) for rank in (1, 2, 3)),
    ("rank > 1", lambda c: c.rank > 1),
)
# Fields of which each value seen among the wrong configurations is a statement too.
_COUNTS: Final = {
    "groups": "groups",
    "channels": "channels",
    "filters": "filters",
    "in_group": "channels in a group",
    "out_group": "filters in a group",
}
_EXTENTS: Final = {
    "kernel_size": "kernel size", "stride": "stride", "dilation": "dilation"
}  # fmt: skip
# What vector widths and blocks make special of a count.
_BY_SIZE: Final[tuple[tuple[str, Callable[[int], bool]], ...]] = (
    *((f"> {limit}", limit.__lt__) for limit in (4, 8, 16, 32)),
    *(
        (f"% {lanes} {rest}", lambda n, lanes=lanes, test=test: test(n % lanes))
        for lanes in (4, 8, 16)
        for rest, test in (
            ("!= 0", bool),
            ("== 0", operator.not_),
            ("== 1", (1).__eq__),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class _Statement:
    text: str
    test: Test
    is_count: bool = False


def _statements(wrong: Sequence[Case]) -> Iterator[_Statement]:
    yield from itertools.starmap(_Statement, _STATEMENTS)
    kinds = {case.kind for case in wrong}
    for field, name in _COUNTS.items() if kinds & {*CONV} else ():
        # A count of 1 is no special count: it says that there is nothing to count.
        for value in sorted({getattr(case, field) for case in wrong} - {1}):
            yield _Statement(f"{name} == {value}", _count(field, value.__eq__), True)
        for text, special in _BY_SIZE:
            yield _Statement(f"{name} {text}", _count(field, special), True)
    for field, name in _EXTENTS.items():
        for value in sorted({v for case in wrong for v in getattr(case, field)}):
            yield _Statement(
                f"a {name} is {value}",
                lambda c, f=field, v=value: v in getattr(c, f),  # type: ignore[misc]
            )
    for value in sorted({case.images for case in wrong if case.images}):
        yield _Statement(f"images == {value}", lambda c, v=value: c.images == v)  # type: ignore[misc]


def _count(field: str, test: Callable[[int], bool]) -> Test:
    return lambda case: test(getattr(case, field))


def holds(parts: Collection[str], case: Case) -> bool:
    """Whether all statements, by their texts, are true of a case."""
    return {s.text for s in _statements([case]) if s.test(case)}.issuperset(parts)


def condition(
    wrong: Sequence[Case], right: Sequence[Case], fewest_right: int = _FEWEST_RIGHT
) -> Condition | None:
    """Returns the simplest statement that separates wrong from right.

    One statement is preferred to two that hold together, an exact one to one that is
    not. None if nothing separates them, or if they are too few to tell.

    Args:
        wrong: Configurations on which the output is wrong.
        right: Those on which it is right.
        fewest_right: How many of them tell something; fewer where each is known to.
    """
    few = len(wrong) < _FEWEST_WRONG and fewest_right == _FEWEST_RIGHT
    if len(wrong) < 2 or len(right) < (_RIGHT_OF_FEW if few else fewest_right):
        return None
    step = -(-len(right) // _MOST_PASSES)
    right = right[::step]
    known = [
        s for s in _statements(wrong) if not few or s.text in _LIKELY or s.is_count
    ]
    fails = np.array([[s.test(case) for case in wrong] for s in known], np.bool_)
    # A condition holds for all that is wrong, but one in twenty.
    common = np.flatnonzero(fails.mean(axis=1) >= 0.95)
    known, fails = [known[i] for i in common], fails[common]
    passes = np.array([[s.test(case) for case in right] for s in known], np.bool_)
    if not known:
        return None
    errors, choice = min(_candidates(fails, passes), key=_cost)
    if errors > (0 if few else _LENIENCE * len(wrong)):
        return None
    return _told([known[i] for i in choice], wrong, right)


def _candidates(fails: Array, passes: Array) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yields each choice of one statement or two, behind the errors that it makes."""
    numbers = range(len(fails))
    singles = ((i,) for i in numbers)
    for choice in itertools.chain(singles, itertools.combinations(numbers, 2)):
        places = list(choice)
        uncovered = np.count_nonzero(~fails[places].all(axis=0))
        admitted = np.count_nonzero(passes[places].all(axis=0))
        yield int(2 * uncovered + admitted), choice


def _cost(candidate: tuple[int, tuple[int, ...]]) -> int:
    """The errors; a second statement has to save more than one of them."""
    errors, choice = candidate
    return errors + len(choice)


def _told(
    parts: Sequence[_Statement], wrong: Sequence[Case], right: Sequence[Case]
) -> Condition:
    held = sum(all(s.test(case) for s in parts) for case in wrong)
    admitted = sum(all(s.test(case) for s in parts) for case in right)
    return Condition(
        parts=tuple(s.text for s in parts),
        counts=sum(s.is_count for s in parts),
        wrong=held,
        right=admitted,
        exact=held == len(wrong) and admitted == 0,
        passed=len(right),
    )
