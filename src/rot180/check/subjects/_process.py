"""A child process that runs the code under test, and how it ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import select
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from typing import IO, Any, Final

from rot180.check.subjects._channel import Channel
from rot180.check.subjects._child import MARK, command, end_marked
from rot180.check.subjects._outcome import printable
from rot180.check.subjects._poison import environment

# How long an end is waited for once the connection is closed.
ENDING: Final = 2.0
# How much of what it printed is shown.
LINES: Final = 12
TAIL: Final = 20_000
# What a dump of the stack holds besides the subject's own lines.
MACHINERY: Final = (
    f'File "{Path(__file__).parent}{os.sep}_',
    'File "<string>", line 1 in <module>',
    "Extension modules:",
)


class Child:
    """A running child process, the connection to it and what it prints.

    Args:
        folder: Its working directory.
    """

    def __init__(self, folder: str) -> None:
        self._asked, mark = 0, secrets.token_hex(16)
        self._printed = _appendable()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own command
                command(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=(theirs.fileno(),),
                env=environment(os.environ) | {MARK: mark},
                cwd=folder,
                start_new_session=True,
            )
        self._ended = os.pidfd_open(self._process.pid)
        self._channel = Channel(ours, self._ended)
        resources = (self._process, mark, self._channel, self._ended, self._printed)
        self.end = weakref.finalize(self, _end, *resources)

    def ask(self, request: Any, seconds: float) -> Any:
        """Returns the answer to this request; answers to others are thrown away.

        Raises:
            TimeoutError: There was none in time.
            OSError: The child has ended.
            EOFError: The child has ended.
        """
        os.ftruncate(self._printed.fileno(), 0)
        self._asked += 1
        self._channel.send((self._asked, request), seconds)
        end = time.monotonic() + seconds
        while True:
            match self._channel.receive(max(end - time.monotonic(), 0)):
                case (number, answer) if number == self._asked:
                    return answer

    def obituary(self) -> tuple[str, str]:
        """Returns how the child ended and the last lines that it printed."""
        how = self._how()
        file = self._printed.fileno()
        size = os.fstat(file).st_size
        start = max(size - TAIL, 0)
        lines = os.pread(file, TAIL, start).decode(errors="replace").splitlines()
        kept = [line for line in lines if not any(text in line for text in MACHINERY)]
        return how, printable("\n".join(kept[-LINES:])).strip()

    def _how(self) -> str:
        ready, _, _ = select.select([self._ended], [], [], ENDING)
        if not ready:
            return "closed its connection to rot180, or wrote to it"
        # Not `Popen.wait`: the number must stay the child's until its group is killed.
        end = os.waitid(os.P_PIDFD, self._ended, os.WEXITED | os.WNOWAIT)
        if end is None or end.si_code == os.CLD_EXITED:
            return f"exited with status {end.si_status if end else 0}"
        return f"was killed by {signal.Signals(end.si_status).name}"


def _appendable() -> IO[bytes]:
    """A temporary file that is written at its end, also after it was cut."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `_end`
    fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
    return file


def _end(
    process: subprocess.Popen[bytes],
    mark: str,
    channel: Channel,
    ended: int,
    printed: IO[bytes],
) -> None:
    """Kills the process and all that it started, and frees what belongs to it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # in case that it left its group
    process.wait()
    end_marked(mark)
    channel.close()
    os.close(ended)
    printed.close()
