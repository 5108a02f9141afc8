"""Which configurations are judged: random ones, every cell, or given shapes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rot180 import ops
from rot180.check.cases._case import (
    KINDS,
    Case,
    Kind,
    Parameter,
    altered,
    fitted,
    make,
    parameters,
)
from rot180.errors import DataError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["cases", "draw", "every_cell", "read_shapes"]

# A random case costs at most so many multiplications a pass, so that a subject of plain
# Python loops answers in time too.
_WORK: Final = 100_000
# What a random case becomes smaller in.
_SIZES: Final = (
    "extra", "kernel_size", "in_group", "out_group", "groups", "images",
)  # fmt: skip
# How many levels of a parameter the full profile combines, by rank.
_LEVELS: Final = {1: 9, 2: 9, 3: 3}


def cases(kind: Kind, *, ranks: Sequence[int] = (1, 2, 3)) -> SearchStrategy[Case]:
    """Returns hypothesis's strategy for configurations of one operation.

    For your own tests: `@given(case=cases("conv"))`; it needs hypothesis.
    Every parameter is drawn from the table; in three of four cases one is large, and
    the others become smaller until the case costs little.
    """
    from hypothesis.strategies import integers

    def drawn(seed: int) -> Case:
        return draw(kind, tuple(ranks), np.random.default_rng(seed))

    return integers(0, 2**63 - 1).map(drawn)


def draw(kind: Kind, ranks: Sequence[int], rng: np.random.Generator) -> Case:
    """Returns a random case; in three of four one parameter is large."""
    rank = _pick(rng, ranks)
    values: dict[str, Any] = {}
    for known in parameters(kind):
        picked = [_pick(rng, known.drawn) for _ in range(rank if known.each else 1)]
        values[known.name] = tuple(picked) if known.each else picked[0]
    large = None
    if rng.integers(4):
        known = _pick(rng, [p for p in parameters(kind) if p.most is not None])
        values[known.name] = _enlarged(known, values[known.name], rng)
        large = known.name
    if kind in ("conv", "max_pool", "avg_pool") and rng.integers(10) == 0:
        words = ops.PADDINGS if kind == "conv" else ("valid", "same")
        values["padding"] = _pick(rng, words)
    case = make(kind, rank=rank, **values, seed=int(rng.integers(10**6)))
    return _within(case, large, rng)


def _pick(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def _enlarged(known: Parameter, value: Any, rng: np.random.Generator) -> Any:
    """Returns a large value, in one dimension or all; each magnitude as often."""
    number = round(np.exp(rng.uniform(np.log(4), np.log(known.most or 4))))
    if not known.each:
        return number
    if rng.integers(3) == 0:
        return (number,) * len(value)
    dim = int(rng.integers(len(value)))
    return (*value[:dim], number, *value[dim + 1 :])


def _within(case: Case, large: str | None, rng: np.random.Generator) -> Case:
    """Returns the case with less of this and that until it costs little enough.

    The large parameter is kept.
    """
    while case.work() > _WORK:
        sizes = {name: getattr(case, name) for name in _SIZES}
        open_names = [n for n, v in sizes.items() if np.max(v or 1) > 1 and n != large]
        name = _pick(rng, open_names or [large])
        value = sizes[name]
        each = isinstance(value, tuple)
        less = tuple((v + 1) // 2 for v in value) if each else value // 2
        case = fitted(altered(case, name, less))
    return case


def every_cell(seed: int = 0) -> tuple[Case, ...]:
    """Returns configurations in which every pair of levels of the table occurs.

    For each operation and rank 1, 2 and 3: whichever two parameters, or one parameter
    in two dimensions, and whichever levels of them, some configuration has both.  In
    three dimensions the first three levels of each parameter take part.
    """
    rng = np.random.default_rng(seed)
    found: dict[Case, None] = {}
    for rank, kind in itertools.product((2, 1, 3), KINDS):
        for case in _pairwise(kind, rank, rng):
            found[replace(case, seed=len(found))] = None
    return tuple(found)


Factors = dict[tuple[str, int], tuple[Any, ...]]
Row = dict[int, int]  # from the number of a factor to that of its level
Pairs = set[tuple[tuple[int, int], tuple[int, int]]]


def _factors(kind: Kind, rank: int) -> Factors:
    """Returns the levels of every parameter, of each dimension if it has one each."""
    factors: Factors = {}
    for known in parameters(kind):
        levels = known.levels[: _LEVELS[rank]]
        for dim in range(rank if known.each else 1):
            factors[known.name, dim] = levels
    if kind in ("max_pool", "avg_pool"):  # no padding that even the widest window lacks
        half = max(factors["kernel_size", 0]) // 2
        for dim in range(rank):
            pads = factors["padding", dim]
            fitting = (p for p in pads if min(p) >= 0 and max(p) <= half)
            factors["padding", dim] = tuple(fitting)
    return factors


def _built(kind: Kind, rank: int, factors: Factors, row: Row) -> Case:
    level = {name: factors[name][row[i]] for i, name in enumerate(factors)}
    values = {
        known.name: tuple(level[known.name, dim] for dim in range(rank))
        if known.each
        else level[known.name, 0]
        for known in parameters(kind)
    }
    return make(kind, rank=rank, **values)


def _pairs(case: Case, factors: Factors) -> Pairs:
    """Returns the pairs of levels that a case has: its row's, as far as they fit."""
    each = {known.name for known in parameters(case.kind) if known.each}
    row = []
    for number, ((name, dim), levels) in enumerate(factors.items()):
        value = getattr(case, name)
        own = value[dim] if name in each else value
        if own in levels:
            row.append((number, levels.index(own)))
    return set(itertools.combinations(row, 2))


