"""Sums of indices times coefficients; a coefficient may still hold parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rot180.errors import NotationError

Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A polynomial in named parameters with integer coefficients.

    Attributes:
        terms: Pairs of a monomial, the sorted names of its factors, and its
            coefficient, which is not zero; in the order they were written.
    """

    terms: tuple[tuple[Monomial, int], ...]

    @classmethod
    def of(cls, terms: Iterable[tuple[Monomial, int]]) -> Polynomial:
        """Returns the sum of `terms`, like ones collected."""
        collected: dict[Monomial, int] = {}
        for monomial, factor in terms:
            collected[monomial] = collected.get(monomial, 0) + factor
        return cls(tuple((m, f) for m, f in collected.items() if f))

    @classmethod
    def name(cls, name: str) -> Polynomial:
        """Returns the polynomial that is the one parameter `name`."""
        return cls((((name,), 1),))

    @classmethod
    def number(cls, value: int) -> Polynomial:
        """Returns a constant."""
        return cls.of([((), value)])

    @property
    def names(self) -> frozenset[str]:
        """The parameters that occur."""
        return frozenset(name for monomial, _ in self.terms for name in monomial)

    def __add__(self, other: Coefficient) -> Polynomial:
        return Polynomial.of((*self.terms, *as_polynomial(other).terms))

    __radd__ = __add__

    def __neg__(self) -> Polynomial:
        return Polynomial(tuple((m, -f) for m, f in self.terms))

    def __mul__(self, other: Coefficient) -> Polynomial:
        return Polynomial.of(
            (tuple(sorted(m + n)), f * g)
            for m, f in self.terms
            for n, g in as_polynomial(other).terms
        )

    __rmul__ = __mul__

    def bind(self, values: Mapping[str, int]) -> Polynomial:
        """Replaces the parameters that `values` names by their values."""
        return Polynomial.of(_bound(m, f, values) for m, f in self.terms)

    def plain(self) -> Coefficient:
        """Returns an int if no parameter is left, else the polynomial."""
        return self if self.names else sum(f for _, f in self.terms)

    def __str__(self) -> str:
        return join_terms(
            (factor, monomial_text(abs(factor), monomial))
            for monomial, factor in self.terms
        )


Coefficient = int | Polynomial


def _bound(
    monomial: Monomial, factor: int, values: Mapping[str, int]
) -> tuple[Monomial, int]:
    for name in monomial:
        factor *= values.get(name, 1)
    return tuple(name for name in monomial if name not in values), factor


def monomial_text(factor: int, monomial: Monomial) -> str:
    """Returns `3*a*b` for the factor 3 and the names a and b."""
    if not monomial:
        return str(factor)
    return "*".join([str(factor)] * (factor != 1) + list(monomial))


def join_terms(terms: Iterable[tuple[int, str]]) -> str:
    """Returns terms joined by ` + ` and ` - ` according to their signs."""
    text = ""
    for sign, term in terms:
        if text:
            text += (" - " if sign < 0 else " + ") + term
        else:
            text = ("-" if sign < 0 else "") + term
    return text or "0"


def as_polynomial(value: Coefficient) -> Polynomial:
    """Returns a coefficient as a polynomial."""
    return value if isinstance(value, Polynomial) else Polynomial.number(value)


@dataclass(frozen=True, slots=True)
class Affine:
    """A position: indices times coefficients, plus a constant.

    Attributes:
        terms: Pairs of an index and its coefficient, not zero, in written order.
        const: What is added; an int where no parameter is left.
    """

    terms: tuple[tuple[str, Coefficient], ...]
    const: Coefficient = 0

    @classmethod
    def index(cls, name: str) -> Affine:
        """Returns the position that is the one index `name`."""
        return cls(((name, 1),))

    @property
    def indices(self) -> tuple[str, ...]:
        """The indices that occur."""
        return tuple(name for name, _ in self.terms)

    @property
    def parameters(self) -> frozenset[str]:
        """The parameters that occur."""
        names: frozenset[str] = as_polynomial(self.const).names
        for _, coefficient in self.terms:
            names |= as_polynomial(coefficient).names
        return names

    @property
    def bare(self) -> str | None:
        """The index that stands here alone, or None."""
        if len(self.terms) == 1 and self.const == 0 and self.terms[0][1] == 1:
            return self.terms[0][0]
        return None

    def coefficient(self, index: str) -> Coefficient:
        """Returns the coefficient of `index`, 0 where it does not occur."""
        return dict(self.terms).get(index, 0)

    def bind(self, values: Mapping[str, int]) -> Affine:
        """Replaces parameters by their values."""
        bound = ((i, as_polynomial(c).bind(values).plain()) for i, c in self.terms)
        terms = tuple((i, c) for i, c in bound if c != 0)
        return Affine(terms, as_polynomial(self.const).bind(values).plain())

    def substitute(self, values: Mapping[str, Affine]) -> Affine:
        """Replaces indices by positions; those not in `values` stay.

        Raises:
            NotationError: A parameter is not bound yet.
        """
        terms: dict[str, int] = {}
        const = integer(self.const)
        for name, factor in self.terms:
            value = values.get(name, Affine.index(name))
            const += integer(factor) * integer(value.const)
            for inner, coefficient in value.terms:
                product = integer(factor) * integer(coefficient)
                terms[inner] = terms.get(inner, 0) + product
        return Affine(tuple((i, c) for i, c in terms.items() if c), const)

    def at(self, point: Mapping[str, int]) -> int:
        """Returns the position at the given values of the indices.

        Raises:
            NotationError: A parameter is not bound yet.
        """
        return integer(self.const) + sum(
            integer(factor) * point[name] for name, factor in self.terms
        )

    def __str__(self) -> str:
        terms = [_term(name, coefficient) for name, coefficient in self.terms]
        const = as_polynomial(self.const)
        constants = [(f, monomial_text(abs(f), m)) for m, f in const.terms]
        leads = bool(terms) and all(sign < 0 for sign, _ in terms) and constants
        if leads and constants[0][0] > 0:
            return join_terms([*constants, *terms])
        return join_terms([*terms, *constants])


def _term(name: str, coefficient: Coefficient) -> tuple[int, str]:
    """Returns the sign and the text of one index times its coefficient."""
    if isinstance(coefficient, int):
        return coefficient, monomial_text(abs(coefficient), (name,))
    if len(coefficient.terms) > 1:
        return 1, f"{name}*({coefficient})"
    ((monomial, factor),) = coefficient.terms
    return factor, monomial_text(abs(factor), (name, *monomial))


def integer(value: Coefficient) -> int:
    """Returns a coefficient that holds no parameter.

    Raises:
        NotationError: It still does.
    """
    if isinstance(value, int):
        return value
    names = ", ".join(sorted(value.names))
    raise NotationError(
        f"notation: {value} has no value yet\n"
        f"  Bind the parameters first, with .bind({names}=...)."
    )
