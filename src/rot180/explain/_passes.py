"""A pass: one tensor of an explanation, computed from others number by number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._equations import Equation, equations
from rot180.explain._setting import Setting
from rot180.explain._slide import Slide, slide
from rot180.explain._tensors import Tensor
from rot180.notation import Affine, Contraction, Sum, dual

# Products that are written out at most, in all passes together.
MOST_TERMS: Final = 20_000
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


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the passes of a layer whose operands are in a window together.

    Attributes:
        setting: The layer.
        window: What slides.
        tensors: The operands and their gradients, by name.
        letters: The names of the operands, by the letters of the library's formulas.
        view: The forward pass as the kernels see it, with split channels.
    """

    setting: Setting
    window: ops.Window
    tensors: Mapping[str, Tensor]
    letters: Mapping[str, str]
    view: Contraction

    def make(self, name: str, parts: Sequence[Sum], wrt: str | None = None) -> Pass:
        """Returns the pass that adds up `parts`, or leaves out their operand `wrt`."""
        found = [part.renamed(**self.letters) for part in parts]
        if wrt is not None:
            found = [part.adjoint(self.letters[wrt]) for part in found]
        out = found[0].formula.out.tensor
        shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        lines = equations(found, shapes)
        shown = tuple(self._shown(part.formula) for part in found)
        texts = tuple(map(str, shown))
        factors = (factor for part in found for factor in part.formula.factors)
        names = tuple(dict.fromkeys(factor.tensor for factor in factors))
        slid = self._slid(found, lines)
        return Pass(
            name,
            self.setting.layer,
            out,
            names,
            texts,
            lines,
            tuple(self._gathered(wrt)) if slid is not None and slid.scatters else (),
            shown,
            slid,
            self.window,
        )

    def _gathered(self, wrt: str | None) -> Iterator[str]:
        """The pass turned from scattering to gathering, a formula for each residue."""
        formula = self.view.renamed(**self.letters)
        if wrt is not None:
            formula = formula.adjoint(self.letters[wrt])
        if any(type(axis) is not Affine for axis in formula.out.axes):
            return  # a position that is more than a sum is not inverted
        for piece in self._shown(formula).gather():
            yield str(piece.contraction or f"{piece.out} = 0")

    def _shown(self, formula: Contraction) -> Contraction:
        """The formula without the axes that are nowhere longer than 1."""
        for letter in sorted(self.setting.hidden):
            formula = formula.without(letter)
        return formula

    def _slid(self, parts: Sequence[Sum], lines: Sequence[Equation]) -> Slide | None:
        found = slide(parts[0], lines, self.tensors, self.window.padding)
        drawn = math.prod(len(track.reads) for track in found.tracks) if found else 0
        if drawn > MOST_DRAWN:
            raise ArgumentError(
                f"explain: {drawn} positions to slide over, at most {MOST_DRAWN} are "
                "drawn\n  Use a smaller input, stride, dilation or padding."
            )
        return found


def check_size(parts: Iterable[Sum], passes: int) -> None:
    """Raises an ArgumentError where there are too many products to write out."""
    count = passes * sum(math.prod(part.extents.values()) for part in parts)
    if count > MOST_TERMS:
        raise ArgumentError(
            f"explain: {count:,} products in all passes, at most {MOST_TERMS:,} are "
            "written out\n  Use a smaller input or kernel, or fewer channels."
        )


def noted(of: Pass, note: str, *, instead: bool = False) -> Pass:
    """Returns the pass with a note in its formula: `dX[h] += dO[p]{note} for r`.

    Args:
        of: The pass.
        note: What is added.
        instead: Whether it stands in the place of `for r`.
    """

    def with_note(text: str) -> str:
        total, over, indices = text.partition(" for ")
        return total + note + ("" if instead else over + indices)

    formulas = tuple(map(with_note, of.formulas))
    gathered = () if instead else tuple(map(with_note, of.gathered))
    return replace(of, formulas=formulas, gathered=gathered)


def gradients(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors and, beside each, its gradient."""
    found = dict(tensors)
    found |= {dual(name): tensor.gradient() for name, tensor in tensors.items()}
    return found
