"""The tiles among which the cost model chooses."""

import math

import pytest
from programs import CASES, FAMILIES, LAYOUTS, TINY, conv_case, family

from rot180 import codegen, schedules
from rot180.ops import Window
from rot180.schedules._nest import IMAGE

WINDOW = Window.make("test", (3, 3), padding=1)


@pytest.mark.parametrize("name", CASES)
def test_there_are_a_few_different_tiles(name: str) -> None:
    plain, nest = CASES[name].plain, CASES[name].nest
    for target in (*map(family, FAMILIES), TINY):
        tiles = schedules.candidates(plain, target)
        assert 1 <= len(set(tiles)) == len(tiles) <= 6
        assert tiles == schedules.candidates(plain, target)
        for tile in tiles:
            assert tile.lane in nest.outputs()
            assert tile.lane != IMAGE
            assert min(tile.vectors, tile.rows, *(s for _, s in tile.pixels), 9) >= 1
            assert tile.group & (tile.group - 1) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("channels", "size"), [(64, 56), (128, 28), (512, 7)])
def test_dense_layers_keep_many_sums_and_waste_no_lane(
    layout: str, channels: int, size: int
) -> None:
    """An FMA takes four cycles and two start in each: eight sums hide it."""
    target = family("avx512")
    for out in "yxw":
        case = conv_case(out, WINDOW, layout, (size, size), c=channels, k=channels)  # type: ignore[arg-type]
        tile = schedules.candidates(case.plain, target)[0]
        sums = tile.vectors * math.prod(size for _, size in tile.pixels)
        assert 8 <= sums <= target.registers
        assert case.nest.extent(tile.lane) % (16 * tile.vectors) == 0


def test_depthwise_runs_along_channels() -> None:
    window = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)), 32)
    case = conv_case("y", window, "channels_last", (14, 14), c=32, k=32)
    assert schedules.candidates(case.plain, family("avx512"))[0].lane == "g"


def test_one_channel_runs_along_positions() -> None:
    case = conv_case("y", WINDOW, "channels_first", (28, 28), c=1, k=1)
    assert schedules.candidates(case.plain, family("avx2"))[0].lane == "q"


def test_what_is_staged_fits_in_the_second_cache() -> None:
    case = conv_case("y", WINDOW, "channels_last", (224, 224), c=64, k=64)
    target = family("avx512")
    for tile in schedules.candidates(case.plain, target):
        program = schedules.schedule(case.plain, tile, target)
        assert codegen.emit(program, target).scratch_bytes < 1 << 20
