"""Diagnosis: what the message says has to be what was done wrong."""

import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from rot180.check.cases._case import Case, Kind, make
from rot180.check.cases._outputs import OUTPUTS
from rot180.check.diagnose import KINDS_OF_MISTAKES, diagnose, kind_of
from rot180.check.diagnose._match import MISTAKES, seen
from rot180.check.diagnose._mistake import Mistake, Seen
from rot180.check.judge import _oracle
from rot180.check.judge._failure import Diagnosis, Failure, Reason

Array = np.ndarray[Any, Any]
Wrong = Callable[[Case, dict[str, Array], Array], Array]


@cache
def some_cases(kind: Kind = "conv", count: int = 40, **given: Any) -> list[Case]:
    """Small configurations with every parameter in play but those that are given."""
    rnd = random.Random(kind)
    levels: dict[str, Sequence[Any]] = {
        "images": (1, 2, 3),
        "groups": (1, 1, 2, 3),
        "in_group": (1, 2, 3),
        "out_group": (1, 2, 4),
        "bias": (True, True, False),
        "flip": (False, False, True),
        "layout": ("channels_first", "channels_first", "channels_last"),
        "ceil_mode": (True, False),
        "count_include_pad": (True, False),
        "divisor_override": (None, None, 3),
        "dtype": ("float64", "float64", "float32"),
    }
    each: dict[str, Sequence[Any]] = {
        "kernel_size": (1, 2, 3, 4),
        "extra": (2, 3, 4),
        "stride": (1, 2, 3),
        "dilation": (1, 2, 3),
        "padding": ((0, 0), (1, 1), (1, 0), (0, 2), (2, 1), (-1, 0)),
        "output_padding": (0, 1, 2),
    }
    found: list[Case] = []
    while len(found) < count:
        rank = rnd.choice((1, 2, 2, 3))
        values: dict[str, Any] = {name: rnd.choice(v) for name, v in levels.items()}
        values |= {n: tuple(rnd.choices(v, k=rank)) for n, v in each.items()}
        if kind in ("avg_pool", "max_pool"):
            values["padding"] = tuple(
                rnd.choices(((0, 0), (1, 1), (0, 1), (1, 0)), k=rank)
            )
        known = {f: values[f] for f in values if f not in unused(kind)}
        case = make(kind, rank=rank, seed=3 * len(found), **(known | given))
        if case.work() < 6000 and min(case.size) > 0 and fits(case):
            found.append(case)
    return found


def fits(case: Case) -> bool:
    try:
        return min(_oracle.output_size(case)) > 0
    except ValueError:
        return False


def unused(kind: Kind) -> set[str]:
    convolution = {"groups", "out_group", "bias", "flip", "dilation"}
    pooling = {"ceil_mode", "count_include_pad", "divisor_override"}
    if kind == "conv_transpose":
        return pooling
    if kind == "conv":
        return pooling | {"output_padding"}
    only_average = {"count_include_pad", "divisor_override"}
    rest = convolution | {"output_padding"}
    if kind == "avg_pool":
        return rest
    if kind == "max_pool":
        return (rest | only_average) - {"dilation"}
    return rest | pooling | {"kernel_size", "padding", "stride"}


def operands_of(case: Case, scale: float = 1) -> dict[str, Array]:
    """Integers of a digit or so times a number, among them ties and zeros."""
    given = dict(_oracle.operands(case))
    rng = np.random.default_rng(case.seed)
    for name, array in given.items():
        values = rng.integers(-9, 10, array.shape)
        given[name] = (scale * values).astype(array.dtype)
    return given


@cache
def solved(
    case: Case, function: str, scale: float
) -> tuple[dict[str, Array], tuple[Array, ...]]:
    given = operands_of(case, scale)
    return given, _oracle.expected(case, function, given)


