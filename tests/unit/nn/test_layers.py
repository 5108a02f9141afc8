"""Layers: the same names, values and statistics as PyTorch's."""

import inspect
from typing import Any

import numpy as np
import pytest

from rot180 import nn
from rot180.errors import ArgumentError, DTypeError, ShapeError

IMAGES = {1: (2, 4, 7), 2: (2, 4, 7, 6), 3: (2, 4, 5, 4, 6)}

# Name, arguments, rank of the images.
LAYERS = [
    ("Conv1d", (4, 6, 3), {}, 1),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, 1),
    ("Conv2d", (4, 6, 3), {"padding": "same", "bias": False}, 2),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "dilation": 2, "padding": 2}, 2),
    ("Conv3d", (4, 2, 2), {"padding": (1, 0, 1)}, 3),
    ("Conv3d", (4, 2, 2), {"padding": (1,), "stride": (2,), "dilation": (1,)}, 3),
    ("ConvTranspose1d", (4, 2, 3), {"stride": 2, "output_padding": 1}, 1),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, 2),
    ("ConvTranspose2d", (4, 6, 3), {"stride": (2,), "output_padding": (1,)}, 2),
    ("ConvTranspose3d", (4, 2, 2), {"bias": False, "dilation": 2}, 3),
    ("BatchNorm1d", (4,), {}, 1),
    ("BatchNorm2d", (4,), {"eps": 1e-3, "momentum": 0.3}, 2),
    ("BatchNorm2d", (4,), {"affine": False}, 2),
    ("BatchNorm3d", (4,), {"track_running_stats": False}, 3),
    ("MaxPool1d", (2,), {}, 1),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, 2),
    ("MaxPool2d", (2,), {"dilation": 2, "stride": 1}, 2),
    ("MaxPool2d", ((2,),), {"stride": (1,), "padding": (1,), "dilation": (2,)}, 2),
    ("MaxPool3d", ((2, 1, 2),), {}, 3),
    ("AvgPool1d", (2,), {}, 1),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1}, 2),
    ("AvgPool2d", (3,), {"padding": 1, "count_include_pad": False}, 2),
    ("AvgPool3d", (2,), {}, 3),
    ("AvgPool3d", ((2,),), {"stride": (1,), "padding": (1,)}, 3),
    ("AvgPool2d", (2, 3, 1, True, False), {}, 2),
    ("AvgPool3d", (2, 2, 1, True, True, 5), {}, 3),
    ("MaxPool2d", (2, 2, 1, 1, False, True), {}, 2),
    ("MaxPool1d", (3,), {"stride": 2, "ceil_mode": True}, 1),
    ("ReLU", (True,), {}, 2),
    ("BatchNorm2d", (4,), {"bias": False}, 2),
    ("ReLU", (), {}, 2),
    ("Flatten", (), {}, 2),
    ("Flatten", (2,), {}, 2),
]


def _both(
    name: str, args: Any, options: Any, torch: Any, dtype: str = "float64"
) -> tuple[nn.Module, Any]:
    typed = {} if name[:2] in ("Ma", "Av", "Re", "Fl") else {"dtype": dtype}
    theirs = getattr(torch.nn, name)(*args, **options).to(getattr(torch, dtype))
    return getattr(nn, name)(*args, **options, **typed), theirs


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("name", "args", "options", "rank"), LAYERS)
def test_a_layer_agrees_with_pytorch(
    name: str, args: Any, options: Any, rank: int, training: bool, torch: Any
) -> None:
    ours, theirs = _both(name, args, options, torch)
    theirs.train(training)
    arrays = {key: t.numpy().copy() for key, t in theirs.state_dict().items()}
    assert ours.names() == list(arrays)
    params, state = ours.load_state_dict(arrays)
    x = np.random.default_rng(0).normal(size=IMAGES[rank])
    y, state = ours.apply(params, state, x, training=training)
    expected = theirs(torch.tensor(x)).detach().numpy()
    assert y.shape == expected.shape
    assert np.allclose(y, expected, rtol=0, atol=1e-13)
    for key, tensor in theirs.state_dict().items():
        found = ours.state_dict(params, state)[key]
        assert found.dtype == tensor.numpy().dtype
        assert np.allclose(found, tensor.numpy(), rtol=0, atol=1e-14)


