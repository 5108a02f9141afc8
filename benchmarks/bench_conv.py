"""Convolutions, every pass, ours beside PyTorch's, as shares of the machine's peak.

    python -m benchmarks.bench_conv --cases core --threads 1

Both sides get the same operands and the same number of threads and run in turn; the
figures are medians.  Before anything is timed the answers are compared with PyTorch's
in float64, and a wrong one ends the run.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import llvmlite
import numpy as np
import torch

import rot180
from benchmarks import _peak, _rivals
from benchmarks._cases import Case, select
from benchmarks._operands import (
    LAYOUTS,
    PASSES,
    Array,
    Operands,
    Pass,
    channels_first,
    operands,
    our_call,
)
from benchmarks._timing import alternate, machine, reader

# Largest difference from the float64 answer, relative to its largest entry.
BOUND = {"float32": 2e-5, "float64": 1e-12}

HEADING = (
    f"{'case':<18}{'pass':<9}{'ours, last':>18}{'ours, first':>18}"
    f"{'torch, last':>12}{'torch, first':>13}{'x torch':>9}{'error':>9}"
)


@click.command(help=__doc__)
@click.option("--cases", default="core", show_default=True, help="Names or sets.")
@click.option("--passes", default=",".join(PASSES), show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option(
    "--dtype", type=click.Choice(list(BOUND)), default="float32", show_default=True
)
@click.option("--rounds", default=9, show_default=True, help="Readings of each call.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write results.")
def main(
    cases: str, passes: str, threads: int, dtype: str, rounds: int, out: Path | None
) -> None:
    rot180.set_num_threads(threads)
    torch.set_num_threads(threads)
    top = _peak.peak(dtype, threads)
    click.echo(f"{machine()['cpu']}, {threads} thread(s), {dtype}, peak {top:.1f}")
    click.echo("GFLOP/s, and for ours the share of the peak read between the runs")
    click.echo(HEADING)
    rows = []
    for case in select(cases):
        for which in passes.split(","):
            row = measure(case, which, dtype=dtype, threads=threads, rounds=rounds)
            rows.append(row)
            click.echo(_line(row))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(_report(rows, top), indent=1) + "\n")


def measure(
    case: Case, which: Any, *, dtype: str, threads: int, rounds: int
) -> dict[str, Any]:
    """Return the figures of one pass of one case.

    Raises:
        click.ClickException: our answer is wrong.
    """
    data = operands(case, dtype)
    ours = {name: our_call(case, which, data.laid_out(name), name) for name in LAYOUTS}
    start = time.perf_counter()
    ours["channels_last"]()
    first_call = time.perf_counter() - start
    error = max(_error(case, which, data, name, ours[name]()) for name in LAYOUTS)
    if not error <= BOUND[dtype]:
        raise click.ClickException(f"{case.name} {which}: wrong by {error:.1e}")
    calls = {f"ours {name}": call for name, call in ours.items()}
    calls |= {
        f"torch {name}": _rivals.torch_call(case, which, data, name)
        for name in LAYOUTS
        if _rivals.has_layout(case, name)
    }
    return _figures(case, which, calls, dtype=dtype, threads=threads, rounds=rounds) | {
        "error": error,
        "first_call": first_call,
    }


def _error(case: Case, which: Pass, data: Operands, layout: Any, got: Array) -> float:
    """Return the largest error of `got`, relative to the largest entry of the truth."""
    double = Operands(*(a.astype(np.float64) for a in (data.x, data.w, data.dy)))
    truth = _rivals.torch_call(case, which, double, "channels_first")().numpy()
    difference = np.abs(channels_first(got, which, layout) - truth).max(initial=0)
    return float(difference / np.abs(truth).max(initial=1e-300))


def _figures(
    case: Case,
    which: Pass,
    calls: dict[str, Callable[[], Any]],
    *,
    dtype: str,
    threads: int,
    rounds: int,
) -> dict[str, Any]:
    with torch.inference_mode():
        readers = {name: reader(call) for name, call in calls.items()}
        readers["peak"] = lambda: _peak.sample(dtype, threads)
        readings = alternate(readers, rounds)
    peak = readings.pop("peak")
    gflops = {name: case.flops / s / 1e9 for name, s in readings.items()}
    torch_best = max(v for name, v in gflops.items() if name.startswith("torch"))
    return {
        "case": case.name,
        "pass": which,
        "dtype": dtype,
        "threads": threads,
        "seconds": readings,
        "gflops": gflops,
        "peak": peak,
        "ratio": gflops["ours channels_last"] / torch_best,
    }


def _line(row: dict[str, Any]) -> str:
    gflops, peak = row["gflops"], row["peak"]
    ours = [
        f"{gflops[f'ours {n}']:8.1f} {gflops[f'ours {n}'] / peak:7.1%}" for n in LAYOUTS
    ]
    rival = [gflops.get(f"torch {name}", float("nan")) for name in LAYOUTS]
    return (
        f"{row['case']:<18}{row['pass']:<9}{ours[0]:>18}{ours[1]:>18}"
        f"{rival[0]:12.1f}{rival[1]:13.1f}{row['ratio']:9.2f}{row['error']:9.0e}"
    )


def _report(rows: list[dict[str, Any]], peak: float) -> dict[str, Any]:
    packages = (rot180, np, llvmlite, torch)
    versions = {package.__name__: package.__version__ for package in packages}
    return {"machine": machine(), "versions": versions, "peak": peak, "rows": rows}


if __name__ == "__main__":
    main()
