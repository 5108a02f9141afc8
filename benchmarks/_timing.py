"""Alternating readings and their medians."""

import gc
import platform
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


def reader(call: Callable[[], Any], seconds: float = 0.02) -> Callable[[], float]:
    """Return a function that reads the seconds one `call` takes.

    Each reading repeats the call for about `seconds`; how often is settled once, from
    the quicker of two calls.
    """
    repeats = max(1, int(seconds / min(_seconds(call, 1), _seconds(call, 1))))
    return lambda: _seconds(call, repeats)


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def alternate(
    readers: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, float]:
    """Return the median reading of each reader, read in turn `rounds` times."""
    readings: dict[str, list[float]] = {name: [] for name in readers}
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, read in readers.items():
                readings[name].append(read())
    finally:
        if was_enabled:
            gc.enable()
    return {name: median(values) for name, values in readings.items()}


def machine() -> dict[str, str]:
    """Return what a reader of the numbers needs to know of the machine."""
    return {
        "cpu": _cpu_name(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].partition(":")[2].strip() if names else platform.processor()
