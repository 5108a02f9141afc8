"""What becomes of calls of code that crashes, hangs, prints, raises and worse."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.check.subjects import BY_NUMBERS, integers, write

from rot180.check.subjects import _process
from rot180.check.subjects._channel import Channel
from rot180.check.subjects._invoke import MEMORY
from rot180.check.subjects._outcome import (
    EARLIER,
    Died,
    Outcome,
    Raised,
    TimedOut,
    Unsupported,
    Values,
)
from rot180.check.subjects._runner import ChildRunner, LocalRunner, OutOfTime
from rot180.errors import DataError

X = integers(1, 1, 3, 3)
W = integers(1, 1, 2, 2)
OPERANDS = (("x", X), ("w", W), ("b", None))

BODIES = """
import os, signal, sys, time
import numpy as np
from numpy import empty

def crash(x): os.kill(os.getpid(), signal.SIGSEGV)
def leave(x): print("I leave"); os._exit(3)
def hang(x):
    while True:
        pass
def prints(x):
    print("x" * 100_000); sys.stdout.flush(); os.write(1, b"raw"); return x
def close_streams(x):
    for descriptor in range(3): os.close(descriptor)
    return x
def read(x): return x + len(sys.stdin.read())
def nan(x): return x * np.nan
def wrong(x): return x.astype("int16")[0]
def write(x): x += 1; return x
BUFFER = np.zeros((1, 1, 3, 3), "float32")
def reuse(x):
    global BUFFER
    BUFFER += 1
    return BUFFER
def write_and_reuse(x): x += 1; return reuse(x)
CALLS = []
def count(x):
    CALLS.append(x)
    return np.full(1, len(CALLS))
def give_list(x): return x.tolist()
def give_none(x): return None
def give_number(x): return x.sum()
def give_objects(x): return x.astype(object)
def give_named(x): return type("A\\x1b[2J\\x85", (), {})()
def fork(x):
    os.fork()
    return x
def answer_twice(x):
    import gc
    for one in gc.get_objects():
        if type(one).__name__ == "Channel": one.send((1, "stale"))
    return x
def colour(x):
    kind = type("Red\\x1b[31m", (Exception,), {})
    raise kind("\\x1b[31mred \\ud800\\nand\\a more, \\xe9")
def decline_in_colour(x): raise NotImplementedError("\\x1b[2J")
def die_in_colour(x):
    sys.stderr.write("\\x1b[2J\\nlast"); sys.stderr.flush(); os._exit(3)
def give_pair(x): return x, x
def give_strided(x): return x[..., ::2].T
def refuse(x): raise ValueError("no such thing")
def fail(x): return inner(x)
def inner(x): return np.reshape(x, (7, 7, 7))[{}]
def decline(x): raise NotImplementedError("not yet")
def insist(x):
    assert x.ndim == 7
def insist_long(x):
    assert (
        x.ndim
        == 7
    )
class NotSupportedError(Exception): pass
def lack(x): raise NotSupportedError("no")
def again(x):
    try: x[9]
    except IndexError as error:
        raise ValueError from error
def too_few(x): n, c, h = x
def add(x): return x.shape + 1
def key(x): raise KeyError(1)
def reraise(x):
    try: return np.reshape(x, 7)
    except ValueError: raise
def only_x(x): return x
def pass_on(x): return only_x(x, what=1)
def pass_on_wrong(x): return only_x(x, groups=1)
def exit(x): sys.exit(2)
def interrupt(x): raise KeyboardInterrupt
def recurse(x): return recurse(x)
def own_error(x):
    class Odd(Exception):
        def __str__(self): raise RuntimeError
    raise Odd
def forget(x): return np.empty((2, 2), x.dtype)
def forget_like(x): return np.empty_like(x, dtype="int32")
def forget_imported(x): return empty(3)
def allocate(x): return np.ndarray((300, 300), x.dtype)

NAMES = dict(globals())
def conv(x, w, b=None, *, what): return NAMES[what](x)
def conv_backward(dy, x, w, *, what): return NAMES[what](x)
THREADS = 1
def set_num_threads(n):
    global THREADS
    THREADS = n
