"""The meaning of a formula, computed one product at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from rot180.errors import NotationError
from rot180.notation._contraction import Contraction
from rot180.notation._gather import Piece

Position: TypeAlias = tuple[int, ...]
# Whatever adds and multiplies: numbers, or `Polynomial` for an answer in letters.
Number: TypeAlias = Any
Values: TypeAlias = Mapping[Position, Number]


def evaluate(
    contraction: Contraction,
    operands: Mapping[str, Values],
    extents: Mapping[str, int],
    shape: tuple[int, ...],
) -> dict[Position, Number]:
    """Returns the output's values by position.

    Args:
        contraction: The formula, its parameters bound.
        operands: For each factor its values by position; a position without one reads
            as zero, or minus infinity under `max=`.
        extents: The extent of every index.
        shape: The output's shape; what falls outside it is dropped.
    """
    identity = 0 if contraction.reduction == "add" else -math.inf
    result: dict[Position, Number] = dict.fromkeys(_positions(shape), identity)
    names = contraction.indices
    for values in itertools.product(*(range(extents[name]) for name in names)):
        point = dict(zip(names, values, strict=True))
        position = contraction.out.at(point)
        if position not in result:
            continue
        term = math.prod(
            operands[factor.tensor].get(factor.at(point), identity)
            for factor in contraction.factors
        )
        if contraction.reduction == "add":
            result[position] += term
        else:
            result[position] = max(result[position], term)
    return result


def evaluate_pieces(
    pieces: Iterable[Piece],
    operands: Mapping[str, Values],
    extents: Mapping[str, int],
    shape: tuple[int, ...],
) -> dict[Position, Number]:
    """Returns what the pieces of a gathered sum write, together.

    Args:
        pieces: What `gather` returned.
        operands: For each factor its values by position.
        extents: The extents of the original formula's indices.
        shape: The output's shape.

    Raises:
        NotationError: A position is written twice, or by none.
    """
    result: dict[Position, Number] = {}
    for piece in pieces:
        for position, value in _evaluate_piece(piece, operands, extents, shape):
            if position in result:
                raise NotationError(
                    f"evaluate: position {position} is written twice\n    {piece.out}\n"
                    "  Pass the pieces of one gather."
                )
            result[position] = value
    missing = next((p for p in _positions(shape) if p not in result), None)
    if missing is not None:
        raise NotationError(
            f"evaluate: position {missing} is never written\n"
            "  Pass all the pieces of one gather."
        )
    return result


def _evaluate_piece(
    piece: Piece,
    operands: Mapping[str, Values],
    extents: Mapping[str, int],
    shape: tuple[int, ...],
) -> Iterable[tuple[Position, Number]]:
    inner = piece.extents(extents, shape)
    names = sorted({name for axis in piece.out.axes for name in axis.indices})
    written = [
        piece.out.at(dict(zip(names, values, strict=True)))
        for values in itertools.product(*(range(inner[name]) for name in names))
    ]
    if piece.contraction is None:
        return [(position, 0) for position in written]
    sums = evaluate(piece.contraction, operands, inner, shape)
    return [(position, sums[position]) for position in written]


def _positions(shape: tuple[int, ...]) -> Iterable[Position]:
    return itertools.product(*(range(extent) for extent in shape))
