"""What PyTorch's checkers say of a subject: gradcheck, and the samples of OpInfo.

A subject has the functions that `rot180 check` judges. Each operation is made an
`autograd.Function` of its forward and its backward function, in float64; gradcheck then
compares the backward function with finite differences of that same forward.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd import Function, gradcheck
from torch.autograd.gradcheck import GradcheckError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

Call = Callable[..., Any]

# What the author of a convolution would check, of each operation that there is.
CONFIGURATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "conv": (
        {"padding": 1},
        {"stride": 2, "padding": 1},
        {"dilation": 2},
        {"groups": 2},
    ),
    "conv_transpose": ({"stride": 2, "padding": 1, "output_padding": 1},),
    "max_pool": ({"kernel_size": 3, "stride": 2, "padding": 1},),
    "avg_pool": ({"kernel_size": 3, "stride": 2, "ceil_mode": True},),
}
_X, _W, _TRANSPOSED_W = (2, 4, 5, 6), (4, 4, 3, 3), (4, 3, 3, 3)

# The names of what OpInfo's samples of pooling pass by position.
_POOL_OPTIONS = (
    "kernel_size",
    "stride",
    "padding",
    "ceil_mode",
    "count_include_pad",
    "divisor_override",
)


class _Differentiable(Function):  # type: ignore[misc]
    """A forward and a backward function of arrays, joined."""

    @staticmethod
    def forward(ctx: Any, forward: Call, backward: Call, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        ctx.call = backward
        return torch.from_numpy(forward(*map(_array, tensors)))

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        found = ctx.call(_array(dy), *map(_array, ctx.saved_tensors))
        return None, None, *map(torch.from_numpy, found)


def _array(tensor: Any) -> Any:
    return np.ascontiguousarray(tensor.detach().numpy())


def operation(subject: Any, name: str, options: dict[str, Any]) -> Call:
    """Return an operation of a subject as a differentiable function of tensors."""

    def forward(*arrays: Any) -> Any:
        return getattr(subject, name)(*arrays, **options)

    def backward(dy: Any, x: Any, *others: Any) -> tuple[Any, ...]:
        call = getattr(subject, f"{name}_backward")
        if name == "avg_pool":
            return (call(dy, x.shape, **options),)
        if name == "max_pool":
            return (call(dy, x, **options),)
        gradients = call(dy, x, others[0], **options)
        return tuple(gradients[: 1 + len(others)])

    return lambda *tensors: _Differentiable.apply(forward, backward, *tensors)


def gradcheck_catches(subject: Any, names: Sequence[str], *, fast: bool) -> bool:
    """Return whether gradcheck finds fault with one of the operations."""
    return any(
        _is_wrong(operation(subject, name, options), _operands(name, options), fast)
        for name in names
        for options in CONFIGURATIONS[name]
    )


def _operands(name: str, options: dict[str, Any]) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(0)

    def values(*shape: int) -> Any:
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        return drawn.requires_grad_()

    match name:
        case "conv":
            k, c, *kernel = _W
            w = values(k, c // options.get("groups", 1), *kernel)
            return values(*_X), w, values(k)
        case "conv_transpose":
            return values(*_X), values(*_TRANSPOSED_W), values(_TRANSPOSED_W[1])
    return (values(*_X),)


def _is_wrong(function: Call, operands: Sequence[Any], fast: bool) -> bool:
    torch.manual_seed(0)
    try:
        gradcheck(function, tuple(operands), fast_mode=fast)
    except GradcheckError:
        return True
    return False


def opinfo_catches(subject: Any, names: Sequence[str], correct: Any) -> bool:
    """Return whether OpInfo's samples show a fault in one of the operations.

    They are used as PyTorch's own suite does: gradcheck in its fast mode, comparison
    with the reference where there is one, and refusal of the error inputs; of these
    only those that a correct implementation without PyTorch's rules refuses too.
    """
    return any(
        _sample_shows(info, subject, name)
        or any(
            _refuses(correct, name, call) and not _refuses(subject, name, call)
            for call in _error_inputs(info, name)
        )
        for name in names
        for info in _infos(name)
    )


def _infos(name: str) -> list[Any]:
    wanted = {f"nn.functional.{name}{rank}d" for rank in (1, 2, 3)}
    return [info for info in op_db if info.name in wanted]


def _sample_shows(info: Any, subject: Any, name: str) -> bool:
    torch.manual_seed(0)
    samples = info.sample_inputs("cpu", torch.float64, requires_grad=True)
    for sample in samples:
        if sample.kwargs.get("return_indices"):
            continue
        tensors, options = _read(name, sample, _rank(info))
        function = _batched(operation(subject, name, options), _rank(info))
        if _is_wrong(function, tensors, fast=True):
            return True
        if info.ref is not None and not _agrees(info, sample, function, tensors):
            return True
    return False


def _rank(info: Any) -> int:
    return int(info.name[-2])


def _agrees(info: Any, sample: Any, function: Call, tensors: Sequence[Any]) -> bool:
    others = [None if arg is None else _array(arg) for arg in sample.args]
    try:
        expected = info.ref(_array(sample.input), *others, **sample.kwargs)
    except RuntimeError:  # it takes no output_padding of the stride or more
        return True
    return bool(torch.allclose(function(*tensors), torch.as_tensor(expected)))


def _batched(function: Call, rank: int) -> Call:
    """Return the function with the image axis added where a sample has none."""

    def call(x: Any, *others: Any) -> Any:
        if x.ndim == rank + 2:
            return function(x, *others)
        return function(x[None], *others)[0]

    return call


def _read(name: str, sample: Any, rank: int) -> tuple[list[Any], dict[str, Any]]:
    """Return a sample's tensors and options, in the words of a subject."""
    args = [arg for arg in sample.args if arg is not None]
    if name.endswith("pool"):
        given = dict(zip(_POOL_OPTIONS, sample.args, strict=False)) | sample.kwargs
        given.pop("return_indices", None)
        if not given.get("stride", 1):  # an empty tuple stands for the kernel size
            given["stride"] = None
        return [sample.input], {n: _plain(v, rank) for n, v in given.items()}
    options = {n: _plain(v, rank) for n, v in sample.kwargs.items()}
    if isinstance(options.get("padding"), str):
        options["padding"] = _in_numbers(options, args[0].shape[2:])
    return [sample.input, *args], options


def _plain(value: Any, rank: int) -> Any:
    """Return what applies to every dimension as one number, as PyTorch allows."""
    if isinstance(value, tuple) and len(value) == 1:
        return value[0]
    return value


def _in_numbers(options: dict[str, Any], kernel: Sequence[int]) -> Any:
    """Return the padding that a word means, the smaller half in front."""
    if options["padding"] == "valid":
        return 0
    dilation = np.broadcast_to(options.get("dilation", 1), len(kernel)).tolist()
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _error_inputs(info: Any, name: str) -> Iterator[Any]:
    if info.error_inputs_func is None:
        return
    for error in info.error_inputs("cpu"):
        sample = error.sample_input
        if not isinstance(sample.kwargs.get("padding"), str):
            yield _read(name, sample, _rank(info))


def _refuses(subject: Any, name: str, call: tuple[list[Any], dict[str, Any]]) -> bool:
    tensors, options = call
    try:
        getattr(subject, name)(*map(_array, tensors), **options)
    except (ValueError, NotImplementedError):
        return True
    return False
