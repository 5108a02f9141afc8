"""The compiled half of the thread team: parking, hand-out of work, scratch arenas.

One job is open at a time.  Its owner, the calling thread, publishes it in
``@rot180_job``, opens the gate, moves the epoch on and wakes parked workers.  A worker
that sees the new epoch enters through the gate (which counts who is inside), grabs
pieces until none are left and leaves.  The owner works too; when nothing is left it
closes the gate and waits only for those inside, so a worker that wakes late costs
nothing.  Pieces get smaller towards the end.  Which thread computes an item never
changes its value.

The shared data and the hand-out are here, the worker's side in `_worker_ir`, the
owner's in `_dispatch_ir`, the arenas in `_memory_ir`; they are one module of code.
"""

from string import Template
from typing import Final

from rot180.codegen import _dispatch_ir, _memory_ir, _worker_ir
from rot180.codegen._machine_ir import machine_ir

MAX_THREADS = 1024
WORKER_BYTES = 128

# Field order of %config; `_team` reads and writes it from Python.
CONFIG_FIELDS = (
    "workers",
    "threads",
    "unready",
    "spin_ticks",
    "poll_ticks",
    "generation",
    "stop",
    "main_thread",
    "start_hook",
    "owner_lock",
)

EXPORTS = (
    "rot180_config",
    "rot180_owner",
    "rot180_gate",
    "rot180_workers",
    "rot180_arenas",
    "rot180_team_worker",
    "rot180_team_stop",
    "rot180_team_rate",
    "rot180_team_prepare",
    "rot180_team_run",
    "rot180_arena_take",
    "rot180_arena_give",
    "rot180_view_extent",
    "rot180_views_release",
)

IMPORTS = (
    "PyBuffer_Release",
    "PyErr_CheckSignals",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyMem_RawFree",
    "PyMem_RawMalloc",
    "PyObject_CallNoArgs",
    "PyThread_acquire_lock",
    "PyThread_acquire_lock_timed",
    "PyThread_get_thread_ident",
    "PyThread_release_lock",
    "Py_DecRef",
)

_TEXT: Final = """
declare void @PyBuffer_Release(ptr)
declare i32 @PyErr_CheckSignals()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyMem_RawFree(ptr)
declare ptr @PyMem_RawMalloc(i64)
declare ptr @PyObject_CallNoArgs(ptr)
declare i32 @PyThread_acquire_lock(ptr, i32)
declare i32 @PyThread_acquire_lock_timed(ptr, i64, i32)
declare i64 @PyThread_get_thread_ident()
declare void @PyThread_release_lock(ptr)
declare void @Py_DecRef(ptr)

; workers threads unready spin_ticks poll_ticks generation stop main_thread hook lock
%config = type { i64, i64, i64, i64, i64, i64, i64, i64, ptr, ptr }
; function items pointers scratch stride n least most divisor workers
%job = type { ptr, i64, ptr, ptr, i64, i64, i64, i64, i64, i64 }
; parked lock
%worker = type { i64, ptr, [14 x i64] }
; look thread last state heeds said
%watch = type { ptr, ptr, i64, i64, i32, i32 }
; busy bytes block
%arena = type { i64, i64, ptr, [5 x i64] }

@rot180_config = dso_local global %config zeroinitializer, align 128
@rot180_job = dso_local global %job zeroinitializer, align 128
@rot180_owner = dso_local global i64 0, align 128
@rot180_epoch = dso_local global i64 0, align 128
; Bit 32: open.  Bit 33: the owner is parked.  Below: workers inside.
@rot180_gate = dso_local global i64 0, align 128
@rot180_next = dso_local global i64 0, align 128
@rot180_workers = dso_local global [$max x %worker] zeroinitializer, align 128
@rot180_arenas = dso_local global [$arenas x %arena] zeroinitializer, align 128

define dso_local i64 @rot180_team_rate() nounwind {
  %rate = call i64 @rot180_tick_rate()
  ret i64 %rate
}

; ---- work ----------------------------------------------------------------------

; The next piece of the open job: its begin, or -1; its end goes to %end.
define internal i64 @grab(ptr %end) nounwind {
entry:
  %items = load i64, ptr $job_items
  %least = load i64, ptr $job_least
  %most = load i64, ptr $job_most
  %divisor = load i64, ptr $job_divisor
  br label %again
again:
  %begin = load atomic i64, ptr @rot180_next monotonic, align 8
  %left = sub i64 %items, %begin
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %try, label %none
try:
  %share = udiv i64 %left, %divisor
  %low = call i64 @llvm.smax.i64(i64 %share, i64 %least)
  %high = call i64 @llvm.smin.i64(i64 %low, i64 %most)
  %size = call i64 @llvm.smin.i64(i64 %high, i64 %left)
  %new = add i64 %begin, %size
  %swap = cmpxchg ptr @rot180_next, i64 %begin, i64 %new monotonic monotonic
  %won = extractvalue { i64, i1 } %swap, 1
  br i1 %won, label %mine, label %again
mine:
  store i64 %new, ptr %end
  ret i64 %begin
none:
  ret i64 -1
}

; Wake the parked workers of [low, high).
define internal void @wake(i64 %low, i64 %high) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ %low, %entry ], [ %next, %continue ]
  %more = icmp slt i64 %i, %high
  br i1 %more, label %look, label %done
look:
  %parked = getelementptr %worker, ptr @rot180_workers, i64 %i, i32 0
  %swap = cmpxchg ptr %parked, i64 1, i64 0 seq_cst seq_cst
  %asleep = extractvalue { i64, i1 } %swap, 1
  br i1 %asleep, label %post, label %continue
post:
  %cell = getelementptr %worker, ptr @rot180_workers, i64 %i, i32 1
  %lock = load ptr, ptr %cell
  call void @PyThread_release_lock(ptr %lock)
  br label %continue
continue:
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

"""

_INTRINSICS: Final = """\
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare double @llvm.maxnum.f64(double, double)
declare i64 @llvm.fptosi.sat.i64.f64(double)
"""

_JOB_FIELDS = (
    "function",
    "items",
    "pointers",
    "scratch",
    "stride",
    "n",
    "least",
    "most",
    "divisor",
    "workers",
)
_CONFIG_NAMES = {
    "workers": "workers",
    "threads": "threads",
    "unready": "unready",
    "spin_ticks": "spin",
    "poll_ticks": "poll",
    "generation": "generation",
    "stop": "stop",
    "main_thread": "main",
    "start_hook": "hook",
    "owner_lock": "lock",
}


def team_ir(triple: str) -> str:
    """Return the module of the team for the architecture of `triple`."""
    parts = (_TEXT, _worker_ir.TEXT, _dispatch_ir.TEXT, _memory_ir.TEXT, _INTRINSICS)
    values: dict[str, object] = {
        **{f"job_{name}": _field("job", i) for i, name in enumerate(_JOB_FIELDS)},
        **{
            f"config_{_CONFIG_NAMES[name]}": _field("config", i)
            for i, name in enumerate(CONFIG_FIELDS)
        },
        **_worker_ir.VALUES,
        **_dispatch_ir.VALUES,
        **_memory_ir.VALUES,
        "max": MAX_THREADS,
        "open": 1 << 32,
        "not_open": ~(1 << 32),
        "parked": 1 << 33,
        "parked_one": (1 << 33) + 1,
    }
    text = Template("".join(parts)).substitute(values)
    return machine_ir(triple) + text


def _field(record: str, index: int) -> str:
    return (
        f"getelementptr inbounds (%{record}, ptr @rot180_{record}, i64 0, i32 {index})"
    )
