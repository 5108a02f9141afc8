"""Small calls and first calls: where overhead, not arithmetic, decides.

    python -m benchmarks.bench_small

The call is the smallest there is in practice: one image, one channel, 3x3 with a 2x2
filter, channels first.  Forward and both gradients are timed beside PyTorch's; then the
time from nothing to a callable, with an empty kernel cache and with a filled one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import torch

import rot180
from benchmarks._timing import alternate, machine, reader

# Run in a fresh process: a call in float64 wakes the machinery, then the shape's first.
FIRST_CALL = """
import time
import numpy as np
import rot180
x, w = np.ones((1, 1, 3, 3), "f"), np.ones((1, 1, 2, 2), "f")
rot180.conv(np.ones((1, 1, 4, 4), "d"), np.ones((1, 1, 2, 2), "d"))
start = time.perf_counter()
rot180.conv(x, w)
print(time.perf_counter() - start)
"""


@click.command(help=__doc__)
@click.option("--rounds", default=15, show_default=True, help="Readings of each call.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write results.")
def main(rounds: int, out: Path | None) -> None:
    rot180.set_num_threads(1)
    torch.set_num_threads(1)
    figures = _calls(rounds) | first_calls()
    for name, seconds in figures.items():
        click.echo(f"{name:<28}{seconds * 1e6:12.2f} us")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        report = {"machine": machine(), "seconds": figures}
        out.write_text(json.dumps(report, indent=1) + "\n")


def _calls(rounds: int) -> dict[str, float]:
    calls = _ours() | _torch()
    with torch.inference_mode():
        readers = {name: reader(call) for name, call in calls.items()}
        return alternate(readers, rounds)


def _arrays() -> tuple[Any, Any, Any]:
    x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    w = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2)
    dy = np.arange(2, 6, dtype=np.float32).reshape(1, 1, 2, 2)
    return x, w, dy


def _ours() -> dict[str, Callable[[], Any]]:
    x, w, dy = _arrays()
    _check(
        rot180.conv_input_grad(dy, w, x.shape), rot180.conv_weight_grad(dy, x, w.shape)
    )
    return {
        "ours forward": lambda: rot180.conv(x, w),
        "ours both gradients": lambda: rot180.conv_backward(
            dy, x, w, needs=("input", "weight")
        ),
    }


def _torch() -> dict[str, Callable[[], Any]]:
    x, w, dy = (torch.from_numpy(array) for array in _arrays())
    backward = torch.ops.aten.convolution_backward
    options = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False])
    return {
        "torch forward": lambda: torch.conv2d(x, w),
        "torch both gradients": lambda: backward(dy, x, w, *options),
    }


def _check(dx: Any, dw: Any) -> None:
    """Compare with sums written out by hand.

    Raises:
        click.ClickException: a gradient is wrong.
    """
    x, w, dy = (array[0, 0] for array in _arrays())
    right_dx, right_dw = np.zeros_like(x), np.zeros_like(w)
    for (p, q), g in np.ndenumerate(dy):
        right_dx[p : p + 2, q : q + 2] += g * w
        right_dw += g * x[p : p + 2, q : q + 2]
    if not (np.array_equal(dx[0, 0], right_dx) and np.array_equal(dw[0, 0], right_dw)):
        raise click.ClickException("the gradients of the small call are wrong")


def first_calls(rounds: int = 5) -> dict[str, float]:
    """Return the seconds of a first call: compiled, and from the disk cache."""
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(_first_call(cache))
            warm.append(_first_call(cache))
    return {"first call, compiled": median(cold), "first call, cached": median(warm)}


def _first_call(cache: str) -> float:
    command = [sys.executable, "-c", FIRST_CALL]
    environment = os.environ | {"ROT180_CACHE_DIR": cache}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