def judged(
    cases: Sequence[Case], function: str, output: str, wrong: Wrong, scale: float = 1
) -> tuple[list[Failure], list[tuple[Case, str]]]:
    """What a judge hands over: up to 24 failures, and what passed."""
    failures, passed = [], []
    for case in cases:
        given, results = solved(case, function, scale)
        expected = results[OUTPUTS[function].index(output)]
        got = np.asarray(wrong(case, given, expected))
        if got.shape == expected.shape and agree(case, got, expected):
            passed.append((case, function))
            continue
        reason: Reason = "nan" if np.isnan(got).any() else "values"
        reason = reason if got.shape == expected.shape else "shape"
        more: Any = {"operands": given, "expected": expected, "got": got}
        failures.append(Failure(case, function, output, reason, "", **more))
    return failures[:24], passed


def agree(case: Case, got: Array, expected: Array) -> bool:
    """Whether a result is right: exactly, but for the divisions of an average."""
    if case.kind == "avg_pool":
        tolerance = 100 * np.finfo(case.dtype).eps
        return np.allclose(got, expected, rtol=tolerance, atol=tolerance)
    return np.array_equal(got, expected)


def diagnosed(
    cases: Sequence[Case], function: str, output: str, wrong: Wrong
) -> tuple[Diagnosis, ...]:
    return diagnose(*judged(cases, function, output, wrong))


def plain_2d(**given: Any) -> list[Case]:
    """Two-dimensional configurations of one group, to write wrong code for."""
    rnd = random.Random(1)
    found = []
    for number in range(24):
        values: dict[str, Any] = {
            "images": rnd.choice((1, 2, 3)),
            "in_group": rnd.choice((1, 2, 3)),
            "out_group": rnd.choice((1, 2, 4)),
            "kernel_size": tuple(rnd.choices((1, 2, 3), k=2)),
            "stride": tuple(rnd.choices((1, 2, 3), k=2)),
            "dilation": tuple(rnd.choices((1, 2), k=2)),
            "padding": tuple(rnd.choices(((0, 0), (1, 1), (1, 0), (0, 2)), k=2)),
            "extra": tuple(rnd.choices((1, 2, 3, 4), k=2)),
        }
        found.append(make("conv", seed=number, **(values | given)))
    return found


def pads(case: Case) -> tuple[tuple[int, int], ...]:
    assert not isinstance(case.padding, str)
    return case.padding


Geometry = list[tuple[int, int, int, int, int, int]]


def pairs(case: Case, y_shape: tuple[int, ...], **altered: Any) -> Geometry:
    """Every p, q, r, s with its place in x, as plain loops; parameters may differ."""
    stride = altered.get("stride", case.stride)
    dilation = altered.get("dilation", case.dilation)
    low = altered.get("low", [pair[0] for pair in pads(case)])
    found = []
    extents = (*y_shape[2:], *case.kernel_size)
    for p, q, r, s in itertools.product(*map(range, extents)):
        h = p * stride[0] + r * dilation[0] - low[0]
        i = q * stride[1] + s * dilation[1] - low[1]
        if 0 <= h < case.size[0] and 0 <= i < case.size[1]:
            found.append((p, q, r, s, h, i))
    return found


def forward(case: Case, x: Array, w: Array, y: Array, **altered: Any) -> Array:
    new = np.zeros_like(y)
    for p, q, r, s, h, i in pairs(case, y.shape, **altered):
        new[:, :, p, q] += x[:, :, h, i] @ w[:, :, r, s].T
    return new


def input_grad(case: Case, dy: Array, w: Array, dx: Array, **altered: Any) -> Array:
    new = np.zeros_like(dx)
    for p, q, r, s, h, i in pairs(case, dy.shape, **altered):
        new[:, :, h, i] += dy[:, :, p, q] @ w[:, :, r, s]
    return new


def weight_grad(case: Case, dy: Array, x: Array, dw: Array, **altered: Any) -> Array:
    new = np.zeros_like(dw)
    for p, q, r, s, h, i in pairs(case, dy.shape, **altered):
        new[:, :, r, s] += dy[:, :, p, q].T @ x[:, :, h, i]
    return new


