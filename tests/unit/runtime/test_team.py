"""The thread team: same results, no hang, no thread left behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rot180.errors import ArgumentError
from rot180.runtime import _team

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SetThreads = Callable[[int], None]
COUNTS = (1, 2, 3, 8)
linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc, which only Linux has"
)
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")

PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import jobs
from rot180.runtime import _team

def check(call, n=4000, times=1):
    y = np.zeros(n, np.int64)
    for _ in range(times):
        call(y, n)
    assert (y == times).all(), y
"""


def succeeds(run_script: Run, text: str, **extra: str) -> str:
    """Run a script after PRELUDE; its output, after it ended well and quietly."""
    done = run_script(PRELUDE + text, **extra)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class TestWork:
    @pytest.mark.parametrize("count", COUNTS)
    @pytest.mark.parametrize("n", [1, 2, 3, 7, 1000, 100_003])
    def test_every_item_runs_once(
        self, jobs: ModuleType, threads: SetThreads, count: int, n: int
    ) -> None:
        threads(count)
        y = np.zeros(n, np.int64)
        call = jobs.count(1e6 if n < 10_000 else 1e3)
        for turn in range(1, 20):
            call(y, n)
            assert (y == turn).all()

    @pytest.mark.parametrize("count", COUNTS)
    def test_scratch_is_private(
        self, jobs: ModuleType, threads: SetThreads, count: int
    ) -> None:
        threads(count)
        y = np.zeros(300, np.int64)
        for _ in range(5):
            jobs.fill()(y, 300)
            assert (y == jobs.SCRATCH_ITEMS * np.arange(300)).all()

    @pytest.mark.parametrize("count", COUNTS)
    def test_denormals_are_flushed_in_every_worker(
        self, jobs: ModuleType, threads: SetThreads, count: int
    ) -> None:
        threads(count)
        n = 10_000
        y, x = np.ones(n, np.float32), np.full(n, 1e-40, np.float32)
        jobs.scale(1e5)(y, x, np.full(1, 1e10, np.float32), n)
        assert (y == 0).all()

    def test_workers_take_part(self, run_script: Run) -> None:
        succeeds(run_script, TOGETHER)

    def test_many_python_threads_at_once(
        self, jobs: ModuleType, threads: SetThreads
    ) -> None:
        threads(3)
        wrong: list[int] = []

        def work() -> None:
            y = np.zeros(64, np.int64)
            for turn in range(50):
                call(y, 64)
                if not (y == jobs.SCRATCH_ITEMS * np.arange(64)).all():
                    wrong.append(turn)

        call = jobs.fill()
        callers = [threading.Thread(target=work) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert wrong == []

    def test_long_call_lets_other_python_threads_run(self, run_script: Run) -> None:
        succeeds(run_script, OTHERS_RUN)


TOGETHER = """
_team.set_num_threads(2)
call = jobs.slow()
y = np.zeros(40, np.int64)
for _ in range(3):
    call(y, 40)
assert (y == 3).all()
assert _team.team().workers == 1
assert [t.name for t in threading.enumerate()][1:] == ["rot180-1"]
"""

OTHERS_RUN = """
_team.set_num_threads(2)
ticks, done = [], threading.Event()
def tick():
    while not done.is_set():
        ticks.append(time.monotonic())
        time.sleep(0.001)
ticker = threading.Thread(target=tick)
ticker.start()
start = time.monotonic()
check(jobs.slow(), 300)
end = time.monotonic()
done.set()
ticker.join()
assert sum(start < t < end for t in ticks) > 10
"""


class TestNumberOfThreads:
    def test_default_is_the_usable_cores(self, run_script: Run) -> None:
        text = "from rot180.runtime import _cpu, _team\n"
        text += "assert _team.get_num_threads() == _cpu.available_cores()"
        assert run_script(text, ROT180_NUM_THREADS="").returncode == 0

    def test_environment_sets_it(self, run_script: Run) -> None:
        text = "print(_team.get_num_threads())"
        assert succeeds(run_script, text, ROT180_NUM_THREADS="5") == "5\n"

    @pytest.mark.parametrize("text", ["many", "0", "-1", "1.5", "4096"])
    def test_bad_environment_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setattr(_team, "_threads", None)
        monkeypatch.setenv(_team.ENVIRONMENT, text)
        with pytest.raises(ArgumentError, match=r"ROT180_NUM_THREADS: .*not a number"):
            _team.get_num_threads()

    @pytest.mark.parametrize("n", [0, -1, 1025, 1.5, "2", True, None])
    def test_bad_number_is_refused(self, n: int) -> None:
        before = _team.get_num_threads()
        with pytest.raises(ArgumentError, match=r"set_num_threads: .*not a number of"):
            _team.set_num_threads(n)
        assert _team.get_num_threads() == before

    def test_numpy_integers_are_numbers(self, threads: SetThreads) -> None:
        threads(np.int64(2))  # type: ignore[arg-type]
        assert _team.get_num_threads() == 2

    def test_it_may_change_between_calls(
        self, jobs: ModuleType, threads: SetThreads
    ) -> None:
        call, y = jobs.fill(), np.zeros(50, np.int64)
        for count in (1, 8, 2, 3, 1, 8):
            threads(count)
            call(y, 50)
            assert (y == jobs.SCRATCH_ITEMS * np.arange(50)).all()
        assert _team.team().workers >= 7

    def test_no_worker_starts_for_small_work(self, run_script: Run) -> None:
        text = "check(jobs.count(1.0)); assert _team.team().workers == 0"
        succeeds(run_script, text)

    def test_no_more_threads_from_the_system(self, run_script: Run) -> None:
        succeeds(run_script, NO_THREADS)


NO_THREADS = """
class Refusing(threading.Thread):
    def start(self):
        if self.name == "rot180-3":
            raise RuntimeError("can't start new thread")
        super().start()
threading.Thread = Refusing
_team.set_num_threads(8)
check(jobs.count(), times=3)
assert _team.team().workers == 2
"""


class TestIdle:
    def test_idle_workers_use_no_processor(self, run_script: Run) -> None:
        succeeds(run_script, IDLE)

    @linux_only
    def test_workers_leave_signals_to_others(
        self, jobs: ModuleType, threads: SetThreads
    ) -> None:
        threads(3)
        y = np.zeros(1000, np.int64)
        jobs.count()(y, 1000)
        workers = [t for t in threading.enumerate() if t.name.startswith("rot180-")]
        assert len(workers) >= 2
        for worker in workers:
            status = Path(f"/proc/self/task/{worker.native_id}/status").read_text()
            (line,) = (x for x in status.splitlines() if x.startswith("SigBlk"))
            blocked = int(line.split()[1], 16)
            assert blocked >> (signal.SIGINT - 1) & 1
            assert not blocked >> (signal.SIGSEGV - 1) & 1


IDLE = """
_team.set_num_threads(4)
check(jobs.count(), times=3)
time.sleep(0.05)
before = time.process_time()
time.sleep(0.5)
assert time.process_time() - before < 0.1
"""


@posix_only
class TestSignals:
    @pytest.mark.parametrize("count", ["1", "2"])
    def test_interrupt_ends_a_long_call(self, run_script: Run, count: str) -> None:
        waited = succeeds(run_script, INTERRUPT, ROT180_NUM_THREADS=count)
        # About 0.1 s where nothing else runs; the bound leaves room for a busy machine.
        assert float(waited) < 1.0

    def test_handler_may_call_kernels(self, run_script: Run) -> None:
        succeeds(run_script, NESTED)

    def test_handler_runs_with_denormals(self, run_script: Run) -> None:
        succeeds(run_script, HANDLER_DENORMALS)


INTERRUPT = """
raised = []
def interrupt(number, frame):
    signal.default_int_handler(number, frame)
signal.signal(signal.SIGINT, interrupt)
y, call = bytearray(8 * 10**6), jobs.slow()
call(y, 1)
def later():
    time.sleep(0.3)
    raised.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=later).start()
try:
    call(y, 10**6)
except KeyboardInterrupt:
    print(time.monotonic() - raised[0])
y.append(0)  # no buffer is held
check(jobs.count(), times=2)  # and the team still works
"""

NESTED = """
_team.set_num_threads(2)
inner, counted = jobs.count(), []
def handler(number, frame):
    check(inner)
    counted.append(number)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
check(jobs.slow(), 600)
signal.setitimer(signal.ITIMER_REAL, 0)
assert counted
"""

HANDLER_DENORMALS = """
_team.set_num_threads(2)
tiny, seen = np.float32(1e-40), []
def handler(number, frame):
    seen.append(tiny * np.float32(2) > 0)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
check(jobs.slow(), 600)
signal.setitimer(signal.ITIMER_REAL, 0)
assert seen and all(seen)
"""


@posix_only
class TestFork:
    def test_child_builds_its_own_team(self, run_script: Run) -> None:
        succeeds(run_script, FORK)

    def test_fork_while_other_threads_call(self, run_script: Run) -> None:
        succeeds(run_script, FORK_BUSY)

    def test_fork_inside_a_call(self, run_script: Run) -> None:
        assert succeeds(run_script, FORK_INSIDE) == "forked by a signal\n"


FORK_QUIETLY = """
import warnings
# From Python 3.12 on, forking a process with threads warns.
warnings.simplefilter("ignore", DeprecationWarning)
def in_child(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child
def all_well(children):
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""

FORK = (
    FORK_QUIETLY
    + """
_team.set_num_threads(3)
call = jobs.count()
def child():
    check(call, times=3)
    assert _team.team().workers == 2
    all_well([in_child(lambda: check(call))])
    _team.team().stop()
check(call, times=2)
all_well([in_child(child) for _ in range(5)])
check(call, times=2)
"""
)

FORK_BUSY = (
    FORK_QUIETLY
    + """
_team.set_num_threads(2)
stop, call = threading.Event(), jobs.count()
built = jobs.fill()
def busy():
    while not stop.is_set():
        check(call)
def building():
    while not stop.is_set():
        jobs.build(jobs.COUNT + f"; {time.monotonic()}", spec)
spec = call.__self__.spec
threads = [threading.Thread(target=f) for f in (busy, busy, busy, building)]
for t in threads: t.start()
def child():
    check(call, times=20)
    jobs.build(jobs.COUNT + f"; {os.getpid()}", spec)
for _ in range(10):
    all_well([in_child(child)])
stop.set()
for t in threads: t.join()
"""
)

FORK_INSIDE = (
    FORK_QUIETLY
    + """
_team.set_num_threads(2)
children, main = [], os.getpid()
def handler(number, frame):
    children.append(os.fork())
    if children[-1] == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, handler)
