"""Runs compiled kernels on arrays that border on unreadable pages.

    python tests/laws/guarded.py TARGET FIRST LAST [STEP]

Configurations are numbered; those below zero are the larger ones of `helpers.DEEP`.
Every configuration is printed before it runs, so that the last line names the one that
touched a byte it should not. Not a test by itself: see `test_guard_pages.py`.
"""

import ctypes
import mmap
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from helpers import DEEP, LAYOUTS, Array, draw_pooling, draw_problem, from_rng

import rot180
from rot180 import autograd, ops, reference, runtime
from rot180.functional._plan import plan_of

PAGE = mmap.PAGESIZE
CANARY = 0xA5
UNREADABLE = 0
SCHEDULES = range(6)
Case = tuple[ops.Op, tuple[Array, ...]]


class Guarded:
    """Memory for one array between two unreadable pages.

    Attributes:
        array: Ends where an unreadable page begins, or begins where one ends.
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any, *, at_end: bool) -> None:
        count = int(np.prod(shape, dtype=int))
        size = count * np.dtype(dtype).itemsize
        room = max(-(-size // PAGE), 1) * PAGE
        self._memory = mmap.mmap(-1, room + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        _protect(start)
        _protect(start + PAGE + room)
        offset = PAGE + (room - size if at_end else 0)
        self._inside = np.frombuffer(self._memory, np.uint8, room, PAGE)
        self._inside[:] = CANARY
        flat = np.frombuffer(self._memory, dtype, count, offset)
        self.array = flat.reshape(shape)
        self._rest = slice(0, room - size) if at_end else slice(size, room)

    def is_intact(self) -> bool:
        """Whether the rest of the array's own pages is as it was."""
        return bool((self._inside[self._rest] == CANARY).all())