def test_dx_of_a_filter_that_is_not_rotated() -> None:
    found = diagnosed(
        plain_2d(),
        "conv_backward",
        "dx",
        lambda case, g, dx: input_grad(case, g["dy"], g["w"][:, :, ::-1, ::-1], dx),
    )
    assert found[0].name == "dx-filter-not-rotated"
    assert found[0].text == "dx: filter not rotated"
    assert found[0].explained == found[0].of


def test_forward_with_the_filter_rotated() -> None:
    found = diagnosed(
        plain_2d(),
        "conv",
        "y",
        lambda case, g, y: forward(case, g["x"], g["w"][:, :, ::-1, ::-1], y),
    )
    assert found[0].name == "y-filter-rotated"


def test_dw_with_stride_and_dilation_swapped() -> None:
    def wrong(case: Case, g: dict[str, Array], dw: Array) -> Array:
        swapped = {"stride": case.dilation, "dilation": case.stride}
        return weight_grad(case, g["dy"], g["x"], dw, **swapped)

    found = diagnosed(plain_2d(), "conv_weight_grad", "dw", wrong)
    assert found[0].name == "dw-stride-dilation-swapped"
    assert found[0].text == "dw: stride and dilation are swapped"


def test_dx_without_the_stride() -> None:
    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        return input_grad(case, g["dy"], g["w"], dx, stride=(1, 1))

    found = diagnosed(plain_2d(), "conv_input_grad", "dx", wrong)
    assert found[0].name == "dx-stride-missing"


def test_dx_cropped_by_the_wrong_side() -> None:
    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        return input_grad(
            case, g["dy"], g["w"], dx, low=[high for _, high in pads(case)]
        )

    found = diagnosed(plain_2d(), "conv_input_grad", "dx", wrong)
    assert found[0].name == "dx-padding-sides-exchanged"


def test_dx_without_the_rows_past_the_last_full_window() -> None:
    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        """The size that the stride gives back, and zeros behind."""
        new = dx.copy()
        for axis in (2, 3):
            d = axis - 2
            low, high = pads(case)[d]
            span = (case.kernel_size[d] - 1) * case.dilation[d] + 1
            size = (g["dy"].shape[axis] - 1) * case.stride[d] + span - low - high
            new[(slice(None),) * axis + (slice(max(size, 0), None),)] = 0
        return new

    found = diagnosed(plain_2d(), "conv_backward", "dx", wrong)
    assert found[0].name == "dx-tail-dropped"
    assert kind_of(found[0].name) == 6


def test_groups_that_read_the_first_groups_slice() -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        new = np.zeros_like(y)
        k = case.out_group
        for group in range(case.groups):
            part = slice(group * k, (group + 1) * k)
            x = g["x"][:, : case.in_group]
            new[:, part] = forward(case, x, g["w"][part], y[:, part])
        return new

    cases = plain_2d(groups=2) + plain_2d(groups=3) + plain_2d()
    found = diagnosed(cases, "conv", "y", wrong)
    assert found[0].name == "y-group-slice"


def test_dw_that_is_a_mean() -> None:
    def wrong(case: Case, g: dict[str, Array], dw: Array) -> Array:
        return dw / case.images

    found = diagnosed(plain_2d(), "conv_backward", "dw", wrong)
    assert found[0].name == "dw-mean-over-images"


def test_dw_reversed() -> None:
    found = diagnosed(
        plain_2d(), "conv_backward", "dw", lambda c, g, dw: dw[:, :, ::-1, ::-1]
    )
    assert found[0].name == "dw-reversed"
    assert kind_of(found[0].name) == 9


@pytest.mark.parametrize("fill", [np.nan, 7.0])
def test_dw_of_an_empty_batch_is_not_written(fill: float) -> None:
    def wrong(case: Case, g: dict[str, Array], dw: Array) -> Array:
        return np.full_like(dw, fill) if case.images == 0 else dw

    cases = plain_2d() + plain_2d(images=0)[:3]
    found = diagnosed(cases, "conv_backward", "dw", wrong)
    assert found[0].name == "dw-empty-batch"
    assert kind_of(found[0].name) == 10


