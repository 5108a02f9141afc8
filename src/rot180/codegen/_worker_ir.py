"""The compiled life of a worker: spin a little, park, help with a job.

`TEXT` is a part of the module that `_team_ir` puts together, `VALUES` what it fills in.
"""

from typing import Final

# A worker spins for the whole spin time if its last wait was under 4 times that, and
# for 1/16 of it otherwise.
SPIN_SHIFT = 4
PATIENCE_SHIFT = 2

VALUES: Final = {"spin_shift": SPIN_SHIFT, "patience_shift": PATIENCE_SHIFT}

TEXT: Final = """\
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

"""
