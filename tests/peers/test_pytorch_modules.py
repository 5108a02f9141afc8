"""PyTorch's own samples of its layers: ours take the same arguments and weights.

A sample is a call of a layer's constructor and an input. Weights go over by
`state_dict`; outputs, gradients and running statistics come back alike.
"""

import importlib
import inspect
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sweeps import amounts

import rot180
from rot180 import nn, runtime

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even")

EXAMPLES = 1, 20  # of each layer, of both dtypes together
RANKED = ("Conv", "ConvTranspose", "AvgPool", "MaxPool", "BatchNorm")
LAYERS = ("Linear", "ReLU", *(f"{kind}{r}d" for kind in RANKED for r in (1, 2, 3)))
# Of the largest number, against float64: sums of at most some thousand roundings.
BOUNDS = {"float32": 1e-4, "float64": 1e-12}


def is_refused(options: dict[str, Any]) -> bool:
    """Whether these are arguments of PyTorch's that our layers refuse."""
    return (
        options.get("return_indices", False)
        or options.get("momentum", 0.1) is None
        or options.get("padding_mode", "zeros") != "zeros"
    )


def samples(torch: ModuleType, name: str, count: int) -> list[tuple[Any, Any, Any]]:
    """Returns layers of PyTorch, each with its arguments and an input."""
    pytest.importorskip(
        "expecttest", reason="PyTorch's samples: pip install expecttest"
    )
    torch.manual_seed(0)
    sources = (_infos, _table) if "Conv" in name else (_infos,)
    drawn = [
        (made, options, x)
        for dtype in (torch.float32, torch.float64)
        for source in sources
        for made, options, x in source(torch, name, dtype)
        if not is_refused(options)
    ]
    order = np.random.default_rng(len(name)).permutation(len(drawn))[:count]
    return [drawn[i] for i in order]


def _infos(torch: ModuleType, name: str, dtype: Any) -> Iterator[tuple[Any, Any, Any]]:
    table = importlib.import_module("torch.testing._internal.common_modules")
    made = getattr(torch.nn, name)
    (info,) = (entry for entry in table.module_db if entry.module_cls is made)
    for training in (True, False) if info.train_and_eval_differ else (False,):
        for sample in info.module_inputs_func(info, "cpu", dtype, False, training):
            call, given = sample.constructor_input, sample.forward_input
            (x,) = (*given.args, *given.kwargs.values())
            module = made(*call.args, **call.kwargs)
            options = inspect.signature(made).bind(*call.args, **call.kwargs).arguments
            yield module.to(dtype).train(training), options, x


def _table(torch: ModuleType, name: str, dtype: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yields from an older table, whose convolutions have every option."""
    table = importlib.import_module("torch.testing._internal.common_nn")
    for entry in (*table.module_tests, *table.get_new_module_tests()):
        if not entry.get("module_name", entry.get("fullname", "")).startswith(name):
            continue
        if "constructor" in entry:
            module = entry["constructor"]()
        else:
            module = getattr(torch.nn, name)(*entry["constructor_args"])
        x = entry["input_fn"]() if "input_fn" in entry else _drawn(torch, entry)
        yield module.to(dtype).train(False), _said(module), x.to(dtype)


def _drawn(torch: ModuleType, entry: dict[str, Any]) -> Any:
    return torch.randn(*entry["input_size"])


def _said(module: Any) -> dict[str, Any]:
    """Returns the arguments that made a layer, as its attributes have them."""
    taken = inspect.signature(type(module)).parameters.keys() - {"device", "dtype"}
    options = {key: getattr(module, key) for key in taken}
    if "bias" in options:
        options["bias"] = options["bias"] is not None
    return options


def check(torch: ModuleType, theirs: Any, options: dict[str, Any], x: Any) -> None:
    """Raises AssertionError unless ours, made alike, gives what theirs gives."""
    dtype = str(x.dtype).removeprefix("torch.")
    made = getattr(nn, type(theirs).__name__)
    typed = {"dtype": dtype} if "dtype" in inspect.signature(made).parameters else {}
    ours = made(**options, **typed)
    arrays = {key: t.numpy().copy() for key, t in theirs.state_dict().items()}
    assert ours.names() == list(arrays)
    params, state = ours.load_state_dict(arrays)
    want, dy = _expected(torch, theirs.double(), x.double())

    def loss(values: Any) -> Any:
        given, params = values
        y, new = ours.apply(params, state, given, training=theirs.training)
        return (y * dy.astype(dtype)).sum(), (y, new)

    for engine in (nullcontext, runtime.force_reference):
        with engine():
            function = rot180.value_and_grad(loss, has_aux=True)
            (_, (y, new)), (dx, dparams) = function((x.numpy(), params))
        found = {"y": y, "dx": dx, **ours.state_dict(dparams, new)}
        for key, value in want.items():
            assert_close(found[key], value, dtype, f"{key} of {ours}, {x.shape}")


def _expected(torch: ModuleType, layer: Any, x: Any) -> tuple[dict[str, Any], Any]:
    """Returns outputs, gradients and statistics by name, and a cotangent."""
    x = x.clone().requires_grad_()
    y = layer(x)
    dy = torch.randint(-3, 4, y.shape).double()
    slopes = torch.autograd.grad((y * dy).sum(), [x, *layer.parameters()])
    names = ["dx", *dict(layer.named_parameters())]
    found = {"y": y.detach(), **dict(zip(names, slopes, strict=True))}
    found |= dict(layer.named_buffers())
    return {key: t.numpy() for key, t in found.items()}, dy.numpy()


def assert_close(got: Any, want: Any, dtype: str, what: str) -> None:
    """Raises AssertionError unless they agree within the bound of the dtype."""
    assert got.shape == want.shape, what
    assert got.dtype in (dtype, np.int64), what
    bound = BOUNDS[dtype] * np.abs(want).max(initial=1.0)
    np.testing.assert_allclose(got, want, rtol=0, atol=bound, err_msg=what)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("count", amounts(*EXAMPLES))
def test_samples_of(torch: ModuleType, name: str, count: int) -> None:
    drawn = samples(torch, name, count)
    assert drawn
    for theirs, options, x in drawn:
        check(torch, theirs, options, x)
