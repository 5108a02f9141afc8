"""A failing configuration becomes the smallest that still fails."""

from collections.abc import Callable
from typing import Any

import pytest

from rot180.check.cases._case import Case, Kind, make
from rot180.check.diagnose._shrink import shrink

Fails = Callable[[Case], bool]
BIG = make(
    "conv",
    rank=3,
    dtype="float64",
    images=3,
    groups=4,
    in_group=3,
    out_group=5,
    kernel_size=(3, 4, 2),
    extra=(5, 2, 7),
    stride=(2, 3, 2),
    padding=((2, 1), (0, 2), (-1, 3)),
    dilation=(2, 1, 3),
    bias=True,
    flip=True,
    layout="channels_last",
    seed=12345,
)
UP = make(
    "conv_transpose",
    kernel_size=3,
    extra=4,
    stride=3,
    output_padding=(1, 2),
    padding=(1, 0),
    groups=2,
    in_group=2,
    images=2,
    bias=True,
    seed=17,
)
POOL = make(
    "avg_pool",
    kernel_size=(3, 2),
    stride=2,
    extra=(3, 4),
    padding=(1, 1),
    ceil_mode=True,
    count_include_pad=False,
    in_group=5,
    images=2,
    layout="channels_last",
    seed=5,
)

# What has to hold to fail, and the smallest case, in short form.
PLANTED: list[tuple[str, Case, Fails, dict[str, Any]]] = [
    ("always", BIG, lambda c: True, {}),
    ("a stride", BIG, lambda c: max(c.stride) > 1, {"stride": 2}),
    ("a large stride", BIG, lambda c: max(c.stride) == 3, {"stride": 3}),
    ("groups", BIG, lambda c: c.groups > 1, {"groups": 2}),
    (
        "stride and dilation in one dimension",
        BIG,
        lambda c: any(
            s > 1 and d > 1 for s, d in zip(c.stride, c.dilation, strict=True)
        ),
        {"stride": 2, "dilation": 2},
    ),
    (
        "sides that differ",
        BIG,
        lambda c: any(low != high for low, high in c.window.padding),
        {"padding": (1, 0)},
    ),
    (
        "a tail",
        BIG,
        lambda c: (c.size[0] + sum(c.padding[0]) - c.kernel_size[0]) % c.stride[0] > 0,  # type: ignore[arg-type]
        {"stride": 2, "extra": 1},
    ),
    ("images", BIG, lambda c: (c.images or 0) >= 2, {"images": 2}),
    (
        "a bias in float64",
        BIG,
        lambda c: c.bias and c.dtype == "float64",
        {"bias": True, "dtype": "float64"},
    ),
    ("several filters", BIG, lambda c: c.out_group > 2, {"out_group": 3}),
    (
        "the layout",
        BIG,
        lambda c: c.layout != "channels_first",
        {"layout": "channels_last"},
    ),
    (
        "output padding",
        UP,
        lambda c: max(c.output_padding) > 0,
        {"output_padding": 1, "stride": 2},
    ),
    ("rounding up", POOL, lambda c: c.ceil_mode, {"ceil_mode": True}),
    (
        "padding that does not count",
        POOL,
        lambda c: not c.count_include_pad and max(map(max, c.window.padding)) > 0,
        {"count_include_pad": False, "padding": (0, 1), "kernel_size": 2},
    ),
    (
        "no images",
        make(images=0, in_group=3, stride=2),
        lambda c: c.images == 0,
        {"images": 0},
    ),
    (
        "one image",
        make(images=None, in_group=3),
        lambda c: c.images is None,
        {"images": None},
    ),
]


@pytest.mark.parametrize(
    ("big", "fails", "small"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED]
)
def test_a_planted_condition_is_all_that_is_left(
    big: Case, fails: Fails, small: dict[str, Any]
) -> None:
    found = shrink(big, fails)
    assert fails(found)
    expected = make(big.kind, rank=1, **small)
    assert _cost(found) <= _cost(expected), found
    assert found.features() <= expected.features() | {"stride", "padding"}


def _cost(case: Case) -> int:
    return case.rank * 100 + case.work()


@pytest.mark.parametrize("seed", [0, 4, 5])
def test_the_style_of_the_values_is_kept_where_it_matters(seed: int) -> None:
    def fails(case: Case) -> bool:
        return case.seed % 8 == seed % 8

    assert shrink(make(seed=seed + 32), fails).seed == seed % 8


@pytest.mark.parametrize("word", ["same", "full", "causal", "valid", "same_lower"])
def test_padding_by_name_becomes_numbers_where_that_fails_too(word: str) -> None:
    case = make(kernel_size=3, extra=5, padding=word, stride=2)
    assert shrink(case, lambda c: True).padding == ((0, 0),)
    assert shrink(case, lambda c: c.padding == word).padding == word


def test_what_does_not_get_smaller_stays() -> None:
    assert shrink(BIG, lambda case: case == BIG) == BIG


def test_no_case_is_tried_twice_and_no_more_than_asked_for() -> None:
    tried: list[Case] = []

    def fails(case: Case) -> bool:
        tried.append(case)
        return case.groups > 1

    shrink(BIG, fails)
    assert len(tried) == len(set(tried))
    assert BIG not in tried
    tried.clear()
    shrink(BIG, fails, tries=5)
    assert len(tried) == 5


KINDS: list[Kind] = ["conv", "conv_transpose", "max_pool", "avg_pool"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_case_that_is_tried_has_an_output(kind: Kind) -> None:
    from rot180.check.judge._oracle import output_size

    big = make(kind, kernel_size=3, extra=4, padding=(1, 0), stride=2, in_group=2)

    def fails(case: Case) -> bool:
        assert all(extent > 0 for extent in output_size(case))
        return case.in_group == 2

    shrink(big, fails)
