"""Weights of others are loaded, or the message says what is the trouble with them."""

from typing import Any

import numpy as np
import pytest

from rot180 import nn
from rot180.errors import ArgumentError, DataError, DTypeError, Rot180Error

NET = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.ReLU())


def _arrays() -> dict[str, Any]:
    return dict(NET.state_dict(*NET.init(0)))


def test_a_file_from_before_batches_were_counted_loads() -> None:
    old = {k: v for k, v in _arrays().items() if not k.endswith("tracked")}
    params, state = NET.load_state_dict(old)
    assert state["0"]["1"]["num_batches_tracked"] == 0
    assert (params["0"]["0"]["weight"] == old["0.0.weight"]).all()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.net.", "0."])
@pytest.mark.parametrize("old", [False, True])
def test_a_prefix_is_named(prefix: str, old: bool) -> None:
    arrays = {prefix + k: v for k, v in _arrays().items() if not (old and "tr" in k)}
    with pytest.raises(DataError, match=f"have the prefix '{prefix}': pass") as error:
        NET.load_state_dict(arrays)
    (remedy,) = [line for line in str(error.value).splitlines() if "pass" in line]
    expression = remedy.partition("pass ")[2].rstrip(".")
    NET.load_state_dict(eval(expression, {"arrays": arrays}))


def test_a_prefix_that_is_lacking_is_named() -> None:
    inner = {k.removeprefix("0."): v for k, v in _arrays().items()}
    with pytest.raises(DataError, match=r"lack the prefix '0\.'"):
        NET.load_state_dict(inner)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_wrapper_is_named(key: str, prefix: str) -> None:
    inner = {prefix + k: v for k, v in _arrays().items()}
    with pytest.raises(DataError, match=rf"stand inside '{key}': pass arrays\['{key}'"):
        NET.load_state_dict({"epoch": 3, key: inner})


def test_unknown_and_missing_names_are_refused_one_by_one() -> None:
    good = _arrays()
    with pytest.raises(DataError, match="missing: none\n    unknown: extra\n"):
        NET.load_state_dict({**good, "extra": np.zeros(1)})
    with pytest.raises(DataError, match=r"unknown: 0\.0\.num_batches_tracked"):
        NET.load_state_dict({**good, "0.0.num_batches_tracked": np.zeros(1)})
    del good["0.0.bias"]
    with pytest.raises(DataError, match=r"missing: 0\.0\.bias\n    unknown: none"):
        NET.load_state_dict(good)
    with pytest.raises(DataError, match=r"unknown: 3\n"):
        NET.load_state_dict({**_arrays(), 3: np.zeros(1)})  # type: ignore[dict-item]


def test_many_names_are_cut_short() -> None:
    with pytest.raises(DataError, match="and 30 more"):
        NET.load_state_dict({f"x{i}": 0 for i in range(50)})


@pytest.mark.parametrize("given", [3, None, [("0.0.bias", 1)], np.zeros(3)])
def test_what_is_no_dictionary_is_refused(given: Any) -> None:
    with pytest.raises(ArgumentError, match="not a dictionary"):
        NET.load_state_dict(given)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (np.array(["a", "b"]), DTypeError, "0.0.bias is no array of real numbers"),
        (np.array([1j, 2]), DTypeError, "dtype complex128"),
        ([[1], [2, 3]], DTypeError, "0.0.bias is no array of real numbers: list"),
        (None, DTypeError, "dtype object"),
        (np.zeros(2, [("a", "f4")]), DTypeError, "no array of real numbers"),
        (np.array([1e300, 0]), DataError, r"holds 1e\+300, too large for float32"),
        (np.zeros(3), ValueError, r"has shape \(2,\) in this network, \(3,\)"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(
    value: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as error:
        NET.load_state_dict({**_arrays(), "0.0.bias": value})
    assert isinstance(error.value, Rot180Error)


def test_other_dtypes_are_converted(torch: Any) -> None:
    bfloat16 = torch.tensor([1.0, -3.140625]).to(torch.bfloat16)
    learnt = torch.nn.Parameter(torch.tensor([1.0, -3.140625]))
    for value in (bfloat16, learnt, np.array([1, -3.140625], "f2"), [1, -3.140625]):
        params, _ = NET.load_state_dict({**_arrays(), "0.0.bias": value})
        assert params["0"]["0"]["bias"].dtype == np.float32
        assert params["0"]["0"]["bias"].tolist() == [1.0, -3.140625]
