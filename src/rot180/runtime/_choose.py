"""Which target, which tile: settings that change the speed but not a bit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from rot180.errors import CompileError
from rot180.program import Target
from rot180.runtime import _cpu

if TYPE_CHECKING:
    from rot180.program import Program
    from rot180.schedules import Bound, Tile


@dataclass(frozen=True, slots=True)
class Settings:
    """What is forced, for tests and for `rot180.plan`.

    Attributes:
        schedule: which of the candidate tiles, counted from the best.
        compiling: whether kernels are compiled; else the reference computes.
    """

    schedule: int = 0
    compiling: bool = os.environ.get("ROT180_COMPILE", "1") != "0"


_settings = Settings()
_is_told = False


_listeners: list[Callable[[], object]] = []


def on_change(forget: Callable[[], object]) -> None:
    """Call `forget` whenever a setting changes: remembered calls no longer hold."""
    _listeners.append(forget)


def _announce() -> None:
    for forget in _listeners:
        forget()


def target() -> Target:
    """The processor that kernels are emitted for."""
    return _cpu.current().target


def is_compiling() -> bool:
    """Whether kernels can be and shall be compiled."""
    return _settings.compiling


def fall_back(error: Exception) -> None:
    """Say, once, that a call is computed with the reference; the next tries again.

    Raises:
        CompileError: `error`, if it only says that a forced target cannot run here.
    """
    global _is_told
    if isinstance(error, CompileError) and not _cpu.is_runnable(target()):
        raise error
    if _is_told:
        return
    _is_told = True
    reason, *_ = str(error).splitlines() or [type(error).__name__]
    warnings.warn(
        f"rot180: a kernel cannot be compiled here ({reason}); computing with NumPy, "
        "which is slow",
        RuntimeWarning,
        stacklevel=2,
    )


@contextmanager
def force_schedule(number: int) -> Iterator[None]:
    """Use the candidate of that number, or the last one, instead of the best."""
    with _changed(replace(_settings, schedule=number)):
        yield


@contextmanager
def force_reference() -> Iterator[None]:
    """Compute with the reference, as where nothing can be compiled."""
    with _changed(replace(_settings, compiling=False)):
        yield


@contextmanager
def _changed(new: Settings) -> Iterator[None]:
    global _settings
    before, _settings = _settings, new
    _announce()
    try:
        yield
    finally:
        _settings = before
        _announce()


@contextmanager
def force_target(name: str) -> Iterator[None]:
    """Emit kernels for `avx512`, `avx2`, `neon` or `baseline`, not this processor.

    Raises:
        ArgumentError: there is no such family.
    """
    with _cpu.force_target(name):
        _announce()
        yield
    _announce()


def chosen(bound: Bound, target: Target) -> Tile | None:
    """The tile for a bound formula under the settings in force."""
    from rot180.program import Program

    if not isinstance(bound, Program):
        return None
    found = candidates(bound, target)
    return found[min(_settings.schedule, len(found) - 1)]


@lru_cache(maxsize=1024)
def candidates(bound: Program, target: Target) -> tuple[Tile, ...]:
    """The tiles among which to choose, the likely fastest first."""
    from rot180 import schedules

    return schedules.candidates(bound, target)
