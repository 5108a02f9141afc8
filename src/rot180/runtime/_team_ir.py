"""The compiled half of the thread team: parking, hand-out of work, scratch arenas.

One job is open at a time.  Its owner, the calling thread, publishes it in
``@rot180_job``, opens the gate, moves the epoch on and wakes parked workers.  A worker
that sees the new epoch enters through the gate (which counts who is inside), grabs
pieces until none are left and leaves.  The owner works too; when nothing is left it
closes the gate and waits only for those inside, so a worker that wakes late costs
nothing.  Pieces get smaller towards the end.  Which thread computes an item never
changes its value.
"""

from string import Template

from rot180.runtime._machine_ir import machine_ir

MAX_THREADS = 1024
ARENAS = 16
ARENA_HEADER_BYTES = 64
# Larger arenas are given back to the system after the call.
ARENA_KEPT_BYTES = 256 << 20
ARENA_ROUNDING_BYTES = 64 << 10

# Work per worker below which waking it (5 to 80 us) does not pay: about 5 us.
FLOPS_PER_THREAD = 5e5
# A piece is at least 1 us and at most 50 ms of work, between 1 and 100 GFLOP/s.
LEAST_FLOPS = 1e5
MOST_FLOPS = 5e7

# A worker spins for the whole spin time if its last wait was under 4 times that, and
# for 1/16 of it otherwise.
SPIN_SHIFT = 4
PATIENCE_SHIFT = 2

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
WORKER_BYTES = 128
ARENA_BYTES = 64

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
    "PyThread_get_thread_ident",
    "PyThread_release_lock",
    "Py_DecRef",
)

