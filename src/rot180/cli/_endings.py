"""How a long command ends: signals that must not lose its work, output that closes."""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final, Self, TextIO

import click

__all__ = ["Ended", "Output", "endings", "hold_signals"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
        status: What a shell expects of a program ended by that signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def hold_signals() -> None:
    """Lets no further signal end the block of `endings`, so that work can be saved."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def endings() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise `Ended` inside the block.

    One that is ignored, as `nohup` makes SIGHUP, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {n: h for n, h in found.items() if h not in (None, signal.SIG_IGN)}
    for number in before:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, frame: Any) -> None:
    raise Ended(number)


class Output:
    """Standard output that may close or fill up without ending the command.

    After the first failure nothing more is written, and leaving the block makes the
    exit status 1.

    Attributes:
        stream: A text stream for those who write by themselves.
    """

    def __init__(self) -> None:
        self._failure: OSError | None = None
        self.stream: Any = _Guarded(self, sys.stdout or io.StringIO())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.stream.flush()
        if self._failure is not None and kind is None:
            self.note(f"standard output could not be written: {self._failure}")
            raise SystemExit(1)

    def say(self, text: str) -> None:
        """Writes a line."""
        self.stream.write(text + "\n")
        self.stream.flush()

    def note(self, text: str) -> None:
        """Writes a line to standard error, if that can be done."""
        with contextlib.suppress(OSError):
            click.echo(text, err=True)

    def fail(self, error: OSError) -> None:
        """Notes the first failure; what is still buffered goes nowhere."""
        if self._failure is None:
            self._failure = error
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, sys.stdout.fileno())
                os.close(null)


class _Guarded:
    """A text stream whose failures are told to an `Output`."""

    def __init__(self, output: Output, stream: TextIO) -> None:
        self._output = output
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes, or notes why not."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._output.fail(error)
            return len(text)

    def flush(self) -> None:
        """Flushes, or notes why not."""
        try:
            self._stream.flush()
        except OSError as error:
            self._output.fail(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
