"""A plain program, read: one reduction over a nest, and what schedules ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rot180.errors import ScheduleError
from rot180.program._nodes import (
    Access,
    Affine,
    Blocks,
    Buffer,
    Expression,
    Load,
    Loop,
    Program,
    Reduction,
    Store,
    Table,
    index,
    loads,
    map_expression,
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
class Nest:
    """`out += value` over every index, each with its extent; or the largest value.

    Attributes:
        outs: what is written: the results, and for `argmax` where they stand.
        values: what is combined, one for each of `outs`.
        reduction: how, and in which order.
        extents: of every index, None for the images; some may have a run-time limit.
        arguments: the call's buffers, the outputs first.
        limits: symbols that bound an index more closely, by residue.
        epilogue: what is written in the end, of the results; None: they themselves.
    """

    name: str
    outs: tuple[Access, ...]
    values: tuple[Expression, ...]
    reduction: Reduction
    extents: tuple[tuple[str, int | None], ...]
    arguments: tuple[Buffer, ...]
    residues: tuple[Residues, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    epilogue: Expression | None = None

    @classmethod
    def of(cls, program: Program) -> Self:
        """Read a plain program, as `program` writes it.

        Raises:
            ScheduleError: it has another form.
        """
        loops: list[Loop] = []
        body, final = program.body, None
        while True:
            first, *rest = body
            if rest:
                (final,) = rest
            if not isinstance(first, Loop):
                break
            loops.append(first)
            body = first.body
        if not isinstance(first, Store) or first.reduction is None:
            raise ScheduleError(f"{program.name} is no plain reduction")
        residues = [
            Residues(loop.index, loop.extent or 0, loop.derive)  # type: ignore[arg-type]
            for loop in loops
            if loop.derive
        ]
        limits = [
            (loop.index, loop.limit.terms[0][0])
            for loop in loops
            if loop.limit is not None and loop.extent is not None
        ]
        return cls(
            program.name,
            first.targets,
            first.values,
            first.reduction,
            tuple((loop.index, loop.extent) for loop in loops if not loop.derive),
            program.arguments,
            tuple(residues),
            tuple(limits),
            final.values[0] if isinstance(final, Store) else None,
        )

    def program(self) -> Program:
        """The plain program: images, residues, outputs, then the chain of each output.

        Where the images themselves are summed, they come last but for the chain.
        Outputs start from the reduction's identity.
        """
        inner = self.nest(self.reduction.loops, (self.store(),))
        if self.epilogue is not None:
            inner = (*inner, Store((self.out,), (self.epilogue,)))
        body = self.nest(tuple(i for i in self.outputs() if i != IMAGE), inner)
        for residue in reversed(self.residues):
            body = (Loop(residue.index, residue.extent, body, derive=residue.derive),)
        if self.is_of_images:
            body = self.nest((IMAGE,), body)
        return Program(self.name, self.arguments, body)

    @property
    def out(self) -> Access:
        """The result's access."""
        return self.outs[0]

    @property
    def is_of_images(self) -> bool:
        """Whether each result belongs to one image; else the images are summed."""
        return IMAGE in self.outputs()

    @property
    def chain(self) -> tuple[str, ...]:
        """The summed indices beside the images, in the order of summation."""
        return tuple(i for i in self.reduction.loops if i != IMAGE)

    @property
    def factors(self) -> tuple[Access, ...]:
        """Every access that is read, the epilogue's apart."""
        return tuple(dict.fromkeys(a for v in self.values for a in loads(v)))

    def store(self) -> Store:
        """The innermost statement."""
        return Store(self.outs, self.values, self.reduction)

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

    def loop(self, name: str, body: Blocks) -> Loop:
        """The loop over one index."""
        limit = IMAGES if name == IMAGE else dict(self.limits).get(name)
        bound = None if limit is None else index(limit)
        return Loop(name, dict(self.extents)[name], body, limit=bound)

    def nest(self, names: tuple[str, ...], body: Blocks) -> Blocks:
        """Loops over the named indices, the first outermost."""
        for name in reversed(names):
            body = (self.loop(name, body),)
        return body

    def finished(self, target: Access, result: Expression) -> Expression:
        """What is written at `target`, given the result there.

        What the epilogue reads beside it, it reads where an axis of `out` stands.
        """
        places = dict(zip(self.out.axes, target.axes, strict=True))

        def read(access: Access) -> Expression:
            if access == self.out:
                return result
            axes: tuple[Affine, ...] = tuple(places[a] for a in access.axes)
            check = tuple(range(len(axes)))
            return Load(Access(access.buffer, axes, check, access.outside))

        return result if self.epilogue is None else map_expression(self.epilogue, read)
