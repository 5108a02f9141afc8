"""Jobs in LLVM IR, written by hand, and calls made of them."""

from collections.abc import Callable

from rot180.program._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.runtime import _call, _cpu

# Any job is run alone below SMALL and by the team above LARGE flops in all.
SMALL, LARGE = 1.0, 1e6

_LOOP = """
define void @NAME(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n) nounwind {
entry:
  %c1 = getelementptr ptr, ptr %pointers, i64 1
  %c2 = getelementptr ptr, ptr %pointers, i64 2
  %p0 = load ptr, ptr %pointers
  %p1 = load ptr, ptr SECOND
  %p2 = load ptr, ptr THIRD
  br label %test
test:
  %i = phi i64 [ %begin, %entry ], [ %next, %done ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %exit
body:
  BODY
  br label %done
done:
  %next = add i64 %i, 1
  br label %test
exit:
  ret void
}
"""


def loop(name: str, body: str, arrays: int) -> str:
    """Return a job that runs `body` for every item %i, with %p0, %p1, %p2."""
    second = "%c1" if arrays > 1 else "%pointers"
    third = "%c2" if arrays > 2 else "%pointers"
    text = _LOOP.replace("NAME", name).replace("BODY", body.strip())
    return text.replace("SECOND", second).replace("THIRD", third)


# y[i] = x[i] * a[0]
SCALE = loop(
    "scale",
    """
  %a = load float, ptr %p2
  %xp = getelementptr float, ptr %p1, i64 %i
  %x = load float, ptr %xp
  %v = fmul float %x, %a
  %yp = getelementptr float, ptr %p0, i64 %i
  store float %v, ptr %yp
""",
    3,
)

# y[i] += 1, atomically
COUNT = loop(
    "count",
    """
  %yp = getelementptr i64, ptr %p0, i64 %i
  %old = atomicrmw add ptr %yp, i64 1 monotonic
""",
    1,
)

# Fill the scratch with i, read it back, y[i] = the sum.
SCRATCH_ITEMS = 4096
SCRATCH = loop(
    "fill",
    f"""
  br label %write
write:
  %w = phi i64 [ 0, %body ], [ %w1, %write ]
  %wp = getelementptr i64, ptr %scratch, i64 %w
  store volatile i64 %i, ptr %wp
  %w1 = add i64 %w, 1
  %wm = icmp slt i64 %w1, {SCRATCH_ITEMS}
  br i1 %wm, label %write, label %read
read:
  %r = phi i64 [ 0, %write ], [ %r1, %read ]
  %s = phi i64 [ 0, %write ], [ %s1, %read ]
  %rp = getelementptr i64, ptr %scratch, i64 %r
  %v = load volatile i64, ptr %rp
  %s1 = add i64 %s, %v
  %r1 = add i64 %r, 1
  %rm = icmp slt i64 %r1, {SCRATCH_ITEMS}
  br i1 %rm, label %read, label %sum
sum:
  %yp = getelementptr i64, ptr %p0, i64 %i
  store i64 %s1, ptr %yp
""",
    1,
)

# About a millisecond an item: a chain of dependent additions, then y[i] += 1.
SLOW_FLOPS = 1e6
SLOW = loop(
    "slow",
    """
  br label %burn
burn:
  %k = phi i64 [ 0, %body ], [ %k1, %burn ]
  %f = phi double [ 1.0, %body ], [ %f1, %burn ]
  %f1 = fadd double %f, 1.0e-3
  %k1 = add i64 %k, 1
  %km = icmp slt i64 %k1, 700000
  br i1 %km, label %burn, label %burnt
burnt:
  %huge = fcmp ogt double %f1, 1.0e9
  %one = select i1 %huge, i64 2, i64 1
  %yp = getelementptr i64, ptr %p0, i64 %i
  %old = atomicrmw add ptr %yp, i64 %one monotonic
""",
    1,
)

# Two phases through a temporary: t[i] = 2 x[i], then y[i] = t[i] + 1; address of t in
# a[0].
DOUBLE = loop(
    "double",
    """
  %tc = getelementptr ptr, ptr %pointers, i64 3
  %t = load ptr, ptr %tc
  %address = ptrtoint ptr %t to i64
  store i64 %address, ptr %p2
  %xp = getelementptr i64, ptr %p1, i64 %i
  %x = load i64, ptr %xp
  %v = shl i64 %x, 1
  %tp = getelementptr i64, ptr %t, i64 %i
  store i64 %v, ptr %tp
""",
    3,
)
INCREMENT = loop(
    "increment",
    """
  %tc = getelementptr ptr, ptr %pointers, i64 3
  %t = load ptr, ptr %tc
  %tp = getelementptr i64, ptr %t, i64 %i
  %v = load i64, ptr %tp
  %w = add i64 %v, 1
  %yp = getelementptr i64, ptr %p0, i64 %i
  store i64 %w, ptr %yp
""",
    3,
)


def scale_spec(flops: float = SMALL) -> CallSpec:
    """The interface of SCALE: y, x, a, n."""
    return CallSpec(
        arrays=(
            ArrayArg(Count(4), writable=True),
            ArrayArg(Count(4), writable=False),
            ArrayArg(Count(0, 1, 4), writable=False),
        ),
        temporaries=(),
        scratch_bytes=0,
        phases=(Phase("scale", Count(1), flops),),
    )


def scale(flops: float = SMALL) -> Callable[..., None]:
    """Return a call of SCALE."""
    return build(SCALE, scale_spec(flops))


def single(ir: str, name: str, flops: float, scratch: int = 0) -> Callable[..., None]:
    """Return a call of a job over one array of 8-byte items."""
    array = ArrayArg(Count(8), writable=True)
    phase = Phase(name, Count(1), flops)
    return build(ir, CallSpec((array,), (), scratch, (phase,)))


def count(flops: float = LARGE) -> Callable[..., None]:
    """Return a call of COUNT."""
    return single(COUNT, "count", flops)


def fill(flops: float = LARGE) -> Callable[..., None]:
    """Return a call of SCRATCH."""
    return single(SCRATCH, "fill", flops, 8 * SCRATCH_ITEMS)


def slow() -> Callable[..., None]:
    """Return a call of SLOW: n items of about a millisecond."""
    return single(SLOW, "slow", SLOW_FLOPS)


def two_phases(flops: float, padding: int = 0) -> Callable[..., None]:
    """Return a call of DOUBLE and INCREMENT; the temporary has `padding` more bytes."""
    spec = CallSpec(
        arrays=(
            ArrayArg(Count(8), writable=True),
            ArrayArg(Count(8), writable=False),
            ArrayArg(Count(0, 1, 8), writable=True),
        ),
        temporaries=(Count(8, 1, padding), Count(24, 5, 1)),
        scratch_bytes=8,
        phases=(
            Phase("double", Count(1), flops),
            Phase("increment", Count(1), flops),
        ),
    )
    return build(DOUBLE + INCREMENT, spec)


def build(ir: str, spec: CallSpec) -> Callable[..., None]:
    """Return the call of a module."""
    return _call.build_call(ir, lambda: ir, spec, _cpu.current().target)
