"""Runs the code under test: in a child process, or in this one."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from rot180.check.subjects._child import set_threads
from rot180.check.subjects._invoke import Call, Earlier, invoke
from rot180.check.subjects._outcome import Died, Outcome, TimedOut
from rot180.check.subjects._poison import poisoned
from rot180.check.subjects._process import Child
from rot180.check.subjects._subject import Facts, describe
from rot180.check.subjects._wire import is_answer, is_facts
from rot180.errors import DataError

# How long a subject may take to be imported; frameworks take seconds.
LOADING: Final = 120.0
# Seconds; a call that the end of the run cut sooner is not told of: most take that.
_BRIEF: Final = 1.0


class OutOfTime(Exception):
    """The run's time is over; the text says what had not returned by then, if any."""


class Runner:
    """Calls the functions of a subject, whatever becomes of it.

    Attributes:
        until: When a call ends by OutOfTime, by the monotonic clock.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = math.inf

    def _left(self) -> float:
        """Seconds until the time is over; raises OutOfTime if it is."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left

    @property
    def facts(self) -> Facts:
        """What the subject offers and declares; DataError if it cannot be loaded."""
        raise NotImplementedError

    def call(
        self,
        function: str,
        arguments: Sequence[tuple[str, Any]],
        options: Mapping[str, Any],
        droppable: frozenset[str] = frozenset(),
        memory: str = "plain",
    ) -> Outcome:
        """Returns what becomes of one call, of which `Call` says the parts.

        Raises:
            DataError: The subject cannot be loaded.
        """
        return self._call(Call(function, arguments, options, droppable, memory))

    def _call(self, request: Call) -> Outcome:
        raise NotImplementedError

    def set_threads(self, n: int) -> bool:
        """Returns whether the subject now computes with `n` threads."""
        raise NotImplementedError

    def fresh(self) -> bool:
        """Returns whether the next call will find a subject that was never called."""
        return False  # what a subject remembers stays in its process

    def close(self) -> None:
        """Ends what was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LocalRunner(Runner):
    """Calls a subject in this process.

    There is no time limit, a crash ends this process too, and of the memory that was
    never written only that of `np.empty` and `np.empty_like` is filled with NaN.

    Args:
        subject: A module, a namespace, a class with `forward` and `backward`, a
            function, or a mapping from the names of functions to functions.
        conv: The name in it of the convolution; None to find it.
        backward: The name in it of the convolution's backward pass.

    Raises:
        DataError: It offers nothing that can be judged.
    """

    __slots__ = ("_earlier", "_subject")

    def __init__(
        self, subject: Any, conv: str | None = None, backward: str | None = None
    ) -> None:
        super().__init__()
        self._subject = describe(subject, conv, backward)
        self._earlier = Earlier()

    @property
    def facts(self) -> Facts:
        """What the subject offers and declares."""
        return self._subject.facts

    def _call(self, request: Call) -> Outcome:
        self._left()
        catch = (Exception, SystemExit)
        with poisoned():
            return invoke(self._subject, request, self._earlier, catch)

    def set_threads(self, n: int) -> bool:
        """Returns whether the subject now computes with `n` threads."""
        return set_threads(self._subject, n)


class ChildRunner(Runner):
    """Calls a subject in a child process, which is started when it is first needed.

    A child that dies or does not answer in time is ended with all it started; the next
    call starts another. To be closed, or used in a `with` block.

    Args:
        spec: What `rot180 check` is given: a file, a module or a ready adapter.
        conv: The name in it of the convolution; None to find it.
        backward: The name in it of the convolution's backward pass.
        timeout: Seconds that one call may take.
        loading: Seconds that importing the subject may take.
    """

    def __init__(
        self,
        spec: str,
        conv: str | None = None,
        backward: str | None = None,
        *,
        timeout: float = 10.0,
        loading: float = LOADING,
    ) -> None:
        super().__init__()
        self._named = (spec, conv, backward)
        self._timeout, self._loading = timeout, loading
        self._folder = os.getcwd()
        self._known: Facts | None = None
        self._child: Child | None = None
        self._threads: int | None = None

    @property
    def facts(self) -> Facts:
        """What the subject offers and declares."""
        if self._known is None:
            self._running()
        assert self._known is not None
        return self._known

    def _call(self, request: Call) -> Outcome:
        outcome = self._ask(request)
        if isinstance(outcome, Died | TimedOut) or is_answer(outcome, request.function):
            return outcome  # type: ignore[no-any-return]
        self.close()
        return Died("sent what is no answer")

    def set_threads(self, n: int) -> bool:
        """Returns whether the subject now computes with `n` threads.

        Raises:
            DataError: The subject cannot be loaded.
        """
        done = self._ask(n) is True
        self._threads = n if done else None
        return done

    def fresh(self) -> bool:
        """Ends the child and returns True: the next call runs in a new process."""
        self.close()
        return True

    def close(self) -> None:
        """Ends the child; a later call starts another."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _ask(self, request: Call | int) -> Any:
        child, wait = self._running(), min(self._timeout, self._left())
        answer = self._exchange(child, request, wait)
        if isinstance(answer, TimedOut) and wait < self._timeout:
            if wait < _BRIEF:
                raise OutOfTime
            what = request.function if isinstance(request, Call) else "the subject"
            text = f"{what}: a call had not returned after {wait:.2g} s"
            raise OutOfTime(f"{text}, when the time was over")
        return answer

    def _exchange(self, child: Child, request: Any, wait: float) -> Any:
        """The answer, or why there is none; a child that gives none is ended."""
        ending: Outcome = TimedOut(wait)
        try:
            return child.ask(request, wait)
        except TimeoutError:
            pass
        except (EOFError, OSError):
            ending = Died(*child.obituary())
        except BaseException:  # Ctrl-C reaches only this process
            self.close()
            raise
        self.close()
        return ending

    def _running(self) -> Child:
        """The child, started, with the subject loaded and its threads as they were."""
        if self._child is None:
            wait = min(self._loading, self._left())
            self._child = Child(self._folder)
            self._load(self._child, wait)
            threads, self._threads = self._threads, None
            if threads is not None:
                self.set_threads(threads)
        return self._child or self._running()

    def _load(self, child: Child, wait: float) -> None:
        answer = self._exchange(child, self._named, wait)
        match answer:
            case TimedOut() if wait < self._loading:
                raise OutOfTime
            case TimedOut():
                answer = (
                    f"{self._named[0]} was not imported within {self._loading:g} s\n"
                    '  Move what takes long under `if __name__ == "__main__":`.'
                )
            case Died(how, last):
                answer = f"{self._named[0]} cannot be imported: the process {how}"
                answer = "\n    ".join((answer, *last.splitlines()))
        if not is_facts(answer):
            self.close()
            raise DataError(str(answer))
        self._known = answer
