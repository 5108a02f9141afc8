"""Sums over images: leaves and a binary tree that depend on the problem alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import CASES, TINY, Case, conv_case, small_sums

from rot180 import schedules
from rot180.errors import ScheduleError
from rot180.ops import Window
from rot180.program._nodes import Affine, Loop, Program, Store
from rot180.schedules._counter import treed
from rot180.schedules._nest import IMAGE
from rot180.schedules._rewrite import hold

OVER_IMAGES = [name for name, case in CASES.items() if IMAGE not in case.nest.outputs()]


def pairwise(values: Sequence[float]) -> float:
    """The binary tree over values: the largest power of two on the left."""
    if len(values) == 1:
        return values[0]
    half = 1 << ((len(values) - 1).bit_length() - 1)
    return pairwise(values[:half]) + pairwise(values[half:])


def chain(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def dot_of_columns(images: int, size: int) -> Case:
    """dw of one tap and one channel: a dot product over images and positions."""
    window = Window.make("test", (1,))
    return conv_case(
        "w", window, "channels_first", (size,), images=images, c=1, k=1,
        dtype="float64",
    )  # fmt: skip


def leaves_of(case: Case) -> dict[str, int]:
    return dict(case.nest.reduction.leaves)


@pytest.mark.parametrize("images", [1, 2, 15, 16, 17, 31, 32, 33, 100, 257])
def test_leaves_of_whole_images_and_a_binary_tree(images: int) -> None:
    """Against the order of summation written out by hand, bit for bit."""
    case = dot_of_columns(images, 2)
    assert leaves_of(case) == {"n": 16}
    dy, x = case.reals()
    products = (dy * x).reshape(images, 2)
    leaves = [
        chain(products[first : first + 16].reshape(-1).tolist())
        for first in range(0, images, 16)
    ]
    assert case.interpret_plain(case.plain, (dy, x))[0].item() == pairwise(leaves)
    for tile in schedules.candidates(case.plain, TINY):
        for group in (1, 2, 4, 8):
            grouped = replace(tile, group=group)
            program = schedules.schedule(case.plain, grouped, TINY)
            (dw,) = case.interpret(program, (dy, x))
            assert dw.item() == pairwise(leaves)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("size", [128, 129, 300])
def test_leaves_of_rows(images: int, size: int) -> None:
    """An image's leaves are summed in a tree, then the images."""
    case = dot_of_columns(images, size)
    dy, x = case.reals()
    products = (dy * x).reshape(images, size)
    rows = leaves_of(case).get("p", size)
    assert 64 <= rows <= 128
    wanted = pairwise(
        [
            pairwise([chain(i[at : at + rows].tolist()) for at in range(0, size, rows)])
            for i in products
        ]
    )
    assert case.interpret_plain(case.plain, (dy, x))[0].item() == wanted
    for tile in schedules.candidates(case.plain, TINY)[:1]:
        for group in (1, 2, 4):
            grouped = replace(tile, group=group)
            program = schedules.schedule(case.plain, grouped, TINY)
            assert case.interpret(program, (dy, x))[0].item() == wanted


@pytest.mark.parametrize("name", OVER_IMAGES)
def test_every_tile_gives_the_same_bits(name: str) -> None:
    case = CASES[name]
    arrays = case.reals()
    found = [
        case.interpret(schedules.schedule(case.plain, tile, TINY), arrays)[0]
        for tile in schedules.candidates(case.plain, TINY)
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@settings(max_examples=40)
@given(case=small_sums(kinds="w"), data=st.data())
def test_any_numbers_in_a_tile_are_right(case: Case, data: st.DataObject) -> None:
    """Vectors, tiles and blocks that the model would not choose, with remainders."""
    best = schedules.candidates(case.plain, TINY)[0]
    pixels = tuple((name, data.draw(st.integers(1, 3))) for name, _ in best.pixels)
    vectors = data.draw(st.integers(1, 3))
    steps = dict(pixels) | {best.lane: 2 * vectors}
    blocks = tuple(
        (name, steps.get(name, 1) * data.draw(st.integers(1, 2)))
        for name in case.nest.outputs()
        if data.draw(st.booleans())
    )
    group = data.draw(st.sampled_from([1, 2, 4]))
    tile = replace(best, vectors=vectors, pixels=pixels, blocks=blocks, group=group)
    arrays = case.integers()
    (found,) = case.interpret(schedules.schedule(case.plain, tile, TINY), arrays)
    (wanted,) = case.expected(*arrays)
    np.testing.assert_array_equal(found, wanted)


def test_a_leaf_depends_on_sizes_alone() -> None:
    assert leaves_of(dot_of_columns(3, 1)) == {"n": 32}
    assert leaves_of(dot_of_columns(3, 40)) == {"n": 1}
    assert leaves_of(dot_of_columns(900, 40)) == {"n": 1}
    window = Window.make("test", (3, 3))
    large = conv_case("w", window, "channels_last", (130, 302), c=2, k=2)
    assert leaves_of(large) == {"n": 1, "p": 1, "q": 100}


@pytest.mark.parametrize("count", range(20))
def test_treed_sums_iterations_in_a_binary_tree(count: int) -> None:
    """`treed` alone: one held number for each iteration of a loop."""
    case = dot_of_columns(max(count, 1), 1)
    sum_ = case.nest
    reduction = replace(sum_.reduction, loops=("p",), leaves=(), tree=("n",))
    store = Store(sum_.outs, sum_.values, reduction)
    body = hold(sum_.nest(("p",), (store,)), "p")
    every = Affine((("images", 1),))
    looped = sum_.nest(
        ("k", "c", "r"), treed(Loop("n", None, body, limit=every), 8, every, None)
    )
    program = Program("p", sum_.arguments, looped)
    dy, x = (a[:count] for a in case.reals())
    (dw,) = case.interpret(program, (dy, x))
    leaves = (dy * x).reshape(-1).tolist()
    assert dw.item() == (pairwise(leaves) if leaves else 0.0)


def test_treed_refuses_a_loop_that_holds_nothing() -> None:
    case = dot_of_columns(2, 1)
    loop = Loop("n", None, (case.nest.store(),))
    with pytest.raises(ScheduleError, match="treed needs a held loop body"):
        treed(loop, 8, Affine(), None)