def _protect(address: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if libc.mprotect(address, PAGE, UNREADABLE):
        raise OSError(ctypes.get_errno(), "mprotect failed")


def guarded(array: Array, *, at_end: bool) -> tuple[Guarded, Array]:
    """Returns a copy of `array` in guarded memory, with its order of axes."""
    order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
    dense = np.ascontiguousarray(array.transpose(order))
    place = Guarded(dense.shape, dense.dtype, at_end=at_end)
    place.array[...] = dense
    return place, place.array.transpose(np.argsort(order))


def check(op: ops.Op, arrays: tuple[Array, ...], *, at_end: bool) -> None:
    """Runs an op on guarded copies and compares with what it gives elsewhere."""
    expected = autograd.run(op, *arrays)
    if isinstance(op, ops.OneHot):
        arrays = (*arrays, np.arange(op.classes, dtype=arrays[0].dtype))
    places = [guarded(array, at_end=at_end) for array in arrays]
    call = autograd.call_for(op, tuple(array for _, array in places))
    if call is None:
        return  # nothing to compute, no kernel
    outputs = [Guarded(*output, at_end=at_end) for output in call.outputs]
    call.entry(*(o.array for o in outputs), *(a for _, a in places), call.count)
    for output, want in zip(outputs, expected, strict=True):
        if not np.array_equal(output.array, want, equal_nan=True):
            raise SystemExit(f"wrong result of {op}")
    if not all(p.is_intact() for p in [*outputs, *(p for p, _ in places)]):
        raise SystemExit(f"{op} wrote outside its arrays")


def cases(number: int) -> list[Case]:
    """Returns the ops of one configuration, with operands."""
    if number < 0:
        return _deep(-number - 1)
    rng = np.random.default_rng([20, number])
    kind = number % 6
    if kind < 4:
        return _convolution(rng, kind)
    return _pooling(rng) if kind == 4 else _elementwise(rng)


def _deep(number: int) -> list[Case]:
    """Returns all passes of a larger problem, numbered from 0, in either layout."""
    problem = list(DEEP.values())[number // 2]
    problem = replace(
        problem, layout=LAYOUTS[number % 2], images=min(problem.images or 2, 70)
    )
    x, w, b, dy = problem.operands()
    op = ops.conv_op("guarded", *map(ops.type_of, (x, w, b)), **problem.options)
    by_x, by_w = (replace(op, out=o, bias=False) for o in ("x", "w"))
    total = ops.ChannelSum(problem.layout)
    return [(op, (x, w, b)), (by_x, (dy, w)), (by_w, (dy, x)), (total, (dy,))]


def _convolution(rng: np.random.Generator, kind: int) -> list[Case]:
    problem = draw_problem(from_rng(rng))
    size = tuple(max(extent, 1) for extent in problem.size)
    problem = replace(problem, images=problem.images or 2, size=size)
    x, w, b, dy = problem.operands()
    biases = (b,) if problem.bias else ()
    types = [ops.type_of(a) for a in (x, w, *biases)]
    op = ops.conv_op("guarded", *types, **problem.options)
    if kind < 2:
        return [(op, (x, w, *biases))]
    if kind == 2:
        return [(replace(op, out="x", bias=False), (dy, w))]
    total = ops.ChannelSum(problem.layout)
    return [(replace(op, out="w", bias=False), (dy, x)), (total, (dy,))]


def _pooling(rng: np.random.Generator) -> list[Case]:
    pooling = draw_pooling(from_rng(rng))
    x = pooling.values()
    most, total = pooling.op("max"), pooling.op("sum")
    y, index = reference.evaluate(most, x)
    (mean,) = reference.evaluate(total, x)
    select = ops.MaxSelect(most.window, most.layout, "x", most.input_size)
    return [
        (most, (x,)),
        (select, (y, index)),
        (replace(select, out="y"), (x, index)),
        (total, (x,)),
        (replace(total, out="x"), (mean,)),
    ]


def _elementwise(rng: np.random.Generator) -> list[Case]:
    shape = tuple(int(v) for v in rng.integers(1, 9, rng.integers(1, 5)))
    shape = (*shape, int(rng.integers(1, 40)))
    dtype = ("float32", "float64")[rng.integers(2)]
    a, b = rng.standard_normal((2, *shape)).astype(dtype)
    row, column = b.reshape(-1, shape[-1])[0].copy(), b[..., :1].copy()
    labels = rng.integers(0, 7, shape[:1])
    last = len(shape) - 1
    one = ("neg", "exp", "log", "sqrt", "abs", "sign", "square", "relu")
    two = ("add", "sub", "mul", "div", "maximum", "relu_grad", "greater", "equal")
    return [
        (ops.Pointwise(one[rng.integers(len(one))]), (a,)),
        (ops.Pointwise(two[rng.integers(len(two))]), (a, b)),
        (ops.Pointwise(two[rng.integers(len(two))]), (row, a)),
        (ops.Pointwise(two[rng.integers(len(two))]), (a, column)),
        (ops.Pointwise("where"), (a > 0, a, b)),
        (ops.Reduce("sum", (last,)), (a,)),
        (ops.Reduce("max", (last,)), (a,)),
        (ops.Reduce("sum", tuple(range(last))), (a,)),
        (ops.LogSoftmax(), (a,)),
        (ops.OneHot(7, dtype), (labels,)),
        (ops.Flip((0, last)), (a,)),
        (ops.Broadcast((3, *shape)), (a,)),
        (ops.Identity(), (a.T,)),
    ]


def run(number: int) -> None:
    """Runs one configuration under every schedule, on either side of its pages."""
    rot180.set_num_threads(1 + number % 3)
    for op, arrays in cases(number):
        seen = 6 if isinstance(op, SLIDING) else 1
        if isinstance(op, SLIDING):
            types = (ops.type_of(array) for array in arrays)
            seen = len(plan_of(op, *types).candidates)
        for schedule in range(seen):
            for at_end in (True, False):
                side = "end" if at_end else "start"
                shapes = [(a.shape, a.strides, a.dtype.name) for a in arrays]
                print(f"{number} schedule {schedule} {side} {op} {shapes}", flush=True)
                with runtime.force_schedule(schedule):
                    check(op, arrays, at_end=at_end)


SLIDING = (ops.Conv, ops.ChannelSum, ops.MaxPool, ops.MaxSelect, ops.WindowSum)


def main(target: str, first: int, last: int, step: int = 1) -> None:
    if target == "broken":  # reads one element too many, to see that it is noticed
        print("broken", flush=True)
        place = Guarded((5,), np.float32, at_end=True)
        ctypes.string_at(place.array.ctypes.data, 21)
    if target == "host":
        for number in range(first, last, step):
            run(number)
        return
    with runtime.force_target(target):
        for number in range(first, last, step):
            run(number)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
    print("finished", flush=True)
