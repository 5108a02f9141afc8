"""The text of one job as it grows: names, lines, and sums that need no second copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rot180.codegen._scalar import Text, llvm_type
from rot180.program._bounds import Ranges
from rot180.program._callspec import Count
from rot180.program._nodes import Affine
from rot180.program._target import Target

Value = int | str  # a number known now, or the name of an i64


@dataclass(slots=True)
class _Scope:
    """What was computed so far and is valid here: sums, pointers, loaded values."""

    known: dict[object, str] = field(default_factory=dict)
    loaded: dict[object, tuple[str, bool]] = field(default_factory=dict)


class Writer:
    """Writes one function, and knows which symbols stand for which values."""

    def __init__(self, target: Target, text: Text) -> None:
        self.target, self.text = target, text
        self.lines: list[str] = []
        self.env: dict[str, Value] = {"images": "%n"}
        self.ranges = Ranges()
        self.lane: tuple[str, int] | None = None
        self.scopes = [_Scope()]
        self.block = "entry"
        self.count = 0

    # ------------------------------------------------------------ text

    def name(self, stem: str = "v") -> str:
        self.count += 1
        return f"%{stem}{self.count}"

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def let(self, text: str) -> str:
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self) -> str:
        return self.name("b")[1:]

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    @contextmanager
    def scope(self) -> Iterator[None]:
        self.scopes.append(_Scope())
        try:
            yield
        finally:
            self.scopes.pop()

    def forget_loads(self) -> None:
        for scope in self.scopes:
            scope.loaded.clear()

    # ------------------------------------------------------------ sums of indices

    def count_of(self, count: Count) -> str:
        rounded = self.let(f"add i64 %n, {count.divisor - 1}")
        quotient = self.let(f"sdiv i64 {rounded}, {count.divisor}")
        product = self.let(f"mul i64 {quotient}, {count.factor}")
        return self.let(f"add i64 {product}, {count.constant}")

    def split(self, affine: Affine) -> tuple[tuple[tuple[str, int], ...], int]:
        """The run-time terms, without the lane, and the part known now."""
        terms: dict[str, int] = {}
        known = affine.const
        for symbol, coefficient in affine.terms:
            if self.lane and symbol == self.lane[0]:
                continue
            value = self.env[symbol]
            if isinstance(value, int):
                known += value * coefficient
            else:
                terms[value] = terms.get(value, 0) + coefficient
        return tuple(sorted((v, c) for v, c in terms.items() if c)), known

    def recall(self, key: object) -> str | None:
        for scope in reversed(self.scopes):
            if key in scope.known:
                return scope.known[key]
        return None

    def dynamic(self, terms: tuple[tuple[str, int], ...]) -> str | None:
        """The sum of run-time terms."""
        if not terms:
            return None
        known = self.recall(terms)
        if known:
            return known
        (value, factor), rest = terms[-1], terms[:-1]
        part = value if factor == 1 else self.let(f"mul nsw i64 {value}, {factor}")
        others = self.dynamic(rest)
        total = part if others is None else self.let(f"add nsw i64 {others}, {part}")
        self.scopes[-1].known[terms] = total
        return total

    def sum(self, affine: Affine) -> str:
        """An affine sum, without its lane term, as an i64 or a number in text."""
        terms, known = self.split(affine)
        moving = self.dynamic(terms)
        if moving is None:
            return str(known)
        return self.let(f"add nsw i64 {moving}, {known}") if known else moving

    # ------------------------------------------------------------ vectors

    def type(self, dtype: str, wide: bool) -> str:
        kind = llvm_type(dtype)
        return f"<{self.lane[1]} x {kind}>" if wide and self.lane else kind

    def splat(self, value: str, kind: str, width: int) -> str:
        if not value.startswith("%"):
            return "<" + ", ".join([f"{kind} {value}"] * width) + ">"
        key = ("splat", value, width)
        known = self.recall(key)
        if known:
            return known
        one = self.let(
            f"insertelement <{width} x {kind}> poison, {kind} {value}, i32 0"
        )
        full = self.let(
            f"shufflevector <{width} x {kind}> {one}, <{width} x {kind}> poison, "
            f"<{width} x i32> zeroinitializer"
        )
        self.scopes[-1].known[key] = full
        return full

    def all_of(self, conditions: list[str], kind: str) -> str | None:
        if not conditions:
            return None
        total = conditions[0]
        for condition in conditions[1:]:
            total = self.let(f"and {kind} {total}, {condition}")
        return total