_TEXT = Template("""
declare void @PyBuffer_Release(ptr)
declare i32 @PyErr_CheckSignals()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyMem_RawFree(ptr)
declare ptr @PyMem_RawMalloc(i64)
declare ptr @PyObject_CallNoArgs(ptr)
declare i32 @PyThread_acquire_lock(ptr, i32)
declare i64 @PyThread_get_thread_ident()
declare void @PyThread_release_lock(ptr)
declare void @Py_DecRef(ptr)

; workers threads unready spin_ticks poll_ticks generation stop main_thread hook lock
%config = type { i64, i64, i64, i64, i64, i64, i64, i64, ptr, ptr }
; function items pointers scratch stride n least most divisor workers
%job = type { ptr, i64, ptr, ptr, i64, i64, i64, i64, i64, i64 }
; parked lock
%worker = type { i64, ptr, [14 x i64] }
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

; ---- workers -------------------------------------------------------------------

; Take part in the open job, if there is one and worker %index is wanted.
define internal void @take_part(i64 %index) nounwind {
entry:
  %end = alloca i64
  br label %knock
knock:
  %gate = load atomic i64, ptr @rot180_gate monotonic, align 8
  %bit = and i64 %gate, $open
  %open = icmp ne i64 %bit, 0
  br i1 %open, label %enter, label %out
enter:
  %inside = add i64 %gate, 1
  %swap = cmpxchg ptr @rot180_gate, i64 %gate, i64 %inside acquire monotonic
  %in = extractvalue { i64, i1 } %swap, 1
  br i1 %in, label %check, label %knock
check:
  %wanted = load i64, ptr $job_workers
  %mine = icmp slt i64 %index, %wanted
  br i1 %mine, label %help, label %leave
help:
  ; Workers are woken as a binary tree, so that the owner can begin at once.
  %twice = shl i64 %index, 1
  %child = add i64 %twice, 2
  %after = add i64 %twice, 4
  %last = call i64 @llvm.smin.i64(i64 %after, i64 %wanted)
  call void @wake(i64 %child, i64 %last)
  %function = load ptr, ptr $job_function
  %pointers = load ptr, ptr $job_pointers
  %base = load ptr, ptr $job_scratch
  %stride = load i64, ptr $job_stride
  %n = load i64, ptr $job_n
  %place = add i64 %index, 1
  %offset = mul i64 %place, %stride
  %scratch = getelementptr i8, ptr %base, i64 %offset
  %state = call i64 @rot180_float_enter()
  br label %loop
loop:
  %stop = load atomic i64, ptr $config_stop monotonic, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %rest, label %ask
ask:
  %begin = call i64 @grab(ptr %end)
  %got = icmp sge i64 %begin, 0
  br i1 %got, label %work, label %rest
work:
  %until = load i64, ptr %end
  call void %function(i64 %begin, i64 %until, ptr %pointers, ptr %scratch, i64 %n)
  br label %loop
rest:
  call void @rot180_float_leave(i64 %state)
  br label %leave
leave:
  %old = atomicrmw sub ptr @rot180_gate, i64 1 acq_rel
  %awaited = icmp eq i64 %old, $parked_one
  br i1 %awaited, label %tell, label %out
tell:
  %lock = load ptr, ptr $config_lock
  call void @PyThread_release_lock(ptr %lock)
  br label %out
out:
  ret void
}

; The life of worker %index: spin a little, park, help, until told to stop.
define dso_local void @rot180_team_worker(i64 %index) nounwind {
entry:
  %parked = getelementptr %worker, ptr @rot180_workers, i64 %index, i32 0
  %cell = getelementptr %worker, ptr @rot180_workers, i64 %index, i32 1
  %lock = load ptr, ptr %cell
  br label %fresh
fresh:
  %seen = phi i64 [ 0, %entry ], [ %epoch, %help ]
  %brief = phi i1 [ 0, %entry ], [ %soon, %help ]
  ; Spinning pays where calls follow each other closely: judged by the last wait.
  %longest = load i64, ptr $config_spin
  %shortest = lshr i64 %longest, $spin_shift
  %limit = select i1 %brief, i64 %longest, i64 %shortest
  %start = call i64 @rot180_tick()
  br label %spin
spin:
  %stop = load atomic i64, ptr $config_stop seq_cst, align 8
  %stopped = icmp ne i64 %stop, 0
  br i1 %stopped, label %end, label %look
look:
  %epoch = load atomic i64, ptr @rot180_epoch acquire, align 8
  %moved = icmp ne i64 %epoch, %seen
  br i1 %moved, label %help, label %wait
help:
  %came = call i64 @rot180_tick()
  %waited = sub i64 %came, %start
  %patience = shl i64 %longest, $patience_shift
  %soon = icmp slt i64 %waited, %patience
  call void @take_part(i64 %index)
  br label %fresh
wait:
  call void @rot180_pause()
  %now = call i64 @rot180_tick()
  %spent = sub i64 %now, %start
  %long = icmp sge i64 %spent, %limit
  br i1 %long, label %park, label %spin
park:
  store atomic i64 1, ptr %parked seq_cst, align 8
  ; A dispatch or a stop between the last look and the store woke nobody.
  %late = load atomic i64, ptr @rot180_epoch seq_cst, align 8
  %stale = icmp ne i64 %late, %seen
  %halt = load atomic i64, ptr $config_stop seq_cst, align 8
  %halted = icmp ne i64 %halt, 0
  %up = or i1 %stale, %halted
  br i1 %up, label %recall, label %sleep
recall:
  %swap = cmpxchg ptr %parked, i64 1, i64 0 seq_cst seq_cst
  %free = extractvalue { i64, i1 } %swap, 1
  ; If it was taken back by somebody else, the lock is being released: consume it.
  br i1 %free, label %woken, label %sleep
sleep:
  %taken = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %woken
woken:
  br label %spin
end:
  ret void
}

; Make every worker return; the caller joins them.
define dso_local void @rot180_team_stop() nounwind {
  store atomic i64 1, ptr $config_stop seq_cst, align 8
  %old = atomicrmw add ptr @rot180_epoch, i64 1 seq_cst
  %workers = load atomic i64, ptr @rot180_config seq_cst, align 8
  call void @wake(i64 0, i64 %workers)
  ret void
}

; ---- the calling thread --------------------------------------------------------

; Number of threads a call may use, after starting workers if need be; -1 on error.
; Called with the GIL.
define dso_local i64 @rot180_team_prepare() nounwind {
entry:
  %unready = load atomic i64, ptr $config_unready monotonic, align 8
  %missing = icmp ne i64 %unready, 0
  br i1 %missing, label %start, label %ready
start:
  %hook = load ptr, ptr $config_hook
  %result = call ptr @PyObject_CallNoArgs(ptr %hook)
  %failed = icmp eq ptr %result, null
  br i1 %failed, label %error, label %started
started:
  call void @Py_DecRef(ptr %result)
  br label %ready
ready:
  %threads = load atomic i64, ptr $config_threads monotonic, align 8
  ret i64 %threads
error:
  ret i64 -1
}

; Look for signals if that is due.  Bit 0: an exception is set.  Bit 1: this process
; is now a forked child, and the team's state is not the one the call began with.
define internal i32 @poll(ptr %thread, ptr %last, i64 %state) nounwind {
entry:
  %now = call i64 @rot180_tick()
  %before = load i64, ptr %last
  %spent = sub i64 %now, %before
  %limit = load i64, ptr $config_poll
  %due = icmp sge i64 %spent, %limit
  br i1 %due, label %who, label %fine
who:
  store i64 %now, ptr %last
  ; Handlers run in the main thread only; the others need not fight for the GIL.
  %self = call i64 @PyThread_get_thread_ident()
  %main = load i64, ptr $config_main
  %is_main = icmp eq i64 %self, %main
  br i1 %is_main, label %check, label %fine
check:
  %born = load i64, ptr $config_generation
  call void @rot180_float_leave(i64 %state)
  %saved = load ptr, ptr %thread
  call void @PyEval_RestoreThread(ptr %saved)
  %signal = call i32 @PyErr_CheckSignals()
  %fresh = call ptr @PyEval_SaveThread()
  store ptr %fresh, ptr %thread
  %again = call i64 @rot180_float_enter()
  %raised = icmp ne i32 %signal, 0
  %one = zext i1 %raised to i32
  %current = load i64, ptr $config_generation
  %forked = icmp ne i64 %born, %current
  %two = select i1 %forked, i32 2, i32 0
  %both = or i32 %one, %two
  ret i32 %both
fine:
  ret i32 0
}

; Run a job alone, in pieces of %most items.
define internal i32 @alone(ptr %function, i64 %items, ptr %pointers, ptr %scratch,
                           i64 %n, i64 %most, ptr %thread) nounwind {
entry:
  %last = alloca i64
  %start = call i64 @rot180_tick()
  store i64 %start, ptr %last
  %state = call i64 @rot180_float_enter()
  br label %loop
loop:
  %begin = phi i64 [ 0, %entry ], [ %end, %more ]
  %left = sub i64 %items, %begin
  %size = call i64 @llvm.smin.i64(i64 %left, i64 %most)
  %end = add i64 %begin, %size
  call void %function(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n)
  %done = icmp sge i64 %end, %items
  br i1 %done, label %finish, label %more
more:
  %seen = call i32 @poll(ptr %thread, ptr %last, i64 %state)
  %raised = and i32 %seen, 1
  %broken = icmp ne i32 %raised, 0
  br i1 %broken, label %finish, label %loop
finish:
  %result = phi i32 [ 0, %loop ], [ 1, %more ]
  call void @rot180_float_leave(i64 %state)
  ret i32 %result
}

; Run a job with up to %threads threads; %scratch holds %threads places of %stride
; bytes.  Called without the GIL; %thread holds the saved thread state.  Not 0: failed.
define dso_local i32 @rot180_team_run(ptr %function, i64 %items, ptr %pointers,
                                      ptr %scratch, i64 %stride, i64 %n,
                                      double %flops, i64 %threads, ptr %thread)
                                      nounwind {
entry:
  %end = alloca i64
  %last = alloca i64
  %some = icmp sgt i64 %items, 0
  br i1 %some, label %plan, label %nothing
nothing:
  ret i32 0
plan:
  %each = call double @llvm.maxnum.f64(double %flops, double 1.0)
  %most_real = fdiv double $most, %each
  %most_whole = fptosi double %most_real to i64
  %most = call i64 @llvm.smax.i64(i64 %most_whole, i64 1)
  %least_real = fdiv double $least, %each
  %least_whole = fptosi double %least_real to i64
  %least = call i64 @llvm.smax.i64(i64 %least_whole, i64 1)
  %count = sitofp i64 %items to double
  %total = fmul double %count, %each
  %worth_real = fdiv double %total, $per_thread
  %worth = call i64 @llvm.fptosi.sat.i64.f64(double %worth_real)
  %started = load atomic i64, ptr @rot180_config acquire, align 8
  %others = sub i64 %threads, 1
  %rest = sub i64 %items, 1
  %k0 = call i64 @llvm.smin.i64(i64 %others, i64 %started)
  %k1 = call i64 @llvm.smin.i64(i64 %k0, i64 %rest)
  %worth_less = sub i64 %worth, 1
  %k = call i64 @llvm.smin.i64(i64 %k1, i64 %worth_less)
  %useful = icmp sgt i64 %k, 0
  br i1 %useful, label %claim, label %solo
claim:
  %swap = cmpxchg ptr @rot180_owner, i64 0, i64 1 acquire monotonic
  %ours = extractvalue { i64, i1 } %swap, 1
  br i1 %ours, label %publish, label %solo
solo:
  %single = call i32 @alone(ptr %function, i64 %items, ptr %pointers, ptr %scratch,
                            i64 %n, i64 %most, ptr %thread)
  ret i32 %single
publish:
  store ptr %function, ptr $job_function
  store i64 %items, ptr $job_items
  store ptr %pointers, ptr $job_pointers
  store ptr %scratch, ptr $job_scratch
  store i64 %stride, ptr $job_stride
  store i64 %n, ptr $job_n
  store i64 %least, ptr $job_least
  store i64 %most, ptr $job_most
  %hands = add i64 %k, 1
  %divisor = shl i64 %hands, 1
  store i64 %divisor, ptr $job_divisor
  store i64 %k, ptr $job_workers
  store atomic i64 0, ptr @rot180_next monotonic, align 8
  store atomic i64 $open, ptr @rot180_gate release, align 8
  %epoch = atomicrmw add ptr @rot180_epoch, i64 1 seq_cst
  %first = call i64 @llvm.smin.i64(i64 %k, i64 2)
  call void @wake(i64 0, i64 %first)
  %start = call i64 @rot180_tick()
  store i64 %start, ptr %last
  %state = call i64 @rot180_float_enter()
  br label %loop
loop:
  %begin = call i64 @grab(ptr %end)
  %got = icmp sge i64 %begin, 0
  br i1 %got, label %work, label %close
work:
  %until = load i64, ptr %end
  call void %function(i64 %begin, i64 %until, ptr %pointers, ptr %scratch, i64 %n)
  %seen = call i32 @poll(ptr %thread, ptr %last, i64 %state)
  %calm = icmp eq i32 %seen, 0
  br i1 %calm, label %loop, label %abort
abort:
  %forked = icmp uge i32 %seen, 2
  br i1 %forked, label %orphan, label %cancel
orphan:
  call void @rot180_float_leave(i64 %state)
  ret i32 2
cancel:
  store atomic i64 %items, ptr @rot180_next monotonic, align 8
  br label %close
close:
  %result = phi i32 [ 0, %loop ], [ 1, %cancel ]
  call void @rot180_float_leave(i64 %state)
  %gate = atomicrmw and ptr @rot180_gate, i64 $not_open acq_rel
  %inside = icmp ne i64 %gate, $open
  br i1 %inside, label %linger, label %over
linger:
  %from = call i64 @rot180_tick()
  br label %spin
spin:
  %now_inside = load atomic i64, ptr @rot180_gate acquire, align 8
  %empty = icmp eq i64 %now_inside, 0
  br i1 %empty, label %over, label %wait
wait:
  call void @rot180_pause()
  %now = call i64 @rot180_tick()
  %spent = sub i64 %now, %from
  %limit = load i64, ptr $config_spin
  %long = icmp sge i64 %spent, %limit
  br i1 %long, label %park, label %spin
park:
  %mark = or i64 %now_inside, $parked
  %set = cmpxchg ptr @rot180_gate, i64 %now_inside, i64 %mark acq_rel acquire
  %sure = extractvalue { i64, i1 } %set, 1
  br i1 %sure, label %sleep, label %spin
sleep:
  %lock = load ptr, ptr $config_lock
  %taken = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  store atomic i64 0, ptr @rot180_gate release, align 8
  br label %over
over:
  store atomic i64 0, ptr @rot180_owner release, align 8
  ret i32 %result
}

; ---- scratch memory ------------------------------------------------------------

; At least %bytes, aligned to 64 and kept between calls; null if there is no memory.
; Before it lies a header: block, arena (or -1), generation.
define dso_local ptr @rot180_arena_take(i64 %bytes) nounwind {
entry:
  %born = load i64, ptr $config_generation
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %continue ]
  %more = icmp slt i64 %i, $arenas
  br i1 %more, label %claim, label %extra
claim:
  %busy = getelementptr %arena, ptr @rot180_arenas, i64 %i, i32 0
  %swap = cmpxchg ptr %busy, i64 0, i64 1 acquire monotonic
  %free = extractvalue { i64, i1 } %swap, 1
  br i1 %free, label %mine, label %continue
continue:
  %next = add i64 %i, 1
  br label %loop
mine:
  %size_cell = getelementptr %arena, ptr @rot180_arenas, i64 %i, i32 1
  %block_cell = getelementptr %arena, ptr @rot180_arenas, i64 %i, i32 2
  %size = load i64, ptr %size_cell
  %block = load ptr, ptr %block_cell
  %enough = icmp sge i64 %size, %bytes
  br i1 %enough, label %use, label %grow
grow:
  call void @PyMem_RawFree(ptr %block)
  %up = add i64 %bytes, $rounding_less
  %round = and i64 %up, $rounding_mask
  %need = add i64 %round, $header_twice
  %bigger = call ptr @PyMem_RawMalloc(i64 %need)
  store ptr %bigger, ptr %block_cell
  %none = icmp eq ptr %bigger, null
  %kept = select i1 %none, i64 0, i64 %round
  store i64 %kept, ptr %size_cell
  br i1 %none, label %fail, label %use
fail:
  store atomic i64 0, ptr %busy release, align 8
  ret ptr null
use:
  %raw = phi ptr [ %block, %mine ], [ %bigger, %grow ]
  br label %dress
extra:
  %sum = add i64 %bytes, $header_twice
  %once = call ptr @PyMem_RawMalloc(i64 %sum)
  %empty = icmp eq ptr %once, null
  br i1 %empty, label %lack, label %dress
lack:
  ret ptr null
dress:
  %memory = phi ptr [ %raw, %use ], [ %once, %extra ]
  %which = phi i64 [ %i, %use ], [ -1, %extra ]
  %address = ptrtoint ptr %memory to i64
  %far = add i64 %address, $header_far
  %aligned = and i64 %far, $header_mask
  %data = inttoptr i64 %aligned to ptr
  %head = getelementptr i8, ptr %data, i64 -$header
  store ptr %memory, ptr %head
  %arena_cell = getelementptr i8, ptr %head, i64 8
  store i64 %which, ptr %arena_cell
  %born_cell = getelementptr i8, ptr %head, i64 16
  store i64 %born, ptr %born_cell
  ret ptr %data
}

; Give back what rot180_arena_take returned.
define dso_local void @rot180_arena_give(ptr %data) nounwind {
entry:
  %head = getelementptr i8, ptr %data, i64 -$header
  %memory = load ptr, ptr %head
  %arena_cell = getelementptr i8, ptr %head, i64 8
  %which = load i64, ptr %arena_cell
  %born_cell = getelementptr i8, ptr %head, i64 16
  %born = load i64, ptr %born_cell
  %current = load i64, ptr $config_generation
  %ours = icmp sge i64 %which, 0
  %same = icmp eq i64 %born, %current
  %kept = and i1 %ours, %same
  br i1 %kept, label %look, label %release
release:
  call void @PyMem_RawFree(ptr %memory)
  ret void
look:
  %busy = getelementptr %arena, ptr @rot180_arenas, i64 %which, i32 0
  %size_cell = getelementptr %arena, ptr @rot180_arenas, i64 %which, i32 1
  %block_cell = getelementptr %arena, ptr @rot180_arenas, i64 %which, i32 2
  %size = load i64, ptr %size_cell
  %large = icmp sgt i64 %size, $kept_bytes
  br i1 %large, label %drop, label %done
drop:
  call void @PyMem_RawFree(ptr %memory)
  store i64 0, ptr %size_cell
  store ptr null, ptr %block_cell
  br label %done
done:
  store atomic i64 0, ptr %busy release, align 8
  ret void
}

; ---- buffers -------------------------------------------------------------------

; Bytes a Py_buffer spans upwards from its first element; -1 if it also goes downwards.
define dso_local i64 @rot180_view_extent(ptr %view) nounwind {
entry:
  %length_cell = getelementptr i8, ptr %view, i64 16
  %length = load i64, ptr %length_cell
  %shape_cell = getelementptr i8, ptr %view, i64 48
  %shape = load ptr, ptr %shape_cell
  %strides_cell = getelementptr i8, ptr %view, i64 56
  %strides = load ptr, ptr %strides_cell
  %item_cell = getelementptr i8, ptr %view, i64 24
  %item = load i64, ptr %item_cell
  %rank_cell = getelementptr i8, ptr %view, i64 36
  %rank32 = load i32, ptr %rank_cell
  %rank = zext i32 %rank32 to i64
  %empty = icmp eq i64 %length, 0
  %shapeless = icmp eq ptr %shape, null
  %strideless = icmp eq ptr %strides, null
  %flat0 = or i1 %empty, %shapeless
  %flat = or i1 %flat0, %strideless
  br i1 %flat, label %plain, label %loop
plain:
  ret i64 %length
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %add ]
  %span = phi i64 [ %item, %entry ], [ %wider, %add ]
  %more = icmp slt i64 %i, %rank
  br i1 %more, label %axis, label %done
axis:
  %extent_cell = getelementptr i64, ptr %shape, i64 %i
  %extent = load i64, ptr %extent_cell
  %stride_cell = getelementptr i64, ptr %strides, i64 %i
  %stride = load i64, ptr %stride_cell
  %steps = sub i64 %extent, 1
  %reach = mul i64 %steps, %stride
  %down = icmp slt i64 %reach, 0
  br i1 %down, label %backwards, label %add
add:
  %wider = add i64 %span, %reach
  %next = add i64 %i, 1
  br label %loop
done:
  ret i64 %span
backwards:
  ret i64 -1
}

; Release the first %count of an array of Py_buffer.
define dso_local void @rot180_views_release(ptr %views, i64 %count) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %one ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %one, label %done
one:
  %view = getelementptr [80 x i8], ptr %views, i64 %i
  call void @PyBuffer_Release(ptr %view)
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}

declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare double @llvm.maxnum.f64(double, double)
declare i64 @llvm.fptosi.sat.i64.f64(double)
""")

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
    header = ARENA_HEADER_BYTES
    text = _TEXT.substitute(
        {f"job_{name}": _field("job", i) for i, name in enumerate(_JOB_FIELDS)}
        | {
            f"config_{_CONFIG_NAMES[name]}": _field("config", i)
            for i, name in enumerate(CONFIG_FIELDS)
        },
        max=MAX_THREADS,
        spin_shift=SPIN_SHIFT,
        patience_shift=PATIENCE_SHIFT,
        arenas=ARENAS,
        open=1 << 32,
        not_open=~(1 << 32),
        parked=1 << 33,
        parked_one=(1 << 33) + 1,
        most=_double(MOST_FLOPS),
        least=_double(LEAST_FLOPS),
        per_thread=_double(FLOPS_PER_THREAD),
        kept_bytes=ARENA_KEPT_BYTES,
        rounding_less=ARENA_ROUNDING_BYTES - 1,
        rounding_mask=-ARENA_ROUNDING_BYTES,
        header=header,
        header_twice=2 * header,
        header_far=2 * header - 1,
        header_mask=-header,
    )
    return machine_ir(triple) + text


def _field(record: str, index: int) -> str:
    return (
        f"getelementptr inbounds (%{record}, ptr @rot180_{record}, i64 0, i32 {index})"
    )


def _double(value: float) -> str:
    return f"{value:.6e}"
