"""Files of shapes, and how large a random case may be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from rot180.check.cases._case import Case, make
from rot180.check.cases._profiles import cases, draw, every_cell, read_shapes
from rot180.errors import DataError


def _read(line: str) -> Case:
    (case,) = read_shapes(line)
    return case


SHAPES: dict[str, dict[str, Any]] = {
    "g1mb8ic64ih56oc64oh56kh3ph1": {
        "images": 8,
        "in_group": 64,
        "out_group": 64,
        "kernel_size": 3,
        "padding": (1, 1),
        "extra": 55,
    },
    "ic3ih227oc96kh11sh4": {
        "images": 2,
        "in_group": 3,
        "out_group": 96,
        "kernel_size": 11,
        "stride": 4,
        "extra": 216,
    },
    "g32mb1ic32ih8oc64kh3ph1": {
        "groups": 32,
        "in_group": 1,
        "out_group": 2,
        "kernel_size": 3,
        "padding": (1, 1),
        "extra": 7,
    },
    "mb1ic4oc5ih9kh3dh1": {
        "in_group": 4,
        "out_group": 5,
        "kernel_size": 3,
        "dilation": 2,
        "extra": 4,
    },
    "mb1ic4oc5ih9iw7kh3kw2sh2sw1ph1pw0": {
        "in_group": 4,
        "out_group": 5,
        "kernel_size": (3, 2),
        "stride": (2, 1),
        "padding": ((1, 1), (0, 0)),
        "extra": (8, 5),
    },
    "mb1ic2oc3iw16kw5pw2": {
        "rank": 1,
        "in_group": 2,
        "out_group": 3,
        "kernel_size": 5,
        "padding": (2, 2),
        "extra": 15,
    },
    "mb1ic2oc3id4ih5iw6kd1kh2kw3": {
        "rank": 3,
        "in_group": 2,
        "out_group": 3,
        "kernel_size": (1, 2, 3),
        "extra": (3, 3, 3),
    },
    "mb1ic2oc3id6kd3pd1": {
        "rank": 3,
        "in_group": 2,
        "out_group": 3,
        "kernel_size": 3,
        "padding": (1, 1),
        "extra": 5,
    },
}


@pytest.mark.parametrize("line", SHAPES)
def test_a_line_of_benchdnn_is_read(line: str) -> None:
    assert _read(line) == make(**SHAPES[line])


@pytest.mark.parametrize(
    ("line", "size", "padding"),
    [
        ("mb1ic1oc1ih8oh4kh3sh2ph0", (8, 8), ((0, 1), (0, 1))),
        ("mb1ic1oc1ih8oh8kh2ph0", (8, 8), ((0, 1), (0, 1))),
        ("mb1ic1oc1ih8oh3kh3sh2ph0", (8, 8), ((0, -1), (0, -1))),
        ("mb1ic1oc1iw8ow9kw3pw2", (8,), ((2, 1),)),
    ],
)
def test_the_extent_of_the_output_decides_the_padding_behind(
    line: str, size: tuple[int, ...], padding: Any
) -> None:
    case = _read(line)
    assert case.size == size
    assert case.padding == padding


@pytest.mark.parametrize(
    "line",
    [
        'mb1ic2ih5oc3kh3n"resnet:conv1"',
        "mb1ic2ih5oc3kh3  # the first layer",
        "mb1_ic2ih5_oc3_kh3",
        "  mb1 ic2 ih5 oc3 kh3",
        'mb1ic2ih5oc3kh3 "conv1"',
    ],
)
def test_names_comments_and_spaces_are_skipped(line: str) -> None:
    assert _read(line) == _read("mb1ic2ih5oc3kh3")


def test_a_file_has_a_case_a_line_each_with_other_small_values() -> None:
    text = "# two layers\n\nic2ih5oc3kh3\n   \nic3ih5oc2kh1 # again\n"
    found = read_shapes(text)
    assert [case.in_group for case in found] == [2, 3]
    assert len({case.seed for case in found}) == 2
    assert all(case.seed % 8 == 0 for case in found)  # one digit


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", "does not consist of names and numbers"),
        ("mb1ic2ih5oc3kh3!", "does not consist of names and numbers"),
        ("mb1ic2ih5oc3kh3zz4", "'zz' means nothing here"),
        ("mb1ih5oc3kh3", "'ic' is missing"),
        ("mb1ic2ih5kh3", "'oc' is missing"),
        ("mb1ic2oc3", "An extent such as 'ih56' is missing"),
        ("mb1ic2oc3kh3", "'ih' is missing"),
        ("mb1ic2oc3ih5", "'kh' is missing"),
        ("mb1ic2ih2oc3kh3", "no output"),
        ("mb1ic2ih0oc3kh3ph5", "no output"),
        ("mb1ic2ih5oc3kh0", "no output"),
        ("mb1ic2ih5oc3kh3sh0", "no output"),
        ("mb1ic2ih5oc3kh3oh0", "no output"),
        ("g2mb1ic3ih5oc4kh3", "2 groups do not divide 3 and 4 channels"),
        ("g0mb1ic3ih5oc4kh3", "0 groups do not divide"),
        ("mb1ic0ih5oc4kh3", "do not divide 0 and 4"),
    ],
)
def test_rubbish_is_refused_with_its_line_and_a_remedy(line: str, words: str) -> None:
    text = f"# shapes\nmb1ic2ih5oc3kh3\n{line}\n"
    with pytest.raises(DataError, match=r"line 3 of nets\.txt") as info:
        read_shapes(text, "nets.txt")
    message = str(info.value)
    assert words in message
    assert line in message
    assert "Write lines such as g1mb8ic64ih56oc64oh56kh3ph1" in message


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_file_without_shapes_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"nets\.txt names no shape"):
        read_shapes(text, "nets.txt")


@settings(max_examples=40)
@given(cases("conv"))
def test_random_cases_are_small_enough_for_plain_python_loops(case: Case) -> None:
    assert case.work() <= 100_000


@pytest.mark.parametrize(
    ("what", "large"),
    [
        ("extents", lambda case: max(case.size) > 40),
        ("channels", lambda case: case.in_group > 64),
        ("filters", lambda case: case.out_group > 64),
        ("groups", lambda case: case.groups > 24),
        ("images", lambda case: (case.images or 0) > 12),
        ("kernel", lambda case: max(case.kernel_size) > 7),
        ("stride", lambda case: max(case.stride) > 6),
        ("dilation", lambda case: max(case.dilation) > 8),
    ],
)
def test_random_cases_go_past_every_size_of_a_block(what: str, large: Any) -> None:
    rng = np.random.default_rng(0)
    drawn = [draw("conv", (1, 2, 3), rng) for _ in range(600)]
    assert sum(map(large, drawn)) > 3, what


def test_cells_are_distinct_and_the_same_for_the_same_seed() -> None:
    cells = every_cell(3)
    assert len(set(cells)) == len(cells)
    assert cells == every_cell(3)
    assert cells != every_cell(4)
    assert all(case.work() < 10**7 for case in cells)
