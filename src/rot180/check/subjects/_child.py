"""The process that runs the code under test.

It shares nothing with its parent but a socket, the working directory and a file for
what is printed: a subject that prints, reads its input or closes either disturbs
nobody. That makes it no sandbox: the subject can do what the user can.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import select
import signal
import socket
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

from rot180.check.subjects._channel import Channel
from rot180.check.subjects._invoke import Call, Earlier, invoke
from rot180.check.subjects._outcome import printable
from rot180.check.subjects._poison import poison
from rot180.check.subjects._raised import own_frames
from rot180.check.subjects._subject import Facts, Subject, load
from rot180.errors import Rot180Error

# In the environment of a child and of all that it starts, and nowhere else: its name.
MARK: Final = "ROT180_CHECK_CHILD"
_SWEEPS: Final = 500


def command(descriptor: int) -> list[str]:
    """Returns how a child is started that answers at a socket it inherits.

    It finds modules where its parent does: `-P` leaves the working directory to the
    subject, whose files may have the names of modules that are needed here; `-B`
    leaves no compiled files beside them.
    """
    lines = f"import sys; sys.path[:] = {[str(entry) for entry in sys.path]!r}"
    lines += "; from rot180.check.subjects import _child; _child.main()"
    return [sys.executable, "-P", "-B", "-c", lines, str(descriptor)]


def main() -> None:
    """Loads the subject that the first message names, then answers calls."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    faulthandler.enable(all_threads=False)
    _end_with_parent()
    sys.stdout = sys.stderr
    poison()
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        _serve(channel)
    except (EOFError, BrokenPipeError):
        os._exit(0)


def _end_with_parent() -> None:
    """Ends this process, and those it started, when its parent is gone."""
    parent, mark = os.pidfd_open(os.getppid()), os.environ[MARK]

    def watch() -> None:
        select.select([parent], [], [])
        end_marked(mark, but=os.getpid())
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def end_marked(mark: str, but: int = 0) -> None:
    """Kills what a child started and what left its group, such as a new session."""
    entry = f"{MARK}={mark}".encode()
    for _ in range(_SWEEPS):  # one may have started another meanwhile
        if not sum(_is_killed(p, entry, but) for p in Path("/proc").glob("[1-9]*")):
            break
        time.sleep(0.002)


def _is_killed(path: Path, entry: bytes, but: int) -> bool:
    """Whether a process has this entry in its environment; it is killed then."""
    with contextlib.suppress(OSError):  # it has ended, or is another user's
        process = os.pidfd_open(int(path.name))
        try:
            environment = (path / "environ").read_bytes().split(b"\0")
            if int(path.name) != but and entry in environment:
                signal.pidfd_send_signal(process, signal.SIGKILL)
                return True
        finally:
            os.close(process)
    return False


def _serve(channel: Channel) -> None:
    process = os.getpid()
    number, (spec, conv, backward) = channel.receive()
    sys.argv = [spec]
    answer, subject = _load(spec, conv, backward)
    _send(channel, process, (number, answer))
    earlier = Earlier()
    while subject is not None:
        number, request = channel.receive()
        answer = _answer(subject, request, earlier)
        _send(channel, process, (number, answer))


def _send(channel: Channel, process: int, message: tuple[int, Any]) -> None:
    """Sends an answer; a copy of the process, which the subject made, ends instead."""
    if os.getpid() != process:
        os._exit(0)
    channel.send(message)


def _load(
    spec: str, conv: str | None, backward: str | None
) -> tuple[Facts | str, Subject | None]:
    """The facts to report, or what prevents the subject's use."""
    try:
        subject = load(spec, conv, backward)
    except Rot180Error as error:
        return str(error), None
    except BaseException as error:
        return printable(_describe(spec, error)), None
    return subject.facts, subject


def _describe(spec: str, error: BaseException) -> str:
    """What the import raised, with the last of the subject's own lines."""
    frames = own_frames(error, (os.sep,))[-3:]
    blocks = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    text = f"{spec} cannot be imported\n" + textwrap.indent("".join(blocks), "    ")
    if isinstance(error, ImportError) and "relative import" in str(error):
        text += "  Name it as a module of its package, as in package.my_conv."
    return text.rstrip()


def _answer(subject: Subject, request: Call | int, earlier: Earlier) -> Any:
    """The outcome of a call; or whether the number of threads could be set."""
    if isinstance(request, Call):
        return invoke(subject, request, earlier, (BaseException,))
    return set_threads(subject, request)


def set_threads(subject: Subject, count: int) -> bool:
    """Returns whether the subject now computes with `count` threads."""
    if subject.set_threads is None:
        return False
    try:
        subject.set_threads(count)
    except Exception:
        return False
    return True