# What a layer does that is only told its sizes; the names and values are PyTorch's.
SLIDING = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True}
AVERAGING = {
    "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
}  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "Conv": {**SLIDING, "padding_mode": "zeros"},
    "ConvTranspose": {**SLIDING, "output_padding": 0, "padding_mode": "zeros"},
    "MaxPool": {
        "stride": None, "padding": 0, "dilation": 1, "return_indices": False,
        "ceil_mode": False,
    },
    "AvgPool1": AVERAGING,
    "AvgPool2": {**AVERAGING, "divisor_override": None},
    "AvgPool3": {**AVERAGING, "divisor_override": None},
    "BatchNorm": {
        "eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True,
        "bias": True,
    },
    "ReLU": {"inplace": False},
    "Linear": {"bias": True},
    "Flatten": {"start_dim": 1, "end_dim": -1},
}  # fmt: skip
RANKED = ("Conv", "ConvTranspose", "MaxPool", "BatchNorm")
WITH_DEFAULTS = [
    (name + rank, values)
    for name, values in DEFAULTS.items()
    for rank in ("123" if name in RANKED else [""])
]


def _defaults(made: Any) -> dict[str, Any]:
    parameters = inspect.signature(made).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _called(name: str) -> str:
    return f"{name}d" if name[-1].isdigit() else name


@pytest.mark.parametrize(("name", "values"), WITH_DEFAULTS)
def test_what_is_not_said_is_what_pytorch_takes_it_to_be(
    name: str, values: dict[str, Any]
) -> None:
    ours = _defaults(getattr(nn, _called(name)))
    assert {key: ours[key] for key in ours if key != "dtype"} == values


@pytest.mark.parametrize(("name", "values"), WITH_DEFAULTS)
def test_pytorch_takes_it_to_be_so(
    name: str, values: dict[str, Any], torch: Any
) -> None:
    theirs = _defaults(getattr(torch.nn, _called(name)))
    assert {key: theirs[key] for key in values} == values


@pytest.mark.parametrize(("stride", "expected"), [(None, [1.5, 3.5]), (1, [1.5, 2.5])])
def test_windows_that_are_averaged_do_not_overlap_unless_told_to(
    stride: int | None, expected: list[float]
) -> None:
    layer = nn.AvgPool1d(2, stride)
    x = np.array([[[1.0, 2.0, 3.0, 4.0]]])[..., : 4 if stride is None else 3]
    y, _ = layer.apply(*layer.init(0), x, training=False)
    assert y.tolist() == [[expected]]


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4)])
def test_linear_agrees_with_pytorch(shape: tuple[int, ...], torch: Any) -> None:
    ours, theirs = _both("Linear", (4, 3), {}, torch)
    arrays = {key: t.numpy() for key, t in theirs.state_dict().items()}
    x = np.random.default_rng(0).normal(size=shape)
    y, _ = ours.apply(*ours.load_state_dict(arrays), x, training=False)
    assert np.allclose(y, theirs(torch.tensor(x)).detach().numpy(), atol=1e-14)


