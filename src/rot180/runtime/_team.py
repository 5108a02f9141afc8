"""The thread team: how many threads, when they start, and how they end.

Workers are Python threads that spend their life inside compiled code, without the
GIL (see `_team_ir`).  They start with the first call that is worth them, are stopped
and joined when the interpreter ends, and are started again in a forked child.
"""

import atexit
import contextlib
import ctypes
import operator
import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from rot180.codegen._memory_ir import ARENA_BYTES, ARENAS
from rot180.codegen._team_ir import (
    CONFIG_FIELDS,
    EXPORTS,
    IMPORTS,
    MAX_THREADS,
    WORKER_BYTES,
    team_ir,
)
from rot180.errors import ArgumentError
from rot180.runtime import _compiler, _cpu
from rot180.runtime._python_symbols import python_symbols

ENVIRONMENT = "ROT180_NUM_THREADS"
# A worker, and a caller whose workers still compute, spins this long before it parks:
# of the order of one wake, so that spinning at most doubles the cost of a wait.
SPIN_SECONDS = 20e-6
POLL_SECONDS = 20e-3
# Left unblocked in workers: these come from the code itself, not from outside.
FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP")


def get_num_threads() -> int:
    """Return the number of threads a call may use, the calling thread included.

    It is ``ROT180_NUM_THREADS`` or the number of usable cores until
    `set_num_threads` changes it.

    Raises:
        ArgumentError: The environment variable is not a number of threads.
    """
    global _threads
    with _lock:
        if _threads is None:
            _threads = _default_threads()
        return _threads


def set_num_threads(n: int) -> None:
    """Use `n` threads from the next call on; results do not depend on it.

    Args:
        n: Threads, the calling thread included; more than there are cores is allowed.

    Raises:
        ArgumentError: `n` is not a number from 1 to 1024.
    """
    global _threads
    count = _checked("set_num_threads", n)
    with _lock:
        _threads = count
        if _loaded is not None:
            _loaded.configure(count)


def team_symbols() -> dict[str, int]:
    """Return the addresses of the team's functions, for linking call entries."""
    return team().symbols


def team() -> "Team":
    """Return the one team of this process, compiled or loaded at first use."""
    global _loaded
    found = _loaded
    if found is not None:
        return found
    threads = get_num_threads()
    with _lock:
        if _loaded is None:
            _loaded = Team(threads)
        return _loaded