@pytest.mark.parametrize(
    ("keeps_bias", "name"),
    [(False, "y-output-padding-zero"), (True, "y-output-padding-bias-only")],
)
def test_output_padding_that_is_filled(keeps_bias: bool, name: str) -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        new = y.copy()
        fill = g["b"][:, None] if keeps_bias else 0
        more = case.output_padding[0]
        new[..., new.shape[-1] - more :] = fill
        return new

    cases = [
        make(
            "conv_transpose",
            rank=1,
            kernel_size=k,
            stride=3,
            padding=(pad, 1),
            output_padding=more,
            in_group=2,
            out_group=2,
            extra=2,
            bias=True,
            seed=k,
        )
        for k, pad, more in itertools.product((2, 3, 4), (0, 1), (0, 1, 2))
    ]
    found = diagnosed(cases, "conv_transpose", "y", wrong)
    assert found[0].name == name
    assert kind_of(found[0].name) == 11


def test_average_divided_by_the_kernels_area() -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        whole = replace(case, divisor_override=case.kernel_size[0])
        return _oracle.expected(whole, "avg_pool", g)[0]

    cases = [
        make(
            "avg_pool",
            rank=1,
            kernel_size=3,
            stride=2,
            extra=extra,
            padding=(pad, pad),
            ceil_mode=ceil,
            in_group=2,
            dtype="float64",
            seed=3,
        )
        for extra, pad, ceil in itertools.product(range(5), (0, 1), (True, False))
    ]
    found = diagnosed(cases, "avg_pool", "y", wrong)
    assert found[0].name == "y-divisor-area"
    assert kind_of(found[0].name) == 12


def test_max_pooling_that_assigns_where_windows_overlap() -> None:
    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        new = np.zeros_like(dx)
        for n, c, p in np.ndindex(*g["dy"].shape):
            begin = p * case.stride[0]
            window = g["x"][n, c, begin : begin + case.kernel_size[0]]
            new[n, c, begin + window.argmax()] = g["dy"][n, c, p]
        return new

    cases = [
        make("max_pool", rank=1, kernel_size=k, stride=s, extra=7, images=2, seed=k)
        for k, s in itertools.product((2, 3, 4), (1, 2, 3, 4))
    ]
    found = diagnosed(cases, "max_pool_backward", "dx", wrong)
    assert found[0].name == "dx-overlap-overwritten"
    assert kind_of(found[0].name) == 13


def test_even_filters_anchored_one_off() -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        low = [
            pair[0] + (k % 2 == 0)
            for pair, k in zip(pads(case), case.kernel_size, strict=True)
        ]
        return forward(case, g["x"], g["w"], y, low=low)

    found = diagnosed(plain_2d(), "conv", "y", wrong)
    assert found[0].name == "y-centre-anchored-even"
    assert kind_of(found[0].name) == 16


def channel_cases(output_of: str = "conv") -> list[Case]:
    counts = itertools.product((1, 8, 16, 24), (1, 2), (1, 2), (1, 2))
    return [
        make(groups=g, in_group=c, kernel_size=3, stride=s, extra=e, seed=3 * g)
        for g, c, s, e in counts
    ]


def test_a_special_number_of_groups() -> None:
    def wrong(case: Case, g: dict[str, Array], dw: Array) -> Array:
        return dw + (case.groups == 24)

    found = diagnosed(channel_cases(), "conv_backward", "dw", wrong)
    assert found[0].name == "special-channel-count"
    assert found[0].text == "dw: wrong exactly when groups == 24 (8 wrong, 24 right)"
    assert kind_of(found[0].name) == 17


def test_a_special_number_of_groups_comes_before_what_is_computed_there() -> None:
    def wrong(case: Case, g: dict[str, Array], dw: Array) -> Array:
        return np.zeros_like(dw) if case.groups == 24 else dw

    found = diagnosed(channel_cases(), "conv_backward", "dw", wrong)
    assert [d.name for d in found[:2]] == ["special-channel-count", "dw-zeros"]


def test_grouped_and_strided_dx() -> None:
    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        return dx + (case.groups > 1 and max(case.stride) > 1)

    found = diagnosed(channel_cases(), "conv_backward", "dx", wrong)
    assert found[0].name == "grouped-strided"
    assert "groups > 1 and stride > 1" in found[0].text
    assert kind_of(found[0].name) == 18


