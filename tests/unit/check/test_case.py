"""The table of parameters: what a case says, and that every parameter takes part."""

import itertools
from collections import defaultdict
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings

from rot180.check import Case, cases
from rot180.check.cases._case import KINDS, Kind, fitted, make, parameters
from rot180.check.cases._corners import IMPULSES, corners
from rot180.check.cases._profiles import every_cell
from rot180.check.judge._oracle import operands, output_size

each_kind = pytest.mark.parametrize("kind", KINDS)


@cache
def _drawn(kind: Kind) -> tuple[Case, ...]:
    """Cases that the strategy draws, the same ones in every run."""
    found: list[Case] = []

    @settings(max_examples=150, derandomize=True, database=None)
    @given(cases(kind))
    def draw(case: Case) -> None:
        found.append(case)

    draw()
    return tuple(found)


def _values(case: Case, name: str) -> tuple[Any, ...]:
    """The values that a case has of a parameter, one for each dimension if so."""
    value = getattr(case, name)
    return value if isinstance(value, tuple) else (value,)


# --- every parameter takes part ---


def test_every_field_but_the_kind_and_the_seed_is_a_parameter_of_some_operation() -> (
    None
):
    named = {known.name for kind in KINDS for known in parameters(kind)}
    assert named == {entry.name for entry in fields(Case)} - {"kind", "seed"}


@each_kind
def test_strategies_draw_several_values_of_every_parameter(kind: Kind) -> None:
    seen: dict[str, set[Any]] = defaultdict(set)
    for case in _drawn(kind):
        for known in parameters(kind):
            seen[known.name].update(_values(case, known.name))
    for known in parameters(kind):
        choices = set(known.drawn)
        # Of many values some may not come up; of a few all do.
        least = len(choices) if len(choices) <= 5 else len(choices) // 6
        assert len(seen[known.name] & choices) >= least, known.name


@each_kind
def test_strategies_draw_every_rank_and_every_style_of_values(kind: Kind) -> None:
    found = _drawn(kind)
    assert {case.rank for case in found} == {1, 2, 3}
    assert {case.seed % 8 for case in found} >= {0, 1, 2, 7}


@each_kind
def test_strategies_draw_the_ranks_that_are_asked_for(kind: Kind) -> None:
    @settings(max_examples=20)
    @given(cases(kind, ranks=[2]))
    def draw(case: Case) -> None:
        assert case.rank == 2

    draw()


@each_kind
def test_whatever_is_drawn_has_operands_and_an_output(kind: Kind) -> None:
    for case in _drawn(kind):
        given_arrays = operands(case)
        assert given_arrays["x"].shape == case.x_shape
        assert given_arrays["x"].dtype == case.dtype
        assert all(extent >= 1 for extent in output_size(case)) or kind == "relu"


def test_every_level_of_every_parameter_is_in_the_full_profile() -> None:
    cells = every_cell()
    for kind in KINDS:
        for known in parameters(kind):
            for rank in (1, 2):
                mine = [c for c in cells if c.kind == kind and c.rank == rank]
                seen = {v for c in mine for v in _values(c, known.name)}
                levels = {v for v in known.levels if _fits(kind, known.name, v)}
                assert levels <= seen, (kind, rank, known.name)


def _fits(kind: Kind, name: str, value: Any) -> bool:
    wide = {"kernel_size": 5, "stride": 3, "dilation": 3}
    known = {p.name for p in parameters(kind)}
    values = {n: v for n, v in wide.items() if n in known} | {name: value}
    return value in _values(make(kind, rank=1, **values), name)


@pytest.mark.parametrize("kind", ["conv", "conv_transpose", "max_pool", "avg_pool"])
def test_every_pair_of_levels_that_go_together_is_in_the_full_profile(
    kind: Kind,
) -> None:
    mine = [c for c in every_cell() if c.kind == kind and c.rank == 1]
    known = parameters(kind)
    for a, b in itertools.combinations(known, 2):
        have = {(_values(c, a.name)[0], _values(c, b.name)[0]) for c in mine}
        for pair in itertools.product(a.levels, b.levels):
            chosen = dict(zip((a.name, b.name), pair, strict=True))
            if _go_together(kind, chosen):
                assert pair in have, chosen


def _go_together(kind: Kind, chosen: dict[str, Any]) -> bool:
    """Whether some case of rank 1 has these values, of any window."""
    wide = {"kernel_size": (5,), "stride": (1, 3), "dilation": (1, 3)}
    free = [n for n in wide if n in {p.name for p in parameters(kind)} - set(chosen)]
    for values in itertools.product(*(wide[name] for name in free)):
        case = make(kind, rank=1, **chosen, **dict(zip(free, values, strict=True)))
        if all(_values(case, name)[0] == value for name, value in chosen.items()):
            return True
    return False


# --- the fixed corners ---


