"""The few things only a processor can say, as LLVM IR: float modes, ticks, pauses.

`machine_ir` defines the same internal functions for every architecture:

    i64  @rot180_float_enter()      flush denormals, round to nearest; the old state
    void @rot180_float_leave(i64)   the old state again
    i64  @rot180_tick()             a clock, or always 0
    i64  @rot180_tick_rate()        its ticks in a second, roughly
    void @rot180_pause()            a hint that the thread spins
"""

# Default control word (round to nearest, exceptions masked) with FTZ and DAZ set, so
# that results do not depend on the state of the thread that happens to run a job.
X86_MXCSR = 0x1F80 | 0x8000 | 0x0040
ARM_FPCR_FZ = 1 << 24
# Time-stamp counters run at 1.5 to 5 GHz; only orders of magnitude matter here.
X86_TICK_RATE = 2_500_000_000

_X86 = f"""
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
declare void @llvm.x86.sse2.pause()
declare i64 @llvm.readcyclecounter()

define internal i64 @rot180_float_enter() alwaysinline nounwind {{
  %cell = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %cell)
  %old = load i32, ptr %cell
  store i32 {X86_MXCSR}, ptr %cell
  call void @llvm.x86.sse.ldmxcsr(ptr %cell)
  %wide = zext i32 %old to i64
  ret i64 %wide
}}
define internal void @rot180_float_leave(i64 %old) alwaysinline nounwind {{
  %cell = alloca i32
  %narrow = trunc i64 %old to i32
  store i32 %narrow, ptr %cell
  call void @llvm.x86.sse.ldmxcsr(ptr %cell)
  ret void
}}
define internal i64 @rot180_tick() alwaysinline nounwind {{
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}}
define internal i64 @rot180_tick_rate() alwaysinline nounwind {{
  ret i64 {X86_TICK_RATE}
}}
define internal void @rot180_pause() alwaysinline nounwind {{
  call void @llvm.x86.sse2.pause()
  ret void
}}
"""

_ARM = f"""
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
declare i64 @llvm.read_volatile_register.i64(metadata)
declare void @llvm.aarch64.isb(i32)

define internal i64 @rot180_float_enter() alwaysinline nounwind {{
  %old = call i64 @llvm.aarch64.get.fpcr()
  call void @llvm.aarch64.set.fpcr(i64 {ARM_FPCR_FZ})
  ret i64 %old
}}
define internal void @rot180_float_leave(i64 %old) alwaysinline nounwind {{
  call void @llvm.aarch64.set.fpcr(i64 %old)
  ret void
}}
define internal i64 @rot180_tick() alwaysinline nounwind {{
  %now = call i64 @llvm.read_volatile_register.i64(metadata !{{!"cntvct_el0"}})
  ret i64 %now
}}
define internal i64 @rot180_tick_rate() alwaysinline nounwind {{
  %rate = call i64 @llvm.read_volatile_register.i64(metadata !{{!"cntfrq_el0"}})
  ret i64 %rate
}}
define internal void @rot180_pause() alwaysinline nounwind {{
  call void @llvm.aarch64.isb(i32 15)
  ret void
}}
"""

# A clock that stands still turns spinning off and signal checks on for every piece.
_OTHER = """
define internal i64 @rot180_float_enter() alwaysinline nounwind {
  ret i64 0
}
define internal void @rot180_float_leave(i64 %old) alwaysinline nounwind {
  ret void
}
define internal i64 @rot180_tick() alwaysinline nounwind {
  ret i64 0
}
define internal i64 @rot180_tick_rate() alwaysinline nounwind {
  ret i64 0
}
define internal void @rot180_pause() alwaysinline nounwind {
  ret void
}
"""


def machine_ir(triple: str) -> str:
    """Return the definitions for the architecture of `triple`."""
    arch = triple.split("-", 1)[0]
    if arch in ("x86_64", "amd64"):
        return _X86
    return _ARM if arch in ("aarch64", "arm64") else _OTHER
