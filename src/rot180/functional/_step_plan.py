"""The plan of a whole compiled step: its kernels, and what each is for."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rot180 import autograd, ops, runtime
from rot180.autograd import BACKWARD, FORWARD
from rot180.errors import ArgumentError
from rot180.functional._step_table import table

if TYPE_CHECKING:
    from rot180.program import Target

UPDATE: Final = "update"
PASSES: Final = (FORWARD, BACKWARD, UPDATE)
# A nominal core: what a prediction is made of, and not what this machine can do.
CLOCK: Final = 3e9
PIPES: Final = 2  # vectors of results a cycle
BANDWIDTH: Final = 16e9  # bytes a second


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel of a step.

    Attributes:
        op: What it computes.
        layer: The layer it works for, such as `3.conv`; empty outside of layers.
        pass_: `forward`, `backward` or `update`.
        fused: The recorded ops that it computes, each with its layer.
        inputs: Types of the arrays it reads.
        outputs: Types of the arrays it writes.
        multiply_adds: Products that are summed.
        operations: Multiply-adds, or other functions of numbers.
        bytes_moved: Of the arrays it reads and writes, each counted once.
        predicted: Seconds on a nominal processor.
        measured: Seconds, None where it was not measured.
    """

    op: ops.Op
    layer: str
    pass_: str
    fused: tuple[tuple[str, str], ...]
    inputs: tuple[ops.TensorType, ...]
    outputs: tuple[ops.TensorType, ...]
    multiply_adds: int
    operations: int
    bytes_moved: int
    predicted: float
    measured: float | None = None

    @property
    def name(self) -> str:
        """What runs, in a word."""
        return self.op.label

    @property
    def seconds(self) -> float:
        """As measured, or as predicted."""
        return self.predicted if self.measured is None else self.measured

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it, as JSON has it."""
        return {
            "kernel": self.name,
            "layer": self.layer,
            "pass": self.pass_,
            "fused": [{"op": op, "layer": layer} for op, layer in self.fused],
            "inputs": [_type_dict(kind) for kind in self.inputs],
            "outputs": [_type_dict(kind) for kind in self.outputs],
            "multiply_adds": self.multiply_adds,
            "operations": self.operations,
            "bytes_moved": self.bytes_moved,
            "predicted_seconds": self.predicted,
            "measured_seconds": self.measured,
        }


def _type_dict(kind: ops.TensorType) -> dict[str, Any]:
    return {"shape": list(kind.shape), "dtype": kind.dtype}


@dataclass(frozen=True, repr=False)
class StepPlan:
    """How a compiled function runs: which kernels, what for, and how long.

    Attributes:
        name: The function's.
        target: The processor that is emitted for.
        threads: How many compute.
        kernels: In the order in which they run.
        arena_bytes: Size of the memory that temporaries share.
        peak_bytes: Of temporaries and results, the most that live at once.
        kinds: What each layer is, such as `Conv2d`, in the order of the forward pass.
    """

    name: str
    target: Target
    threads: int
    kernels: tuple[Kernel, ...]
    arena_bytes: int
    peak_bytes: int
    kinds: dict[str, str]
    _compiled: autograd.Compiled = field(compare=False)
    _numbers: tuple[int, ...] = field(compare=False)

    @property
    def multiply_adds(self) -> int:
        """Of all kernels."""
        return sum(kernel.multiply_adds for kernel in self.kernels)

    @property
    def bytes_moved(self) -> int:
        """Read and written by all kernels."""
        return sum(kernel.bytes_moved for kernel in self.kernels)

    @property
    def predicted(self) -> float:
        """Seconds of all kernels on a nominal processor."""
        return sum(kernel.predicted for kernel in self.kernels)

    @property
    def measured(self) -> float | None:
        """Seconds of all kernels, None where they were not measured."""
        seconds = [k.measured for k in self.kernels if k.measured is not None]
        return sum(seconds) if len(seconds) == len(self.kernels) else None

    def measure(self, repeats: int = 5) -> StepPlan:
        """Returns the plan with the measured time of each kernel.

        The step runs on the arrays that were given, once to compile and then `repeats`
        times; each kernel's least time stands. No argument is written to.

        Raises:
            ArgumentError: `repeats` is no positive integer.
        """
        if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
            raise ArgumentError(f"plan: repeats={repeats!r} is no positive integer")
        seconds = self._compiled.measure(repeats)
        kernels = tuple(
            replace(kernel, measured=seconds[number])
            for kernel, number in zip(self.kernels, self._numbers, strict=True)
        )
        return replace(self, kernels=kernels)

    def by_layer(self) -> dict[str, dict[str, float]]:
        """Returns the seconds of each layer by pass, layers in forward order.

        They are measured ones if there are any.
        """
        layers = {kernel.layer for kernel in self.kernels}
        order = [layer for layer in self.kinds if layer in layers]
        found = {layer: dict.fromkeys(PASSES, 0.0) for layer in order}
        for kernel in self.kernels:
            found[kernel.layer][kernel.pass_] += kernel.seconds
        return found

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it, as JSON has it."""
        return {
            "format": 1,
            "name": self.name,
            "target": self.target.name,
            "threads": self.threads,
            "arena_bytes": self.arena_bytes,
            "peak_bytes": self.peak_bytes,
            "multiply_adds": self.multiply_adds,
            "bytes_moved": self.bytes_moved,
            "predicted_seconds": self.predicted,
            "measured_seconds": self.measured,
            "layers": [
                {"layer": layer, "kind": self.kinds[layer], "seconds": seconds}
                for layer, seconds in self.by_layer().items()
            ],
            "kernels": [kernel.to_dict() for kernel in self.kernels],
        }

    def to_json(self) -> str:
        """Returns all of it as text."""
        return json.dumps(self.to_dict(), indent=1)

    def chart(self) -> bytes:
        """Returns a PNG of the time by layer and pass.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        from rot180.functional._step_chart import chart

        return chart(self)

    def save_chart(self, path: str | Path) -> None:
        """Writes the PNG of `chart`."""
        Path(path).write_bytes(self.chart())

    def __repr__(self) -> str:
        return table(self)

    def _repr_html_(self) -> str:
        """Returns the same for notebooks, whose cells would wrap the lines."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def step_plan(function: Callable[..., Any], *args: Any, **named: Any) -> StepPlan:
    """The plan of all that a call of a traceable function runs.

    Raises:
        ArgumentError: It runs no kernel.
        TraceError: It needed the value of a traced tensor.
    """
    compiled = autograd.Compiled(function, *args, **named)
    target, threads = runtime.target(), runtime.get_num_threads()
    sorter = _Sorter(target, threads)
    steps = compiled.steps()
    pairs = [(step.number, sorter.kernel(step)) for step in steps]
    pairs = [(number, kernel) for number, kernel in pairs if not is_moving(kernel.op)]
    name = getattr(function, "__name__", type(function).__name__)
    if not pairs:
        raise ArgumentError(
            f"plan: {name} runs no kernel\n"
            "  Pass a function that computes something from its arrays."
        )
    return StepPlan(
        name=name,
        target=target,
        threads=threads,
        kernels=tuple(kernel for _, kernel in pairs),
        arena_bytes=compiled.arena_bytes,
        peak_bytes=compiled.peak_bytes(),
        kinds=_kinds(steps),
        _compiled=compiled,
        _numbers=tuple(number for number, _ in pairs),
    )


