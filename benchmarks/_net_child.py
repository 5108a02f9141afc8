"""What needs a process of its own: first calls and peaks of memory.

python -m benchmarks._net_child memory torch-last resnet20 --batch 64 --threads 1
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

import rot180
from benchmarks._net_sides import Ours, Problem
from benchmarks._nets import NETS

SIDES = ("ours", "torch-first", "torch-last")
SETTLED = 10  # after so many steps memory should no longer grow
MIB = 2**20


def ask(what: str, side: str, net: str, **options: Any) -> dict[str, float]:
    """Return what a new process measures.

    Args:
        what: "first" or "memory".
        side: One of `SIDES`.
        net: A name in `NETS`.
        options: `batch`, `threads`, `steps`, and `cache`, a directory for our kernels.

    Raises:
        click.ClickException: The process failed.
    """
    cache = options.pop("cache", None)
    given = [f"--{name}={value}" for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._net_child", what, side, net, *given],
        env=os.environ | ({"ROT180_CACHE_DIR": cache} if cache else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(f"{what} of {net}, {side}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


@click.command(help=__doc__)
@click.argument("what", type=click.Choice(["first", "memory"]))
@click.argument("side", type=click.Choice(SIDES))
@click.argument("net", type=click.Choice(list(NETS)))
@click.option("--batch", default=1)
@click.option("--threads", default=1)
@click.option("--steps", default=200)
def main(what: str, side: str, net: str, batch: int, threads: int, steps: int) -> None:
    rot180.set_num_threads(threads)
    if what == "memory":
        _step(
            side, Problem.of(NETS[net].tiny, 2), threads
        )()  # loads what frameworks load
    step = _step(side, Problem.of(NETS[net], batch), threads)
    figures = _first(step) if what == "first" else _memory(step, steps)
    click.echo(json.dumps(figures))


def _step(side: str, problem: Problem, threads: int) -> Callable[[], Any]:
    if side == "ours":
        ours = Ours(problem)
        _touch(ours)
        return ours.step
    return _torch_step(side.removeprefix("torch-"), problem, threads)


def _touch(ours: Ours) -> None:
    """Make the momentum resident: zeros that nobody wrote are not."""
    params, state, slots = ours.kept
    ours.kept = params, state, _written(slots)


def _written(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _written(value) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(_written, tree))
    return tree.copy() if isinstance(tree, np.ndarray) else tree


def _torch_step(layout: str, problem: Problem, threads: int) -> Callable[[], Any]:
    import torch

    from benchmarks._net_rivals import Torch, weights_of

    torch.set_num_threads(threads)
    side = Torch(problem, weights_of(problem.net), layout=layout)
    side.fill_slots()
    return side.step


def _first(step: Callable[[], Any]) -> dict[str, float]:
    start = time.perf_counter()
    step()
    return {"seconds": time.perf_counter() - start}


def _memory(step: Callable[[], Any], steps: int) -> dict[str, float]:
    """Return MiB: the growth within the first steps, and what later ones add.

    Parameters, momentum and inputs are resident before; what either side keeps of its
    first step, such as kernels made or loaded, is part of the growth.
    """
    _forget_peak()
    before = resident("VmRSS")
    for _ in range(min(SETTLED, steps)):
        step()
    settled = resident("VmHWM")
    for _ in range(steps - SETTLED):
        step()
    return {
        "growth": (settled - before) / MIB,
        "later": (resident("VmHWM") - settled) / MIB,
    }


def _forget_peak() -> None:
    """Count the peak anew; where that is refused, growth comes out too large."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident(field: str) -> int:
    """Return `VmRSS`, the resident bytes of this process, or their peak, `VmHWM`.

    Raises:
        click.ClickException: The system has no `/proc`.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError as error:
        raise click.ClickException(f"memory is read from /proc: {error}") from error
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
