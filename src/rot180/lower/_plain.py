"""The plain program of a sum: the order of summation, and nothing about speed."""

from __future__ import annotations

from rot180.program import Count
from rot180.program._nodes import (
    Affine,
    Apply,
    Blocks,
    Digit,
    Load,
    Loop,
    Program,
    Store,
)
from rot180.schedules._sum import IMAGE, IMAGES, Sum


def plain(sum_: Sum) -> Program:
    """The plain program: images, residues, outputs, then the chain of each output.

    The order of summation is decided here: one chain for each output over `chain`;
    where the images themselves are summed, a chain an image and a binary tree over
    them. Outputs start from the reduction's identity.
    """
    others = tuple(i for i in sum_.outputs() if i != IMAGE)
    tree = None if IMAGE in sum_.outputs() else IMAGE
    store = Store(sum_.outs, sum_.values, sum_.reduction(tree))
    inner: Blocks = sum_.nest(sum_.chain, (store,))
    if sum_.bias is not None:
        total = Apply("add", (Load(sum_.out), Load(sum_.bias)))
        inner = (*inner, Store((sum_.out,), (total,)))
    body: Blocks = sum_.nest(others, inner)
    for residue in reversed(sum_.residues):
        body = (Loop(residue.index, residue.extent, body, derive=residue.derive),)
    if tree is not None:
        every = Affine(((IMAGES, 1),))
        body = (Loop(IMAGE, None, body, limit=every),)
        item = Loop("item", None, body, "parallel", items=Count(0, 1, 1))
    else:
        digit = Digit(IMAGE, 1, 0)
        item = Loop("item", None, body, "parallel", derive=(digit,), items=Count(1))
    return Program(sum_.name, sum_.arguments(), (item,))