def _has(case: Case, what: str) -> bool:
    padding = case.padding if isinstance(case.padding, tuple) else ()
    pads = [side for pair in padding for side in pair]
    dims = list(zip(case.kernel_size, case.size, strict=True))
    return {
        "asymmetric padding": any(low != high for low, high in padding),
        "negative padding": any(side < 0 for side in pads),
        "padding by name": isinstance(case.padding, str),
        "padding wider than the kernel": any(
            max(pair) >= k
            for pair, k in zip(padding, case.kernel_size, strict=bool(padding))
        ),
        "stride with dilation": any(
            s > 1 and d > 1 for s, d in zip(case.stride, case.dilation, strict=True)
        ),
        "stride wider than the kernel": any(
            s > k for s, k in zip(case.stride, case.kernel_size, strict=True)
        ),
        "extent 0": 0 in case.size,
        "extent 1": 1 in case.size,
        "kernel larger than the map": any(k > e >= 1 for k, e in dims),
        "no images": case.images == 0,
        "no image axis": case.images is None,
        "several images": (case.images or 0) > 1,
        "bias": case.bias,
        "tail": any(
            (e + low + high - k) % s != 0
            for (k, e), (low, high), s in zip(dims, padding, case.stride, strict=True)
        )
        if padding
        else False,
        "channels last": case.layout == "channels_last",
        "flip": case.flip,
        "groups with stride": case.groups > 1 and max(case.stride) > 1,
        "multiplier": case.groups > 1 and case.out_group > 1,
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "asymmetric padding",
        "negative padding",
        "padding by name",
        "padding wider than the kernel",
        "stride with dilation",
        "stride wider than the kernel",
        "extent 0",
        "extent 1",
        "kernel larger than the map",
        "no images",
        "no image axis",
        "several images",
        "bias",
        "tail",
        "channels last",
        "flip",
        "groups with stride",
        "multiplier",
    ],
)
def test_corners_of_convolutions_have_it(what: str) -> None:
    convs = [case for case in corners() if case.kind == "conv"]
    assert any(_has(case, what) for case in convs if case.rank == 2)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 16, 17, 24, 33])
def test_corners_have_each_count_of_groups_and_of_channels(count: int) -> None:
    convs = [case for case in corners() if case.kind == "conv"]
    assert any(c.groups == count and c.channels == count for c in convs)
    assert any(c.groups == 1 and c.channels == count for c in convs)
    assert any(c.groups == 1 and c.filters == count for c in convs)


def test_corners_of_transposed_convolutions_have_output_padding() -> None:
    found = [c for c in corners() if c.kind == "conv_transpose"]
    padded = [c for c in found if any(c.output_padding)]
    assert {c.rank for c in padded} == {1, 2, 3}
    assert any(c.groups > 1 for c in padded)
    assert any(c.groups > 1 and c.in_group > 1 and c.out_group > 1 for c in found)


def test_corners_of_poolings_overlap_leave_gaps_and_tails_and_round_up() -> None:
    for kind in ("max_pool", "avg_pool"):
        found = [c for c in corners() if c.kind == kind]
        steps = [(c.kernel_size[0], c.stride[0]) for c in found]
        assert any(k > s for k, s in steps)
        assert any(k < s for k, s in steps)
        assert any(c.ceil_mode and c.padding[0] != (0, 0) for c in found)
    averages = [c for c in corners() if c.kind == "avg_pool"]
    assert any(not c.count_include_pad and c.ceil_mode for c in averages)
    assert any(c.divisor_override is not None for c in averages)


def test_corners_stand_once_in_both_dtypes_and_every_style_of_values() -> None:
    found = corners()
    plain = [
        replace(case, seed=int(case.seed % 8 == IMPULSES), dtype="float32")
        for case in found
    ]
    assert len(set(plain)) == len(plain)
    assert {case.dtype for case in found} == {"float32", "float64"}
    for dtype in ("float32", "float64"):
        assert {c.seed % 8 for c in found if c.dtype == dtype} == {0, 1, 2, 7}


def test_corners_of_another_seed_differ_in_their_values_alone() -> None:
    for case, other in zip(corners(0), corners(7), strict=True):
        assert case.seed != other.seed
        assert replace(case, seed=0) == replace(other, seed=0)


def test_the_operations_take_turns_in_the_corners() -> None:
    early = {case.kind for case in corners()[:20]}
    assert early >= {"conv", "conv_transpose", "max_pool", "avg_pool"}


# --- what a case says ---


def test_what_is_per_dimension_may_be_given_once() -> None:
    short = make(stride=2, padding=(1, 2), kernel_size=3)
    long = make(stride=(2, 2), padding=((1, 2), (1, 2)), kernel_size=(3, 3))
    assert short == long
    assert make(rank=3, dilation=2).dilation == (2, 2, 2)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, {"stride": 1, "padding": 0, "dilation": 1}),
        ({"stride": (1, 2)}, {"stride": (1, 2)}),
        ({"padding": (1, 1)}, {"padding": 1}),
        ({"padding": ((1, 1), (2, 2))}, {"padding": (1, 2)}),
        ({"padding": (1, 0)}, {"padding": ((1, 0), (1, 0))}),
        ({"padding": ((1, 1), (1, 0))}, {"padding": ((1, 1), (1, 0))}),
        ({"padding": "same"}, {"padding": "same"}),
        ({"flip": True}, {"flip": True}),
        ({"layout": "channels_last"}, {"layout": "channels_last"}),
    ],
)
def test_options_are_in_their_simplest_form(
    values: dict[str, Any], options: dict[str, Any]
) -> None:
    plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    assert make(**values).options() == plain | options


