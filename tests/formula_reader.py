"""Reads equations back from their text, and computes them; shares no code with explain.

sum     := [-] term {(+ | -) term}
term    := factor {(* | /) factor}
factor  := number | name | ( sum ) | max(sum, ...) | [ condition ]
condition := name > number | argmax(name, ...) is name | name took name
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

_TOKEN = re.compile(r"\s*(-inf|\d+\.\d+|\d+|[A-Za-z]+\d*|[()\[\]+*/,>-])")

# A tensor's name and where in it, from 0 on: what `X12`, `X(1, 2)`, `X[0, 1]` mean.
Place = tuple[str, tuple[int, ...]]
Lookup = Callable[[Place], Any]
# Whether a maximum took a number.
Took = Callable[[Place, Place], bool]


def compute(text: str, lookup: Lookup, took: Took | None = None) -> Any:
    """Returns the value of a right side."""
    reader = _Reader(text, lookup, took)
    value = reader.sum()
    assert reader.here == "", f"{reader.here!r} is left of {text!r}"
    return value


def place(name: str) -> Place:
    """Returns the tensor and the indices that a name stands for."""
    return _Reader(name, lambda at: at).place()


class _Reader:
    def __init__(self, text: str, lookup: Lookup, took: Took | None = None) -> None:
        self.lookup = lookup
        self.took = took
        self.tokens = self._split(text)

    @staticmethod
    def _split(text: str) -> list[str]:
        tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            assert match, f"{text[at:]!r} has no meaning"
            tokens.append(match[1])
            at = match.end()
        return [*tokens, ""]

    @property
    def here(self) -> str:
        return self.tokens[0]

    def take(self, wanted: str | None = None) -> str:
        token = self.tokens.pop(0)
        assert wanted in (None, token), f"{token!r} for {wanted!r}"
        return token

    def sum(self) -> Any:
        sign = -1 if self.here == "-" and self.take() else 1
        total = sign * self.term()
        while self.here in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            total += sign * self.term()
        return total

    def term(self) -> Any:
        value = self.factor()
        while self.here in ("*", "/"):
            if self.take() == "*":
                value *= self.factor()
            else:
                value = Fraction(value) / self.factor()
        return value

    def factor(self) -> Any:
        token = self.take()
        if token == "(":
            value = self.sum()
            self.take(")")
            return value
        if token == "[":
            return self.condition()
        if token == "max":
            return max(self.list(self.sum))
        if token == "-inf":
            return float("-inf")
        if token[0].isdigit():
            return Fraction(token)
        return self.lookup(self.place(token))

    def place(self, name: str | None = None) -> Place:
        """What a name stands for; its digits are indices where none stand behind it."""
        name = name or self.take()
        if self.here not in ("(", "["):
            tensor = name.rstrip("0123456789")
            return tensor, tuple(int(digit) - 1 for digit in name[len(tensor) :])
        first = 1 if self.take() == "(" else 0
        found = [int(self.take()) - first]
        while self.here == ",":
            self.take()
            found.append(int(self.take()) - first)
        self.take()
        return name, tuple(found)

    def list(self, item: Callable[[], Any]) -> list[Any]:
        self.take("(")
        found = [item()]
        while self.here == ",":
            self.take()
            found.append(item())
        self.take(")")
        return found

    def condition(self) -> int:
        """1 where it holds, else 0; argmax takes the first of equals."""
        if self.here == "argmax":
            self.take()
            among = self.list(self.place)
            self.take("is")
            values = [self.lookup(place) for place in among]
            holds = among[values.index(max(values))] == self.place()
        else:
            left = self.place()
            if self.take() == "took":
                assert self.took is not None
                holds = self.took(left, self.place())
            else:
                holds = self.lookup(left) > self.factor()
        self.take("]")
        return int(holds)
