"""Operands that are read where they lie, behind guards, give the right results."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rot180

SCRIPT = Path(__file__).with_name("in_place.py")


def test_kernels_that_copy_nothing_equal_the_reference(tmp_path: Path) -> None:
    path = [str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "ROT180_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(path).rstrip(os.pathsep),
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "40"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dilation", [5000, 10**9])
def test_a_window_wider_than_any_cache_is_read_in_place(dilation: int) -> None:
    x = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    w = np.arange(5 * 3 * 3 * 3, dtype=np.float32).reshape(5, 3, 3, 3) % 7
    options = {"dilation": dilation, "padding": dilation}
    y = rot180.conv(x, w, **options)
    middle = rot180.conv(x, w[:, :, 1:2, 1:2].copy())  # every other tap lies outside
    assert np.array_equal(y, middle)
    dx, dw, _ = rot180.conv_backward(y, x, w, **options)
    assert np.array_equal(
        dx, rot180.conv_input_grad(y, w[:, :, 1:2, 1:2].copy(), x.shape)
    )
    assert np.count_nonzero(dw) == np.count_nonzero(dw[:, :, 1, 1])
