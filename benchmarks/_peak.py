"""The machine's own peak: multiply-adds that depend on nothing but their own chain."""

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from llvmlite import binding as llvm
from llvmlite import ir

# A multiply-add takes 4 cycles and at most 2 start in each: 8 chains would do, 14 leave
# room for the loop's own instructions and still fit 16 registers with the operand.
CHAINS = 14
BITS = {"float32": 32, "float64": 64}


@dataclass(frozen=True, slots=True)
class Loop:
    """A compiled loop; `run(turns)` performs `flops` operations in each turn."""

    run: Callable[[int], None]
    flops: int


def _vector_bits() -> tuple[int, ...]:
    """Return the vector widths worth trying on this machine."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return (256, 512)
    return (256,) if features.get("avx2") else (128,)


def _emit(dtype: str, lanes: int) -> ir.Module:
    """Emit `run(turns, out)`: each turn multiplies and adds once in every chain."""
    module = ir.Module(name="peak")
    scalar = ir.FloatType() if dtype == "float32" else ir.DoubleType()
    vector, count = ir.VectorType(scalar, lanes), ir.IntType(64)
    run = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [count, vector.as_pointer()]), "run"
    )
    entry, body, done = (run.append_basic_block(n) for n in ("entry", "body", "done"))
    name = f"llvm.fmuladd.v{lanes}f{BITS[dtype]}"
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), name)
    b = ir.IRBuilder(entry)
    factor = b.load(run.args[1], align=4)  # read at run time, so nothing folds
    b.branch(body)
    b.position_at_end(body)
    turn = b.phi(count)
    chains = [b.phi(vector) for _ in range(CHAINS)]
    sums = [b.call(fma, [chain, factor, factor]) for chain in chains]
    following = b.add(turn, ir.Constant(count, 1))
    turn.add_incoming(ir.Constant(count, 0), entry)
    turn.add_incoming(following, body)
    for position, (chain, value) in enumerate(zip(chains, sums, strict=True)):
        start = ir.Constant(vector, [float(position)] * lanes)
        chain.add_incoming(start, entry)
        chain.add_incoming(value, body)
    b.cbranch(b.icmp_unsigned("<", following, run.args[0]), body, done)
    b.position_at_end(done)
    total = sums[0]
    for value in sums[1:]:
        total = b.fadd(total, value)
    b.store(total, run.args[1], align=4)
    b.ret_void()
    return module


def _compile(module: ir.Module) -> tuple[llvm.ExecutionEngine, int]:
    features = llvm.get_host_cpu_features()
    features["prefer-256-bit"] = False
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    return engine, engine.get_function_address("run")


@cache
def loops(dtype: str) -> tuple[Loop, ...]:
    """Return one multiply-add loop for each vector width of this machine."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return tuple(_loop(dtype, bits // BITS[dtype]) for bits in _vector_bits())


def _loop(dtype: str, lanes: int) -> Loop:
    engine, address = _compile(_emit(dtype, lanes))
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(address)
    scalar = ctypes.c_float if dtype == "float32" else ctypes.c_double

    def run(turns: int, _engine: llvm.ExecutionEngine = engine) -> None:
        operand = (scalar * lanes)(*[0.5] * lanes)  # x = x/2 + 1/2 stays near one
        function(turns, ctypes.addressof(operand))

    return Loop(run, 2 * CHAINS * lanes)


def _rate(loop: Loop, turns: int, threads: int) -> float:
    """Return the GFLOP/s of `threads` threads that each run the loop once."""
    gate = threading.Barrier(threads)
    clock: list[tuple[float, float]] = []

    def work() -> None:
        gate.wait()
        start = time.perf_counter()
        loop.run(turns)
        clock.append((start, time.perf_counter()))

    team = [threading.Thread(target=work) for _ in range(threads - 1)]
    for thread in team:
        thread.start()
    work()
    for thread in team:
        thread.join()
    elapsed = max(end for _, end in clock) - min(start for start, _ in clock)
    return threads * turns * loop.flops / elapsed / 1e9


def sample(dtype: str, threads: int = 1, seconds: float = 0.004) -> float:
    """Return one reading of the peak in GFLOP/s, the best of the vector widths.

    Args:
        dtype: "float32" or "float64".
        threads: how many threads compute at once.
        seconds: about how long each reading lasts.
    """
    return max(
        _rate(loop, int(seconds * 60e9 / loop.flops), threads) for loop in loops(dtype)
    )


def peak(dtype: str, threads: int = 1, readings: int = 25) -> float:
    """Return the median of several readings of the peak, in GFLOP/s."""
    return sorted(sample(dtype, threads) for _ in range(readings))[readings // 2]


def main() -> None:
    """Print the peak of both dtypes on one and two threads."""
    for dtype in BITS:
        one, two = peak(dtype), peak(dtype, threads=2)
        print(
            f"{dtype}: one thread {one:.1f} GFLOP/s, two {two:.1f} ({two / one:.2f}x)"
        )


if __name__ == "__main__":
    main()