def test_two_failures_are_enough_for_grouped_and_strided_dx() -> None:
    rights = [make(groups=g, extra=e) for g in (1, 2, 3) for e in range(8)]
    rights += [make(stride=s, extra=e) for s in (2, 3) for e in range(8)]
    wrongs = [make(groups=g, stride=3, kernel_size=3, extra=4) for g in (2, 3)]

    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        return dx + (case in wrongs)

    found = diagnosed([*rights, *wrongs], "conv_backward", "dx", wrong)
    assert found[0].name == "grouped-strided"


PLANTED: dict[str, Callable[[Case], bool]] = {
    "groups > 1": lambda c: c.groups > 1,
    "stride > 1": lambda c: max(c.stride) > 1,
    "dilation > 1": lambda c: max(c.dilation) > 1,
    "padding is asymmetric": lambda c: any(a != b for a, b in pads(c)),
    "bias is given": lambda c: c.bias,
    "layout is channels_last": lambda c: c.layout == "channels_last",
    "flip is set": lambda c: c.flip,
    "dtype is float32": lambda c: c.dtype == "float32",
    "images > 1": lambda c: (c.images or 0) > 1,
    "rank is 3": lambda c: c.rank == 3,
}


def with_noise(condition: Callable[[Case], bool]) -> Wrong:
    """A mistake without a name wherever the condition holds."""

    def wrong(case: Case, g: dict[str, Array], expected: Array) -> Array:
        noise = np.random.default_rng(case.seed).integers(1, 50, expected.shape)
        return expected + noise * condition(case)

    return wrong


@pytest.mark.parametrize("text", PLANTED)
def test_a_condition_is_found(text: str) -> None:
    found = diagnosed(some_cases(count=120), "conv", "y", with_noise(PLANTED[text]))
    assert found[0].name == "condition"
    assert found[0].text.startswith(f"y: wrong exactly when {text} (")


def test_two_conditions_together_are_found() -> None:
    found = diagnosed(
        some_cases(count=80),
        "conv",
        "y",
        with_noise(lambda c: max(c.stride) > 1 and max(c.dilation) > 1),
    )
    assert found[0].text.startswith("y: wrong exactly when stride > 1 and dilation > 1")


@pytest.mark.parametrize("count", [1, 3, 24])
@pytest.mark.parametrize(
    ("function", "output"),
    [(f, o) for f, outputs in OUTPUTS.items() for o in outputs],
)
def test_nothing_is_claimed_of_random_numbers(
    function: str, output: str, count: int
) -> None:
    kind: Any = kind_of_function(function)
    rng = np.random.default_rng(5)
    found = diagnosed(
        some_cases(kind)[:count],
        function,
        output,
        lambda case, g, y: rng.integers(-60, 60, y.shape).astype(y.dtype),
    )
    assert {d.name for d in found} <= {"condition", "place", "special-channel-count"}


def kind_of_function(function: str) -> str:
    kinds = ("conv_transpose", "conv", "max_pool", "avg_pool", "relu")
    return next(kind for kind in kinds if function.startswith(kind))


# Where each pass is tried: a function of the pass, and its output.
WHERE = {
    "y": ("conv", "y"),
    "x": ("conv_transpose", "y"),
    "w": ("conv_backward", "dw"),
    "db": ("conv_backward", "db"),
    "max": ("max_pool", "y"),
    "max_back": ("max_pool_backward", "dx"),
    "avg": ("avg_pool", "y"),
    "avg_back": ("avg_pool_backward", "dx"),
    "relu": ("relu", "y"),
    "relu_backward": ("relu_backward", "dx"),
}
# Mistakes that need more than an altered result, with tests of their own.
APART = {"empty-batch", "not-written", "operands-float32"}
BITS = ("rounded", "operands", "saturated")
# The same mistake by another name, where the pass leaves no difference.
SAME = {
    "y-tail-dropped": "y-output-padding-bias-only",
}
ROWS = [
    pytest.param(role, mistake, id=f"{role}-{mistake.name}")
    for mistake in MISTAKES
    for role in mistake.roles
    if mistake.name not in APART
]


