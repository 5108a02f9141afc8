"""A pass: one tensor of an explanation, computed from others number by number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._equations import Cell, Equation, equations
from rot180.explain._setting import Setting
from rot180.explain._slide import Slide, plan_of, verified
from rot180.explain._tensors import Tensor
from rot180.notation import Affine, Contraction, Sum, dual

# Products that are written out at most, in all passes together; and numbers.
MOST_TERMS: Final = 20_000
MOST_NUMBERS: Final = 5_000
# Names in all conditions together, each of which lists a window.
MOST_NAMES: Final = 200_000
# Coordinates that are drawn at most, in one plane of what slides.
MOST_DRAWN: Final = 4_096


@dataclass(frozen=True, slots=True)
class Pass:
    """One tensor, computed from others.

    Attributes:
        name: `forward`, `weight_grad`, `input_grad` or `bias_grad`; of the loss
            `difference`, `loss` and `loss_grad`.
        layer: Of which layer, such as `conv`.
        out: The tensor that is computed.
        operands: Those that it is computed from.
        formulas: How all its numbers are computed, with indices that count from 0;
            where there are several, their sum.
        equations: How each of its numbers is computed, in row-major order.
        gathered: The same formula turned from scattering to gathering, as the kernels
            are compiled: one for each residue of the position modulo the stride.
        contractions: The formulas that are sums of products, as such.
        slide: The pass as the sliding of one tensor over another, where it is that.
        window: What the layer slides, its numbers resolved; None where nothing slides.
    """

    name: str
    layer: str
    out: str
    operands: tuple[str, ...]
    formulas: tuple[str, ...]
    equations: tuple[Equation, ...]
    gathered: tuple[str, ...] = ()
    contractions: tuple[Contraction, ...] = ()
    slide: Slide | None = None
    window: ops.Window | None = None

    def equation(self, cell: Cell) -> Equation:
        """Returns how one of its numbers is computed."""
        return next(line for line in self.equations if line.cell == cell)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the passes of a layer whose operands are in a window together.

    Attributes:
        setting: The layer.
        window: What slides.
        tensors: The operands and their gradients, by name.
        letters: The names of the operands, by the letters of the library's formulas.
        view: The forward pass as the kernels see it, with split channels.
        hidden: The axes that names leave out.
    """

    setting: Setting
    window: ops.Window
    tensors: Mapping[str, Tensor]
    letters: Mapping[str, str]
    view: Contraction
    hidden: frozenset[str]

    def make(self, name: str, parts: Sequence[Sum], wrt: str | None = None) -> Pass:
        """Returns the pass that adds up `parts`, or leaves out their operand `wrt`."""
        found = [part.renamed(**self.letters) for part in parts]
        if wrt is not None:
            found = [part.adjoint(self.letters[wrt]) for part in found]
        plan = plan_of(found[0], self.tensors, self.window.padding)
        check_drawn(plan)
        shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        lines = equations(found, shapes)
        slid = None if plan is None else verified(plan, lines, self.tensors)
        shown = tuple(self._shown(part.formula) for part in found)
        return Pass(
            name=name,
            layer=self.setting.layer,
            out=found[0].formula.out.tensor,
            operands=_read_by(found),
            formulas=tuple(map(_plain, shown)),
            equations=lines,
            gathered=self._gathered(wrt) if slid is not None and slid.scatters else (),
            contractions=shown,
            slide=slid,
            window=self.window,
        )

    def _gathered(self, wrt: str | None) -> tuple[str, ...]:
        """The pass turned from scattering to gathering, a formula for each residue."""
        if self.window.groups > 1:
            return ()  # the kernels split the channels, which the tensors here do not
        formula = self.view.renamed(**self.letters)
        if wrt is not None:
            formula = formula.adjoint(self.letters[wrt])
        if any(type(axis) is not Affine for axis in formula.out.axes):
            return ()  # a position that is more than a sum is not inverted
        pieces = self._shown(formula).gather()
        return tuple(
            _plain(piece.contraction or f"{piece.out} = 0") for piece in pieces
        )

    def _shown(self, formula: Contraction) -> Contraction:
        """The formula without the axes that are nowhere longer than 1."""
        for letter in sorted(self.hidden):
            formula = formula.without(letter)
        return formula


def _plain(formula: Contraction | str) -> str:
    """A formula as text, in which a number without indices is a letter."""
    return str(formula).replace("[]", "")


def _read_by(parts: Sequence[Sum]) -> tuple[str, ...]:
    factors = (factor for part in parts for factor in part.formula.factors)
    return tuple(dict.fromkeys(factor.tensor for factor in factors))


def check_size(
    parts: Iterable[Sum], passes: int, tensors: Mapping[str, Tensor]
) -> None:
    """Raises an ArgumentError where there is too much to write out.

    Args:
        parts: The sums of the forward pass.
        passes: How many passes have as many products.
        tensors: All that the layer reads or computes.
    """
    products = passes * sum(math.prod(part.extents.values()) for part in parts)
    refuse_size(products, sum(tensor.size for tensor in tensors.values()))


def refuse_size(products: int, numbers: int) -> None:
    """Raises an ArgumentError where there are too many products, or numbers."""
    if products > MOST_TERMS:
        raise ArgumentError(
            f"explain: {products:,} products in all passes, at most {MOST_TERMS:,} are "
            "written out\n  Use a smaller input or kernel, or fewer channels."
        )
    if numbers > MOST_NUMBERS:
        raise ArgumentError(
            f"explain: {numbers:,} numbers in all tensors, at most {MOST_NUMBERS:,} "
            "are written out\n  Use a smaller input, or fewer channels or images."
        )


def refuse_names(names: int) -> None:
    """Raises an ArgumentError where windows are too long to list for each number."""
    if names > MOST_NAMES:
        raise ArgumentError(
            f"explain: {names:,} names in what each window takes, at most "
            f"{MOST_NAMES:,} are written out\n  Use a smaller input or kernel."
        )


def check_drawn(slid: Slide | None) -> None:
    """Raises an ArgumentError where there is too much to draw."""
    drawn = math.prod(track.places for track in slid.tracks) if slid else 0
    if drawn > MOST_DRAWN:
        raise ArgumentError(
            f"explain: {drawn:,} positions to slide over, at most {MOST_DRAWN:,} are "
            "drawn\n  Use a smaller input, stride, dilation or padding."
        )


def gradients(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors and, beside each, its gradient."""
    found = dict(tensors)
    found |= {dual(name): tensor.gradient() for name, tensor in tensors.items()}
    return found