def _pairwise(kind: Kind, rank: int, rng: np.random.Generator) -> Iterator[Case]:
    """Yields cases in which every pair of levels of two factors occurs.

    Greedy: each case starts from a pair that is still missing and takes, factor by
    factor, the level that adds most missing pairs. Where some of these do not go
    together, so that the pair is lost, another starts from wide windows too; a pair
    that is lost there as well does not go together itself.
    """
    factors = _factors(kind, rank)
    counts = [len(levels) for levels in factors.values()]
    names = [name for name, _ in factors]
    wide = {i: counts[i] - 1 for i, n in enumerate(names) if n in _WIDENING}
    missing: Pairs = {
        ((a, i), (b, j))
        for a, b in itertools.combinations(range(len(counts)), 2)
        for i in range(counts[a])
        for j in range(counts[b])
    }
    while missing:
        pair = min(missing)
        for start in (dict(pair), wide | dict(pair)):
            row = _completed(start, counts, missing, rng)
            case = _built(kind, rank, factors, row)
            had = _pairs(case, factors)
            if had & missing:
                yield case
            missing -= had
            if pair not in missing:
                break
        missing.discard(pair)


# With the largest of these, every level of the others fits.
_WIDENING: Final = ("kernel_size", "stride", "dilation")


def _completed(
    start: Row, counts: list[int], missing: Pairs, rng: np.random.Generator
) -> Row:
    row = dict(start)
    for other in rng.permutation(len(counts)).tolist():
        if other not in row:
            row[other] = _best_level(other, counts[other], row, missing, rng)
    return row


def _best_level(
    factor: int, count: int, row: Row, missing: Pairs, rng: np.random.Generator
) -> int:
    def gain(level: int) -> int:
        new = (factor, level)
        return sum(
            ((other, new) if other < new else (new, other)) in missing
            for other in row.items()
        )

    gains = [gain(level) for level in range(count)]
    best = [level for level, value in enumerate(gains) if value == max(gains)]
    return int(rng.choice(best))


_TOKEN: Final = re.compile(r"([a-z]+)(\d+)")
_AXES: Final = "dhw"