def situation(role: str, mistake: Mistake) -> tuple[str, str, list[Case]]:
    function, output = WHERE[role]
    if mistake.name in ("first-term-only", "second-term-only"):
        function, output = "conv_double_backward", "ddy"
    kind: Any = kind_of_function(function)
    more: dict[str, Any] = {}
    if role == "db":
        more["out_group"] = 3
    if mistake.name.startswith(BITS):
        more["dtype"] = "float64"
    return function, output, some_cases(kind, **more)


def scale_of(role: str, mistake: Mistake) -> float:
    """What to multiply the operands by, so that roundings show and sums are exact."""
    if mistake.name.endswith("int8"):
        return 1 if role in ("y", "x", "w") else 30
    if mistake.name == "saturated-int16":
        return 50 if role in ("y", "x", "w") else 8000
    if mistake.name.startswith(BITS):
        return 1001.25 if role in ("y", "x", "w") else 1000003.140625
    return 1


def predicted(mistake: Mistake, one: Seen, form: int) -> Array | None:
    """What one form of a mistake gives, in the case's own layout."""
    forms = list(mistake.predict(replace(one, got=None)))
    if form >= len(forms):
        return None
    array = np.asarray(forms[form])
    case = one.case
    if one.output == "db":
        return array
    if one.output in ("dw", "gw"):
        last = case.layout == "channels_last"
        return np.moveaxis(array, (0, 1), (-1, -2)) if last else array
    if case.layout == "channels_last":
        array = np.moveaxis(array, 1, -1)
    return array


@pytest.mark.parametrize(("role", "mistake"), ROWS)
def test_every_line_of_the_table_is_recognised(role: str, mistake: Mistake) -> None:
    function, output, cases = situation(role, mistake)

    def wrong(case: Case, g: dict[str, Array], expected: Array) -> Array:
        more: Any = {"operands": g, "expected": expected, "got": expected}
        one = seen(Failure(case, function, output, "values", "", **more))
        assert one is not None
        assert one.problem.role == role
        array = predicted(mistake, one, 0)
        return expected if array is None else array.astype(expected.dtype)

    scale = scale_of(role, mistake)
    failures, passed = judged(cases, function, output, wrong, scale)
    assert failures
    failures = failures[:12]
    found = diagnose(failures, passed[:12])
    assert found[0].explained == len(failures)
    name = f"{output}-{mistake.name}"
    assert {name, SAME.get(name, name)} & {d.name for d in found}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_texts_fit_a_line(mistake: Mistake) -> None:
    assert len(f"ddy: {mistake.text}") <= 80
    assert mistake.kind is None or 1 <= mistake.kind <= 18


def test_mistakes_of_one_name_are_of_one_kind() -> None:
    assert [m.name for m in MISTAKES if KINDS_OF_MISTAKES[m.name] != m.kind] == []


def test_every_kind_of_mistake_has_a_line_but_those_about_invalid_input() -> None:
    assert set(KINDS_OF_MISTAKES.values()) == {None, *range(1, 19)} - {14, 15}


def test_a_place_is_told_where_no_mistake_is_known() -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        new = y.copy()
        noise = np.asarray(np.random.default_rng(case.seed).integers(1, 9, y.shape))
        new[..., -2:] += noise[..., -2:]
        return new

    cases = [make(kernel_size=k, extra=6, seed=k) for k in (1, 2, 3, 4)]
    found = diagnosed(cases, "conv", "y", wrong)
    assert found == (Diagnosis("place", "y: only the last 2 columns are wrong", 4, 4),)


