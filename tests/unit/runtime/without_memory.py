"""Calls while memory is refused, at random: run with how many are to meet a refusal.

`malloc` of the compiled code gives null at its n-th call; NumPy's allocations raise;
the process has no room to grow. Prints how often each of these was met.
"""

import ctypes
import random
import resource
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
import numpy as np

import rot180
from rot180.codegen import _memory_ir
from rot180.runtime import force_reference
from rot180.runtime._python_symbols import python_symbols

MALLOC = """
@left = global i64 0
define ptr @take(i64 %bytes) {{
  %before = atomicrmw sub ptr @left, i64 1 seq_cst
  %fails = icmp eq i64 %before, 1
  br i1 %fails, label %none, label %some
none:
  ret ptr null
some:
  %found = call ptr inttoptr (i64 {real} to ptr)(i64 %bytes)
  ret ptr %found
}}
"""


def failing_malloc() -> tuple[Any, ctypes.c_int64]:
    """Puts a `malloc` that fails in the place of CPython's, for what is compiled.

    Returns:
        What keeps it in memory, and in how many calls it gives null.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    symbols = python_symbols()
    module = llvm.parse_assembly(MALLOC.format(real=symbols["PyMem_RawMalloc"]))
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    symbols["PyMem_RawMalloc"] = engine.get_function_address("take")
    left = ctypes.c_int64.from_address(engine.get_global_value_address("left"))
    return engine, left


class Refusals:
    """Ways in which memory is refused while a call runs."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._engine, self._left = failing_malloc()
        self.met: Counter[str] = Counter()

    @contextmanager
    def malloc(self) -> Iterator[None]:
        """The first or second `malloc` of the compiled code gives null."""
        self._left.value = self._draw.randint(1, 2)
        try:
            yield
        finally:
            self.met["malloc"] += self._left.value <= 0
            self._left.value = 0

    @contextmanager
    def numpy(self) -> Iterator[None]:
        """NumPy has no memory for one array in three."""
        names = ("empty", "zeros", "full", "ascontiguousarray")
        real = {name: getattr(np, name) for name in names}
        for name, make in real.items():
            setattr(np, name, self._refusing(make))
        try:
            yield
        finally:
            for name, make in real.items():
                setattr(np, name, make)

    def _refusing(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(*given: Any, **named: Any) -> Any:
            if self._draw.random() < 0.3:
                self.met["numpy"] += 1
                raise MemoryError("no room for an array")
            return make(*given, **named)

        return refuse

    @contextmanager
    def system(self) -> Iterator[None]:
        """The process has next to no room to grow."""
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        limit = used + self._draw.choice((0, 20_000, 200_000))
        resource.setrlimit(resource.RLIMIT_AS, (limit, -1))
        try:
            yield
        except MemoryError:
            self.met["system"] += 1
            raise
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (-1, -1))


def integers(draw: random.Random, *shape: int) -> Any:
    return (
        np.random.default_rng(draw.randrange(9**9)).integers(-4, 5, shape).astype("f")
    )


def loss(w: Any, x: Any) -> Any:
    return rot180.max_pool(rot180.relu(rot180.conv(x, w, padding=1)), 2).sum()


GRADIENT = rot180.jit(rot180.grad(loss))


def drawn_call(draw: random.Random) -> Callable[[], Any]:
    """A call, more often than not of a shape that was met before."""
    x = integers(draw, 3, 2, draw.choice((24, 31)), draw.choice((9, 16)))
    w = integers(draw, 4, 2, 3, 3)
    y = rot180.conv(x, w)
    transposed = x.transpose(0, 1, 3, 2)
    calls: list[Callable[[], Any]] = [
        lambda: rot180.conv(transposed, w, stride=2),
        lambda: rot180.conv_backward(y, x, w),
        lambda: rot180.max_pool(x, 3, padding=1, return_indices=True),
        lambda: rot180.avg_pool(x[..., ::-1], (2, 1)),
        lambda: GRADIENT(w, x),
        lambda: rot180.conv_transpose(y, w),
    ]
    return draw.choice(calls)


def bits(value: Any) -> list[bytes]:
    parts = value if isinstance(value, tuple) else (value,)
    return [np.asarray(part).tobytes() for part in parts]


def main(count: int) -> None:
    """Calls until `count` refusals were met; each call is right right after."""
    warnings.simplefilter("error")
    _memory_ir.VALUES["kept_bytes"] = 0  # so that every call asks for its scratch
    draw = random.Random(count)
    refusals = Refusals(draw)
    rot180.set_num_threads(2)
    ways = (refusals.malloc, refusals.malloc, refusals.numpy, refusals.system)
    while refusals.met.total() < count:
        call = drawn_call(draw)
        given = None
        try:
            with draw.choice(ways)():
                given = call()
        except MemoryError:
            pass
        again = call()
        with force_reference():
            right = bits(call())
        assert bits(again) == right
        assert given is None or bits(given) == right
    print(dict(refusals.met))


if __name__ == "__main__":
    main(int(sys.argv[1]))
