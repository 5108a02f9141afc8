"""Programs and code as people read them, kept in files.

After a wanted change: ROT180_UPDATE_GOLDEN=1 pytest tests/golden, then read the diff.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import CASES, TINY, conv_case, family

from rot180 import codegen, schedules
from rot180.ops import Window
from rot180.program import show
from rot180.schedules import Tile

HERE = Path(__file__).parent


def lowered() -> Iterator[str]:
    for name in (
        "y, plain, channels_first",
        "x, stride above filter, channels_last",
        "w, groups, channels_first",
        "max pool, overlapping, channels_last",
    ):
        yield f"# {name}"
        yield show(CASES[name].plain)


def scheduled() -> Iterator[str]:
    """One tile each, written here so that the cost model may change."""
    tiles = {
        "y, plain, channels_last": Tile("k", 1, (("p", 2), ("q", 2)), 4),
        "w, stride, channels_last": Tile("k", 1, (("c", 2),), 1, (), 2),
    }
    for name, tile in tiles.items():
        yield f"# {name}"
        yield show(schedules.schedule(CASES[name].plain, tile, TINY))


def emitted() -> Iterator[str]:
    """A tiny kernel: two images of five pixels, one channel into four, two taps."""
    window = Window.make("test", (2,))
    case = conv_case("y", window, "channels_last", (5,), c=1, k=4)
    target = family("baseline")
    program = schedules.schedule(case.plain, Tile("k", 1, (("p", 2),), 4), target)
    yield codegen.emit(program, target).text


FILES = {
    "lowered.txt": lowered,
    "scheduled.txt": scheduled,
    "kernel.ll": emitted,
}


@pytest.mark.parametrize("name", FILES)
def test_text(name: str) -> None:
    text = "\n".join(FILES[name]()).rstrip() + "\n"
    golden = HERE / name
    if os.environ.get("ROT180_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
