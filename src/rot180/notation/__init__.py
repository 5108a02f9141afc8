"""Index notation: formulas such as `y[p] += x[p + r] * w[r]`, and what follows.

A formula is read by `contraction`, printed by `str` and `latex`, differentiated by
`Contraction.adjoint`, turned from scattering into gathering by `gather`, and computed,
slowly and plainly, by `evaluate`.
"""

from rot180.notation._affine import Affine, Coefficient, Polynomial, integer, join_terms
from rot180.notation._contraction import Access, Contraction, Reduction, dual
from rot180.notation._evaluate import evaluate, evaluate_pieces
from rot180.notation._gather import Piece, Residue, gather, residues
from rot180.notation._parse import contraction
from rot180.notation._products import products
from rot180.notation._show import latex, point, span_of_axis, spans_of
from rot180.notation._sum import Point, Sum

__all__ = [
    "Access",
    "Affine",
    "Coefficient",
    "Contraction",
    "Piece",
    "Point",
    "Polynomial",
    "Reduction",
    "Residue",
    "Sum",
    "contraction",
    "dual",
    "evaluate",
    "evaluate_pieces",
    "gather",
    "integer",
    "join_terms",
    "latex",
    "point",
    "products",
    "residues",
    "span_of_axis",
    "spans_of",
]
