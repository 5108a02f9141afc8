"""A passing fault costs the call that meets it: not the next one, and never a bit."""

import ast
import contextlib
import errno
import mmap
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import child_environment, python

import rot180
from rot180 import nn
from rot180.errors import ArgumentError
from rot180.runtime import _object_cache

rng = np.random.default_rng(0)
X = rng.integers(-4, 5, (2, 3, 9, 8)).astype("f")
W = rng.integers(-4, 5, (4, 3, 3, 2)).astype("f")


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        python("-c", code),
        capture_output=True,
        text=True,
        timeout=120,
        env=child_environment() | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits, as Linux has")
def test_a_moment_without_memory_costs_that_call_and_no_bit(tmp_path: Path) -> None:
    code = """
import resource, warnings
import numpy as np, rot180
warnings.simplefilter("error")
x, w = np.random.default_rng(0).random((4, 9, 32, 32), "f"), np.ones((8, 9, 3, 3), "f")
before, failed = rot180.conv(x, w), 0
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 100_000, -1))
for k in range(5):
    try: rot180.conv(np.ones((1, 1, 3, 40 + k), "f"), np.ones((1, 1, 2, 2), "f"))
    except MemoryError: failed += 1
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
assert np.array_equal(rot180.conv(x, w), before)
rot180.conv(np.ones((1, 1, 3, 40), "f"), np.ones((1, 1, 2, 2), "f"))
print(failed)
"""
    assert _run(code, ROT180_CACHE_DIR=str(tmp_path)) == "5\n"


def test_without_a_home_and_a_name_there_is_no_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import platformdirs

    def homeless(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_dir", homeless)
    cache = _object_cache._open.__wrapped__("", "")
    assert cache.read("0" * 64) is None
    assert "home directory" in cache.info().reason


def test_a_cache_that_cannot_be_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, key = tmp_path / "objects", "1f" * 32
    _object_cache.ObjectCache(directory).write(key, b"code")

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    os.utime(directory / f"{key}.o", (1e9, 1e9))  # its age would be written anew
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "utime", read_only)
    cache = _object_cache.ObjectCache(directory)
    cache.write("2f" * 32, b"code")
    assert cache.read(key) == b"code"
    assert cache.info().entries == 1
    assert "not writable" in cache.info().reason


def test_a_link_in_the_place_of_the_cache_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (tmp_path / "objects").symlink_to(elsewhere)
    cache = _object_cache.ObjectCache(tmp_path / "objects")
    cache.write("1f" * 32, b"code")
    assert list(elsewhere.iterdir()) == []
    assert elsewhere.stat().st_mode & 0o777 == 0o755
    assert "symbolic link" in cache.info().reason


def test_a_program_that_joins_all_its_threads_ends() -> None:
    _run(
        "import threading, numpy as np, rot180\nrot180.set_num_threads(2)\n"
        "rot180.conv(np.ones((8, 32, 64, 64), 'f'), np.ones((32, 32, 3, 3), 'f'))\n"
        "for t in threading.enumerate():\n"
        "    if t is not threading.current_thread() and not t.daemon: t.join()\n"
    )


# ---------------------------------------------------------------- forks and threads


