"""PyTorch's convolutions, every pass, both layouts."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks._cases import Case
from benchmarks._operands import Array, Layout, Operands, Pass

# One spatial dimension has no channels-last format in PyTorch.
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


def has_layout(case: Case, layout: Layout) -> bool:
    return layout == "channels_first" or case.rank in LAST


def torch_call(
    case: Case, which: Pass, data: Operands, layout: Layout
) -> Callable[[], Any]:
    """Return a call of PyTorch that computes pass `which` of `case`.

    `data` is channels first whatever the layout: PyTorch keeps the order of the axes
    and changes the strides.
    """
    x, w, dy = (_tensor(array, case, layout) for array in (data.x, data.w, data.dy))
    stride, dilation = [case.stride] * case.rank, [case.dilation] * case.rank
    options = (stride, list(case.pads), dilation, case.transposed, [0] * case.rank)
    if which == "forward":
        return lambda: torch.convolution(x, w, None, *options, case.groups)
    backward = torch.ops.aten.convolution_backward
    mask = [which == "input", which == "weight", False]
    place = 0 if which == "input" else 1
    return lambda: backward(dy, x, w, None, *options, case.groups, mask)[place]


def _tensor(array: Array, case: Case, layout: Layout) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    if layout == "channels_last":
        return tensor.to(memory_format=LAST[case.rank])
    return tensor.contiguous()
