"""What images and labels must be before a network is trained on them."""

from typing import Any

import numpy as np

from rot180 import ops
from rot180.errors import DataError, DTypeError, ShapeError


def check_images(name: str, images: Any) -> None:
    """Refuse what are not finite images `(n, c, h, w)`.

    Raises:
        ShapeError: They have other axes.
        DTypeError: They are not float32 or float64.
        DataError: One is not finite.
    """
    _check_kind(name, images, ("float32", "float64"), "float32")
    if images.ndim != 4:
        grey = "\n  Grey images without an axis of channels: pass images[:, None]."
        raise ShapeError(
            f"{name} of shape {images.shape} has {images.ndim} axes, not 4: "
            f"(n, c, h, w){grey if images.ndim == 3 else ''}"
        )
    finite = np.isfinite(images).all(axis=(1, 2, 3))
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        raise DataError(
            f"{name}[{at}] holds a number that is not finite\n"
            f"  So do {np.count_nonzero(~finite) - 1} others; leave them out."
        )


def check_labels(name: str, labels: Any, classes: int) -> None:
    """Refuse what are not labels `(n,)` from 0 to `classes - 1`.

    Raises:
        ShapeError: They have other axes.
        DTypeError: They are not int32 or int64.
        DataError: One is out of range.
    """
    _check_kind(name, labels, ("int32", "int64"), "int64")
    if labels.ndim != 1:
        raise ShapeError(
            f"{name} of shape {labels.shape} has {labels.ndim} axes, not 1\n"
            "  Pass one class number for each image; rows of 0 and 1 become that by "
            ".argmax(1)."
        )
    ops.check_labels(name, labels, classes)


def _check_kind(name: str, array: Any, known: tuple[str, ...], use: str) -> None:
    dtype = str(array.dtype) if isinstance(array, np.ndarray) else None
    if dtype not in known:
        raise DTypeError(
            f"{name}: {dtype or type(array).__name__} is not an array of "
            f"{' or '.join(known)}\n"
            f"  Convert with numpy.asarray(..., numpy.{use})."
        )