def test_only_neutral_options_may_be_left_out() -> None:
    case = make(stride=2, groups=3)
    assert {"padding", "dilation"} <= case.droppable()
    assert not {"stride", "groups"} & case.droppable()


# The features that these cases are about.
NAMED = {
    "rank 1", "rank 2", "rank 3", "float32", "float64", "groups", "bias", "stride",
    "padding", "dilation", "padding per side", "negative padding", "padding by name",
    "no image axis", "no images", "extent 0", "flip", "layout", "output_padding",
    "divisor_override", "ceil_mode", "count_include_pad",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values", "features"),
    [
        ("conv", {}, set()),
        ("conv", {"rank": 3}, {"rank 3"}),
        ("conv", {"groups": 2, "bias": True}, {"groups", "bias"}),
        ("conv", {"stride": (1, 2)}, {"stride"}),
        (
            "conv",
            {"padding": (1, 0), "extra": 1},
            {"padding", "padding per side"},
        ),
        ("conv", {"padding": (-1, -1)}, {"padding", "negative padding"}),
        ("conv", {"padding": "same"}, {"padding by name"}),
        ("conv", {"images": None}, {"no image axis"}),
        ("conv", {"images": 0}, {"no images"}),
        ("conv", {"padding": (1, 1)}, {"padding", "extent 0"}),
        (
            "conv_transpose",
            {"output_padding": 1, "stride": 2},
            {"output_padding", "stride"},
        ),
        ("avg_pool", {"divisor_override": 3}, {"divisor_override"}),
        ("max_pool", {"ceil_mode": True}, {"ceil_mode"}),
    ],
)
def test_features_name_what_a_subject_has_to_support(
    kind: Kind, values: dict[str, Any], features: set[str]
) -> None:
    values = dict(values)
    rank = values.pop("rank", 2)
    case = make(kind, rank=rank, **values)
    expected = {"float32"} | features
    if not any(name.startswith("rank") for name in features):
        expected |= {"rank 2"}
    assert case.features() & NAMED == expected


@pytest.mark.parametrize(
    ("feature", "had", "lacked"),
    [
        ("image axis", make(images=1), make(images=None)),
        ("image not square", make(extra=(1, 2)), make(extra=1)),
        ("kernel not square", make(kernel_size=(2, 3)), make(kernel_size=2)),
        ("kernel other than 3", make(kernel_size=(2, 3)), make(kernel_size=3)),
        ("not depthwise", make(groups=2, in_group=2), make(groups=2)),
        ("several filters in a group", make(out_group=2), make()),
        ("channels no multiple of 4", make(groups=2, in_group=2),
         make(groups=4)),
        ("no bias", make(), make(bias=True)),
        ("padding other than 1", make(), make(padding=(1, 1))),
        ("remainder", make(extra=1, stride=2), make(extra=2, stride=2)),
        ("same padding with a stride", make(padding="same", stride=2),
         make(padding="same")),
        ("padding same", make(padding="same"), make(padding="valid")),
        ("stride per dimension", make(stride=(1, 2)), make(stride=2)),
    ],
)  # fmt: skip
def test_what_code_may_be_limited_to_is_a_feature(
    feature: str, had: Case, lacked: Case
) -> None:
    assert feature in had.features()
    assert feature not in lacked.features()


def test_a_poolings_own_features() -> None:
    same = make("max_pool", kernel_size=2, stride=2)
    other = make("max_pool", kernel_size=(2, 3), stride=2)
    features = {"stride other than the kernel", "kernel_size per dimension"}
    assert not features & same.features()
    assert features < other.features()
    assert not features & make(kernel_size=(2, 3), stride=2).features()


def test_what_an_operation_does_not_admit_is_brought_into_range() -> None:
    assert make("conv_transpose", output_padding=2, stride=2).output_padding == (1, 1)
    assert make("max_pool", kernel_size=3, padding=(3, -1)).padding == ((1, 0), (1, 0))
    case = make(kernel_size=3, padding=(3, -1))
    assert fitted(case) == case


@pytest.mark.parametrize(
    ("case", "x", "w"),
    [
        (make(groups=2, in_group=3, images=4, extra=5), (4, 6, 6, 6), (2, 3, 1, 1)),
        (
            make(layout="channels_last", in_group=3, kernel_size=2),
            (1, 2, 2, 3),
            (2, 2, 3, 1),
        ),
        (make(images=None, in_group=3), (3, 1, 1), (1, 3, 1, 1)),
        (
            make("conv_transpose", groups=2, in_group=3, out_group=5, images=0),
            (0, 6, 1, 1),
            (6, 5, 1, 1),
        ),
    ],
)
def test_shapes(case: Case, x: tuple[int, ...], w: tuple[int, ...]) -> None:
    assert case.x_shape == x
    assert case.w_shape == w
