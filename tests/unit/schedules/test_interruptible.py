"""Long items look whether the call is to end; short ones are left as they are."""

import ctypes
from dataclasses import dataclass, field

import numpy as np
import pytest
from programs import CASES, TINY, Case, conv_case

from rot180 import codegen, ops, schedules
from rot180.ops import TensorType, Window
from rot180.program import Access, Buffer, Count, Load, Program, index, show
from rot180.program._nodes import Blocks, Loop, Store, bodies, walk
from rot180.runtime import _cpu
from rot180.runtime._compiler import compile_object, load
from rot180.schedules import scheduled
from rot180.schedules._interruptible import GRAIN

LONG = 10**8
ROW = Window.make("test", (3,))
WIDE = Window.make("test", (LONG // 2,))
LONG_ITEMS = {
    f"{name}, {out}": conv_case(out, window, "channels_first", (LONG,), c=1, k=1)
    for name, window in (("short filter", ROW), ("long filter", WIDE))
    for out in "yxw"
} | {
    "many channels": conv_case("y", ROW, "channels_last", (3,), c=LONG, k=1),
    "log softmax": Case("", ops.LogSoftmax(), (TensorType((1, LONG), "float32"),)),
    "row sums": Case("", ops.Reduce("sum", (1,)), (TensorType((1, LONG), "float64"),)),
}


def program(case: Case) -> Program:
    bound = case.bound
    tiled = isinstance(bound, Program)
    return scheduled(
        bound, TINY, schedules.candidates(bound, TINY)[0] if tiled else None
    )


def unlooked(body: Blocks) -> float:
    """The most stores of an item between two looks, about."""
    total = 0.0
    for statement in body:
        inner = sum(map(unlooked, bodies(statement))) or 1.0
        if isinstance(statement, Loop) and statement.extent is not None:
            looks = any(isinstance(s, Loop) and s.stops for s in walk(statement.body))
            inner *= 1 if looks else min(statement.extent, statement.stops or LONG)
        total += inner
    return total


@pytest.mark.parametrize("name", LONG_ITEMS)
def test_a_long_item_looks_often(name: str) -> None:
    for phase in program(LONG_ITEMS[name]).body:
        for item in bodies(phase):
            assert unlooked(item) < 4 * GRAIN


@pytest.mark.parametrize("name", CASES)
def test_short_items_stay_as_they_are(name: str) -> None:
    case = CASES[name]
    tile = schedules.candidates(case.plain, TINY)[0]
    plain = schedules.schedule(case.plain, tile, TINY)
    assert schedules.interruptible(plain) == plain
    assert "watch" not in codegen.emit(plain, TINY).text


def test_a_program_shows_where_it_stops() -> None:
    text = show(program(LONG_ITEMS["short filter, y"]))
    assert "  # stops every " in text


# ---------------------------------------------------------------- compiled code

LOOK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)
Y, X = (Buffer(name, "float32", (8,), (1,)) for name in "yx")
COPY = Store((Access(Y, (index("i"),)),), (Load(Access(X, (index("i"),))),))
ITEM = Loop(
    "item",
    None,
    (Loop("i", 8, (COPY,), stops=2),),
    "parallel",
    items=Count(0, 1, 1),
)


@dataclass
class Watch:
    """Answers a job, and counts how often it was asked."""

    stop_at: int
    asked: int = 0
    words: ctypes.Array[ctypes.c_void_p] = field(init=False)

    def __post_init__(self) -> None:
        self.look = LOOK(self.answer)
        self.words = (ctypes.c_void_p * 1)(ctypes.cast(self.look, ctypes.c_void_p))

    def answer(self, _: int) -> int:
        self.asked += 1
        return int(self.asked == self.stop_at)


def copied(watch: Watch | None) -> list[float]:
    """What a copy of eight numbers, which may stop before every second, writes."""
    target = _cpu.current().target
    module = codegen.emit(Program("copy", (Y, X), (ITEM,)), target)
    library = load(compile_object(module.text, target), {}, module.jobs)
    y, x = np.zeros(8, "f"), np.arange(1, 9).astype("f")
    place = ctypes.addressof(watch.words) if watch else None
    pointers = (ctypes.c_void_p * 3)(y.ctypes.data, x.ctypes.data, place)
    job = ctypes.CFUNCTYPE(
        None, *[ctypes.c_int64] * 2, *[ctypes.c_void_p] * 2, ctypes.c_int64
    )
    job(library.address(module.jobs[0]))(0, 1, pointers, None, 1)
    return list(y)


def test_a_job_asks_its_watch_and_ends_where_that_says_so() -> None:
    calm, alarmed = Watch(stop_at=0), Watch(stop_at=3)
    assert copied(calm) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert copied(alarmed) == [1, 2, 3, 4, 0, 0, 0, 0]
    assert (calm.asked, alarmed.asked) == (4, 3)


def test_a_job_without_a_watch_runs_to_its_end() -> None:
    assert copied(None) == [1, 2, 3, 4, 5, 6, 7, 8]