@pytest.mark.parametrize(
    ("altered", "text"),
    [
        ({"padding": ((0, 0), (0, 0))}, "y: shape: padding is missing"),
        ({"stride": (1, 1)}, "y: shape: stride is missing"),
        ({"dilation": (1, 1)}, "y: shape: dilation is missing"),
    ],
)
def test_a_wrong_shape_is_another_conventions(
    altered: dict[str, Any], text: str
) -> None:
    case = make(kernel_size=3, stride=2, dilation=2, padding=(1, 1), extra=6)

    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        size = case.size
        other = replace(case, **altered)
        return np.zeros((*y.shape[:2], *other.window.output_size(size)))

    found = diagnosed([case], "conv", "y", wrong)
    assert [d.text for d in found] == [text]


def test_a_failure_without_numbers_is_no_matter() -> None:
    cases = [make(groups=g, extra=e) for g in (1, 2) for e in range(8)]
    failures = [Failure(case, "conv", "", "raised", "IndexError") for case in cases[8:]]
    found = diagnose(failures, [(case, "conv") for case in cases[:8]])
    assert found[0].text == "conv: wrong exactly when groups > 1 (8 wrong, 8 right)"


def test_no_failures_no_diagnosis() -> None:
    assert diagnose([], []) == ()


def test_a_diagnosis_takes_less_than_a_second() -> None:
    failures, passed = judged(
        some_cases(count=60), "conv", "y", lambda c, g, y: y + 1 + y % 3
    )
    begin = time.perf_counter()
    diagnose(failures, passed)
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("changes", [{"law": "history"}, {"reason": "repeat"}])
def test_what_depends_on_earlier_calls_is_no_matter_of_configuration_or_place(
    changes: dict[str, Any],
) -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        new = y.copy()
        new[..., -1] += 100 * (case.groups > 1)
        return new

    cases = [make(groups=g, extra=e + 2, seed=e) for g in (1, 2) for e in range(12)]
    failures, passed = judged(cases, "conv", "y", wrong)
    assert diagnose(failures, passed)
    failures[0] = replace(failures[0], **changes)
    assert diagnose(failures, passed) == ()


def test_the_data_of_a_law_are_no_condition_on_the_configuration() -> None:
    cases = [make(groups=g, extra=e) for g in (1, 2) for e in range(8)]
    failures = [
        Failure(case, "conv", "", "values", "", law="linear in x") for case in cases[8:]
    ]
    assert diagnose(failures, [(case, "conv") for case in cases[:8]]) == ()


def one_wrong(case: Case, place: Any) -> tuple[Diagnosis, ...]:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        new = y.copy()
        new[place] += 77
        return new

    return diagnosed([case], "conv", "y", wrong)


def test_a_place_is_told_only_where_most_of_it_is_wrong() -> None:
    groups = make(groups=5, kernel_size=1, extra=2, seed=1)
    (found,) = one_wrong(groups, (0, slice(4, 5)))
    assert found.text == "y: only the last channel is wrong"
    (found,) = one_wrong(groups, (0, slice(1, None)))
    assert found.text == "y: all groups but the first are wrong"
    for place in [(0, 3), (0, 4, 2, 2), (0, 4, 0, 1)]:
        assert one_wrong(groups, place) == ()


def test_few_numbers_at_a_border_may_be_chance() -> None:
    case = make(kernel_size=1, extra=4, seed=1)
    assert one_wrong(case, (0, 0, [0, 2], [3, 0])) == ()
    border = np.pad(np.zeros((3, 3), bool), 1, constant_values=True)
    (found,) = one_wrong(case, (0, 0, border))
    assert found.text == "y: only numbers at the border are wrong"


def test_mistakes_that_right_calls_refute_are_not_guessed_from_single_numbers() -> None:
    """The paddings of two dimensions are exchanged, in three dimensions only."""

    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        if case.rank < 3:
            return y
        first, second, third = pads(case)
        moved = replace(case, padding=(second, first, third))
        try:
            new = _oracle.expected(moved, "conv", g)[0]
        except ValueError:
            return y
        return new if new.shape == y.shape else y

    cases = [
        make(rank=rank, kernel_size=k, padding=((0, 0), (a, 1 - a), (0, 0))[:rank],
             extra=e, stride=2, seed=3 * e)
        for rank in (1, 2, 3) for k in (1, 2) for a in (0, 1) for e in (0, 1)
    ]  # fmt: skip
    names = [d.name for d in diagnosed(cases, "conv", "y", wrong)]
    dropped = {"y-zeros", "y-last-output-dropped", "y-first-output-dropped"}
    assert len(dropped & set(names)) <= 1


