"""A long-lived process may meet any number of shapes."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import child_environment, python

SCRIPT = Path(__file__).parent / "many_shapes.py"
PROBLEMS, BATCHES = 500, 4  # 2,000 shapes on some 1,700 kernels
# Measured 80 MB: a thousand kernels and the calls over them, 50 kB each, stay; what
# LLVM does not give back is 4 kB for each kernel compiled.
MOST_GROWTH = 160e6
SECONDS = 900

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm"),
]


def test_two_thousand_shapes_in_one_process(
    record_property: Callable[[str, object], None],
) -> None:
    result = subprocess.run(
        python(str(SCRIPT), str(PROBLEMS), str(BATCHES)),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    print(result.stdout)
    assert result.returncode == 0, result.stdout[-500:] + result.stderr[-2000:]
    last = re.search(r"(\d+) shapes, grown by ([\d.]+) MB\n$", result.stdout)
    assert last is not None
    shapes, growth = int(last[1]), float(last[2]) * 1e6
    record_property("resident_growth_bytes", growth)
    assert shapes >= 2000
    assert growth < MOST_GROWTH
