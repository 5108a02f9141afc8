"""The figures of one network: steps, inference, first calls, memory."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import torch

from benchmarks import _floor, _net_child, _peak
from benchmarks._net_rivals import (
    FORMATS,
    Torch,
    has_onnxruntime,
    layers_of,
    onnx_call,
    parameters_of,
    weights_of,
)
from benchmarks._net_sides import Array, Ours, Problem
from benchmarks._nets import NETS
from benchmarks._timing import alternate, reader

Row = dict[str, Any]
Calls = dict[str, Callable[[], Any]]
# In the 2-norm, of the scores of a network with newly drawn weights.
SCORES_BOUND = 1e-4


@dataclass(frozen=True, slots=True)
class How:
    """How to measure.

    Attributes:
        threads: Of every side.
        rounds: Readings of each call, in turn.
        seconds: About how long a reading lasts at least.
        compile: Whether `torch.compile` is timed as well.
    """

    threads: int = 1
    rounds: int = 5
    seconds: float = 0.15
    compile: bool = False


def has_compiler() -> bool:
    """Return whether `torch.compile` would find a C++ compiler."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def step_row(name: str, batch: int, how: How) -> Row:
    """Return the seconds of a training step on each side, and its floor."""
    problem = Problem.of(NETS[name], batch)
    weights = weights_of(problem.net)
    calls: Calls = {"ours": Ours(problem, weights).step}
    for layout in FORMATS:
        calls[f"torch {layout}"] = Torch(problem, weights, layout=layout).step
    if how.compile and has_compiler():
        calls["compiled"] = Torch(problem, weights, compiled=True).step
    work = _floor.training(layers_of(problem), parameters_of(problem.net))
    return _row(name, batch, calls, work, how)


def inference_row(name: str, batch: int, how: How) -> Row:
    """Return the seconds of inference on each side, and its floor."""
    problem = Problem.of(NETS[name], batch)
    calls = _inference_calls(problem, weights_of(problem.net), how)
    return _row(name, batch, calls, _floor.inference(layers_of(problem)), how)


def _inference_calls(problem: Problem, weights: dict[str, Array], how: How) -> Calls:
    sides = {name: Torch(problem, weights, layout=name) for name in FORMATS}
    calls: Calls = {"ours": Ours(problem, weights).infer}
    calls |= {f"torch {name}": side.infer for name, side in sides.items()}
    if has_onnxruntime():
        calls["onnx"] = onnx_call(sides["first"], how.threads)
    _check_scores(calls, Torch(problem, weights, dtype=torch.float64).infer())
    return calls


def _check_scores(calls: Calls, truth: Array) -> None:
    """Compare the scores of every side with PyTorch's in float64.

    Raises:
        click.ClickException: One is off by more than `SCORES_BOUND`.
    """
    for side, call in calls.items():
        error = np.linalg.norm(call() - truth) / np.linalg.norm(truth)
        if not error <= SCORES_BOUND:
            raise click.ClickException(f"scores of {side}: wrong by {error:.1e}")


def _row(name: str, batch: int, calls: Calls, work: _floor.Work, how: How) -> Row:
    for call in calls.values():
        call()  # compiles, and fills what a framework keeps from call to call
    readers = {side: reader(call, how.seconds) for side, call in calls.items()}
    readers["peak"] = lambda: _peak.sample("float32", how.threads)
    readers["bandwidth"] = _floor.bandwidth_reader(how.threads)
    seconds = alternate(readers, how.rounds)
    rates = seconds.pop("peak"), seconds.pop("bandwidth")
    return {
        "net": name,
        "batch": batch,
        "threads": how.threads,
        "seconds": seconds,
        "macs": work.macs,
        "bytes": work.bytes,
        "peak": rates[0],
        "bandwidth": rates[1],
        "floor": work.seconds(*rates),
        "ratio": best_torch(seconds) / seconds["ours"],
    }


def best_torch(seconds: Mapping[str, float]) -> float:
    """Return the seconds of eager PyTorch in its better layout."""
    return min(value for name, value in seconds.items() if name.startswith("torch"))


def call_row(name: str, how: How) -> Row:
    """Return the seconds of a first step, and of a step with nothing to compute."""
    batch = NETS[name].batch
    with tempfile.TemporaryDirectory() as cache:
        cold, cached = (
            _net_child.ask(
                "first", "ours", name, batch=batch, threads=how.threads, cache=cache
            )["seconds"]
            for _ in range(2)
        )
    tiny = Ours(Problem.of(NETS[name].tiny, 2))
    tiny.step()
    overhead = alternate({"tiny": reader(tiny.step, how.seconds)}, how.rounds)["tiny"]
    leaves = _leaves(tiny.kept) + 2  # images and labels
    return {
        "net": name,
        "batch": batch,
        "cold": cold,
        "cached": cached,
        "tiny": overhead,
        "leaves": leaves,
    }


def _leaves(tree: Any) -> int:
    if isinstance(tree, Mapping):
        return sum(map(_leaves, tree.values()))
    return sum(map(_leaves, tree)) if isinstance(tree, list | tuple) else 1


def memory_row(name: str, how: How, steps: int) -> Row:
    """Return the MiB by which steps grow a process, ours and PyTorch's."""
    options = {"batch": NETS[name].batch, "threads": how.threads}
    with tempfile.TemporaryDirectory() as cache:
        ours = options | {"cache": cache}
        _net_child.ask("memory", "ours", name, steps=1, **ours)  # compiles
        found = {"ours": _net_child.ask("memory", "ours", name, steps=steps, **ours)}
    for side in _net_child.SIDES[1:]:
        found[side] = _net_child.ask("memory", side, name, steps=steps, **options)
    least = min(found[side]["growth"] for side in _net_child.SIDES[1:])
    return {
        "net": name,
        "batch": options["batch"],
        "steps": steps,
        "mebibytes": found,
        "ratio": found["ours"]["growth"] / least,
    }
