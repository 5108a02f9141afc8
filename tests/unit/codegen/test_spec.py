"""What a module promises to its caller."""

from dataclasses import replace

import pytest
from programs import CASES, TINY

from rot180 import codegen, schedules
from rot180.codegen._dispatch_ir import FLOPS_PER_THREAD
from rot180.program import Buffer, CallSpec, Count, Program
from rot180.schedules import Pointwise


def spec_of(program: Program) -> CallSpec:
    return codegen.call_spec(program, codegen.emit(program, TINY))


@pytest.mark.parametrize("name", CASES)
def test_arrays_are_those_of_the_call(name: str) -> None:
    case = CASES[name]
    tile = schedules.candidates(case.plain, TINY)[0]
    spec = spec_of(schedules.schedule(case.plain, tile, TINY))
    images = case.types[0].shape[0]
    types = (*case.outputs, *case.types)
    for array, type_ in zip(spec.arrays, types, strict=True):
        size = 4
        for extent in type_.shape:
            size *= extent
        assert array.bytes.at(images) == size
    written = [a.writable for a in spec.arrays]
    assert written == [True] * len(case.outputs) + [False] * len(case.types)


def test_phases_run_in_order_with_their_work() -> None:
    case = CASES["w, plain, channels_first"]
    tile = schedules.candidates(case.plain, TINY)[0]
    program = schedules.schedule(case.plain, tile, TINY)
    spec = spec_of(program)
    assert [p.symbol for p in spec.phases] == ["conv_w_0", "conv_w_1"]
    assert [p.items.at(5) for p in spec.phases] == [
        loop.items.at(5)  # type: ignore[union-attr]
        for loop in program.body
    ]
    assert all(p.flops_per_item > 0 for p in spec.phases)
    # Temporaries: the parts of the groups, in bytes.
    ((_, elements),) = program.temporaries
    (size,) = spec.temporaries
    assert [size.at(n) for n in (0, 1, 9)] == [4 * elements.at(n) for n in (0, 1, 9)]


def test_an_axis_that_repeats_has_one_element() -> None:
    out = Buffer("y", "float32", (None, 5), (5, 1))
    row = Buffer("a", "float32", (None, 5), (0, 1))
    column = Buffer("b", "float64", (None, 5), (1, 0))
    one = Buffer("c", "bool", (None, 5), (0, 0))
    formula = Pointwise.chain("p", out, (row, column, one), ("where",))
    program = schedules.pointwise(formula, TINY)
    spec = codegen.call_spec(replace(program, body=()), codegen.Module("", (), 0))
    assert [a.bytes for a in spec.arrays] == [
        Count(20), Count(0, 1, 20), Count(8), Count(0, 1, 1),
    ]  # fmt: skip


def test_scratch_is_what_one_worker_needs() -> None:
    case = CASES["y, plain, channels_last"]
    tile = schedules.candidates(case.plain, TINY)[0]
    program = schedules.schedule(case.plain, tile, TINY)
    module = codegen.emit(program, TINY)
    assert codegen.call_spec(program, module).scratch_bytes == module.scratch_bytes > 0


def test_a_walk_through_memory_is_worth_threads() -> None:
    line = Buffer("y", "float32", (None,), (1,))
    formula = Pointwise.chain("p", line, (replace(line, name="a"),), ("relu",))
    (phase,) = spec_of(schedules.pointwise(formula, TINY)).phases
    count = 1 << 16  # 0.5 MB: 40 us, a few wakes of a worker
    work = phase.flops_per_item * phase.items.at(count)
    assert work > 2 * FLOPS_PER_THREAD
