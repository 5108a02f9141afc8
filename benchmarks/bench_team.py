"""Fan-out to one parked worker and join, beside a bare futex, in the same run.

    python benchmarks/bench_team.py [--rounds N]

The team's job has two items which wait for each other, so the parked worker must
really arrive.  The bare futex does the same with system calls and nothing else.  Both
are measured twice: the caller sleeps while it waits, so that two threads are woken in
a round; or it stays awake, as while it computes (on a busy machine the woken thread
may then wait for the caller's time slice to end).  Last, a fan-out whose items do not
wait for each other, where the caller need not wait for the worker.

The caller is pinned to one core and every other thread to another: left alone, the
kernel may or may not put both on one core, and a wake costs 3 times as much across
cores.  Linux only.
"""

import argparse
import ctypes
import json
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable

from rot180.codegen import _call_ir
from rot180.program._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.runtime import _call, _compiler, _cpu, _team

FUTEX_NUMBER = {"x86_64": 202, "aarch64": 98}
# Longer than any thread spins before it parks.
PAUSE_SECONDS = 500e-6
BOUND = 1.5
KEPT: list[_compiler.Library] = []

FUTEX = """
declare i64 @syscall(i64, ...)
define internal void @sleep_while(ptr %word, i32 %old) nounwind {
entry:
  br label %look
look:
  %now = load atomic i32, ptr %word seq_cst, align 4
  %same = icmp eq i32 %now, %old
  br i1 %same, label %wait, label %done
wait:
  %r = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i32 128, i32 %old, i64 0)
  br label %look
done:
  ret void
}
define internal void @spin_while(ptr %word, i32 %old) nounwind {
entry:
  br label %look
look:
  %now = load atomic i32, ptr %word seq_cst, align 4
  %same = icmp eq i32 %now, %old
  br i1 %same, label %look, label %done
done:
  ret void
}
define internal void @wake(ptr %word) nounwind {
  %r = call i64 (i64, ...) @syscall(i64 FUTEX, ptr %word, i32 129, i32 1, i64 0)
  ret void
}
"""

# @answer sleeps on the first word and answers on the second; @ask is the other side.
PAIR = """
define void @answer(ptr %words, i32 %rounds) nounwind {
entry:
  %reply = getelementptr i8, ptr %words, i64 128
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  call void @sleep_while(ptr %words, i32 %i)
  %next = add i32 %i, 1
  store atomic i32 %next, ptr %reply seq_cst, align 4
  call void @wake(ptr %reply)
  %more = icmp slt i32 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  ret void
}
define void @ask(ptr %words, i32 %i) nounwind {
  %reply = getelementptr i8, ptr %words, i64 128
  %next = add i32 %i, 1
  store atomic i32 %next, ptr %words seq_cst, align 4
  call void @wake(ptr %words)
  call void @WAIT(ptr %reply, i32 %i)
  ret void
}
"""

# The first to arrive waits for the second.
MEETING = """
define void @job(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n) nounwind {
entry:
  %word = load ptr, ptr %pointers
  %before = atomicrmw add ptr %word, i32 1 seq_cst
  %odd = and i32 %before, 1
  %second = icmp ne i32 %odd, 0
  br i1 %second, label %tell, label %wait
tell:
  call void @wake(ptr %word)
  ret void
wait:
  %mine = add i32 %before, 1
  call void @WAIT(ptr %word, i32 %mine)
  ret void
}
"""

APART = """
define void @job(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n) nounwind {
  %word = load ptr, ptr %pointers
  %before = atomicrmw add ptr %word, i32 1 seq_cst
  ret void
}
"""


def main() -> None:
    """Measure all sides in alternation and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    calls = rounds + 1
    _team.set_num_threads(2)
    sides = {
        "fan_out_asleep": make_fan_out(MEETING.replace("WAIT", "sleep_while")),
        "futex_asleep": make_futex(calls, "sleep_while"),
        "fan_out_awake": make_fan_out(MEETING.replace("WAIT", "spin_while")),
        "futex_awake": make_futex(calls, "spin_while"),
        "fan_out_apart": make_fan_out(APART),
    }
    for call in sides.values():
        call()
    pin()
    samples = [[timed(call) for call in sides.values()] for _ in range(rounds)]
    columns = zip(*samples, strict=True)
    median = {
        name: statistics.median(column) * 1e6
        for name, column in zip(sides, columns, strict=True)
    }
    result = {f"{name}_us": round(value, 2) for name, value in median.items()}
    for kind in ("asleep", "awake"):
        ratio = median[f"fan_out_{kind}"] / median[f"futex_{kind}"]
        result[f"ratio_{kind}"] = round(ratio, 3)
    print(json.dumps(result | {"bound": BOUND}))


def pin() -> None:
    """Put the calling thread on one core and all others on another."""
    own, *others = sorted(os.sched_getaffinity(0))
    for thread in threading.enumerate():
        is_caller = thread is threading.current_thread()
        cores = {own} if is_caller or not others else {others[0]}
        os.sched_setaffinity(thread.native_id or 0, cores)


def timed(call: Callable[[], object]) -> float:
    """Seconds of `call`, after a pause in which every other thread parks."""
    time.sleep(PAUSE_SECONDS)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def make_fan_out(job: str) -> Callable[[], object]:
    """Return a call that runs a job of two items on two threads."""
    spec = CallSpec(
        arrays=(ArrayArg(Count(0, 1, 8), writable=True),),
        temporaries=(),
        scratch_bytes=0,
        phases=(Phase("job", Count(0, 1, 2), 5e7),),
    )
    entry = _call_ir.entry_ir(spec, _cpu.detect().target)
    library = load(job + entry, _call_ir.ENTRY)
    call = _call.make_entry(library, spec, "fan_out")
    word = bytearray(8)
    return lambda: call(word, 1)


def make_futex(rounds: int, wait: str) -> Callable[[], object]:
    """Return a call that wakes a sleeping thread and waits until it has answered."""
    library = load(PAIR.replace("WAIT", wait), "ask", "answer")
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)
    answer, ask = (kind(library.address(name)) for name in ("answer", "ask"))
    words = ctypes.create_string_buffer(256)
    threading.Thread(target=answer, args=(words, rounds)).start()
    # Both sides may still be inside the code when the last call returns.
    KEPT.append(library)
    turn = iter(range(rounds))
    return lambda: ask(words, next(turn))


def load(text: str, *exports: str) -> _compiler.Library:
    """Compile `text` together with the futex functions."""
    libc = ctypes.CDLL(None)
    address = ctypes.cast(libc.syscall, ctypes.c_void_p).value or 0
    number = str(FUTEX_NUMBER[platform.machine()])
    futex = FUTEX.replace("FUTEX", number)
    code = _compiler.compile_object(futex + text, _cpu.detect().target)
    return _compiler.load(code, _call.call_symbols() | {"syscall": address}, exports)


if __name__ == "__main__":
    main()
