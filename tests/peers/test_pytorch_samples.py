"""PyTorch's own samples of each function: what it computes in float64, we do too.

A sample is what PyTorch tests the function with: shapes, options, values, and arrays
that are not contiguous. `torch.testing._internal` has them.
"""

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from peers import calls
from sweeps import amounts

import rot180
from rot180 import functional, runtime

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even")

EXAMPLES = 3, 30  # of each function, of both dtypes together
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def anything(*operands: Any, **options: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Peer:
    """Our answer to a function of PyTorch.

    Attributes:
        call: It takes PyTorch's arguments.
        takes: Whether it has what a sample asks for.
        units: The bound: roundings of the largest result; 0 where all is exact.
        integers: Whether small integers take the place of the sample's values.
        variant: Which of the samples of this name.
    """

    call: Callable[..., Any]
    takes: Callable[..., bool] = anything
    units: int = 0
    integers: bool = True
    variant: str = ""


def rounded(call: Callable[..., Any], units: int = 64, **more: Any) -> Peer:
    """Returns a peer that rounds, for the sample's own values."""
    return Peer(call, units=units, integers=False, **more)


def over_images(x: Any, *operands: Any, **options: Any) -> bool:
    return x.ndim >= 2


def plain_labels(x: Any, labels: Any, reduction: str = "mean", **more: Any) -> bool:
    return x.ndim == 2 and labels.ndim == 1 and reduction == "mean" and not more


def last_axis(x: Any, dim: int) -> bool:
    return x.ndim > 0 and dim in (-1, x.ndim - 1)


PEERS = {
    **{f"nn.functional.conv{r}d": Peer(calls.conv) for r in (1, 2, 3)},
    **{
        f"nn.functional.conv_transpose{r}d": Peer(calls.conv_transpose)
        for r in (1, 2, 3)
    },
    **{f"nn.functional.max_pool{r}d": Peer(calls.max_pool(r)) for r in (1, 2, 3)},
    **{f"nn.functional.avg_pool{r}d": rounded(calls.avg_pool(r)) for r in (1, 2, 3)},
    "nn.functional.relu": Peer(functional.relu),
    "nn.functional.linear": Peer(functional.linear),
    "nn.functional.batch_norm": rounded(calls.batch_norm, 2000, takes=over_images),
    "nn.functional.cross_entropy": rounded(calls.cross_entropy, takes=plain_labels),
    "log_softmax": rounded(lambda x, dim: functional.log_softmax(x), takes=last_axis),
    "flatten": Peer(calls.flatten),
    "add": Peer(calls.arithmetic(functional.add)),
    "sub": Peer(calls.arithmetic(functional.subtract)),
    "mul": Peer(functional.multiply),
    "div": rounded(functional.divide, variant="no_rounding_mode"),
    "maximum": Peer(functional.maximum, integers=False),
    "where": Peer(lambda a, condition, b: functional.where(condition, a, b)),
    "exp": rounded(functional.exp),
    "log": rounded(functional.log),
    "sqrt": rounded(functional.sqrt),
    "sum": Peer(calls.method("sum")),
    "mean": rounded(calls.method("mean")),
    "amax": Peer(calls.method("max"), integers=False),
    "reshape": Peer(lambda x, shape: x.reshape(shape)),
    "permute": Peer(lambda x, axes: x.transpose(axes)),
    "neg": Peer(lambda x: -x),
    "square": Peer(lambda x: x**2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """Arguments of a call, some of which are differentiated.

    Attributes:
        args: Each an array, or an option.
        options: The same, by name.
        slots: Which of `(*args, *options.values())` are differentiated.
    """

    args: tuple[Any, ...]
    options: dict[str, Any]
    slots: tuple[int, ...]

    @classmethod
    def of(cls, torch: ModuleType, drawn: Any, *, integers: bool) -> "Sample":
        args = (drawn.input, *drawn.args)
        values = (*args, *drawn.kwargs.values())
        slots = (i for i, v in enumerate(values) if getattr(v, "requires_grad", False))
        plain = [_plain(torch, value, integers) for value in values]
        options = dict(zip(drawn.kwargs, plain[len(args) :], strict=True))
        return cls(tuple(plain[: len(args)]), options, tuple(slots))

    @property
    def operands(self) -> tuple[Any, ...]:
        values = (*self.args, *self.options.values())
        return tuple(values[slot] for slot in self.slots)

    @property
    def dtype(self) -> str:
        return str(self.operands[0].dtype).removeprefix("torch.")

    def bound(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `function` of the differentiated operands alone."""

        def call(operands: tuple[Any, ...]) -> Any:
            values = [*self.args, *self.options.values()]
            for slot, operand in zip(self.slots, operands, strict=True):
                values[slot] = operand
            count = len(self.args)
            options = dict(zip(self.options, values[count:], strict=True))
            return function(*values[:count], **options)

        return call

    def changed(self, change: Callable[[Any], Any]) -> "Sample":
        """Returns the sample with its arrays changed."""
        args = tuple(map(change, self.args))
        return Sample(args, {k: change(v) for k, v in self.options.items()}, self.slots)

    def __str__(self) -> str:
        shapes = self.changed(lambda v: getattr(v, "shape", v))
        return f"{shapes.args} {shapes.options}"


def _plain(torch: ModuleType, value: Any, integers: bool) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    if integers and value.is_floating_point():
        value = torch.randint_like(value, -4, 5)
    return value.detach()


def _double(value: Any) -> Any:
    floating = hasattr(value, "is_floating_point") and value.is_floating_point()
    return value.double() if floating else value


def _array(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value


def _apart(value: Any) -> Any:
    """Returns an array of the same values that is not contiguous."""
    if not isinstance(value, np.ndarray):
        return value
    room = np.zeros((*value.shape, 3), value.dtype)
    room[..., 1] = value
    return room[..., 1]


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def samples(torch: ModuleType, name: str, count: int) -> tuple[list[Sample], Any]:
    """Returns `count` of PyTorch's samples of a function, and the function."""
    pytest.importorskip(
        "expecttest", reason="PyTorch's samples: pip install expecttest"
    )
    table = importlib.import_module(
        "torch.testing._internal.common_methods_invocations"
    )
    peer = PEERS[name]
    (info,) = (
        entry
        for entry in table.op_db
        if (entry.name, entry.variant_test_name) == (name, peer.variant)
    )
    torch.manual_seed(0)
    drawn = [
        sample
        for dtype in (torch.float32, torch.float64)
        for sample in info.sample_inputs_func(info, "cpu", dtype, requires_grad=True)
        if peer.takes(sample.input, *sample.args, **sample.kwargs)
    ]
    order = np.random.default_rng(len(name)).permutation(len(drawn))[:count]
    chosen = [Sample.of(torch, drawn[i], integers=peer.integers) for i in order]
    return chosen, info


def derivatives(
    grad: Callable[..., Any],
    function: Callable[..., Any],
    operands: Any,
    dy: Any,
    *,
    twice: bool,
) -> tuple[Any, ...]:
    """Returns the gradient of `sum(function(operands) * dy)`.

    If `twice`, the gradient of that gradient's square follows.
    """

    def loss(operands: Any) -> Any:
        return (_first(function(operands)) * dy).sum()

    def slope(operands: Any) -> Any:
        first, *rest = (0.5 * (g * g).sum() for g in grad(loss)(operands))
        return sum(rest, start=first)

    once: tuple[Any, ...] = grad(loss)(operands)
    return (*once, *grad(slope)(operands)) if twice else once


def assert_close(got: Any, want: Any, units: int, dtype: str, what: str) -> None:
    """Raises AssertionError unless they agree within roundings of the largest."""
    got, want = np.asarray(got), want.detach().numpy()
    assert (got.dtype, got.shape) == (dtype, want.shape), what
    bound = units * EPS[dtype] * np.abs(want).max(initial=1.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=bound, err_msg=what)


def check(
    torch: ModuleType, sample: Sample, info: Any, peer: Peer, *, twice: bool
) -> None:
    """Raises AssertionError unless results and derivatives are PyTorch's."""
    double, arrays = sample.changed(_double), sample.changed(_array)
    theirs = double.bound(info)
    y = _first(theirs(double.operands))
    dy = torch.randint(-4, 5, y.shape).double()
    want = derivatives(torch.func.grad, theirs, double.operands, dy, twice=twice)
    slopes = dy.numpy().astype(sample.dtype)
    apart = arrays.changed(_apart)
    again = apart.bound(peer.call)
    what = f"{info.name} {sample}"
    for engine in (nullcontext, runtime.force_reference):
        with engine():
            got = rot180.jit(arrays.bound(peer.call))(arrays.operands)
            found = derivatives(rot180.grad, again, apart.operands, slopes, twice=twice)
        assert_close(got, y, peer.units, sample.dtype, what)
        for mine, other in zip(found, want, strict=True):
            assert_close(mine, other, peer.units, sample.dtype, f"slope of {what}")


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("count", amounts(*EXAMPLES))
def test_samples_of(torch: ModuleType, name: str, count: int) -> None:
    drawn, info = samples(torch, name, count)
    assert drawn
    for i, sample in enumerate(drawn):
        check(torch, sample, info, PEERS[name], twice=i % 2 == 0)
