"""Entries: arguments, buffers, memory, float state, lifetime."""

import gc
import sys
import weakref
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rot180.codegen import _call_ir
from rot180.errors import ArgumentError
from rot180.program._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.runtime import _call, _compiler, _cpu

DENORMAL = np.float32(1e-40)
BOTH = pytest.mark.parametrize("flops", [1.0, 1e6], ids=["small", "large"])


def arrays(n: int) -> tuple[np.ndarray[Any, Any], ...]:
    x = np.arange(n, dtype=np.float32)
    return np.zeros(n, np.float32), x, np.array([3], np.float32)


def is_free(buffer: bytearray) -> bool:
    """Whether nobody holds a buffer of `buffer`."""
    try:
        buffer.append(0)
    except BufferError:
        return False
    del buffer[-1]
    return True


class TestArguments:
    @BOTH
    def test_result_is_none_and_right(self, jobs: ModuleType, flops: float) -> None:
        y, x, a = arrays(1000)
        assert jobs.scale(flops)(y, x, a, 1000) is None
        assert (y == 3 * x).all()

    def test_wrong_number_is_refused(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        for given in [(), (y,), (y, x, a), (y, x, a, 4, 4)]:
            with pytest.raises(TypeError, match="takes 3 arrays and the number of"):
                jobs.scale()(*given)

    def test_keywords_are_refused(self, jobs: ModuleType) -> None:
        with pytest.raises(TypeError, match="keyword"):
            jobs.scale()(*arrays(4), n=4)

    @pytest.mark.parametrize("n", [-1, 1 << 60, (1 << 63) - 1, -(1 << 63)])
    def test_impossible_image_count_is_refused(self, jobs: ModuleType, n: int) -> None:
        with pytest.raises(ValueError, match="number of images is negative or too"):
            jobs.scale()(*arrays(4), n)

    def test_other_image_counts_are_refused(self, jobs: ModuleType) -> None:
        with pytest.raises(TypeError):
            jobs.scale()(*arrays(4), 4.0)
        with pytest.raises(OverflowError):
            jobs.scale()(*arrays(4), 1 << 64)

    def test_no_images(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        jobs.scale()(y, x, a, 0)
        assert (y == 0).all()
        jobs.scale()(y[:0], x[:0], a, 0)

    def test_count_follows_its_formula(self) -> None:
        count = Count(24, 5, 1)
        assert [count.at(n) for n in (0, 1, 5, 6)] == [1, 25, 25, 49]

    def test_most_images_never_overflow(self, jobs: ModuleType) -> None:
        spec = jobs.scale_spec()
        most = _call_ir.most_images(spec)
        assert most > 1 << 40
        assert all(array.bytes.at(most) < 1 << 62 for array in spec.arrays)

    def test_impossible_interface_is_refused(self) -> None:
        one = Phase("f", Count(1), 1.0)
        bad = [
            CallSpec((), (), 0, (one,)),
            CallSpec((ArrayArg(Count(-4), True),), (), 0, (one,)),
            CallSpec((ArrayArg(Count(4, 0), True),), (), 0, (one,)),
        ]
        for spec in bad:
            with pytest.raises(ArgumentError, match="entry: "):
                _call_ir.entry_ir(spec, _cpu.detect().target)


class TestBuffers:
    def test_every_path_releases_them(self, jobs: ModuleType) -> None:
        y, x, a = bytearray(16), bytearray(16), bytearray(4)
        small, large = jobs.scale(), jobs.scale(1e6)
        for call in (small, large):
            call(y, x, a, 4)
            assert all(map(is_free, (y, x, a)))
            failing: list[tuple[object, ...]] = [
                (y, x, a, 5),
                (y, x, a[:2], 4),
                (y, x, 7, 4),
                (y, x, a, -1),
            ]
            failing += [(7, x, a, 4), (y, bytes(3), a, 4), (y, x, a, "4")]
            for given in failing:
                with pytest.raises((TypeError, ValueError)):
                    call(*given)
                assert all(map(is_free, (y, x, a)))

    def test_no_reference_is_kept(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        call = jobs.scale()
        counts = [sys.getrefcount(value) for value in (y, x, a, call)]
        for _ in range(100):
            call(y, x, a, 4)
            with pytest.raises(ValueError, match="array 0 is shorter"):
                call(y, x, a, 5)
        assert [sys.getrefcount(value) for value in (y, x, a, call)] == counts

    @pytest.mark.parametrize("index", [0, 1, 2])
    def test_short_array_is_refused(self, jobs: ModuleType, index: int) -> None:
        given = list(arrays(4))
        given[index] = given[index][:-1]
        with pytest.raises(ValueError, match=f"array {index} is shorter than the"):
            jobs.scale()(*given, 4)
        assert (given[0] == 0).all()

    def test_read_only_array_is_refused_where_written(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        for value in (y, x, a):
            value.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            jobs.scale()(y, x, a, 4)
        jobs.scale()(arrays(4)[0], x, a, 4)

    def test_strided_view_is_measured_by_its_memory(self, jobs: ModuleType) -> None:
        y, x, a = arrays(7)
        call = jobs.scale()
        # Four elements that span seven: all of those may be touched, and no more.
        call(y, x[::2], a, 7)
        assert (y == 3 * x).all()
        with pytest.raises(ValueError, match="array 1 is shorter"):
            call(y, x[:6:2], a, 7)

    def test_transposed_view_is_taken_as_it_lies(self, jobs: ModuleType) -> None:
        y, x, a = arrays(12)
        jobs.scale()(y, x.reshape(3, 4).T, a, 12)
        assert (y == 3 * x).all()

    def test_repeating_and_backward_views_are_refused(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        for view in (np.broadcast_to(x[:1], 4), x[::-1]):
            with pytest.raises(ValueError, match="array 1 is shorter"):
                jobs.scale()(y, view, a, 4)


class TestMemory:
    @BOTH
    @pytest.mark.parametrize("padding", [0, 1, 100_000])
    def test_phases_share_an_aligned_temporary(
        self, jobs: ModuleType, flops: float, padding: int
    ) -> None:
        call = jobs.two_phases(flops, padding)
        for n in (1, 7, 500):
            x = np.arange(n)
            y, address = np.zeros_like(x), np.zeros(1, np.int64)
            call(y, x, address, n)
            assert (y == 2 * x + 1).all()
            assert address[0] % 64 == 0

    @BOTH
    def test_large_scratch_is_kept_between_calls(
        self, jobs: ModuleType, flops: float
    ) -> None:
        call = jobs.two_phases(flops, 1 << 20)
        x, found = np.arange(5), set()
        for _ in range(5):
            address = np.zeros(1, np.int64)
            call(np.zeros_like(x), x, address, 5)
            found.add(int(address[0]))
        assert len(found) == 1

    @BOTH
    def test_want_of_memory_is_an_error(self, jobs: ModuleType, flops: float) -> None:
        call = jobs.two_phases(flops, 1 << 52)
        y, x, address = bytearray(8), bytearray(8), bytearray(8)
        with pytest.raises(MemoryError):
            call(y, x, address, 1)
        assert all(map(is_free, (y, x, address)))


class TestFloatState:
    @BOTH
    def test_denormals_are_flushed_inside_only(
        self, jobs: ModuleType, flops: float
    ) -> None:
        n = 100
        y, x, a = arrays(n)
        call = jobs.scale(flops)
        # A denormal input counts as zero, a denormal result becomes zero.
        for value, factor in ((1e-40, 1e10), (1e-30, 1e-10)):
            x[:], a[:], y[:] = value, factor, 7
            call(y, x, a, n)
            assert (y == 0).all()
        assert np.float32(2) * DENORMAL > 0
        with pytest.raises(ValueError, match="shorter"):
            call(y, x, a, n + 1)
        assert np.float32(2) * DENORMAL > 0

    def test_float_flags_do_not_leak(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        a[:] = np.inf
        with np.errstate(all="raise"):
            jobs.scale()(y, x, a, 4)
            assert np.isnan(y[0])
            assert (np.ones(4) + 1 == 2).all()


class TestLifetime:
    def test_entry_keeps_its_code(self, jobs: ModuleType) -> None:
        call = jobs.scale()
        gc.collect()
        y, x, a = arrays(4)
        call(y, x, a, 4)
        assert (y == 3 * x).all()
        assert repr(call.__self__) == "<compiled code of kernel>"

    def test_code_goes_with_the_last_entry(self, jobs: ModuleType) -> None:
        ir = jobs.SCALE + _call_ir.entry_ir(jobs.scale_spec(), _cpu.detect().target)
        code = _compiler.compile_object(ir, _cpu.detect().target)
        library = _compiler.load(code, _call.call_symbols(), (_call_ir.ENTRY,))
        entries = [_call.make_entry(library, jobs.scale_spec(), "f") for _ in "ab"]
        alive = weakref.ref(library)
        del library, entries[0]
        assert alive() is not None
        entries.clear()
        assert alive() is None

    def test_entry_may_be_dropped_while_it_runs(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        calls = [jobs.scale(1e6)]
        calls.pop()(y, x, a, 4)
        assert (y == 3 * x).all()

    def test_many_libraries_come_and_go(self, jobs: ModuleType) -> None:
        y, x, a = arrays(4)
        for _ in range(200):
            jobs.scale()(y, x, a, 4)
        assert (y == 3 * x).all()


def test_every_target_emits_an_entry(jobs: ModuleType) -> None:
    for name in _cpu.FAMILIES:
        target = _cpu.for_family(name).target
        ir = jobs.SCALE + _call_ir.entry_ir(jobs.scale_spec(), target)
        assert "fpcr" in ir if name == "neon" else "mxcsr" in ir
        text = _compiler.compile_assembly(ir, target)
        assert ("FPCR" if name == "neon" else "ldmxcsr") in text
