"""The schedule of sums over single images: every tile sums in the program's order."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import CASES, TINY, Case, conv_case, family, small_sums

from rot180 import schedules
from rot180.ops import Window
from rot180.program import Program, Target
from rot180.program._nodes import Alloc, Loop, walk
from rot180.schedules import Tile
from rot180.schedules._nest import IMAGE

DIRECT = [name for name, case in CASES.items() if IMAGE in case.nest.outputs()]


@pytest.mark.parametrize("name", DIRECT)
def test_every_tile_gives_the_bits_of_the_plain_program(name: str) -> None:
    case = CASES[name]
    arrays = case.reals()
    wanted = case.interpret_plain(case.plain, arrays)
    for tile in schedules.candidates(case.plain, TINY):
        program = schedules.schedule(case.plain, tile, TINY)
        found = case.interpret(program, arrays)
        for got, want in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(got, want, err_msg=str(tile))


@settings(max_examples=40)
@given(case=small_sums(kinds="yxpm"), data=st.data())
def test_any_numbers_in_a_tile_are_right(case: Case, data: st.DataObject) -> None:
    """Vectors, pixels and rows that the model would not choose, with remainders."""
    best = schedules.candidates(case.plain, TINY)[0]
    pixels = tuple(
        (name, data.draw(st.integers(1, 4), label=name)) for name, _ in best.pixels
    )
    tile = replace(
        best,
        vectors=data.draw(st.integers(1, 3), label="vectors"),
        pixels=pixels,
        rows=data.draw(st.integers(1, 5), label="rows"),
    )
    arrays = case.reals()
    wanted = case.interpret_plain(case.plain, arrays)
    found = case.interpret(schedules.schedule(case.plain, tile, TINY), arrays)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def schedule_of(case: Case, target: Target = TINY) -> tuple[Tile, Program]:
    tile = schedules.candidates(case.plain, target)[0]
    return tile, schedules.schedule(case.plain, tile, target)


def test_a_filter_is_packed_in_a_phase_of_its_own() -> None:
    _, program = schedule_of(CASES["y, many channels, channels_first"])
    packing, work = program.body
    assert isinstance(packing, Loop)
    assert isinstance(work, Loop)
    assert (packing.kind, work.kind) == ("parallel", "parallel")
    ((buffer, count),) = program.temporaries
    assert buffer.space == "temporary"
    assert count.at(0) == count.at(9) >= buffer.elements()


def test_sums_without_a_filter_need_no_packing() -> None:
    _, program = schedule_of(CASES["max pool, overlapping, channels_last"])
    assert len(program.body) == 1
    assert program.temporaries == ()


@pytest.mark.parametrize("name", ["avx512", "avx2", "neon", "baseline"])
def test_a_tile_fits_in_the_registers(name: str) -> None:
    target = family(name)
    window = Window.make("test", (3, 3), padding=1)
    for layout in ("channels_first", "channels_last"):
        for out in "yx":
            case = conv_case(out, window, layout, (28, 28), c=64, k=64)  # type: ignore[arg-type]
            tile, program = schedule_of(case, target)
            held = next(
                s.buffer
                for s in walk(program.body)
                if isinstance(s, Alloc) and s.buffer.space == "register"
            )
            lanes = target.lanes("float32")
            sums = held.elements() // lanes
            assert held.shape[-1] == lanes
            assert sums + tile.vectors < target.registers


def test_channels_last_images_that_never_leave_are_read_where_they_lie() -> None:
    """Depthwise without padding: both factors are vectors, nothing is staged."""
    inside = Window((3,), (1,), (1,), ((0, 0),), 8)
    padded = replace(inside, padding=((1, 1),))
    names = []
    for window in (inside, padded):
        case = conv_case("y", window, "channels_last", (9,), c=8, k=8)
        _, program = schedule_of(case)
        names.append(
            {s.buffer.space for s in walk(program.body) if isinstance(s, Alloc)}
        )
    assert names == [{"register"}, {"register", "scratch"}]


def test_one_item_is_a_block_of_rows_of_one_image() -> None:
    case = CASES["y, plain, channels_last"]
    tile, program = schedule_of(case)
    item = program.body[-1]
    assert isinstance(item, Loop)
    assert item.items is not None
    blocks = -(-case.nest.extent("p") // tile.rows)
    assert item.items.at(3) == 3 * blocks
