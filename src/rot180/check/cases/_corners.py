"""The fixed configurations that every run begins with: where real code was wrong.

They come in order of how much they tell, the operations in turn, so that a slow subject
that does not get through all of them has met the most telling ones of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from rot180.check.cases._case import KINDS, Case, Kind, make

__all__ = ["IMPULSES", "corners", "covering"]

# The remainder of the seed by 8 at which images hold one number each. Such data show
# narrow arithmetic, and hide much else.
IMPULSES: Final = 7

# Channel counts at which vector code changes its path; 24 groups were once wrong alone.
_COUNTS = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33)


def corners(seed: int = 0) -> tuple[Case, ...]:
    """Returns the fixed configurations, each once, with varied values."""
    every = dict.fromkeys((*_convs(), *_transposed(), *_pools(), *_relus()))
    parts = [[case for case in every if case.kind == kind] for kind in KINDS]
    placed = [
        ((number + 0.5) / len(part), case)
        for part in parts
        for number, case in enumerate(part)
    ]
    placed.sort(key=lambda item: item[0])
    return tuple(_valued(case, i, seed) for i, (_, case) in enumerate(placed))


def covering(cases: Iterable[Case], count: int) -> tuple[list[Case], list[Case]]:
    """Returns those that bring each feature of an operation so often, and the rest."""
    seen: dict[Kind, Counter[str]] = {kind: Counter() for kind in KINDS}
    needed: list[Case] = []
    rest: list[Case] = []
    for case in cases:
        known = seen[case.kind]
        is_needed = any(known[name] < count for name in case.features())
        (needed if is_needed else rest).append(case)
        if is_needed:
            known.update(case.features())
    return needed, rest


def _valued(case: Case, number: int, seed: int) -> Case:
    """Returns the case with a seed of its own, and every third three in float64.

    The seed's remainder by 8 decides the style of the values, one of three in turn, or
    impulses where the case asks for them: each style meets both dtypes.
    """
    impulses = case.seed == IMPULSES
    wide = number // 2 % 2 if impulses else number // 3 % 3 == 2
    dtype = "float64" if wide else "float32"
    style = IMPULSES if impulses else number % 3
    return replace(case, seed=8 * (number + 1009 * seed) + style, dtype=dtype)


def _convs() -> Iterator[Case]:
    # Plain, then one thing at a time; odd and even, square and oblong kernels.
    both = {"in_group": 2, "out_group": 3, "images": 2}
    yield make(kernel_size=2, extra=1)
    yield make(kernel_size=3, extra=2, **both, bias=True)
    yield make(kernel_size=(3, 2), extra=(2, 4), **both)
    yield make(kernel_size=3, extra=3, padding=(1, 1), **both, bias=True)
    yield make(kernel_size=3, extra=4, stride=2, **both)
    yield make(kernel_size=3, extra=4, stride=2, padding=(1, 1), **both, bias=True)
    yield make(kernel_size=3, extra=3, dilation=2, **both)
    yield make(kernel_size=3, extra=4, groups=2, in_group=2, out_group=3, images=2)
    yield make(kernel_size=3, extra=4, stride=2, groups=2, in_group=2, images=2)
    # Rows past the last full window; a stride larger than the kernel.
    for extra in (1, 2, 3, 4):
        yield make(kernel_size=2, extra=extra, stride=3, in_group=2, out_group=2)
        oblong: dict[str, Any] = {"extra": (extra, 3), "stride": (2, 4)}
        yield make(kernel_size=3, padding=(1, 1), images=2, **oblong)
    yield make(kernel_size=1, extra=4, stride=2, in_group=3, out_group=2)
    # Stride with dilation, equal and not; per dimension.
    for stride, dilation in ((2, 3), (3, 2), (2, 2), ((1, 2), (3, 1)), ((2, 1), 2)):
        yield make(kernel_size=3, extra=5, stride=stride, dilation=dilation, in_group=2)
    yield make(kernel_size=2, extra=5, stride=2, dilation=3, padding=(1, 1), **both)
    # Padding per side, larger than the filter, cropping, and by name.
    for padding in ((1, 0), (0, 1), (2, 1), (0, 2), (4, 3), (-1, 0), (0, -1), (-1, 2)):
        yield make(kernel_size=3, extra=3, padding=padding, in_group=2, out_group=2)
    yield make(kernel_size=2, extra=1, padding=(-1, 1), in_group=2)
    yield make(kernel_size=3, extra=4, padding=((1, 1), (0, 0)), out_group=2)
    yield make(kernel_size=3, extra=4, padding=((1, 0), (2, 1)), stride=2, **both)
    for word in ("same", "valid", "same_lower", "full", "causal"):
        yield make(kernel_size=(2, 3), extra=5, padding=word, in_group=2)
    yield make(kernel_size=(2, 4), extra=5, padding="same", stride=2)
    # Extents 1 and 0, a kernel larger than the map, no images, no image axis.
    yield make(kernel_size=1, in_group=3, out_group=2, images=2)
    yield make(kernel_size=3, in_group=2, out_group=2, images=2)
    yield make(kernel_size=(5, 6), in_group=2, out_group=2)  # as a linear layer
    yield make(kernel_size=5, padding=(2, 2), in_group=2, out_group=2)
    yield make(kernel_size=4, padding=(3, 2), stride=2, extra=1)
    yield make(kernel_size=3, padding=(2, 2), extra=0, images=2)
    yield make(kernel_size=3, extra=2, images=0, in_group=2, out_group=3, bias=True)
    yield make(kernel_size=3, extra=2, images=0, stride=2, groups=2, padding=(1, 1))
    yield make(kernel_size=3, extra=2, images=None, in_group=2, out_group=3, bias=True)
    # Groups: depthwise, with a multiplier, with everything else.
    for counts in ((3, 1, 1), (2, 1, 3), (4, 2, 1), (3, 2, 2), (24, 1, 1)):
        shape = dict(zip(("groups", "in_group", "out_group"), counts, strict=True))
        yield make(kernel_size=2, extra=3, images=2, **shape)
        yield make(kernel_size=3, extra=3, stride=2, padding=(1, 1), bias=True, **shape)
    twos = {"stride": 2, "dilation": 2, "kernel_size": 2, "in_group": 2}
    yield make(extra=4, groups=3, padding=(1, 0), **twos)
    for count in _COUNTS:
        yield make(kernel_size=2, extra=2, in_group=count, out_group=2)
        yield make(kernel_size=2, extra=2, in_group=2, out_group=count, stride=2)
        yield make(kernel_size=2, extra=2, groups=count)
        yield make(kernel_size=1, extra=2, in_group=count, out_group=count)
    # Past the width of vectors, tiles and blocks, one thing at a time.
    deep = {"in_group": 8, "out_group": 9}
    yield make(kernel_size=3, extra=(8, 18), padding=(1, 1), bias=True, **deep)
    deep = {"in_group": 16, "out_group": 16}
    for values in (0, IMPULSES):
        yield make(kernel_size=3, extra=(5, 6), padding=(1, 1), seed=values, **deep)
        yield make(kernel_size=3, extra=(6, 5), seed=values, **deep)
        yield make(kernel_size=1, extra=(4, 3), seed=values, **deep)
        yield make(kernel_size=3, extra=4, stride=2, groups=16, seed=values)
    yield make(kernel_size=2, extra=(17, 16), out_group=2)
    yield make(kernel_size=3, extra=1, in_group=33, out_group=2)
    yield make(rank=3, kernel_size=2, extra=(9, 10, 9))
    yield make(kernel_size=3, extra=(3, 2), padding=(1, 1), in_group=16, out_group=16)
    yield make(kernel_size=7, extra=(9, 35), padding=(3, 3), stride=2, out_group=2)
    yield make(kernel_size=1, extra=(4, 6), padding=(1, 1), stride=2, in_group=2)
    yield make(kernel_size=3, extra=(5, 6), padding=(1, 1), groups=33)
    yield make(kernel_size=2, extra=2, images=17, in_group=2, out_group=2)
    yield make(kernel_size=1, extra=(0, 1), in_group=65, out_group=67)
    yield make(kernel_size=2, extra=1, groups=2, in_group=33, out_group=18)
    yield make(rank=1, kernel_size=2, extra=70_000)
    yield make(kernel_size=2, extra=(40, 2), stride=(6, 1), dilation=(1, 5))
    # One and three dimensions.
    for rank in (1, 3):
        yield make(rank=rank, kernel_size=3, extra=3, **both, bias=True)
        yield make(rank=rank, kernel_size=3, extra=3, stride=2, padding=(1, 1), **both)
        yield make(rank=rank, kernel_size=2, extra=4, stride=2, dilation=3, in_group=2)
        yield make(
            rank=rank, kernel_size=2, extra=3, groups=2, padding=(1, 0), stride=2
        )
        yield make(rank=rank, kernel_size=2, extra=2, images=0, in_group=2, out_group=2)
    yield make(rank=1, kernel_size=17, extra=9, stride=4, padding=(8, 8), in_group=2)
    # True convolution, channels last.
    yield make(kernel_size=(3, 2), extra=3, flip=True, **both)
    yield make(kernel_size=3, extra=3, flip=True, stride=2, padding=(1, 0), groups=2)
    yield make(kernel_size=(3, 2), extra=3, layout="channels_last", **both, bias=True)
    yield make(
        kernel_size=3, extra=3, layout="channels_last", stride=2, groups=2, in_group=2
    )


def _transposed() -> Iterator[Case]:
    made = partial(make, "conv_transpose")
    both = {"in_group": 2, "out_group": 3, "images": 2}
    yield made(kernel_size=2, extra=1)
    yield made(kernel_size=(3, 2), extra=2, **both, bias=True)
    yield made(kernel_size=3, extra=2, stride=2, padding=(1, 1), **both)
    half: dict[str, Any] = {"stride": 2, "padding": (1, 1), "output_padding": 1}
    yield made(kernel_size=3, extra=2, **half, **both, bias=True)
    yield made(kernel_size=2, extra=2, stride=3, output_padding=(2, 1), **both)
    yield made(kernel_size=4, extra=2, stride=2, padding=(2, 2), output_padding=1)
    yield made(kernel_size=5, stride=3, padding=(1, 2), output_padding=2, **both)
    yield made(kernel_size=3, extra=2, stride=2, output_padding=1, in_group=2)
    yield made(kernel_size=3, extra=2, dilation=2, stride=2, output_padding=1)
    yield made(kernel_size=3, extra=2, stride=(2, 3), padding=(1, 0), dilation=(2, 1))
    yield made(kernel_size=3, extra=2, groups=2, in_group=2, out_group=3, stride=2)
    yield made(kernel_size=2, extra=2, groups=3, stride=2, output_padding=1)
    yield made(kernel_size=2, extra=2, groups=2, in_group=1, out_group=2, bias=True)
    yield made(kernel_size=1, extra=2, stride=2, in_group=2)
    yield made(kernel_size=3, extra=2, images=0, stride=2, in_group=2)
    for rank in (1, 3):
        yield made(
            rank=rank, kernel_size=3, extra=2, stride=2, output_padding=1, **both
        )
        yield made(rank=rank, kernel_size=2, extra=2, groups=2, padding=(1, 1))
    yield made(kernel_size=(3, 2), extra=2, flip=True, stride=2)
    yield made(kernel_size=(3, 2), extra=2, layout="channels_last", stride=2, **both)


def _pools() -> Iterator[Case]:
    kinds: tuple[Kind, ...] = ("max_pool", "avg_pool")
    for kind in kinds:
        made = partial(make, kind)
        yield made(kernel_size=2, stride=2, extra=2, in_group=2, images=2)
        yield made(kernel_size=3, extra=3, in_group=2, images=2)  # overlapping
        yield made(kernel_size=3, extra=3, padding=((1, 1), (0, 1)), in_group=2)
        yield made(kernel_size=3, stride=2, extra=4, in_group=2, padding=(1, 1))
        yield made(kernel_size=(2, 3), stride=(2, 1), extra=(3, 2))
        yield made(kernel_size=2, stride=3, extra=4, in_group=3)  # gaps and tails
        for extra in (1, 2, 3):
            yield made(kernel_size=3, stride=2, extra=extra, ceil_mode=True)
            more: dict[str, Any] = {"ceil_mode": True, "padding": (1, 1)}
            yield made(kernel_size=2, stride=3, extra=extra, **more)
            yield made(kernel_size=3, stride=2, extra=extra, **more)
        yield made(kernel_size=1, extra=2)
        yield made(kernel_size=2, stride=2, extra=(1, 38), in_group=17)
        yield made(kernel_size=3, padding=(1, 0), stride=2, extra=2)
        yield made(kernel_size=2, stride=2, extra=2, images=0)
        yield made(kernel_size=3, stride=2, extra=3, layout="channels_last", in_group=2)
        for rank in (1, 3):
            yield made(rank=rank, kernel_size=3, stride=2, extra=2, padding=(1, 1))
            yield made(rank=rank, kernel_size=2, stride=2, extra=1, ceil_mode=True)
    yield make("max_pool", kernel_size=2, dilation=2, extra=3, stride=2)
    for ceil_mode in (False, True):
        more = {"count_include_pad": False, "ceil_mode": ceil_mode, "kernel_size": 3}
        yield make("avg_pool", padding=(1, 1), stride=2, extra=3, **more)
        yield make("avg_pool", padding=(1, 1), stride=2, extra=4, in_group=2, **more)
    yield make("avg_pool", kernel_size=2, stride=2, extra=3, divisor_override=3)


def _relus() -> Iterator[Case]:
    yield make("relu", in_group=2, images=2, extra=3)
    yield make("relu", in_group=3, extra=(4, 1))
    yield make("relu", rank=1, in_group=17, extra=8, images=3)
    yield make("relu", in_group=5, extra=(16, 12))
    yield make("relu", images=0, extra=2)
