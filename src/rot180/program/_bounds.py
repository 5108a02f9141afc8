"""Ranges of loop indices, to prove that an access stays inside its buffer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rot180.program._nodes import Affine, Digit, Loop, Table

Range = tuple[int | None, int | None]


class Ranges:
    """What is known of the symbols in scope: smallest and largest value."""

    def __init__(self) -> None:
        self._known: dict[str, Range] = {}

    @contextmanager
    def bind(self, symbol: str, low: int | None, high: int | None) -> Iterator[None]:
        """Let `symbol` run from `low` to `high` inside the block."""
        before = self._known.get(symbol)
        self._known[symbol] = (low, high)
        try:
            yield
        finally:
            if before is None:
                del self._known[symbol]
            else:
                self._known[symbol] = before

    @contextmanager
    def loop(self, loop: Loop) -> Iterator[None]:
        """Let a loop's index and all that derives from it run over their ranges."""
        high = None if loop.extent is None else loop.extent - 1
        with self.bind(loop.index, 0, high):
            before = {s: self._known.get(s) for s in _names(loop)}
            for derived in loop.derive:
                self._known[derived.name] = _derived(derived, high)
            yield
            for symbol, known in before.items():
                if known is None:
                    del self._known[symbol]
                else:
                    self._known[symbol] = known

    def widen(self, loop: Loop) -> None:
        """Add a loop for good; an index that is known already keeps the wider range."""
        with self.loop(loop):
            found = {s: self._known[s] for s in (loop.index, *_names(loop))}
        for symbol, (low, high) in found.items():
            least, most = self._known.get(symbol, (low, high))
            lows = None if low is None or least is None else min(low, least)
            highs = None if high is None or most is None else max(high, most)
            self._known[symbol] = (lows, highs)

    def knows(self, symbol: str) -> bool:
        """Whether the symbol is in scope."""
        return symbol in self._known

    def of(self, affine: Affine) -> Range:
        """The range of an affine sum; None where it is not bounded."""
        low: int | None = affine.const
        high: int | None = affine.const
        for symbol, coefficient in affine.terms:
            least, most = self._known.get(symbol, (None, None))
            if coefficient < 0:
                least, most = most, least
            low = None if low is None or least is None else low + least * coefficient
            high = None if high is None or most is None else high + most * coefficient
        return low, high


def _names(loop: Loop) -> tuple[str, ...]:
    return tuple(derived.name for derived in loop.derive)


def _derived(derived: Digit | Table, high: int | None) -> Range:
    match derived:
        case Digit(_, divisor, radix):
            largest = None if high is None else high // divisor
            if radix and (largest is None or largest >= radix):
                largest = radix - 1
            return 0, largest
        case Table(_, values, _):
            return min(values), max(values)


def leaves(affine: Affine, extent: int | None, ranges: Ranges) -> tuple[bool, bool]:
    """Whether the sum may fall below 0, and whether it may reach `extent`."""
    low, high = ranges.of(affine)
    below = low is None or low < 0
    above = high is None or extent is None or high >= extent
    return below, above
