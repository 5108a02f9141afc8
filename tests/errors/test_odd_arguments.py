"""Whatever is passed as an argument, the answer is a result or an error of ours."""

import contextlib
import decimal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import explain, functional, nn, train
from rot180.autograd import _run as _execute
from rot180.errors import ArgumentError, DataError, Rot180Error, ShapeError


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


ODD: dict[str, Any] = {
    "nothing": None,
    "text": "x",
    "empty text": "",
    "half a character": "\ud800",
    "bytes": b"ab",
    "object": object(),
    "function": lambda *given, **named: 1,
    "empty list": [],
    "ragged list": [[1, 2], [3]],
    "list of texts": ["a", "b"],
    "list in itself": itself(),
    "dictionary": {1: 2},
    "set": {1, 2},
    "negative": -1,
    "zero": 0,
    "fraction": 1.5,
    "decimal": decimal.Decimal("1.5"),
    "nan": float("nan"),
    "inf": float("inf"),
    "huge": 10**30,
    "longer than an axis": 2**31,
    "a word in an array": np.array("input"),
    "a number in an array": np.array(2),
    "complex": 1j,
    "true": True,
    "ellipsis": ...,
    "slice": slice(2),
    "pair of fractions": (1.5, 1),
    "pair of nothing": (None, None),
    "pair of huge": (2**62, 2**62),
    "nested pairs": ((1, 2), (3, 4)),
    "nine ones": (1,) * 9,
    "float16": np.ones((2, 3, 6, 6), np.float16),
    "complex array": np.ones((2, 3, 6, 6), complex),
    "objects": np.array([None, 1], object),
    "texts": np.array(["a", "b"]),
    "dates": np.array(["2020"], "M8[Y]"),
    "records": np.zeros(2, [("a", "f4")]),
    "scalar array": np.array(1.0, np.float32),
    "vector": ones(3),
    "matrix": ones(2, 3),
    "no elements": ones(0, 3, 0, 6),
    "masked": np.ma.ones((2, 3, 6, 6)),
    "a file that is not there": Path("no/such/file"),
}

WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "layout": "channels_first"}
CONV = WINDOW | {"groups": 1, "flip": False, "algorithm": "auto"}
MODE = CONV | {"padding_mode": "zeros"}
POOL = {"kernel_size": 2, "stride": 2, "padding": 0, "ceil_mode": False}
X, W, Y = ones(2, 3, 6, 6), ones(4, 3, 3, 3), ones(2, 4, 4, 4)
STATISTICS = {name: ones(3) for name in ("w", "b", "mean", "var")}
SCORES = {"logits": ones(4, 9), "labels": np.zeros(4, int)}
LAYER = {"bias": True, "dtype": "float32"}
KERNEL = {"in_channels": 3, "out_channels": 4, "kernel_size": 3}
LABELS = np.arange(8) % 4
DATA = {"images": ones(8, 1, 8, 8), "labels": LABELS, "classes": 4, "name": "d"}
NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
PARAMS, STATE = NET.init(0)
FOUND = explain.explain(input=4, kernel=2)