def doubles(**given: Any) -> list[Case]:
    return [replace(case, dtype="float64") for case in plain_2d(**given)]


def bits_lost(wrong: Wrong, scale: float) -> Diagnosis:
    cases = doubles(kernel_size=(2, 3))
    return diagnose(*judged(cases, "conv", "y", wrong, scale=scale))[0]


def test_operands_of_fewer_bits() -> None:
    def halves(case: Case, g: dict[str, Array], y: Array) -> Array:
        return forward(case, g["x"].astype("float16").astype("float64"), g["w"], y)

    assert bits_lost(halves, 1001.25).name == "y-operands-float16"


def test_operands_whose_last_bits_are_cut_off() -> None:
    def cut(case: Case, g: dict[str, Array], y: Array) -> Array:
        x = g["x"].astype("float32")
        x.view("uint32")[...] &= 0xFFFF0000
        return forward(case, x.astype("float64"), g["w"], y)

    assert bits_lost(cut, 1001.25).text == "y: operands are rounded to bfloat16"


def test_sums_of_fewer_bits() -> None:
    def singles(case: Case, g: dict[str, Array], y: Array) -> Array:
        x, w = g["x"].astype("float32"), g["w"].astype("float32")
        return forward(case, x, w, y.astype("float32")).astype("float64")

    assert bits_lost(singles, 1000003.140625).name == "y-rounded-float32"


def test_operands_that_are_saturated() -> None:
    def clipped(case: Case, g: dict[str, Array], y: Array) -> Array:
        return forward(case, np.clip(g["x"], -128, 127), g["w"], y)

    assert bits_lost(clipped, 30.0).text == "y: values are saturated to int8"


@pytest.mark.parametrize("output", ["dw", "db"])
def test_a_sum_without_the_last_image(output: str) -> None:
    def wrong(case: Case, g: dict[str, Array], right: Array) -> Array:
        most = {name: a.copy() for name, a in g.items()}
        if len(most["dy"]) > 1:
            most["dy"][-1] = 0
        return _oracle.expected(case, "conv_backward", most)[1 + (output == "db")]

    found = diagnosed(plain_2d(), "conv_backward", output, wrong)
    assert found[0].text == f"{output}: the last image is missing"


def test_a_true_convolution_about_the_centre() -> None:
    """As OpenCV's `filter2D` with the filter turned, whatever the padding."""

    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        low = [k // 2 for k in case.kernel_size]
        return forward(case, g["x"], g["w"][:, :, ::-1, ::-1], y, low=low)

    found = diagnosed(plain_2d(dilation=1), "conv", "y", wrong)
    assert found[0].text == "y: filter rotated and the window anchored at its centre"


@pytest.mark.parametrize(
    ("factor", "text"),
    [(3, "3 times too large"), (0.25, "4 times too small"), (-3, "scaled by -3")],
)
def test_a_factor_is_named(factor: float, text: str) -> None:
    found = diagnosed(plain_2d(), "conv", "y", lambda c, g, y: y * factor)
    assert found[0].text == f"y: {text}"


def test_factors_that_differ_are_not_named() -> None:
    def wrong(case: Case, g: dict[str, Array], y: Array) -> Array:
        return y * (3 + case.seed % 5)

    found = diagnosed(plain_2d(), "conv", "y", wrong)
    assert found[0].text == "y: scaled by a constant factor"


def test_a_mistake_of_a_backward_pass_is_looked_for_in_its_own_right_calls() -> None:
    def wrong(case: Case, g: dict[str, Array], dx: Array) -> Array:
        return g["dy"] if case.rank == 2 else dx

    cases = [make("relu", rank=r, extra=e, seed=e) for r in (1, 2) for e in range(3, 9)]
    found = diagnosed(cases, "relu_backward", "dx", wrong)
    assert found[0].text == "dx: dy goes through everywhere, when rank is 2"
