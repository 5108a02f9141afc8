"""Reading formulas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from rot180.errors import NotationError
from rot180.notation._affine import Affine, Polynomial
from rot180.notation._contraction import Access, Contraction, Reduction
from rot180.notation._show import point

_TOKEN = re.compile(r"\s*(?:\d+|max=|[A-Za-z_]\w*|\+=|[\[\](),*+-])")


def contraction(text: str, doc: str = "") -> Contraction:
    """Reads a formula such as `y[n, k, p] += x[n, c, p*stride + r - pad] * w[k, c, r]`.

    A name is an index if some axis holds it alone, give or take a sign, numbers and
    sizes in capitals (`R - 1 - r`), or if it is listed at the end: `... for r`. Every
    other name is a parameter, see `Contraction.bind`. With `max=` the products are
    combined by their maximum.

    Args:
        text: The formula.
        doc: What it means.

    Raises:
        NotationError: The text is not such a formula.
    """
    return _Reader(text).read(doc)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class _RawAccess:
    tensor: _Token
    axes: tuple[tuple[Polynomial, int], ...]  # with where the axis starts


class _Reader:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._split()
        self.place = 0

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        end = len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                at += len(self.text[at:]) - len(self.text[at:].lstrip())
                self._fail(f"{self.text[at]!r} has no meaning here", at)
            word = match.group().strip()
            tokens.append(_Token(word, match.end() - len(word)))
            at = match.end()
        return [*tokens, _Token("", end)]

    def read(self, doc: str) -> Contraction:
        out = self._access()
        reduction = self._reduction()
        raw = [self._access()]
        while self._take("*"):
            raw.append(self._access())
        declared = self._declared()
        if self._peek().text:
            self._expected("'*', 'for' or the end")
        self._check_tensors([out, *raw])
        indices = self._indices([out, *raw], declared)
        accesses = [self._resolve(access, indices) for access in (out, *raw)]
        return Contraction(accesses[0], tuple(accesses[1:]), indices, reduction, doc)

    def _reduction(self) -> Reduction:
        if self._take("+="):
            return "add"
        if self._take("max="):
            return "max"
        return self._expected("'+=' or 'max='")

    def _access(self) -> _RawAccess:
        tensor = self._name("a tensor's name")
        if not self._take("["):
            self._expected(f"'[' after {tensor.text!r}")
        axes = []
        if not self._take("]"):
            axes.append(self._axis())
            while self._take(","):
                axes.append(self._axis())
            if not self._take("]"):
                self._expected("',' or ']'")
        return _RawAccess(tensor, tuple(axes))

    def _axis(self) -> tuple[Polynomial, int]:
        start = self._peek().start
        return self._sum(), start

    def _sum(self) -> Polynomial:
        negative = self._take("-")
        total = -self._product() if negative else self._product()
        while True:
            if self._take("+"):
                total = total + self._product()
            elif self._take("-"):
                total = total + -self._product()
            else:
                return total

    def _product(self) -> Polynomial:
        result = self._atom()
        while self._take("*"):
            result = result * self._atom()
        return result

    def _atom(self) -> Polynomial:
        token = self._peek()
        if token.text.isdigit():
            self.place += 1
            return Polynomial.number(int(token.text))
        if self._take("("):
            inner = self._sum()
            if not self._take(")"):
                self._expected("')'")
            return inner
        return Polynomial.name(self._name("an index, a parameter or a number").text)

    def _declared(self) -> list[_Token]:
        if self._peek().text != "for":
            return []
        self.place += 1
        names = [self._name("an index")]
        while self._take(","):
            names.append(self._name("an index"))
        return names

    def _name(self, what: str) -> _Token:
        token = self._peek()
        if not token.text.isidentifier() or token.text == "for":
            self._expected(what)
        self.place += 1
        return token

    def _peek(self) -> _Token:
        return self.tokens[self.place]

    def _take(self, text: str) -> bool:
        if self._peek().text != text:
            return False
        self.place += 1
        return True

    def _check_tensors(self, accesses: list[_RawAccess]) -> None:
        seen: set[str] = set()
        for access in accesses:
            if access.tensor.text in seen:
                self._fail(
                    f"tensor {access.tensor.text!r} occurs twice",
                    access.tensor.start,
                    "Give every operand its own name.",
                )
            seen.add(access.tensor.text)

    def _indices(
        self, accesses: list[_RawAccess], declared: list[_Token]
    ) -> tuple[str, ...]:
        axes = [polynomial for access in accesses for polynomial, _ in access.axes]
        names = {alone for axis in axes if (alone := _lone_name(axis))}
        names |= {token.text for token in declared}
        order: dict[str, None] = {}
        for axis in axes:
            for monomial, _ in axis.terms:
                order.update((name, None) for name in monomial if name in names)
        for token in declared:
            if token.text not in order:
                self._fail(f"index {token.text!r} occurs nowhere", token.start)
        return tuple(order)

    def _resolve(self, access: _RawAccess, indices: tuple[str, ...]) -> Access:
        axes = tuple(
            self._affine(polynomial, indices, start)
            for polynomial, start in access.axes
        )
        return Access(access.tensor.text, axes)

    def _affine(
        self, polynomial: Polynomial, indices: tuple[str, ...], start: int
    ) -> Affine:
        collected: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        const: list[tuple[tuple[str, ...], int]] = []
        for monomial, factor in polynomial.terms:
            found = [name for name in monomial if name in indices]
            if len(found) > 1:
                self._fail(
                    f"indices {' and '.join(found)} are multiplied",
                    start,
                    "A position is a sum of indices times parameters.",
                )
            rest = tuple(name for name in monomial if name not in indices)
            place = collected.setdefault(found[0], []) if found else const
            place.append((rest, factor))
        terms = tuple((i, Polynomial.of(t).plain()) for i, t in collected.items())
        return Affine(terms, Polynomial.of(const).plain())

    def _expected(self, what: str) -> NoReturn:
        token = self._peek()
        found = repr(token.text) if token.text else "the end"
        self._fail(f"expected {what}, found {found}", token.start)

    def _fail(self, problem: str, at: int, remedy: str = "") -> NoReturn:
        lines = point(self.text, [(at, at + 1)]).split("\n")
        remedy = remedy or "Write it like y[n, p] += x[n, p*stride + r] * w[r]."
        raise NotationError(
            "\n    ".join([f"notation: {problem}", *lines]) + f"\n  {remedy}"
        )


def _lone_name(axis: Polynomial) -> str | None:
    """Returns the name that an axis holds with nothing but a sign and sizes."""
    small = [
        (monomial, factor)
        for monomial, factor in axis.terms
        if any(not name[0].isupper() for name in monomial)
    ]
    if len(small) == 1 and len(small[0][0]) == 1 and small[0][1] in (1, -1):
        return small[0][0][0]
    return None