def relu(x): return x * THREADS
"""

Call = Callable[..., Outcome]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildRunner]:
    path = write(tmp_path_factory.mktemp("subject"), BODIES)
    with ChildRunner(path, timeout=1.0) as made:
        yield made


@pytest.fixture
def call(runner: ChildRunner) -> Iterator[Call]:
    def run(what: str) -> Outcome:
        return runner.call("conv", OPERANDS, {"what": what})

    yield run
    outcome = runner.call("relu", (("x", X),), {})
    assert isinstance(outcome, Values), "the run goes on after every test"


def only(outcome: Outcome) -> Any:
    assert isinstance(outcome, Values), outcome
    (result,) = outcome.results
    return result


def test_a_crash_tells_the_signal_and_the_line(call: Call) -> None:
    outcome = call("crash")
    assert isinstance(outcome, Died)
    assert outcome.how == "was killed by SIGSEGV"
    assert "my_conv.py" in outcome.last
    assert "in crash" in outcome.last
    assert "_invoke" not in outcome.last


def test_an_exit_tells_the_status_and_what_was_printed_last(call: Call) -> None:
    assert call("leave") == Died("exited with status 3", "I leave")


def test_a_hang_is_ended(call: Call) -> None:
    began = time.monotonic()
    assert call("hang") == TimedOut(1.0)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("what", ["prints", "read", "close_streams"])
def test_streams_are_the_subject_s_to_spoil(call: Call, what: str) -> None:
    assert (only(call(what)) == X).all()


def test_results_come_as_they_are(call: Call) -> None:
    assert np.isnan(only(call("nan"))).all()
    assert only(call("wrong")).dtype == np.int16
    assert (only(call("wrong")) == X[0]).all()
    assert (only(call("give_strided")) == X[..., ::2].T).all()


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("give_none", None),
        ("give_list", "a list of 1"),
        ("give_pair", "a tuple of 2"),
        ("give_number", "a number, not an array"),
        ("give_objects", "an array of objects"),
        ("give_named", r"an A\x1b[2J\x85"),
    ],
)
def test_what_is_no_array_is_named(call: Call, what: str, text: str | None) -> None:
    assert only(call(what)) == text


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("give_list", "a list of 1, not 3"),
        ("nan", "an array, not a tuple of 3"),
        ("give_none", "None, not a tuple of 3"),
    ],
)
def test_a_wrong_number_of_results_is_told_once(
    runner: ChildRunner, what: str, text: str
) -> None:
    operands = (("dy", X), ("x", X), ("w", W))
    outcome = runner.call("conv_backward", operands, {"what": what})
    assert outcome.results == (text, None, None)


def test_two_gradients_are_those_of_code_without_a_bias(runner: ChildRunner) -> None:
    operands = (("dy", X), ("x", X), ("w", W))
    dx, dw, db = runner.call("conv_backward", operands, {"what": "give_pair"}).results
    assert (dx.tolist(), dw.tolist(), db) == (X.tolist(), X.tolist(), None)


def test_writing_to_an_operand_is_noticed(call: Call) -> None:
    before = X.copy()
    outcome = call("write")
    assert outcome.wrote == ("x",)
    assert (only(outcome) == X + 1).all()
    assert (before == X).all()
    assert call("nan").wrote == ()


def test_a_refusal_is_told_from_a_failure(call: Call) -> None:
    outcome = call("refuse")
    expected = Raised("ValueError", "no such thing", outcome.where, True, True)
    assert outcome == expected
    assert outcome.where.startswith("my_conv.py:")
    assert outcome.where.endswith(" in refuse")
    assert not call("recurse").refusal


@pytest.mark.parametrize(
    ("what", "refusal", "explicit"),
    [
        *(("refuse", True, True), ("insist", True, True), ("lack", True, True)),
        *(("again", True, True), ("too_few", True, False), ("add", True, False)),
        *(("fail", True, False), ("reraise", True, False), ("key", False, True)),
        *(("pass_on", True, True), ("pass_on_wrong", True, False)),
    ],
)
def test_an_error_that_is_meant_is_told_from_a_slip(
    call: Call, what: str, refusal: bool, explicit: bool
) -> None:
    outcome = call(what)
    assert isinstance(outcome, Raised)
    assert (outcome.refusal, outcome.explicit) == (refusal, explicit)


def test_compiled_code_that_takes_other_arguments_means_it() -> None:
    runner = LocalRunner({"conv": math.hypot})
    outcome = runner.call("conv", OPERANDS, {})
    assert isinstance(outcome, Raised)
    assert (outcome.kind, outcome.explicit) == ("TypeError", True)


def test_an_error_without_a_message_shows_the_line_of_code(call: Call) -> None:
    assert call("insist").message == "assert x.ndim == 7"
    assert call("insist_long").message == "x.ndim == 7"
    assert call("again").message == "raise ValueError from error"


def test_the_place_of_an_error_is_the_subject_s_own_line(call: Call) -> None:
    outcome = call("fail")
    assert outcome.kind == "ValueError"
    assert outcome.where.endswith(" in inner")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("exit", "SystemExit"),
        ("interrupt", "KeyboardInterrupt"),
        ("recurse", "RecursionError"),
        ("own_error", "Odd"),
    ],
)
def test_whatever_is_raised_is_an_outcome(call: Call, what: str, kind: str) -> None:
    outcome = call(what)
    assert isinstance(outcome, Raised)
    assert outcome.kind == kind


def test_not_implemented_is_unsupported(call: Call) -> None:
    assert call("decline") == Unsupported("not yet")


def test_a_missing_parameter_is_unsupported_unless_it_may_be_dropped(
    runner: ChildRunner,
) -> None:
    options = {"what": "nan", "groups": 2}
    outcome = runner.call("conv", OPERANDS, options)
    assert outcome == Unsupported("conv has no parameter 'groups'")
    dropped = runner.call("conv", OPERANDS, options, frozenset({"groups"}))
    assert isinstance(dropped, Values)
    missing = runner.call("conv", OPERANDS, {})
    assert isinstance(missing, Unsupported)
    assert "'what'" in missing.reason
    assert runner.call("avg_pool", OPERANDS, {}) == Unsupported("there is no avg_pool")


def test_a_bias_that_is_not_there_needs_no_parameter() -> None:
    runner = LocalRunner({"conv": lambda x, w: x})
    assert (only(runner.call("conv", OPERANDS, {})) == X).all()
    with_bias = (*OPERANDS[:2], ("b", W))
    outcome = runner.call("conv", with_bias, {})
    assert outcome == Unsupported("conv has no parameter 'b'")
    by_name = LocalRunner({"conv": lambda x, w, *, b: b})
    assert (only(by_name.call("conv", with_bias, {})) == W).all()


@pytest.mark.parametrize("what", ["forget", "forget_imported"])
def test_what_is_not_written_is_nan(call: Call, what: str) -> None:
    assert np.isnan(only(call(what))).all()


def test_in_this_process_too_and_only_during_the_call() -> None:
    before = np.empty, np.empty_like
    seen: list[Any] = []

    def relu(x: Any) -> Any:
        seen.append(runner.call("conv", OPERANDS, {}))
        return np.empty_like(x)

    runner = LocalRunner({"relu": relu, "conv": lambda x, w: np.empty(3)})
    assert np.isnan(only(runner.call("relu", (("x", X),), {}))).all()
    assert np.isnan(only(seen[0])).all()
    assert (np.empty, np.empty_like) == before
    assert isinstance(runner.call("conv", (("x", X),), {}), Unsupported)
    assert (np.empty, np.empty_like) == before


def test_integers_that_are_not_written_are_huge(call: Call) -> None:
    assert (only(call("forget_like")) == 2**31 - 1).all()


def test_memory_that_numpy_does_not_fill_is_huge(call: Call) -> None:
    assert (abs(only(call("allocate"))) > 1e38).all()


def test_a_result_that_the_next_call_changes_is_noticed(call: Call) -> None:
    assert call("reuse").wrote == ()
    assert call("reuse").wrote == (EARLIER,)
    assert call("nan").wrote == ()
    assert call("reuse").wrote == (), "only the call before counts"
    assert isinstance(call("refuse"), Raised)
    assert call("reuse").wrote == ()
    assert call("write_and_reuse").wrote == ("x", EARLIER)


def test_a_result_that_is_changed_in_this_process_is_noticed_too() -> None:
    buffer = np.zeros(X.shape, X.dtype)
    runner = LocalRunner({"relu": lambda x: np.maximum(x, 0, out=buffer)})
    first = runner.call("relu", (("x", X),), {})
    again = runner.call("relu", (("x", -X),), {})
    assert (only(first) == np.maximum(X, 0)).all(), "what was read stays as it was"
    assert again.wrote == (EARLIER,)


@pytest.mark.parametrize("memory", MEMORY)
def test_operands_lie_as_is_asked_and_hold_the_same(memory: str) -> None:
    seen: list[Any] = []
    runner = LocalRunner({"relu": lambda x: seen.append(x)})
    for array in (integers(2, 4, 6), integers(2, 0), np.array(3.0), np.arange(5)):
        runner.call("relu", (("x", array),), {}, memory=memory)
        assert seen[-1].dtype == array.dtype
        assert (seen[-1] == array).all()
    lies = seen[0].flags
    assert lies.c_contiguous == (memory == "plain")
    assert lies.f_contiguous == (memory == "fortran")
    if memory == "strided":
        assert seen[0].strides == (4 * 12 * 4, 12 * 4, 2 * 4)
        assert np.isnan(seen[0].base[..., 1::2]).all()
        assert (seen[-1].base[1::2] == np.iinfo(int).max).all()


@pytest.mark.parametrize("memory", MEMORY)
def test_writing_is_noticed_however_the_operand_lies(
    runner: ChildRunner, memory: str
) -> None:
    what = {"what": "write"}
    outcome = runner.call("conv", OPERANDS, what, memory=memory)
    assert outcome.wrote == ("x",)
    assert (only(outcome) == X + 1).all()


def test_a_copy_of_the_process_does_not_answer(call: Call) -> None:
    assert (only(call("fork")) == X).all()
    assert np.isnan(only(call("nan"))).all()
    assert (only(call("wrong")) == X[0]).all()


def test_an_answer_to_another_call_is_thrown_away(call: Call) -> None:
    assert (only(call("answer_twice")) == X).all()
    assert np.isnan(only(call("nan"))).all()
    assert (only(call("wrong")) == X[0]).all()


def test_what_would_steer_a_terminal_is_escaped(
    runner: ChildRunner, call: Call
) -> None:
    runner.fresh()  # other tests close its streams
    outcome = call("colour")
    assert outcome.kind == r"Red\x1b[31m"
    assert outcome.message == "\\x1b[31mred \\ud800\nand\\x07 more, é"
    assert call("decline_in_colour") == Unsupported(r"\x1b[2J")
    assert call("die_in_colour") == Died("exited with status 3", "\\x1b[2J\nlast")


FORGED = """
import os, pickle, struct, time
from rot180.check.subjects import _outcome, _wire
class Ends:
    def __reduce__(self): return os._exit, (0,)
