"""Batches of a data set: drawn without replacement, some images shifted by a pixel."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rot180.errors import ArgumentError
from rot180.nn import Key
from rot180.train.data._datasets import Dataset

Batch = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def batches(
    data: Dataset, batch_size: int, key: Key | int, *, shift: float = 0.0
) -> Iterator[Batch]:
    """Yields the training part once, in random order, as `(images, labels)`.

    All batches are full: a rest smaller than `batch_size` is left out.

    Args:
        data: The data set.
        batch_size: Images per batch.
        key: Decides the order and the shifts; a seed will do.
        shift: Share of images moved by up to one pixel in each direction, chosen from
            all nine moves; what enters at the edge is 0.

    Raises:
        ArgumentError: The batch size is not from 1 to the number of images.
    """
    check_batch_size(data, batch_size)
    if not isinstance(shift, int | float | np.number) or not 0 <= shift <= 1:
        raise ArgumentError(f"batches: shift={shift!r} is not a number from 0 to 1")
    count = len(data.images)
    order_key, shift_key = Key.from_seed(key).split(2)
    order = order_key.generator().permutation(count)
    moves = _moves(count, shift, shift_key.generator())
    windows = _windows(data.images)
    for start in range(0, count - batch_size + 1, batch_size):
        chosen = slice(start, start + batch_size)
        index, move = order[chosen], moves[chosen]
        yield windows[index, :, move // 3, move % 3], data.labels[index]


def check_batch_size(data: Dataset, batch_size: int) -> None:
    """Refuse a batch size for which there are no batches.

    Raises:
        ArgumentError: It is not from 1 to the number of images.
    """
    if not isinstance(data, Dataset):
        raise ArgumentError(
            f"batches: data is a {type(data).__name__}, not a Dataset\n"
            "  Pass train.data.Dataset(...), or train.data.digits()."
        )
    count = len(data.images)
    is_integer = isinstance(batch_size, int | np.integer)
    if not is_integer or not 1 <= batch_size <= count:
        raise ArgumentError(
            f"batch size {batch_size} is out of range\n"
            f"  {data.name} has {count} images to train on; use 1 to {count}."
        )


def _moves(count: int, share: float, random: np.random.Generator) -> Any:
    """Numbers from 0 to 8, of which 4 leaves an image where it is."""
    drawn = random.integers(0, 9, count)
    return np.where(random.random(count) < share, drawn, 4)


def _windows(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns a view, `(n, c, 3, 3, h, w)`: each image moved by -1, 0, 1 both ways."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return sliding_window_view(padded, images.shape[2:], axis=(2, 3))
