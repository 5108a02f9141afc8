"""A long-lived process may meet any number of shapes."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import child_environment, python

SCRIPT = Path(__file__).parent / "many_shapes.py"
BATCHES = 4
# Problems, and how many bytes they may leave behind. 500 are 2,000 shapes on some 1,700
# kernels; measured 80 MB: a thousand kernels and the calls over them, 50 kB each, stay;
# what LLVM does not give back is 4 kB for each kernel compiled. 40 measured 10 MB.
GROWTHS = [(40, 25e6), pytest.param(500, 160e6, marks=pytest.mark.slow)]
SECONDS = 900

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="reads /proc/self/statm"
)


@pytest.mark.parametrize(("problems", "most"), GROWTHS)
def test_many_shapes_in_one_process(
    problems: int, most: float, record_property: Callable[[str, object], None]
) -> None:
    result = subprocess.run(
        python(str(SCRIPT), str(problems), str(BATCHES)),
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
    assert shapes >= problems * BATCHES
    assert growth < most