def traced(call: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """A function of what `call` makes of a traced tensor and that."""
    return lambda v: rot180.jit(lambda x: call(x, v))(X)


def stepped(optimiser: type[Any]) -> Callable[..., Any]:
    """One update of an optimiser with these settings."""

    def step(lr_now: Any = None, params: Any = None, **settings: Any) -> Any:
        made = optimiser(**settings)
        tree = {"a": ones(3)} if params is None else params
        return made.update(tree, {"a": ones(3)}, made.init(tree), lr_now)

    return step


def applied(layer: type[Any]) -> Callable[..., Any]:
    def apply(**settings: Any) -> Any:
        made = layer(**settings)
        return made.apply(*made.init(0), X, training=True), repr(made)

    return apply


CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "conv": (rot180.conv, {"x": X, "w": W, "b": ones(4), "out": None} | MODE),
    "conv_backward": (
        rot180.conv_backward,
        {"dy": Y, "x": X, "w": W, "needs": ("input", "weight", "bias")} | MODE,
    ),
    "conv_input_grad": (
        rot180.conv_input_grad,
        {"dy": Y, "w": W, "x_shape": X.shape} | MODE,
    ),
    "conv_weight_grad": (
        rot180.conv_weight_grad,
        {"dy": Y, "x": X, "w_shape": W.shape} | MODE,
    ),
    "conv_transpose": (
        rot180.conv_transpose,
        {"x": Y, "w": W, "b": ones(3), "output_padding": 0, "output_size": None} | CONV,
    ),
    "max_pool": (
        rot180.max_pool,
        {"x": X, "dilation": 1, "return_indices": False} | POOL,
    ),
    "max_pool_backward": (
        rot180.max_pool_backward,
        {"dy": ones(2, 3, 3, 3), "x": X, "indices": None} | POOL,
    ),
    "avg_pool": (
        rot180.avg_pool,
        {"x": X, "count_include_pad": True, "divisor_override": None} | POOL,
    ),
    "avg_pool_backward": (
        rot180.avg_pool_backward,
        {"dy": ones(2, 3, 3, 3), "x_shape": X.shape, "count_include_pad": True} | POOL,
    ),
    "relu": (rot180.relu, {"x": X}),
    "relu_backward": (rot180.relu_backward, {"dy": X, "x": X}),
    "rot180": (rot180.rot180, {"w": W, "layout": "channels_first"}),
    "add": (functional.add, {"a": X, "b": X}),
    "log_softmax": (functional.log_softmax, {"x": X}),
    "where": (functional.where, {"condition": X > 0, "a": X, "b": X}),
    "batch_norm": (
        functional.batch_norm,
        {"x": X, "w": ones(3), "b": ones(3), "eps": 1e-5, "layout": "channels_first"},
    ),
    "normalise": (functional.normalise, {"x": X, "eps": 1e-5} | STATISTICS),
    "correct": (functional.correct, SCORES),
    "cross_entropy": (functional.cross_entropy, SCORES | {"label_smoothing": 0.1}),
    "flatten": (functional.flatten, {"x": X, "start_dim": 1, "end_dim": -1}),
    "linear": (functional.linear, {"x": ones(2, 5), "w": ones(3, 5), "b": ones(3)}),
    "mean": (functional.mean, {"x": X, "axis": None}),
    "total": (functional.total, {"x": X, "axis": None}),
    "plan": (
        lambda function, x, stride: rot180.plan(function, x, W, stride=stride),
        {"function": rot180.conv, "x": X, "stride": 1},
    ),
    "grad": (lambda x: rot180.grad(rot180.relu)(x), {"x": X}),
    "grad of": (rot180.grad, {"function": rot180.relu}),
    "grad, result": (lambda v: rot180.grad(lambda x: v)(X), {"v": 1}),
    "value_and_grad": (
        rot180.value_and_grad,
        {"function": rot180.relu, "has_aux": False},
    ),
    "jit": (lambda x: rot180.jit(rot180.relu)(x), {"x": X}),
    "jit of": (rot180.jit, {"function": rot180.relu}),
    "jit, result": (lambda v: rot180.jit(lambda x: v)(X), {"v": 1}),
    "tensor + v": (traced(lambda x, v: x + v), {"v": 1}),
    "tensor == v": (traced(lambda x, v: x == v), {"v": 1}),
    "tensor ** v": (traced(lambda x, v: x**v), {"v": 2}),
    "tensor[v]": (traced(lambda x, v: x[v]), {"v": 1}),
    "reshape": (traced(lambda x, v: x.reshape(v)), {"v": -1}),
    "transpose": (traced(lambda x, v: x.transpose(v)), {"v": (0, 1, 2, 3)}),
    "sum": (traced(lambda x, v: x.sum(axis=v)), {"v": 1}),
    "add to tensor": (traced(functional.add), {"v": 1}),
    "where of tensors": (traced(lambda x, v: functional.where(v, x, x)), {"v": 1}),
    "set_num_threads": (rot180.set_num_threads, {"n": rot180.get_num_threads()}),
    "Conv2d": (
        applied(nn.Conv2d),
        KERNEL | LAYER | {"stride": 1, "padding": 0, "padding_mode": "zeros"},
    ),
    "ConvTranspose2d": (applied(nn.ConvTranspose2d), KERNEL | {"output_padding": 0}),
    "MaxPool2d": (applied(nn.MaxPool2d), {"kernel_size": 2, "stride": 2, "padding": 0}),
    "AvgPool2d": (
        applied(nn.AvgPool2d),
        {"kernel_size": 2, "stride": None, "count_include_pad": True},
    ),
    "BatchNorm2d": (
        applied(nn.BatchNorm2d),
        {"num_features": 3, "eps": 1e-5, "momentum": 0.1, "affine": True}
        | {"track_running_stats": True, "dtype": "float32"},
    ),
    "Linear": (applied(nn.Linear), {"in_features": 6, "out_features": 2} | LAYER),
    "Flatten": (applied(nn.Flatten), {"start_dim": 1, "end_dim": -1}),
    "Sequential": (lambda v: nn.Sequential(nn.ReLU(), v), {"v": nn.ReLU()}),
    "init": (NET.init, {"seed": 0}),
    "apply": (
        NET.apply,
        {"params": PARAMS, "state": STATE, "x": X, "training": True, "key": None},
    ),
    "apply, a weight": (
        lambda v: NET.apply({**PARAMS, "0": {"weight": v}}, STATE, X, training=True),
        {"v": W},
    ),
    "state_dict": (NET.state_dict, {"params": PARAMS, "state": STATE}),
    "load_state_dict": (NET.load_state_dict, {"arrays": {}}),
    "load_state_dict, a weight": (
        lambda v: NET.load_state_dict(NET.state_dict(PARAMS, STATE) | {"0.weight": v}),
        {"v": W},
    ),
    "Key": (nn.Key, {"bits": 1}),
    "Key.fold": (nn.Key(1).fold, {"name": "a"}),
    "Key.uniform": (
        nn.Key(1).uniform,
        {"shape": (2,), "low": 0.0, "high": 1.0, "dtype": "float32"},
    ),
    "SGD": (
        stepped(train.SGD),
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "nesterov": False}
        | {"lr_now": 0.1, "params": {"a": ones(3)}},
    ),
    "Adam": (
        stepped(train.Adam),
        {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.0}
        | {"lr_now": 0.1, "params": {"a": ones(3)}},
    ),
    "one_cycle": (
        train.one_cycle,
        {"step": 1, "steps": 9, "warm_up": 0.2, "last": 0.01},
    ),
    "Settings": (
        train.Settings,
        {"epochs": 1, "batch_size": 4, "seed": 0, "shift": 0.5, "label_smoothing": 0.1}
        | {"optimiser": train.SGD()},
    ),
    "Dataset": (
        train.data.Dataset,
        DATA | {"test_images": DATA["images"], "test_labels": LABELS},
    ),
    "batches": (
        lambda data, batch_size, key, shift: list(
            train.data.batches(data, batch_size, key, shift=shift)
        ),
        {
            "data": train.data.Dataset(
                **DATA, test_images=DATA["images"], test_labels=LABELS
            ),
            "batch_size": 4,
            "key": 0,
            "shift": 0.5,
        },
    ),
    "accuracy": (
        train.accuracy,
        {"logits": lambda p, s, x: x, "params": {}, "state": {}, "chunk": 4}
        | {"images": ones(8, 9), "labels": LABELS},
    ),
    "save": (
        train.save,
        {"path": Path("a.safetensors"), "arrays": {"a": X}, "metadata": {"a": "b"}},
    ),
    "save, an array": (lambda v: train.save("a", {"a": v}), {"v": X}),
    "save, a name": (lambda v: train.save("a", {v: X}), {"v": "a"}),
    "load": (train.load, {"path": "a.safetensors"}),
    "RunFolder": (train.RunFolder, {"path": Path("run")}),
    "explain": (
        explain.explain,
        {p.name: None for p in explain.PARAMETERS} | {"values": "random", "seed": 0},
    ),
    "explanation.text": (FOUND.text, {"language": "en", "width": 88}),
    "explanation.html": (FOUND.html, {"language": "en"}),
    "program": (
        lambda framework: explain.program(FOUND.numbered(), framework),
        {"framework": "numpy"},
    ),
}


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Arguments are judged before anything is compiled; files are left in a corner."""
    monkeypatch.setattr(_execute, "is_compiling", lambda: False)
    monkeypatch.chdir(tmp_path)
    threads = rot180.get_num_threads()
    yield
    rot180.set_num_threads(threads)


@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_cannot_take_is_refused_in_our_words(name: str) -> None:
    function, good = CALLS[name]
    for argument in good:
        for kind, value in ODD.items():
            if argument == "v" and name == "save, a name" and not _hashable(value):
                continue
            try:
                function(**{**good, argument: value})
            except (Rot180Error, MemoryError):
                pass
            except Exception as error:
                raise AssertionError(f"{name}({argument}={kind})") from error


EMPTY = [
    {"x": ones(0, 3, 6, 6), "dy": ones(0, 4, 4, 4), "x_shape": (0, 3, 6, 6)},
    {"x": ones(2, 3, 0, 6), "dy": ones(2, 4, 0, 4), "x_shape": (2, 3, 0, 6)},
]
SLIDING = [n for n in CALLS if n.startswith(("conv", "max_pool", "avg_pool"))]
LARGE = [10**20, -(10**20), 2**31, 2**31 - 1, (1, 2**62), ((0, 2**40), (0, 0))]


@pytest.mark.parametrize("empty", EMPTY)
@pytest.mark.parametrize("name", SLIDING)
def test_large_numbers_over_operands_without_elements(
    name: str, empty: dict[str, Any]
) -> None:
    function, good = CALLS[name]
    fitting = good | {key: empty[key] for key in empty if key in good}
    if name.endswith("pool_backward"):
        fitting["dy"] = ones(0, 3, 3, 3)
    for argument in ("kernel_size", "stride", "padding", "dilation", "groups"):
        for value in LARGE if argument in good else ():
            with contextlib.suppress(Rot180Error, MemoryError):
                function(**{**fitting, argument: value})


def test_an_array_with_an_extent_of_zero_has_bounds_too() -> None:
    with pytest.raises(ShapeError, match="is larger than any memory"):
        rot180.max_pool(ones(0, 3, 6, 6), 2, padding=2**31 - 1)
    with pytest.raises(ArgumentError, match="more than an axis can be long"):
        rot180.max_pool(ones(0, 3, 6, 6), 2, padding=2**31)
    assert rot180.conv(ones(0, 3, 9), ones(1, 3, 1), padding=2**30).shape[0] == 0


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"^conv: layout array", lambda v: rot180.conv(X, W, layout=v)),
        (r"^conv: algorithm array", lambda v: rot180.conv(X, W, algorithm=v)),
        (r"^max_pool: ceil_mode=array.* is no flag", lambda v: pool(ceil_mode=v)),
        (r"^max_pool: return_ind.* is no flag", lambda v: pool(return_indices=v)),
        (r"^value_and_grad: has_aux=array", lambda v: rot180.value_and_grad(max, v)),
        (r"^Linear: bias=array.* is no flag", lambda v: nn.Linear(2, 3, v)),
        (r"^Linear: in_features=array", lambda v: nn.Linear(v, 3)),
        (r"^SGD: nesterov=array.* is no flag", lambda v: train.SGD(nesterov=v)),
    ],
)
def test_an_array_is_no_word_and_no_flag(message: str, call: Any) -> None:
    """NumPy compares element by element, and cannot say whether the whole is true."""
    with pytest.raises(ArgumentError, match=message):
        call(np.ones(2))


# Without types, as those who pass odd things do.
HOUSE: Any = rot180
BASIC: Any = functional
LAYERS: Any = nn
TRAIN: Any = train


def applied_with(key: Any) -> Any:
    return NET.apply(PARAMS, STATE, X, training=True, key=key)


def pool(**options: Any) -> Any:
    return rot180.max_pool(X, 2, **options)


def test_a_text_is_no_flag() -> None:
    with pytest.raises(ArgumentError, match="ceil_mode='False' is no flag"):
        pool(ceil_mode="False")
    assert (pool(ceil_mode=np.bool_(True)) == pool(ceil_mode=1)).all()


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("a list makes no array", lambda: rot180.conv(X, [[1, 2], [3]])),
        ("'x' is not a number", lambda: rot180.relu("x")),
        ("None is not a number", lambda: rot180.relu(None)),
        ("does not fit an operand", lambda: functional.add(X, 10**400)),
        ("axis 1.5 is neither an int", lambda: BASIC.mean(X, 1.5)),
        ("eps=.x. is not a number", lambda: functional.batch_norm(X, X, X, eps="x")),
        ("jit: a int is no function", lambda: HOUSE.jit(3)),
        ("grad: a str is no function", lambda: HOUSE.grad("x")),
        ("plan: a str is no function", lambda: HOUSE.plan("conv", X, W)),
        ("contains itself", lambda: HOUSE.jit(max)(itself())),
        ("key is a str, not a Key", lambda: applied_with("k")),
        ("save: arrays are a list", lambda: TRAIN.save("a", [X])),
        ("which UTF-8 cannot write", lambda: TRAIN.save("a", {"\ud800": X})),
        ("run folder: a int is no path", lambda: TRAIN.RunFolder(3)),
        ("one_cycle: step='x' must be", lambda: TRAIN.one_cycle("x", 3)),
        ("accuracy: a int is no func", lambda: TRAIN.accuracy(3, {}, {}, X, [1, 2])),
        ("batches: data is a int", lambda: list(TRAIN.data.batches(3, 1, 0))),
        ("width=0 is not a number of columns", lambda: FOUND.text(width=0)),
        ("Key: 'x' is no number of 128 bits", lambda: LAYERS.Key("x")),
        ("params hold a str, not an array", lambda: train.SGD(1, 0.5).init("x")),
        ("are not integers", lambda: HOUSE.jit(lambda x: x.reshape(1.5))(X)),
        ("power: the exponent 'x'", lambda: HOUSE.jit(lambda x: x ** "x")(X)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(message: str, call: Callable[[], Any]) -> None:
    with pytest.raises(Rot180Error, match=message):
        call()


def test_a_weight_that_is_no_array_is_named() -> None:
    with pytest.raises(DataError, match="params hold a str as 'weight'"):
        NET.apply(PARAMS | {"0": {"weight": "x"}}, STATE, X, training=True)