@contextlib.contextmanager
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _forks(count: int) -> str:
    return f"""
import os, signal, sys, threading
import numpy as np, rot180
sys.setswitchinterval(1e-5)
f, x = rot180.jit(lambda x: x * 2 + 1), np.ones((4, 5), "f")
f(x)
def go():
    while True: f(x)
for _ in range(3): threading.Thread(target=go, daemon=True).start()
for _ in range({count}):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20); os._exit(not np.array_equal(f(x), x * 2 + 1))
    assert os.waitpid(pid, 0)[1] == 0, "a child hung, or computed something else"
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_children_forked_while_others_call_a_jitted_function_end(count: int) -> None:
    _run(_forks(count))


@pytest.mark.parametrize("runs", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_threads_with_other_strides_get_their_own_answer_under_a_tracer(
    runs: int,
) -> None:
    for _ in range(runs):
        assert _raced(seconds=1.0) == []


def _raced(seconds: float) -> list[Any]:
    x = np.arange(64.0, dtype="f").reshape(8, 8)
    inputs, wrong = (x, np.asfortranarray(x)), []
    double = rot180.jit(lambda x: x * 2.0)
    double(x)
    end = time.monotonic() + seconds

    def tracer(frame: Any, event: str, argument: object) -> Any:
        return tracer if frame.f_code.co_filename.endswith("_run.py") else None

    def work(number: int) -> None:
        given = inputs[number % 2]
        while time.monotonic() < end and not wrong:
            if not np.array_equal(double(given), x * 2):
                wrong.append(number)

    threading.settrace(tracer)
    try:
        with _switching():
            threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
    return wrong


# ---------------------------------------------------------------- injected failures


def _failing(real: Callable[..., Any], chance: float, draw: random.Random) -> Any:
    def call(*args: Any, **named: Any) -> Any:
        if draw.random() < chance:
            raise OSError(
                draw.choice((errno.ENOSPC, errno.EMFILE, errno.ENOMEM)), "now"
            )
        return real(*args, **named)

    return call


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_failures_at_random_calls_cost_that_call_alone(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROT180_CACHE_DIR", str(tmp_path))
    draw, failed = random.Random(count), 0
    for number in range(count):
        x = X[:, :, :, : 5 + number % 4].copy()
        w = W * (1 + number)
        stride = 1 + number  # a kernel of its own each time
        with monkeypatch.context() as patch:
            for place, name in ((os, "open"), (os, "rename"), (os, "replace")):
                patch.setattr(place, name, _failing(getattr(place, name), 0.5, draw))
            patch.setattr(mmap, "mmap", _failing(mmap.mmap, 0.2, draw))
            try:
                rot180.conv(x, w, stride=stride)
            except (MemoryError, OSError):
                failed += 1
        y = rot180.conv(x, w, stride=stride)
        with rot180.runtime.force_reference():
            np.testing.assert_array_equal(y, rot180.conv(x, w, stride=stride))
    assert failed  # or nothing was tried


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits, as Linux has")
@pytest.mark.parametrize("count", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_memory_refused_at_random_calls_costs_that_call_alone(
    count: int, tmp_path: Path
) -> None:
    script = str(Path(__file__).parent / "without_memory.py")
    done = subprocess.run(
        python(script, str(count)),
        capture_output=True,
        text=True,
        timeout=300,
        env=child_environment(ROT180_CACHE_DIR=str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    met = ast.literal_eval(done.stdout)
    assert min(met["malloc"], met["numpy"]) > 0


# ---------------------------------------------------------------- operands that lie


class Liar(np.ndarray):
    """Its strides are those of another array."""

    strides = property(lambda self: (2**40, 2**30, 2**26, 4))  # type: ignore[assignment]


@pytest.mark.parametrize("warm", [False, True])
def test_strides_that_lie_lead_nowhere(warm: bool) -> None:
    x, w = np.zeros((1, 1, 64, 8), "f"), np.ones((1, 1, 3, 3), "f")
    liar = x.view(Liar)
    for _ in range(1 + warm):
        y, dy = rot180.conv(liar, w), np.ones((1, 1, 62, 6), "f")
        dx, dw, _ = rot180.conv_backward(dy, liar, w)
        assert (y.shape, dx.shape, float(dw.sum())) == ((1, 1, 62, 6), x.shape, 0.0)
        assert not rot180.jit(rot180.relu)(liar).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: rot180.conv(x, W),
        lambda x: rot180.conv(X, x[:, :, :2, :2]),
        rot180.relu,
        lambda x: rot180.max_pool(x, 2),
        rot180.jit(rot180.relu),
    ],
)
def test_masked_arrays_are_refused(call: Callable[[Any], Any]) -> None:
    masked = np.ma.masked_less(X, 0)
    with pytest.raises(ArgumentError, match=r"masked array .*\n.*filled"):
        call(masked)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"groups": 1}, {"groups": 1.0}),
        ({"groups": 1}, {"groups": True}),
        ({"stride": 1}, {"stride": True}),
        ({"stride": (1, 1)}, {"stride": (1.0, 1)}),
        ({"padding": ((0, 0), (0, 0))}, {"padding": ((0.0, 0), (0, 0))}),
        ({"dilation": 2}, {"dilation": 2.0}),
        ({"flip": False}, {"flip": 0.0}),
    ],
)
def test_arguments_mean_the_same_whatever_was_called_before(
    good: dict[str, Any], bad: dict[str, Any]
) -> None:
    dy = rot180.conv(X, W, **good)
    calls: list[Callable[..., Any]] = [
        lambda **o: rot180.conv(X, W, **o),
        lambda **o: rot180.conv_input_grad(dy, W, X.shape, **o),
        lambda **o: rot180.conv_weight_grad(dy, X, W.shape, **o),
        lambda **o: rot180.conv_backward(dy, X, W, **o),
    ]
    for call in calls:
        before = _said(call, bad)
        call(**good)
        call(**good)
        assert _said(call, bad) == before


def _said(call: Callable[..., Any], options: dict[str, Any]) -> str:
    try:
        call(**options)
    except ArgumentError as error:
        return str(error)
    return "taken"


def test_a_network_keeps_its_bits_whatever_class_its_images_have() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    params, state = net.init(0)
    plain, _ = net.apply(params, state, X, training=False)
    given, _ = net.apply(params, state, X.view(Liar), training=False)
    np.testing.assert_array_equal(plain, given)
