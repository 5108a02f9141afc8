"""What `ops` learns appears in explain by itself."""

import subprocess
from pathlib import Path

from helpers import child_environment, python

SCRIPT = Path(__file__).with_name("new_mode.py")


def test_a_padding_mode_added_to_ops_is_explained() -> None:
    done = subprocess.run(
        python(str(SCRIPT)),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "values are right",
        "O[p, q] += X[reflect(p + r - 1), reflect(q + s - 1)] * F[r, s]",
        "O11 = X22*F11 + X21*F12 + X22*F13 + X12*F21 + X11*F22 + X12*F23 + X22*F31 + "
        "X21*F32 + X22*F33 = 3*2 + (-2)*5 + 3*5 + (-4)*(-2) + 4*3 + (-4)*(-3) + 3*1 + "
        "(-2)*1 + 3*(-2) = 38",
        "dX adds up what the formula scatters to it; no single sliding does that.",
        "it is in the command line and on the page",
    ]