LENGTH = struct.Struct("<Q")
LINE = [int(n) for n in os.listdir("/proc/self/fd") if int(n) > 2 and
        os.path.exists(f"/proc/self/fd/{{n}}") and
        os.readlink(f"/proc/self/fd/{{n}}").startswith("socket")][0]
def write(data): os.write(LINE, LENGTH.pack(len(data)) + data)
def say(number, answer): write(_wire.packed((number, answer)))
def flood():
    os.set_blocking(LINE, True)
    while True: say(0, "stale")
def relu(x):
    {body}
    time.sleep(5)
"""
FORGERIES = {
    "code": "write(pickle.dumps((2, Ends())))",
    "no message": "write(b'{}' * 100)",
    "deep": "write(LENGTH.pack(200000) + b'[' * 200000)",
    "endless": "os.write(LINE, LENGTH.pack(2 ** 62))",
    "half": "os.write(LINE, LENGTH.pack(1000) + b'{')",
    "flood": "flood()",
    "another kind": "say(2, True)",
    "another number": "say(2, _outcome.Values(()))",
    "no texts": "say(2, _outcome.Unsupported(1))",
    "objects": "write(_wire.packed((2, x)).replace(b'<f4', b'|O8'))",
}


@pytest.mark.parametrize("what", FORGERIES)
def test_what_a_subject_writes_to_the_connection_is_no_more_than_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(_process, "ENDING", 0.1)
    path = write(tmp_path, FORGED.format(body=FORGERIES[what]))
    with ChildRunner(path, timeout=0.5) as runner:
        runner.facts.functions  # noqa: B018  # the subject is loaded
        begun = time.monotonic()
        outcome = runner.call("relu", (("x", X),), {})
        assert isinstance(outcome, Died | TimedOut)
        assert time.monotonic() - begun < 3


def test_no_text_of_a_subject_breaks_the_report(tmp_path: Path) -> None:
    body = "say(2, _outcome.Unsupported('\\ud800\\x1b[2J'))"
    with ChildRunner(write(tmp_path, FORGED.format(body=body))) as runner:
        outcome = runner.call("relu", (("x", X),), {})
    assert outcome == Unsupported(r"\ud800\x1b[2J")


def test_a_fresh_subject_has_forgotten_its_calls(runner: ChildRunner) -> None:
    def count() -> Any:
        return only(runner.call("conv", OPERANDS, {"what": "count"})).max()

    first = count()
    assert count() == first + 1
    assert runner.fresh()
    assert count() == 1
    assert not LocalRunner({"relu": lambda x: x}).fresh()


def test_operands_arrive_contiguous_and_empty_ones_too() -> None:
    seen: list[Any] = []
    runner = LocalRunner({"relu": lambda x: seen.append(x)})
    strided = integers(2, 4, 6)[:, ::-1, ::2]
    for array in (strided, strided[:0], np.asfortranarray(strided)):
        runner.call("relu", (("x", array),), {})
        assert seen[-1].flags.c_contiguous
        assert seen[-1].flags.writeable
        assert seen[-1].shape == array.shape
        assert not np.shares_memory(seen[-1], array)


def test_threads_are_set_and_survive_a_crash(runner: ChildRunner) -> None:
    assert runner.set_threads(3)
    assert isinstance(runner.call("conv", OPERANDS, {"what": "crash"}), Died)
    assert (only(runner.call("relu", (("x", X),), {})) == 3 * X).all()
    assert runner.set_threads(1)
    assert not LocalRunner({"relu": lambda x: x}).set_threads(2)


def test_large_arrays_cross() -> None:
    with ChildRunner("scipy") as runner:
        x = integers(1, 1, 1500, 1500)
        arguments = (("x", x), ("w", np.ones((1, 1, 1, 1), "float32")), ("b", None))
        options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        outcome = runner.call("conv", arguments, options, frozenset(options))
        assert (only(outcome) == x).all()


def test_a_small_call_takes_well_under_a_millisecond(runner: ChildRunner) -> None:
    def timed() -> float:
        began = time.perf_counter()
        runner.call("relu", (("x", X),), {})
        return time.perf_counter() - began

    assert min(timed() for _ in range(200)) < 1e-3


def load(folder: Path, text: str, **options: Any) -> None:
    with ChildRunner(write(folder, text), **options) as runner:
        runner.call("relu", (("x", X),), {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def conv(x:\n    pass", "SyntaxError"),
        ("import not_a_module_at_all", "No module named 'not_a_module_at_all'"),
        ("def f():\n    1 / 0\nf()", r"line 2, in f\n.*\n(.*\n)*.*ZeroDivisionError"),
        ("from . import other", r"relative import.*\n  Name it as a module"),
        ("import sys; sys.exit(4)", "SystemExit: 4"),
        ("import os; os._exit(4)", "the process exited with status 4"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("x = 1", "there is nothing here that can be judged"),
    ],
)
def test_what_cannot_be_loaded_is_one_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        load(tmp_path, text)
    assert "my_conv.py" in str(error.value)
    assert "rot180/check" not in str(error.value)


def test_an_import_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not imported within 1 s"):
        load(tmp_path, "while True: pass", loading=1.0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.py", "missing.py does not exist"),
        ("folder/", "folder is a folder"),
        ("no_such_module", "there is no module 'no_such_module'"),
        ("what is this", "names neither a file nor a module"),
        ("layers.py:Conv3D", "has no attribute 'Conv3D'"),
        ("layers.py:ReLU", "class ReLU is no convolution"),
    ],
)
def test_a_name_that_is_not_found_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str
) -> None:
    (tmp_path / "folder").mkdir()
    write(tmp_path, BY_NUMBERS, "layers.py")
    monkeypatch.chdir(tmp_path)
    with ChildRunner(spec) as runner, pytest.raises(DataError, match=message):
        _ = runner.facts.functions


def test_an_absent_framework_tells_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "raise ImportError('hidden')", "scipy/__init__.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    with ChildRunner("scipy") as runner, pytest.raises(DataError) as error:
        _ = runner.facts.functions
    assert "pip install 'rot180[scipy]'" in str(error.value)
    assert "Traceback" not in str(error.value)


def test_files_named_like_modules_do_not_disturb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("inspect.py", "numpy.py", "socket.py"):
        write(tmp_path, "raise RuntimeError", name)
    write(tmp_path, "def relu(x): return x", "random.py")
    monkeypatch.chdir(tmp_path)
    with ChildRunner("random.py") as runner:
        assert (only(runner.call("relu", (("x", X),), {})) == X).all()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


OFFSPRING = """
import os, subprocess, sys, time
def relu(x):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    pids = [os.getpid(), *(
        subprocess.Popen(sleep, start_new_session=new).pid for new in (False, True)
    ), os.fork()]
    if pids[-1] == 0:
        os.setsid()
        time.sleep(60)
        os._exit(0)
    open({path!r}, "w").write(" ".join(map(str, pids)))
    time.sleep({seconds})
    return x
