"""Whole networks: training steps and inference beside PyTorch and onnxruntime.

    python -m benchmarks.bench_nets --nets lenet,resnet20 --threads 1

Every side has the same weights and images, in its default arguments; ours are channels
first.  Before a network is timed, two steps of ours are compared with PyTorch's in
float64, and a wrong one ends the run.  Sides are read in turn; figures are medians, in
ms.  "x torch" is the time of PyTorch's better eager layout over ours.  "floor" is the
time of what `benchmarks/_floor.py` counts, at the peak and the bandwidth read in turn
with the rest.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import click
import torch

import rot180
from benchmarks import _net_figures as figures
from benchmarks._net_check import STEPS as CHECKED_STEPS
from benchmarks._net_check import errors
from benchmarks._net_child import SETTLED, SIDES
from benchmarks._net_figures import How, Row
from benchmarks._net_sides import Problem
from benchmarks._nets import NETS
from benchmarks._timing import machine

PACKAGES = ("rot180", "numpy", "llvmlite", "torch", "onnxruntime")
START = f"{'net':<14}{'batch':>6}{'rot180':>10}{'first':>10}{'last':>10}"
END = f"{'floor':>9}{'share':>8}"
STEPS_HEADING = f"{START}{'compiled':>14}{'x torch':>9}{END}"
INFERENCE_HEADING = f"{START}{'onnxruntime':>14}{'x torch':>9}{'x onnx':>8}{END}"
CALLS_HEADING = (
    f"{'net':<14}{'cold, s':>10}{'cached, s':>11}{'tiny, us':>10}{'leaves':>8}"
)
MEMORY_HEADING = (
    f"{'net':<14}{'batch':>6}{'rot180':>18}{'first':>18}{'last':>18}{'x torch':>9}"
)


@click.command(help=__doc__)
@click.option("--nets", default=",".join(NETS), show_default=True)
@click.option("--batches", default="", help="Of steps, as 1,4,16; else each net's own.")
@click.option("--threads", default=1, show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Readings of each call.")
@click.option("--seconds", default=0.15, show_default=True, help="A reading at least.")
@click.option("--compile", is_flag=True, help="Also torch.compile; takes minutes.")
@click.option("--memory", is_flag=True, help="Also peaks of memory; takes minutes.")
@click.option("--memory-steps", default=200, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write results.")
def main(
    nets: str,
    batches: str,
    memory: bool,
    memory_steps: int,
    out: Path | None,
    **options: Any,
) -> None:
    how, names, sizes = How(**options), _known(nets), _sizes(batches)
    rot180.set_num_threads(how.threads)
    torch.set_num_threads(how.threads)
    _heading(how)
    report: dict[str, Any] = {"machine": machine(), "versions": _versions()}
    report["checks"] = [_checked(name) for name in names]
    report["steps"] = _steps(names, sizes, how)
    report["inference"] = _inference(names, how)
    report["calls"] = _calls(names, how)
    report["memory"] = _memory(names, how, memory_steps) if memory else []
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report, indent=1) + "\n")


def _known(nets: str) -> list[str]:
    names = nets.split(",")
    unknown = [name for name in names if name not in NETS]
    if unknown:
        raise click.BadParameter(f"no net {unknown[0]!r}; there are {', '.join(NETS)}")
    return names


def _sizes(batches: str) -> list[int]:
    texts = [text for text in batches.split(",") if text]
    wrong = [text for text in texts if not text.isdecimal() or int(text) < 1]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is no number of images, such as 64")
    return [int(text) for text in texts]


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _heading(how: How) -> None:
    """Say where and how; a busy machine shows in the load."""
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    click.echo(f"{machine()['cpu']}, {how.threads} thread(s), float32; {versions}")
    click.echo(f"{os.cpu_count()} processors, load before: {load}")
    if how.compile and not figures.has_compiler():
        click.echo("torch.compile is left out: no C++ compiler, such as g++, is here")


def _checked(name: str) -> Row:
    """Compare a network's step with PyTorch's.

    Raises:
        click.ClickException: Ours is wrong.
    """
    net = NETS[name]
    found = errors(Problem.of(net, net.batch))
    said = (
        f"{name}: after {CHECKED_STEPS} steps of {net.batch} images the worst is "
        f"{found.worst}, off by {found.error:.1e} of how far it moved, "
        f"{found.share:.0%} of the limit"
    )
    if not found.is_right:
        raise click.ClickException(f"wrong: {said}")
    click.echo(f"right: {said}")
    return {"net": name, "batch": net.batch, **asdict(found)}


def _section(
    title: str, heading: str, rows: Iterable[Row], line: Callable[[Row], str]
) -> list[Row]:
    """Print each row when it is measured; return all."""
    click.echo(f"\n{title}\n{heading}")
    return [_echoed(row, line) for row in rows]


def _echoed(row: Row, line: Callable[[Row], str]) -> Row:
    click.echo(line(row))
    return row


def _steps(names: list[str], sizes: list[int], how: How) -> list[Row]:
    rows = (
        figures.step_row(name, batch, how)
        for name in names
        for batch in sizes or [NETS[name].batch]
    )
    return _section("training step, ms", STEPS_HEADING, rows, step_line)


def _inference(names: list[str], how: How) -> list[Row]:
    rows = (
        figures.inference_row(name, batch, how)
        for name in names
        for batch in sorted({1, NETS[name].batch})
    )
    return _section("inference, ms", INFERENCE_HEADING, rows, inference_line)


def _calls(names: list[str], how: How) -> list[Row]:
    title = "first call of a step; a step with next to nothing to compute"
    rows = (figures.call_row(name, how) for name in names)
    return _section(title, CALLS_HEADING, rows, call_line)


def _memory(names: list[str], how: How, steps: int) -> list[Row]:
    title = (
        "peak of a step beyond parameters, momentum and inputs, MiB"
        f" (+ what steps {SETTLED + 1} to {steps} add)"
    )
    rows = (figures.memory_row(name, how, steps) for name in names)
    return _section(title, MEMORY_HEADING, rows, memory_line)


def step_line(row: Row) -> str:
    """Return a line below `STEPS_HEADING`."""
    return f"{_start(row, 'compiled', '-')}{_end(row)}"


def inference_line(row: Row) -> str:
    """Return a line below `INFERENCE_HEADING`."""
    onnx = row["seconds"].get("onnx")
    ratio = f"{onnx / row['seconds']['ours']:8.2f}" if onnx else f"{'-':>8}"
    return f"{_start(row, 'onnx', 'not installed')}{ratio}{_end(row)}"


def _start(row: Row, extra: str, absent: str) -> str:
    seconds = row["seconds"]
    cells = [_ms(seconds[side]) for side in ("ours", "torch first", "torch last")]
    beside = _ms(seconds[extra]).strip() if extra in seconds else absent
    return (
        f"{row['net']:<14}{row['batch']:6}{''.join(cells)}"
        f"{beside:>14}{row['ratio']:9.2f}"
    )


def _end(row: Row) -> str:
    return f"{row['floor'] * 1e3:9.2f}{row['floor'] / row['seconds']['ours']:8.0%}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:10.2f}"


def call_line(row: Row) -> str:
    """Return a line below `CALLS_HEADING`."""
    return (
        f"{row['net']:<14}{row['cold']:10.2f}{row['cached']:11.2f}"
        f"{row['tiny'] * 1e6:10.0f}{row['leaves']:8}"
    )


def memory_line(row: Row) -> str:
    """Return a line below `MEMORY_HEADING`."""
    cells = [_growth(row["mebibytes"][side]) for side in SIDES]
    return f"{row['net']:<14}{row['batch']:6}{''.join(cells)}{row['ratio']:9.2f}"


def _growth(found: dict[str, float]) -> str:
    return f"{found['growth']:9.1f} +{found['later']:7.1f}"


if __name__ == "__main__":
    main()
