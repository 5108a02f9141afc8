"""Messages between two processes over a socket, each with a time limit."""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import Any, Final

from rot180.check.subjects._outcome import printable
from rot180.check.subjects._wire import packed, unpacked

_LENGTH: Final = struct.Struct("<Q")
_MOST: Final = 2**32  # bytes of a message


class Channel:
    """One end of the connection; the messages are values of a few classes.

    Args:
        connection: The end, which the channel then owns.
        process: A process file descriptor: that process's end is the connection's end,
            even where its own children keep the other end open. What comes from it
            is not trusted: a text may hold no more than can be printed.
    """

    def __init__(self, connection: socket.socket, process: int | None = None) -> None:
        self._socket = connection
        self._text = str if process is None else printable
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        if process is not None:
            self._poll.register(process, select.POLLIN)

    def send(self, message: Any, seconds: float | None = None) -> None:
        """Sends a value.

        Raises:
            TimeoutError: It was not taken in time.
            OSError: There is nobody at the other end.
        """
        data = packed(message)
        self._socket.settimeout(seconds)
        self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self, seconds: float | None = None) -> Any:
        """Returns the next value.

        Raises:
            TimeoutError: It did not come in time.
            EOFError: The other end was closed, its process has ended, or what came is
                no message.
        """
        end = None if seconds is None else time.monotonic() + seconds
        self._socket.settimeout(0)
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, end))
        if length > _MOST:
            raise EOFError("what came is no message")
        try:
            return unpacked(self._read(length, end), self._text)
        except ValueError as error:
            raise EOFError("what came is no message") from error

    def _read(self, count: int, end: float | None) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            if end is not None and time.monotonic() > end:  # what comes may never end
                raise TimeoutError("not all came in time")
            try:
                got = self._socket.recv_into(view)
            except BlockingIOError:
                self._wait(end)
                continue
            except ConnectionResetError:
                got = 0
            if got == 0:
                raise EOFError("the connection was closed")
            view = view[got:]
        return data

    def _wait(self, end: float | None) -> None:
        """Returns when there is something to read."""
        left = None if end is None else max(end - time.monotonic(), 0) * 1000
        ready = [descriptor for descriptor, _ in self._poll.poll(left)]
        if not ready:
            raise TimeoutError("nothing came in time")
        if self._socket.fileno() not in ready:
            raise EOFError("the process has ended")

    def close(self) -> None:
        """Closes this end."""
        self._socket.close()
