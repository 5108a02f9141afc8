"""The compiled part of the calling thread: publish a job, work, wait for the others.

While it works and waits, it looks for signals: between pieces, inside long ones (the
job calls `look` through the call's watch), and while others still compute. What it
finds is written into the watch, where the others see it at their next look.

`TEXT` is a part of the module that `_team_ir` puts together, `VALUES` what it fills in.
"""

from typing import Final

# Work per worker below which waking it (5 to 80 us) does not pay: about 5 us.
FLOPS_PER_THREAD = 5e5
# A piece is at least 1 us of work at 100 GFLOP/s, and at most 20 ms of the slowest:
# 20 ns for a number written into memory that the system has yet to find.
LEAST_FLOPS = 1e5
MOST_FLOPS = 2e6
# A caller that waits for others looks for signals this often: it has nothing to lose.
NAP_MICROSECONDS = 10_000
# Of a watch, see %watch in `_team_ir`.
WATCH_WORDS = 5

VALUES: Final = {
    "most": f"{MOST_FLOPS:.6e}",
    "least": f"{LEAST_FLOPS:.6e}",
    "per_thread": f"{FLOPS_PER_THREAD:.6e}",
    "nap": NAP_MICROSECONDS,
    **{
        f"watch_{name}": f"getelementptr inbounds %watch, ptr %watch, i64 0, i32 {i}"
        for i, name in enumerate(("look", "thread", "last", "state", "heeds", "said"))
    },
}

TEXT: Final = """\
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

; Begin to watch a call that heeds some of the answers of @look.  Float mode is entered.
define internal void @watch(ptr %watch, i32 %heeds) nounwind {
entry:
  %look_cell = $watch_look
  store ptr @look, ptr %look_cell
  %heeds_cell = $watch_heeds
  store i32 %heeds, ptr %heeds_cell
  %said_cell = $watch_said
  store atomic i32 0, ptr %said_cell monotonic, align 4
  %last_cell = $watch_last
  %now = call i64 @rot180_tick()
  store atomic i64 %now, ptr %last_cell monotonic, align 8
  %state_cell = $watch_state
  %state = call i64 @rot180_float_enter()
  store i64 %state, ptr %state_cell
  ret void
}

; The float state from before @watch again.
define internal void @unwatch(ptr %watch) nounwind {
entry:
  %state_cell = $watch_state
  %state = load i64, ptr %state_cell
  call void @rot180_float_leave(i64 %state)
  ret void
}

; Whether the call is to end, looking for signals if that is due; any thread may ask.
; Bit 0: an exception is set.  Bit 1: this process is now a forked child, and the
; team's state is not the one the call began with.
define internal i32 @look(ptr %watch) nounwind {
entry:
  %said_cell = $watch_said
  %known = load atomic i32, ptr %said_cell monotonic, align 4
  %silent = icmp eq i32 %known, 0
  br i1 %silent, label %time, label %told
told:
  ret i32 %known
time:
  %last_cell = $watch_last
  %now = call i64 @rot180_tick()
  %before = load atomic i64, ptr %last_cell monotonic, align 8
  %spent = sub i64 %now, %before
  %limit = load i64, ptr $config_poll
  %due = icmp sge i64 %spent, %limit
  br i1 %due, label %who, label %fine
who:
  ; Handlers run in the main thread only; the others need not fight for the GIL.
  %self = call i64 @PyThread_get_thread_ident()
  %main = load i64, ptr $config_main
  %is_main = icmp eq i64 %self, %main
  br i1 %is_main, label %check, label %fine
check:
  store atomic i64 %now, ptr %last_cell monotonic, align 8
  %born = load i64, ptr $config_generation
  call void @unwatch(ptr %watch)
  %thread = $watch_thread
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
  %heeds_cell = $watch_heeds
  %heeds = load i32, ptr %heeds_cell
  %heeded = and i32 %both, %heeds
  store atomic i32 %heeded, ptr %said_cell monotonic, align 4
  ret i32 %heeded
fine:
  ret i32 0
}

; Run a job alone, in pieces of %most items.  It can go on in a forked child.
define internal i32 @alone(ptr %function, i64 %items, ptr %pointers, ptr %scratch,
                           i64 %n, i64 %most, ptr %watch) nounwind {
entry:
  call void @watch(ptr %watch, i32 1)
  br label %loop
loop:
  %begin = phi i64 [ 0, %entry ], [ %end, %more ]
  %left = sub i64 %items, %begin
  %size = call i64 @llvm.smin.i64(i64 %left, i64 %most)
  %end = add i64 %begin, %size
  call void %function(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n)
  %seen = call i32 @look(ptr %watch)
  %broken = icmp ne i32 %seen, 0
  br i1 %broken, label %finish, label %more
more:
  %done = icmp sge i64 %end, %items
  br i1 %done, label %finish, label %loop
finish:
  call void @unwatch(ptr %watch)
  ret i32 %seen
}

; Run a job with up to %threads threads; %scratch holds %threads places of %stride
; bytes.  Called without the GIL; %watch holds the saved thread state.  Not 0: failed.
define dso_local i32 @rot180_team_run(ptr %function, i64 %items, ptr %pointers,
                                      ptr %scratch, i64 %stride, i64 %n,
                                      double %flops, i64 %threads, ptr %watch)
                                      nounwind {
entry:
  %end = alloca i64
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
                            i64 %n, i64 %most, ptr %watch)
  ret i32 %single
publish:
  call void @watch(ptr %watch, i32 3)
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
  br label %loop
loop:
  %begin = call i64 @grab(ptr %end)
  %got = icmp sge i64 %begin, 0
  br i1 %got, label %work, label %close
work:
  %until = load i64, ptr %end
  call void %function(i64 %begin, i64 %until, ptr %pointers, ptr %scratch, i64 %n)
  %seen = call i32 @look(ptr %watch)
  %calm = icmp eq i32 %seen, 0
  br i1 %calm, label %loop, label %abort
abort:
  %forked = icmp uge i32 %seen, 2
  br i1 %forked, label %orphan, label %cancel
orphan:
  call void @unwatch(ptr %watch)
  ret i32 2
cancel:
  store atomic i64 %items, ptr @rot180_next monotonic, align 8
  br label %close
close:
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
  %woken = call i32 @PyThread_acquire_lock_timed(ptr %lock, i64 $nap, i32 0)
  %empty_now = icmp eq i32 %woken, 1
  br i1 %empty_now, label %alone, label %glance
glance:
  %heard = call i32 @look(ptr %watch)
  %child = icmp uge i32 %heard, 2
  br i1 %child, label %orphan, label %sleep
alone:
  store atomic i64 0, ptr @rot180_gate release, align 8
  br label %over
over:
  call void @unwatch(ptr %watch)
  %said_cell = $watch_said
  %result = load atomic i32, ptr %said_cell monotonic, align 4
  store atomic i64 0, ptr @rot180_owner release, align 8
  ret i32 %result
}

"""