@pytest.mark.parametrize(
    ("layer", "fan"),
    [
        (nn.Conv2d(8, 200, 3, groups=2), 4 * 9),
        (nn.ConvTranspose2d(200, 8, 3, groups=2), 4 * 9),
        (nn.Linear(50, 300), 50),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights_begin_even_within_pytorchs_bound(layer: nn.Module, fan: int) -> None:
    params, _ = layer.init(0)
    for name, array in params.items():
        assert array.dtype == np.float32
        assert np.abs(array).max() <= fan**-0.5
        if name == "weight":
            assert np.abs(array).max() > 0.99 * fan**-0.5
            assert abs(array.std() - fan**-0.5 / 3**0.5) < 0.05 * fan**-0.5


def test_pytorch_begins_within_the_same_bound(torch: Any) -> None:
    weight = torch.nn.ConvTranspose2d(200, 8, 3, groups=2).weight.detach().numpy()
    assert 0.99 * 36**-0.5 < np.abs(weight).max() <= 36**-0.5


def test_batch_norm_of_rows() -> None:
    layer = nn.BatchNorm1d(2, dtype="float64")
    x = np.array([[0.0, 5.0], [2.0, 5.0]])
    y, state = layer.apply(*layer.init(0), x, training=True)
    assert np.allclose(y, [[-1, 0], [1, 0]], atol=1e-5)
    assert np.allclose(state["running_var"], [0.9 + 0.1 * 2, 0.9])
    assert state["num_batches_tracked"] == 1


def test_an_empty_batch_counts_and_moves_no_statistics(torch: Any) -> None:
    ours, theirs = _both("BatchNorm1d", (4,), {}, torch)
    x = np.zeros((0, 4, 5))
    y, state = ours.apply(*ours.init(0), x, training=True)
    assert y.shape == tuple(theirs(torch.tensor(x)).shape) == x.shape
    for key, tensor in theirs.named_buffers():
        assert (state[key] == tensor.numpy()).all()


BAD = [
    (lambda: nn.MaxPool2d(2, return_indices=True), "return_indices=True is not avail"),
    (lambda: nn.Conv2d(4, 6, 3, groups=4), "out_channels=6 with groups=4"),
    (lambda: nn.Conv2d(-1, 6, 3), "in_channels=-1 is not a positive integer or 0"),
    (lambda: nn.Conv2d(4, 6, (3, 3, 3)), "kernel_size=.* has 3 numbers, not 2"),
    (lambda: nn.Conv2d(1, 1, 1, padding_mode="reflect"), "padding_mode='reflect'"),
    (lambda: nn.BatchNorm2d(3, momentum=None), "momentum=None"),
    (lambda: nn.BatchNorm2d(0), "num_features=0 is not a positive integer"),
    (lambda: nn.Conv2d(1, 2.0, 3), "out_channels=2.0 is not a positive integer"),
    (lambda: nn.Conv2d(1, True, 3), "out_channels=True is not a positive integer"),
    (lambda: nn.Conv2d(1, 1, 1, groups=0), "groups=0 is not a positive integer"),
    (lambda: nn.Conv2d(1, 1, 0), "kernel_size=0 is not a positive integer"),
    (lambda: nn.Conv2d(1, 1, (3, -1)), r"kernel_size=\(3, -1\) is not a positive"),
    (lambda: nn.Conv1d(1, 1, "3"), "kernel_size='3' is not a positive integer"),
    (lambda: nn.Conv2d(1, 1, 1, stride=0), "stride=0 is not a positive integer"),
    (lambda: nn.Conv2d(1, 1, 1, dilation=1.5), "dilation=1.5 is not a positive"),
    (lambda: nn.ConvTranspose2d(1, 1, 1, 0), "ConvTranspose2d: stride=0 is not"),
    (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size=0 is not a positive"),
    (lambda: nn.MaxPool2d(2, dilation=0), "dilation=0 is not a positive"),
    (lambda: nn.AvgPool2d(2, stride=0), "AvgPool2d: stride=0 is not a positive"),
    (lambda: nn.Linear(4, -1), "Linear: out_features=-1 is not a positive"),
    (lambda: nn.Conv2d(1, 1, 1, dtype="float16"), "Conv2d: dtype='float16' is not"),
    (lambda: nn.Linear(1, 1, dtype=np.int64), "Linear: dtype=.* is not available"),
    (lambda: nn.BatchNorm2d(1, dtype="f4"), "BatchNorm2d: dtype='f4' is not"),
    (lambda: nn.BatchNorm2d(1, eps=-1e-5), "eps=-1e-05 is not a number from 0"),
    (lambda: nn.BatchNorm2d(1, eps=None), "eps=None is not a number from 0"),
    (lambda: nn.BatchNorm2d(1, momentum=1.5), "momentum=1.5 is not a number from 0 to"),
    (lambda: nn.Flatten(1.5), "Flatten: start_dim=1.5 is not an integer"),
    (lambda: nn.Sequential(nn.ReLU(), 3), "argument 1, 3, is not a module"),
    (lambda: nn.Sequential(nn.ReLU), "argument 0, ReLU, is not a module"),
    (lambda: nn.Sequential([nn.ReLU()]), r"argument 0, \[ReLU\(\)\], is not a module"),
]


def test_sizes_may_be_integers_of_numpy_and_lists() -> None:
    layer = nn.Conv2d(np.int64(1), 2, [np.int32(3), 2], stride=np.int64(2))
    assert layer.init(0)[0]["weight"].shape == (2, 1, 3, 2)


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_arguments_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Conv2d(1, 1, 1), (1, 1, 2, 2, 2), "Conv2d: x has 5 axes, not 3 or 4"),
        (nn.BatchNorm2d(1), (1, 2, 2), "BatchNorm2d: x has 3 axes, not 4"),
        (nn.Conv2d(1, 1, 1), (2, 2), r"not 3 or 4\n.*\n.*x\[None\] is one image"),
        (nn.Linear(3, 2), (5, 4), r"last axis of x is not in_features=3\n.*\(5, 4\)"),
        (nn.Conv2d(1, 4, 3), (4, 9, 9), r"pass x\[:, None\]\.$"),
        (nn.Conv1d(1, 4, 3), (5, 9), r"5 images without .* pass x\[:, None\]\.$"),
        (nn.Conv2d(2, 4, 3), (4, 9, 9), "Make the layer with in_channels=4, or pass x"),
        (nn.Conv2d(1, 4, 3), (4, 4, 9, 9), "with in_channels=4, or pass x with 1"),
        (nn.ConvTranspose2d(1, 4, 3), (4, 9, 9), r"pass x\[:, None\]\.$"),
        (nn.BatchNorm2d(3), (2, 4, 1, 1), "x has 4 channels, not num_features=3"),
        (nn.BatchNorm1d(2), (1, 2), "one value per channel has no variance"),
    ],
)
def test_images_that_do_not_fit_are_refused(
    layer: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    params, state = layer.init(0)
    with pytest.raises(ShapeError, match=message):
        layer.apply(params, state, np.zeros(shape, "f4"), training=True)


def test_a_list_is_refused_by_the_layer() -> None:
    layer = nn.Conv1d(1, 1, 1)
    with pytest.raises(ArgumentError, match="Conv1d: x is no array but a list"):
        layer.apply(*layer.init(0), [[[1.0]]], training=False)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.AvgPool2d(2, stride=1), (1, 1, 4, 4), (1, 1, 3, 3)),
        (nn.AvgPool2d(2), (1, 1, 4, 4), (1, 1, 2, 2)),
        (nn.MaxPool2d(2, stride=1), (1, 1, 4, 4), (1, 1, 3, 3)),
        (nn.MaxPool2d(2), (1, 1, 4, 4), (1, 1, 2, 2)),
        (nn.Conv2d(3, 5, 2), (1, 3, 4, 4), (1, 5, 3, 3)),
        (nn.ConvTranspose2d(3, 5, 2), (1, 3, 4, 4), (1, 5, 5, 5)),
    ],
    ids=repr,
)
def test_the_defaults_give_these_shapes(
    layer: nn.Module, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    y, _ = layer.apply(*layer.init(0), np.ones(shape, "f4"), training=False)
    assert y.shape == expected


@pytest.mark.parametrize(
    "layer", [nn.Conv1d(2, 2, 1), nn.BatchNorm1d(2), nn.Linear(2, 2)], ids=repr
)
def test_images_of_another_dtype_are_refused(layer: nn.Module) -> None:
    trees = layer.init(0)
    match = (
        r'x is float64, the p.*\n  Pass x.astype\("float32"\), or make the layer with'
    )
    with pytest.raises(DTypeError, match=match):
        layer.apply(*trees, np.zeros((2, 2, 2)), training=False)
    with pytest.raises(DTypeError, match=r'x is uint8, .*\n.*astype\("float32"\)\.$'):
        layer.apply(*trees, np.zeros((2, 2, 2), "u1"), training=False)
