"""A sum of products with sizes: what a contraction becomes before it is scheduled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from rot180.program._nodes import (
    Access,
    Affine,
    Blocks,
    Buffer,
    Expression,
    Loop,
    Reduction,
    Store,
    Table,
    loads,
)

IMAGE = "n"
IMAGES = "images"  # the run-time symbol: how many images there are


@dataclass(frozen=True, slots=True)
class Residues:
    """A loop over the residues of one axis, and the numbers that depend on it."""

    index: str
    extent: int
    derive: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """`out += value` over every index, each with its extent; or the largest value.

    Attributes:
        outs: what is written: the results, and for `argmax` where they stand.
        values: what is combined, one for each of `outs`.
        extents: of every index, None for the images; some may have a run-time limit.
        chain: the summed indices beside the images, in the order of summation.
        limits: symbols that bound an index more closely, by residue.
        bias: added to each result in the end.
        order: the call's arguments, by buffer name, the outputs first.
    """

    name: str
    outs: tuple[Access, ...]
    values: tuple[Expression, ...]
    extents: tuple[tuple[str, int | None], ...]
    chain: tuple[str, ...]
    order: tuple[str, ...]
    residues: tuple[Residues, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    bias: Access | None = None
    kind: Literal["add", "max", "argmax"] = "add"

    @property
    def out(self) -> Access:
        """The result's access."""
        return self.outs[0]

    @property
    def factors(self) -> tuple[Access, ...]:
        """Every access that is read, the bias apart."""
        return tuple(dict.fromkeys(a for v in self.values for a in loads(v)))

    def reduction(
        self, tree: str | None = None, chain: tuple[str, ...] = ()
    ) -> Reduction:
        """How values are combined."""
        identity = (0.0,) if self.kind == "add" else (-math.inf, 0.0)[: len(self.outs)]
        return Reduction(self.kind, identity, chain or self.chain, tree)

    def store(self) -> Store:
        """The innermost statement."""
        return Store(self.outs, self.values, self.reduction())

    def extent(self, name: str) -> int:
        """The extent of an index that is known."""
        found = dict(self.extents)[name]
        if found is None:
            raise KeyError(name)
        return found

    def outputs(self) -> tuple[str, ...]:
        """The indices of `out`, in the order of its axes, without residues."""
        names = [i for i, _ in self.extents]
        found: list[str] = []
        for axis in self.out.axes:
            found += [s for s, _ in axis.terms if s in names and s not in found]
        return tuple(found)

    def arguments(self) -> tuple[Buffer, ...]:
        """The buffers of the call, the outputs first."""
        extra = () if self.bias is None else (self.bias,)
        buffers = {a.buffer.name: a.buffer for a in (*self.outs, *self.factors, *extra)}
        return tuple(buffers[name] for name in self.order)

    def loop(self, name: str, body: Blocks) -> Loop:
        """The loop over one index."""
        limit = dict(self.limits).get(name)
        bound = None if limit is None else Affine(((limit, 1),))
        return Loop(name, dict(self.extents)[name], body, limit=bound)

    def nest(self, names: tuple[str, ...], body: Blocks) -> Blocks:
        """Loops over the named indices, the first outermost."""
        for name in reversed(names):
            body = (self.loop(name, body),)
        return body
