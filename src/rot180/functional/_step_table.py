"""A step's plan as text, for a terminal and for files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rot180.functional._step_plan import Kernel, StepPlan

_HEADS: Final = (
    "layer",
    "pass",
    "kernel",
    "writes",
    "M mul-adds",
    "MB",
    "predicted us",
    "measured us",
    "fused",
)
_NUMBERS: Final = range(4, 8)
_LONGEST: Final = 48  # of the last column


def table(plan: StepPlan) -> str:
    """What the step comes to in four lines, then a line for each kernel."""
    rows = [_HEADS, *(_row(kernel, plan.kinds) for kernel in plan.kernels)]
    kept = [i for i in range(len(_HEADS)) if i != 7 or plan.measured is not None]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    lines = ["  ".join(_cell(row[i], i, widths[i]) for i in kept) for row in rows]
    return "\n".join([*_summary(plan), "", *(line.rstrip() for line in lines)])


def _summary(plan: StepPlan) -> list[str]:
    recorded = sum(len(kernel.fused) for kernel in plan.kernels)
    time = f"predicted {_ms(plan.predicted)}"
    if plan.measured is not None:
        time += f", measured {_ms(plan.measured)}"
    threads = f"{plan.threads} thread{'s' * (plan.threads > 1)}"
    return [
        f"{plan.name}: {len(plan.kernels)} kernels for {recorded} ops, "
        f"{plan.target.name}, {threads}",
        f"memory  {_mb(plan.arena_bytes)} MB arena, {_mb(plan.peak_bytes)} MB at once",
        f"work    {plan.multiply_adds / 1e6:,.1f} M multiply-adds, "
        f"{_mb(plan.bytes_moved)} MB read and written",
        f"time    {time}",
    ]


def _row(kernel: Kernel, kinds: Mapping[str, str]) -> tuple[str, ...]:
    measured = kernel.measured
    return (
        f"{kernel.layer} {kinds[kernel.layer]}" if kernel.layer else "-",
        kernel.pass_,
        kernel.name,
        " ".join(str(kind) for kind in kernel.outputs[:1])
        + f" and {len(kernel.outputs) - 1} more" * (len(kernel.outputs) > 1),
        f"{kernel.multiply_adds / 1e6:,.2f}" if kernel.multiply_adds else "",
        _mb(kernel.bytes_moved),
        _us(kernel.predicted),
        "" if measured is None else _us(measured),
        _fused(kernel),
    )


def _fused(kernel: Kernel) -> str:
    """The ops of a group with how often each comes, shortened."""
    if len(kernel.fused) < 2:
        return ""
    counts = Counter(op for op, _ in kernel.fused)
    text = ", ".join(f"{op} x{n}" if n > 1 else op for op, n in counts.items())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _cell(text: str, column: int, width: int) -> str:
    return text.rjust(width) if column in _NUMBERS else text.ljust(width)


def _mb(count: int) -> str:
    return f"{count / 1e6:,.2f}"


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:,.2f} ms"
