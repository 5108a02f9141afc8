"""Kernels touch no byte outside their arrays.

Each operand and each result lies against an unreadable page, once ending and once
beginning there, in a process of its own; what else stands on its pages must not change.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import DEEP, child_environment, python
from sweeps import parts

from rot180 import runtime

CONFIGURATIONS = 300
PARTS = 13  # of each, one of them for every run; prime to what numbers alternate
FORCED = 63  # for each of two other targets
SCRIPT = Path(__file__).parent / "guarded.py"
SECONDS = 600

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="protects pages with mprotect, which Windows lacks"
)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python(str(SCRIPT), *map(str, arguments)),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def assert_finished(result: subprocess.CompletedProcess[str]) -> None:
    """Raises AssertionError that names the configuration the process ended in."""
    last = (result.stdout.splitlines() or ["nothing ran"])[-1]
    assert result.returncode == 0, f"{last}\n{result.stderr[-2000:]}"
    assert last == "finished"


@pytest.mark.parametrize("part", parts(PARTS))
def test_every_schedule_stays_inside_its_arrays(part: int) -> None:
    assert_finished(run("host", part, CONFIGURATIONS, PARTS))


@pytest.mark.parametrize("part", parts(PARTS))
def test_deep_sums_stay_inside_their_arrays(part: int) -> None:
    assert_finished(run("host", -2 * len(DEEP) + part, 0, PARTS))


@pytest.mark.parametrize("target", ["avx2", "baseline"])
@pytest.mark.parametrize("part", parts(PARTS))
def test_other_targets_stay_inside_their_arrays(target: str, part: int) -> None:
    with runtime.force_target(target):
        if not runtime.cpu.is_runnable(runtime.cpu.current().target):
            pytest.skip(f"this processor does not run code for {target}")
    assert_finished(run(target, 1000 + part, 1000 + FORCED, PARTS))


def test_a_read_outside_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"^broken"):
        assert_finished(run("broken", 0, 0))
