"""A call answers a signal within moments, however long it and its rows are."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
posix_only = pytest.mark.skipif(os.name != "posix", reason="sets a timer of the system")

# A signal comes 0.1 s after the compiled call begins: one that comes while LLVM works
# may be lost in a finaliser. What is printed is how long it waited.
PRELUDE = """
import signal, time
import numpy as np
import rot180

DELAY = 0.1

def ring(number, frame):
    while frame:
        if frame.f_code.co_name == "_make_call":
            return set_alarm()
        frame = frame.f_back
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, ring)

def set_alarm():
    global due
    due = time.monotonic() + DELAY
    signal.setitimer(signal.ITIMER_REAL, DELAY)

def zeros(*shape):
    return np.zeros(shape, "float32")

def waits(f):
    result = None
    set_alarm()
    try:
        result = f()
    except KeyboardInterrupt:
        print(time.monotonic() - due)
    assert result is None, "the call ended before the signal"
"""
# Each of them takes 3 s to a minute.
ROWS = """
n = 400_000
x, w, y = zeros(1, 1, 2 * n), zeros(1, 1, n), zeros(1, 1, n + 1)
waits(lambda: rot180.conv(x, w))
waits(lambda: rot180.conv_weight_grad(y, x, w.shape))
waits(lambda: rot180.conv_input_grad(y, w, x.shape))
waits(lambda: rot180.max_pool(zeros(1, 1, 2_000_000), 20_001, stride=1))
"""
AFTERWARDS = """
x = np.ones((4, 3, 20, 20), "float32")
y = rot180.conv(x, np.ones((8, 3, 3, 3), "float32"))
assert (y == 27).all()
"""


def longest_wait(run_script: Run, text: str, **extra: str) -> float:
    """The longest of the waits that a script prints, after it ended well."""
    done = run_script(PRELUDE + text, **extra)
    assert (done.returncode, done.stderr) == (0, "")
    return max(map(float, done.stdout.split()))


# About 0.03 s where nothing else runs; the bounds leave room for a busy machine.


@posix_only
@pytest.mark.parametrize("count", ["1", "2"])
def test_one_long_row_is_left_at_a_signal(run_script: Run, count: str) -> None:
    waited = longest_wait(run_script, ROWS + AFTERWARDS, ROT180_NUM_THREADS=count)
    assert waited < 0.8


@posix_only
def test_so_is_one_without_a_compiler(run_script: Run) -> None:
    waited = longest_wait(run_script, ROWS + AFTERWARDS, ROT180_COMPILE="0")
    assert waited < 0.8


SIBLINGS = {
    "transposed": """
        waits(lambda: rot180.conv_transpose(zeros(1, 1, 400_000), zeros(1, 1, 400_000)))
    """,
    "average pooling": """
        x, dy = zeros(1, 1, 3_000_000), zeros(1, 1, 2_900_001)
        waits(lambda: rot180.avg_pool(x, 100_000, stride=1))
        waits(lambda: rot180.avg_pool_backward(dy, x.shape, 100_000, stride=1))
    """,
    "two dimensions": """
        x, w, y = zeros(1, 1, 900, 900), zeros(1, 1, 401, 401), zeros(1, 1, 500, 500)
        waits(lambda: rot180.conv(x, w))
        waits(lambda: rot180.conv_weight_grad(y, x, w.shape))
        waits(lambda: rot180.conv_input_grad(y, w, x.shape))
    """,
    "many numbers": """
        x = np.zeros((4, 25_000_000), "float32")
        waits(lambda: [rot180.relu(x) for _ in range(99)][0])
        waits(lambda: [rot180.relu(x.T) for _ in range(99)][0])
        waits(lambda: [log_softmax(x) for _ in range(99)][0])
        f = rot180.jit(lambda x: ((x * 2 + 1).sum(), x.max(), x.sum(axis=0)))
        waits(lambda: [f(x) for _ in range(99)][0])
    """,
    "gradients of jit": """
        x, w = zeros(1, 1, 800_000), zeros(1, 1, 400_000)
        loss = lambda w: rot180.max_pool(rot180.conv(x, w), 5).sum()
        f = rot180.jit(rot180.grad(loss))
        waits(lambda: f(w))
    """,
}
IMPORTS = "from rot180.functional import log_softmax"


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("count", ["1", "2"])
@pytest.mark.parametrize("name", SIBLINGS)
def test_every_long_call_is_left(run_script: Run, name: str, count: str) -> None:
    text = f"{IMPORTS}\n{textwrap.dedent(SIBLINGS[name])}{AFTERWARDS}"
    assert longest_wait(run_script, text, ROT180_NUM_THREADS=count) < 0.8


AGAIN_AND_AGAIN = """
def size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * 4096
x, dy = zeros(1, 1, 2_000_000), zeros(1, 1, 1_000_001)
def once():
    waits(lambda: rot180.conv_weight_grad(dy, x, (1, 1, 1_000_000)))
once()
before = size()
once()
once()
assert size() - before < 50_000_000, size() - before
x.resize(1, refcheck=False)  # no buffer is held
"""


@posix_only
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")
def test_calls_that_were_left_hold_no_memory(run_script: Run) -> None:
    longest_wait(run_script, AGAIN_AND_AGAIN, ROT180_NUM_THREADS="1")
