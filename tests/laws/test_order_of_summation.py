"""The plain program owns the order of summation; every schedule keeps it, bit for bit.

Without fused multiply-adds, float64 rounds as Python does, so that the interpreter's
numbers are those that compiled code must give.
"""

import numpy as np
import pytest
from programs import Case, conv_case, family

from rot180 import ops, runtime, schedules
from rot180.autograd import run
from rot180.ops import TensorType, Window
from rot180.program._nodes import Alloc, walk


def window(*kernel: int, **settings: object) -> Window:
    return Window.make("test", kernel, **settings)  # type: ignore[arg-type]


def window_sum(size: tuple[int, ...], shape: Window) -> Case:
    x = TensorType((1, *size, 2), "float64")
    return Case("sum", ops.WindowSum(shape, "channels_last", "y", size), (x,))


LONG = {
    "chain of channels": conv_case(
        "y", window(2), "channels_first", (3,), c=2100, k=2, bias=True,
        dtype="float64",
    ),
    "chain with residues": conv_case(
        "x", window(5, stride=2), "channels_last", (7,), images=1, c=1, k=1500,
        dtype="float64",
    ),
    "chain of taps": window_sum((67, 65), window(66, 64)),
    "rows of images": conv_case(
        "w", window(3, 2), "channels_last", (11, 37), images=3, c=1, k=2,
        dtype="float64",
    ),
    "pieces of rows": conv_case(
        "w", window(2, 2, stride=(1, 2)), "channels_first", (4, 301), c=1, k=2,
        dtype="float64",
    ),
    "tiny images": conv_case(
        "w", window(1, 2), "channels_first", (3, 3), images=37, dtype="float64"
    ),
    "bias": Case(
        "b", ops.ChannelSum("channels_first"), (TensorType((3, 5, 17, 9), "float64"),)
    ),
    "bias, whole vectors": Case(
        "b", ops.ChannelSum("channels_last"), (TensorType((3, 37, 9, 8), "float64"),)
    ),
    "bias, parts of vectors": Case(
        "b", ops.ChannelSum("channels_last"), (TensorType((3, 37, 9, 7), "float64"),)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_every_schedule_gives_the_bits_of_the_plain_program(name: str) -> None:
    case = LONG[name]
    arrays = case.reals()
    (wanted,) = case.interpret_plain(case.plain, arrays)
    assert case.nest.reduction.leaves
    with runtime.force_target("baseline"):
        tiles = schedules.candidates(case.plain, family("baseline"))
        for number in range(len(tiles)):
            with runtime.force_schedule(number):
                (found,) = run(case.op, *arrays)
            np.testing.assert_array_equal(found, wanted)


def test_a_sum_over_images_copies_nothing_that_lies_in_whole_vectors() -> None:
    case, target = LONG["bias, whole vectors"], family("baseline")
    tile = schedules.candidates(case.plain, target)[0]
    program = schedules.schedule(case.plain, tile, target)
    names = {s.buffer.name for s in walk(program.body) if isinstance(s, Alloc)}
    assert not any(name.startswith("rows_") for name in names)