call, y = jobs.slow(), np.zeros(600, np.int64)
call(y, 10)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    call(y, 600)
except RuntimeError as error:
    assert os.getpid() != main
    assert str(error) == "the process was forked by a signal during a call"
    check(jobs.count(), times=3)
    os._exit(7)
(child,) = children
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print("forked by a signal")
"""
)


class TestExit:
    def test_workers_are_joined(self, run_script: Run) -> None:
        text = "_team.set_num_threads(8); check(jobs.count(), times=3); print('end')"
        assert succeeds(run_script, text) == "end\n"

    def test_other_threads_may_still_call(self, run_script: Run) -> None:
        assert succeeds(run_script, EXIT_LATE) == "right\n"

    def test_daemon_threads_may_be_inside(self, run_script: Run) -> None:
        succeeds(run_script, EXIT_DAEMON)

    def test_first_call_may_come_last(self, run_script: Run) -> None:
        assert succeeds(run_script, EXIT_FIRST) == "right\n"

    def test_error_exit(self, run_script: Run) -> None:
        text = "_team.set_num_threads(4); check(jobs.count()); sys.exit(3)"
        assert run_script(PRELUDE + text).returncode == 3

    def test_entry_in_a_cycle(self, run_script: Run) -> None:
        text = "c = [jobs.count()]; c.append(c); check(c[0]); sys.kept = c"
        succeeds(run_script, text)


EXIT_LATE = """
_team.set_num_threads(3)
call = jobs.count()
check(call)
def late():
    time.sleep(0.2)
    check(call, times=20)
    print("right", flush=True)
threading.Thread(target=late).start()
"""

EXIT_DAEMON = """
_team.set_num_threads(2)
call = jobs.slow()
check(call, 10)
for _ in range(3):
    thread = threading.Thread(target=call, args=(bytearray(8 * 10**6), 10**6))
    thread.daemon = True
    thread.start()
time.sleep(0.2)
"""

EXIT_FIRST = """
import atexit
_team.set_num_threads(3)
call = jobs.count()
def last():
    check(call, times=3)
    print("right", flush=True)
atexit.register(last)
"""
