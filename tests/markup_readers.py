"""Turns equations in LaTeX and MathML into the plain text that `formula_reader` reads.

Shares no code with what prints them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

_SIGNS = {"⋅": "*", "\u2062": "*", "−": "-", "←": " took ", "∞": "inf"}


@dataclass(frozen=True)
class Naming:
    """How indices are written: `12` for 1 and 2 if compact; from 1 or 0."""

    compact: bool
    count_from: int

    def name(self, letters: str, indices: str) -> str:
        """Returns a name as `formula_reader` has it: `X(1, 2)` or `X[0, 1]`."""
        parts = indices.replace(" ", "").split(",")
        if self.compact and len(parts) == 1:
            parts = list(indices)
        listed = ", ".join(part for part in parts if part)
        return f"{letters}({listed})" if self.count_from else f"{letters}[{listed}]"


# ------------------------------------------------------------------------- MathML


def from_mathml(text: str, naming: Naming) -> str:
    """Returns an equation in MathML as plain text."""
    return _node(ElementTree.fromstring(text), naming)


def _node(node: ElementTree.Element, naming: Naming) -> str:
    tag = node.tag.rpartition("}")[2]
    if tag in ("mi", "mn", "mo"):
        text = (node.text or "").strip()
        return _SIGNS.get(text, text.replace("−", "-"))
    if tag == "msub":
        letters, below = node
        return naming.name(_node(letters, naming), ",".join(_indices(below)))
    parts = [_node(child, naming) for child in node]
    if tag == "mfrac":
        return f"(({parts[0]})/({parts[1]}))"
    assert tag in ("math", "mrow", "mtable", "mtr", "mtd"), tag
    return "".join(parts)


def _indices(node: ElementTree.Element) -> Iterator[str]:
    for leaf in node.iter():
        text = (leaf.text or "").strip()
        if text and text != ",":
            yield text


# -------------------------------------------------------------------------- LaTeX

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+\.\d+|\d+|[A-Za-z]|[{}()\[\]_^+\-*/,=>|]|\s+")


def from_latex(text: str, naming: Naming) -> str:
    """Returns one side of an equation in LaTeX as plain text."""
    tokens = [t for t in _TOKEN.findall(text) if not t.isspace()]
    assert "".join(tokens) == re.sub(r"\s+", "", text), text
    reader = _Latex(tokens, naming)
    found = reader.sequence(())
    assert not reader.tokens, reader.tokens
    return found


class _Latex:
    """Recursive descent over LaTeX tokens; what stands side by side is multiplied."""

    def __init__(self, tokens: list[str], naming: Naming) -> None:
        self.tokens = tokens
        self.naming = naming

    def sequence(self, ends: tuple[str, ...]) -> str:
        text, joined = "", False
        while self.tokens and self.tokens[0] not in ends:
            token = self.tokens.pop(0)
            if token in ("+", "-", ",", "=", ">", r"\cdot"):
                text += {r"\cdot": "*", "=": " is "}.get(token, token)
                joined = False
                continue
            piece = self.piece(token)
            text += ("*" if joined else "") + piece
            joined = True
        return text

    def piece(self, token: str) -> str:
        if token == r"\left":
            return self.bracketed()
        if token == r"\frac":
            return self.fraction()
        if token == r"\operatorname":
            name = self.group()
            assert self.tokens.pop(0) == "{"
            assert self.tokens.pop(0) == r"\left"
            inside = self.bracketed()
            assert self.tokens.pop(0) == "}"
            return name.replace("*", "") + inside
        if token[0].isdigit():
            return token
        if token == r"\infty":
            return "inf"
        assert token.isalpha(), token
        return self.named(token)

    def bracketed(self) -> str:
        opening = self.tokens.pop(0)
        inside = self.sequence((r"\right",))
        assert self.tokens.pop(0) == r"\right"
        closing = self.tokens.pop(0)
        assert opening + closing in ("()", "[]"), opening + closing
        return f"{opening}{inside}{closing}"

    def fraction(self) -> str:
        if self.tokens[:4] == ["{", r"\partial", "E", "}"]:
            del self.tokens[:4]
            assert self.tokens.pop(0) == "{"
            assert self.tokens.pop(0) == r"\partial"
            name = self.named(self.tokens.pop(0), prefix="d")
            assert self.tokens.pop(0) == "}"
            return name
        return f"(({self.group()})/({self.group()}))"

    def group(self) -> str:
        assert self.tokens.pop(0) == "{"
        inside = self.sequence(("}",))
        assert self.tokens.pop(0) == "}"
        return inside

    def named(self, letter: str, prefix: str = "") -> str:
        """`X_{12}`, or `F^{(2)}_{1,2}` of the second layer."""
        if self.tokens[:1] == ["^"]:
            del self.tokens[:3]
            letter += self.tokens.pop(0)
            del self.tokens[:2]
        if self.tokens[:2] != ["_", "{"]:
            return prefix + letter
        end = self.tokens.index("}")
        indices = "".join(self.tokens[2:end])
        del self.tokens[: end + 1]
        return self.naming.name(prefix + letter, indices)
