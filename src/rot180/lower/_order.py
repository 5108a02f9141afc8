"""The order of summation, decided here alone, from the sizes of a problem.

Results that belong to single images are one chain each, cut into leaves where it is
long. Where the images are summed, a leaf is a piece of one image, or a few whole images
where these are tiny; so no tile, no thread count and no other image changes a bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile

from rot180.schedules import IMAGE

Leaves = tuple[tuple[str, int], ...]

# A chain of 4,096 float32 terms may lose three digits, and most are shorter: they stay
# whole. Leaves of 128 cost 3 to 6 % of the additions, and keep the error below four
# times that of a tree over single terms.
LONG = 4096
_LEAF = 128
_SHORT = 32  # terms: fewer, and the tree's own additions would count


def leaves_within(chain: Sequence[str], extents: Mapping[str, int | None]) -> Leaves:
    """How the chain of a result that belongs to one image is cut.

    Args:
        chain: the summed indices, outermost first.
        extents: of every index.
    """
    sizes = [extents[i] or 0 for i in chain]
    return _cut(chain, sizes) if math.prod(sizes) > LONG else ()


def leaves_over_images(
    chain: Sequence[str], extents: Mapping[str, int | None]
) -> Leaves:
    """How the sum of a result over the images, and in each over `chain`, is cut."""
    sizes = [extents[i] or 0 for i in chain]
    positions = math.prod(sizes)
    if positions < _SHORT:
        images = 1 << ((_SHORT - 1) // max(positions, 1)).bit_length()
        return ((IMAGE, images),)
    return ((IMAGE, 1), *_cut(chain, sizes))


def _cut(chain: Sequence[str], sizes: Sequence[int]) -> Leaves:
    """Whole steps of the outer loops, then equal pieces, of `_LEAF` terms at most."""
    inside = [math.prod(sizes[number + 1 :]) for number in range(len(sizes))]
    single = list(takewhile(lambda number: inside[number] > _LEAF, range(len(sizes))))
    found = [(chain[number], 1) for number in single]
    last = len(single)
    if last < len(sizes):
        pieces = -(-sizes[last] // max(_LEAF // max(inside[last], 1), 1))
        size = -(-sizes[last] // max(pieces, 1))
        if size < sizes[last]:
            found.append((chain[last], size))
    return tuple(found)