def is_moving(op: ops.Op) -> bool:
    """Whether no kernel runs: the result is a view, or filled by the system."""
    return isinstance(op, ops.Reshape | ops.Identity | ops.StopGradient | ops.Full)


def _kinds(steps: Sequence[autograd.Described]) -> dict[str, str]:
    """The layers by their last op of the forward pass; what is in none comes last.

    Their first ops may be those of an enclosing trace, as updates of state are.
    """
    kinds: dict[str, str] = {}
    last: dict[str, int] = {}
    for part in (part for step in steps for part in step.parts):
        layer = part.origin.layer
        kinds[layer] = part.origin.kind
        forward = 0 if part.origin.pass_ == BACKWARD else part.number
        last[layer] = max(last.get(layer, 0), forward)
    order = sorted(kinds, key=lambda layer: (not layer, last[layer]))
    return {layer: kinds[layer] for layer in order} | {"": ""}


class _Sorter:
    """Tells steps, in order, apart by layer and pass.

    What is outside of a differentiated function and reads gradients, or what was made
    of them, is the update, of the layer whose gradients it reads.
    """

    def __init__(self, target: Target, threads: int) -> None:
        self._target, self._threads = target, threads
        self._after: dict[int, str] = {}  # the layer of what gradients went into

    def kernel(self, step: autograd.Described) -> Kernel:
        pass_ = self._pass(step)
        layer = self._layer(step, pass_)
        if pass_ != FORWARD:
            self._after |= dict.fromkeys(step.outputs, layer)
        work = step.op.operations(*step.input_types)
        moved = _bytes(step)
        return Kernel(
            op=step.op,
            layer=layer,
            pass_=pass_,
            fused=tuple((p.op.label, p.origin.layer) for p in _telling(step)),
            inputs=step.input_types,
            outputs=step.output_types,
            multiply_adds=step.op.multiply_adds(*step.input_types),
            operations=work,
            bytes_moved=moved,
            predicted=self._seconds(step.output_types[0].dtype, work, moved),
        )

    def _pass(self, step: autograd.Described) -> str:
        """The latest of the parts' passes: a gradient computes some formulas again."""
        passes = {part.origin.pass_ for part in _telling(step)}
        is_after = not self._after.keys().isdisjoint(step.inputs)
        if "" in passes and (is_after or BACKWARD in passes):
            return UPDATE
        return BACKWARD if BACKWARD in passes else FORWARD

    def _layer(self, step: autograd.Described, pass_: str) -> str:
        if pass_ == UPDATE:
            layers = {self._after.get(i, "") for i in step.inputs}
            layers.update(part.origin.layer for part in _telling(step))
            layers.discard("")
            return layers.pop() if len(layers) == 1 else ""
        parts = [p for p in _telling(step) if p.origin.pass_ in (pass_, "")]
        return Counter(p.origin.layer for p in parts).most_common(1)[0][0]

    def _seconds(self, dtype: str, work: int, moved: int) -> float:
        """Of arithmetic or of memory, whichever takes longer."""
        rate = PIPES * self._target.lanes(dtype) * CLOCK
        return max(work / rate, moved / BANDWIDTH) / self._threads


def _telling(step: autograd.Described) -> Sequence[autograd.Part]:
    """The parts that compute something, or all where none does."""
    found = [p for p in step.parts if not (p.op.may_alias or p.op.literal is not None)]
    return found or step.parts


def _bytes(step: autograd.Described) -> int:
    types = dict(zip(step.inputs, step.input_types, strict=True))
    types |= dict(zip(step.outputs, step.output_types, strict=True))
    return sum(kind.nbytes for kind in types.values())