def read_shapes(text: str, name: str = "the file of shapes") -> tuple[Case, ...]:
    """Reads one convolution a line, as oneDNN's benchdnn writes them.

    `g32mb8ic64ih56oc64oh56kh3ph1` is 8 images of 64 channels, 56x56, 32 groups, 64
    filters of 3x3, padding 1. What is not given for the width or the depth is as for
    the height; the number of images is 2 unless given; `sh2` is the stride, `dh1` the
    dilation minus 1, as there. With the extent of the output given, the padding behind
    the last position follows from it. Empty lines and what follows `#` are skipped; so
    is a name in quotes at a line's end.

    Raises:
        DataError: A line cannot be read, or describes no convolution.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        written = re.sub(r'n?"[^"]*"', "", line.split("#", 1)[0]).strip()
        if written:
            try:
                found.append(_read_shape(written))
            except ValueError as error:
                raise DataError(
                    f"check: line {number} of {name} is not a convolution\n"
                    f"    {line.strip()}\n"
                    f"  {error}\n"
                    "  Write lines such as g1mb8ic64ih56oc64oh56kh3ph1."
                ) from error
    if not found:
        raise DataError(
            f"check: {name} names no shape\n"
            "  Write lines such as g1mb8ic64ih56oc64oh56kh3ph1."
        )
    return tuple(replace(case, seed=8 * seed) for seed, case in enumerate(found))


def _read_shape(line: str) -> Case:
    compact = re.sub(r"[_\s]+", "", line)
    tokens = _TOKEN.findall(compact)
    if "".join(map("".join, tokens)) != compact:
        raise ValueError("It does not consist of names and numbers.")
    numbers = {key: int(value) for key, value in tokens}
    known = {"g", "mb", "ic", "oc"} | {a + b for a in "iokspd" for b in _AXES}
    unknown = sorted(set(numbers) - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} means nothing here.")
    lacking = [key for key in ("ic", "oc") if key not in numbers]
    if lacking:
        raise ValueError(f"{lacking[0]!r} is missing.")
    axes = [axis for axis in _AXES if f"i{axis}" in numbers or f"k{axis}" in numbers]
    if not axes:
        raise ValueError("An extent such as 'ih56' is missing.")
    rank = len(_AXES) - _AXES.index(axes[0]) if axes != ["h"] else 2
    return _described(numbers, _AXES[-rank:])


def _described(numbers: dict[str, int], axes: str) -> Case:
    def extent(letter: str, axis: str, default: int | None) -> int:
        for other in (axis, *axes):
            if f"{letter}{other}" in numbers:
                return numbers[f"{letter}{other}"]
        if default is None:
            raise ValueError(f"'{letter}{axis}' is missing.")
        return default

    groups = numbers.get("g", 1)
    columns = []
    for axis in axes:
        size, k = extent("i", axis, None), extent("k", axis, None)
        s, d, low = extent("s", axis, 1), extent("d", axis, 0) + 1, extent("p", axis, 0)
        span = (k - 1) * d + 1
        high = low
        if any(f"o{other}" in numbers for other in axes):
            high = (extent("o", axis, None) - 1) * s + span - size - low
        if size + low + high < span or size < 1 or k < 1 or s < 1:
            raise ValueError("It has no output.")
        columns.append((k, s, d, (low, high), size - max(span - low - high, 0)))
    ic, oc = numbers["ic"], numbers["oc"]
    if groups < 1 or ic % groups or oc % groups or not ic or not oc:
        raise ValueError(f"{groups} groups do not divide {ic} and {oc} channels.")
    kernel, stride, dilation, padding, extra = zip(*columns, strict=True)
    return make(
        "conv", rank=len(axes), images=numbers.get("mb", 2), groups=groups,
        in_group=ic // groups, out_group=oc // groups, kernel_size=kernel,
        stride=stride, dilation=dilation, padding=padding, extra=extra,
    )  # fmt: skip