"""


@pytest.mark.parametrize(("seconds", "kind"), [(0, Values), (60, TimedOut)])
def test_nothing_is_left_running(tmp_path: Path, seconds: int, kind: type) -> None:
    pids = tmp_path / "pids"
    text = OFFSPRING.format(path=str(pids), seconds=seconds)
    with ChildRunner(write(tmp_path, text), timeout=2.0) as runner:
        assert isinstance(runner.call("relu", (("x", X),), {}), kind)
    assert all(gone(int(pid)) for pid in pids.read_text().split())


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.usefixtures("interruptible")
def test_nothing_is_left_when_the_judge_is_ended(
    tmp_path: Path, way: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    spec = write(tmp_path, OFFSPRING.format(path=str(pids), seconds=60))
    judge = (
        "import numpy as np; from rot180.check.subjects._runner import ChildRunner\n"
        f"ChildRunner({spec!r}, timeout=50).call('relu', (('x', np.ones(1)),), {{}})\n"
    )
    paths = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", judge],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            end = time.monotonic() + 30
            while not (pids.exists() and pids.read_text()) and time.monotonic() < end:
                time.sleep(0.05)
            process.send_signal(way)
            process.wait(timeout=10)
        finally:
            process.kill()
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_no_stream_of_old_answers_prolongs_a_wait() -> None:
    ours, theirs = (Channel(end) for end in socket.socketpair())
    for _ in range(3):
        theirs.send((0, "stale"))
    with pytest.raises(TimeoutError):
        ours.receive(-1e-3)
    ours.close()
    theirs.close()


def test_options_of_every_kind_reach_the_subject(tmp_path: Path) -> None:
    body = "def conv(x, w, b=None, **options): raise KeyError(repr(options))"
    given = {"p": ((1, 0), -2), "q": "same", "r": None, "s": np.int64(3), "t": 0.5}
    dropped = {"u"} - given.keys()
    with ChildRunner(write(tmp_path, body)) as runner:
        outcome = runner.call("conv", OPERANDS, given, frozenset(dropped))
        assert runner.call("conv", OPERANDS, given, dropped) == outcome  # type: ignore[arg-type]
    assert isinstance(outcome, Raised)
    assert repr(given | {"s": 3})[1:-1] in outcome.message


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(1.2, r"^conv: a call had not returned after"), (0.2, r"^$")],
    ids=["long", "just begun"],
)
def test_the_end_of_the_run_s_time_ends_a_call_and_says_which(
    tmp_path: Path, seconds: float, told: str
) -> None:
    """Of one just begun it says nothing: a verdict would be incomplete by chance."""
    path = write(tmp_path, "import time\ndef conv(x, w): time.sleep(60)\n")
    with ChildRunner(path, timeout=50) as runner:
        assert runner.facts.functions == ("conv",)
        runner.until = time.monotonic() + seconds
        with pytest.raises(OutOfTime, match=told):
            runner.call("conv", OPERANDS[:2], {})


def test_the_end_of_the_run_s_time_ends_an_import(tmp_path: Path) -> None:
    with ChildRunner(write(tmp_path, "import time\ntime.sleep(60)\n")) as runner:
        runner.until = time.monotonic() + 0.2
        with pytest.raises(OutOfTime):
            _ = runner.facts
