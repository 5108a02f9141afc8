"""Weights on disk, in the safetensors format: loading a file never runs code."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rot180.errors import DataError

Arrays = dict[str, np.ndarray[Any, Any]]


def save(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes `arrays` to `path`; a file that stood there stays whole until the end.

    Args:
        path: Where to, usually `model.safetensors`.
        arrays: Named arrays, such as a module's `state_dict`.
        metadata: Texts stored beside them.

    Raises:
        DataError: The file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    plain = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    write_atomically(Path(path), to_bytes(plain, dict(metadata or {})))


def load(path: str | os.PathLike[str]) -> Arrays:
    """Returns the arrays stored in a safetensors file.

    Raises:
        DataError: The file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays: Arrays = from_bytes(Path(path).read_bytes())
    except (OSError, SafetensorError) as error:
        raise DataError(
            f"load: {path} cannot be read as safetensors: {error}"
        ) from error
    return arrays


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under another name beside `path`, then renames it.

    Raises:
        DataError: The file cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                os.fchmod(stream.fileno(), 0o644)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise DataError(f"save: {path} cannot be written: {error}") from error