class Team:
    """The compiled half in memory, and its threads.  Never unloaded.

    Args:
        threads: Threads a call may use, the calling thread included.
    """

    def __init__(self, threads: int) -> None:
        target = _cpu.detect().target
        self._library = _compiler.compile_cached(
            "team", lambda: team_ir(target.triple), target, _imports(), EXPORTS
        )
        self.symbols: Final = {name: self._library.address(name) for name in EXPORTS}
        self._workers: list[threading.Thread] = []
        self._starting = threading.Lock()
        self._ended = False
        # Locks are never freed: a late worker may still look at them.
        self._set("owner_lock", _new_lock())
        self._hook = self._start
        self._set("start_hook", id(self._hook))
        self._adopt_process()
        self.configure(threads)

    @property
    def workers(self) -> int:
        """Threads started so far, the calling thread not included."""
        return len(self._workers)

    def configure(self, threads: int) -> None:
        """Let calls use `threads` threads; missing workers start when needed."""
        rate = self._function("rot180_team_rate", ctypes.c_int64)()
        spin = SPIN_SECONDS if threads <= _cpu.available_cores() else 0.0
        self._set("spin_ticks", int(rate * spin))
        self._set("poll_ticks", int(rate * POLL_SECONDS))
        self._set("threads", threads)
        missing = threads - 1 > len(self._workers) and not self._ended
        self._set("unready", int(missing))

    def stop(self) -> None:
        """Stop and join all workers for good; calls then run in their own thread."""
        with self._starting:
            self._ended = True
            self._set("unready", 0)
            self._function("rot180_team_stop", None)()
            self._set("workers", 0)
            workers, self._workers = self._workers, []
        for worker in workers:
            # One whose start was interrupted may not be there to be joined.
            with contextlib.suppress(RuntimeError):
                worker.join()

    def reset_after_fork(self) -> None:
        """Forget the threads of the parent; the next call starts new ones."""
        self._workers = []
        self._starting = threading.Lock()
        self._set("workers", 0)
        self._set("generation", self._get("generation") + 1)
        self._set("owner_lock", _new_lock())
        for name in ("rot180_owner", "rot180_gate"):
            ctypes.memset(self.symbols[name], 0, 8)
        ctypes.memset(self.symbols["rot180_workers"], 0, MAX_THREADS * WORKER_BYTES)
        # The parent's blocks may be in use by the call this fork interrupted.
        ctypes.memset(self.symbols["rot180_arenas"], 0, ARENAS * ARENA_BYTES)
        self._adopt_process()
        self.configure(self._get("threads"))

    def _adopt_process(self) -> None:
        self._set("main_thread", threading.main_thread().ident or 0)

    def _start(self) -> None:
        with self._starting:
            # Cleared first: a later `configure` may set it again meanwhile.
            self._set("unready", 0)
            if self._ended or not _register_stop():
                return
            try:
                while len(self._workers) < self._get("threads") - 1:
                    self._start_worker(len(self._workers))
            except RuntimeError:
                # No more threads from the system: work with those there are.
                self._workers.pop()
            except BaseException:
                self._set("unready", 1)
                raise
            finally:
                self._set("workers", len(self._workers))

    def _start_worker(self, index: int) -> None:
        cell = self.symbols["rot180_workers"] + index * WORKER_BYTES + 8
        ctypes.c_uint64.from_address(cell).value = _new_lock()
        life = self._function("rot180_team_worker", None, ctypes.c_int64)
        worker = threading.Thread(
            target=_live,
            args=(life, index),
            name=f"rot180-{index + 1}",
            daemon=True,  # a program that joins all its threads must end
        )
        # Listed first: if a signal interrupts the start, the index stays taken.
        self._workers.append(worker)
        worker.start()

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        return ctypes.CFUNCTYPE(result, *arguments)(self.symbols[name])

    def _set(self, field: str, value: int) -> None:
        self._cell(field).value = value

    def _get(self, field: str) -> int:
        return self._cell(field).value

    def _cell(self, field: str) -> ctypes.c_int64:
        offset = 8 * CONFIG_FIELDS.index(field)
        return ctypes.c_int64.from_address(self.symbols["rot180_config"] + offset)


_lock = threading.RLock()
_loaded: Team | None = None
_threads: int | None = None
_registered = False
# Runs before non-daemon threads are joined, which plain atexit does not.
_REGISTER: Callable[[Callable[[], None]], None] | None = getattr(
    threading, "_register_atexit", None
)


def _live(life: Callable[[int], None], index: int) -> None:
    if hasattr(signal, "pthread_sigmask"):
        faults = {getattr(signal, name) for name in FAULTS if hasattr(signal, name)}
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
    life(index)


def _register_stop() -> bool:
    """Arrange for the end of the interpreter; false if that has already begun."""
    global _registered
    if _registered:
        return True
    try:
        if _REGISTER is None:
            atexit.register(_stop)
        else:
            _REGISTER(_stop)
    except RuntimeError:
        return False
    _registered = True
    return True


def _stop() -> None:
    if _loaded is not None:
        _loaded.stop()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    if _loaded is not None:
        _loaded.reset_after_fork()


def _default_threads() -> int:
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        return min(_cpu.available_cores(), MAX_THREADS)
    try:
        return _checked(ENVIRONMENT, int(text))
    except ValueError as error:
        raise ArgumentError(
            f"{ENVIRONMENT}: {text!r} is not a number of threads\n"
            f"  Set it to a whole number from 1 to {MAX_THREADS}."
        ) from error


def _checked(name: str, n: int) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        count = 0
    if isinstance(n, bool) or not 1 <= count <= MAX_THREADS:
        raise ArgumentError(
            f"{name}: {n!r} is not a number of threads\n"
            f"  Pass a whole number from 1 to {MAX_THREADS}."
        )
    return count


def _imports() -> dict[str, int]:
    known = python_symbols()
    return {name: known[name] for name in IMPORTS}


def _new_lock() -> int:
    """Return a lock of CPython's, already taken: whoever releases it wakes one."""
    api = ctypes.pythonapi
    api.PyThread_allocate_lock.restype = ctypes.c_void_p
    api.PyThread_acquire_lock.argtypes = (ctypes.c_void_p, ctypes.c_int)
    lock = api.PyThread_allocate_lock()
    if lock is None:
        raise MemoryError("team: no memory for a lock")
    api.PyThread_acquire_lock(lock, 0)
    return int(lock)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
