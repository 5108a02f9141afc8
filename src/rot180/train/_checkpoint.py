"""Weights on disk, in the safetensors format: loading a file never runs code."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from rot180 import runtime
from rot180.errors import ArgumentError, DataError, DTypeError

Arrays = dict[str, np.ndarray[Any, Any]]

# What the format calls each dtype. BF16 is the upper half of float32.
_DTYPES: Final = {
    "BOOL": "?",
    "U8": "<u1",
    "I8": "<i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
}
_STORED: Final = {np.dtype(code) for name, code in _DTYPES.items() if name != "BF16"}
# How the files of torch.save begin: a ZIP file, or a pickle.
_PICKLES: Final = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def save(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes `arrays` to `path`; a file that stood there stays whole until the end.

    When this returns, the file outlives a power cut.

    Args:
        path: Where to, usually `model.safetensors`.
        arrays: Named arrays, such as a module's `state_dict`.
        metadata: Texts stored beside them.

    Raises:
        ArgumentError: A name, or something in the metadata, is no text.
        DTypeError: An array has a dtype that the format lacks.
        DataError: The file cannot be written.
    """
    write_atomically(
        {_path("save", path): to_bytes(arrays, {} if metadata is None else metadata)}
    )


def to_bytes(arrays: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """Returns what `save` writes.

    Raises:
        ArgumentError: A name, or something in the metadata, is no text.
        DTypeError: An array has a dtype that the format lacks.
    """
    from safetensors.numpy import save as serialised

    _check_mapping("arrays", arrays)
    _check_mapping("metadata", metadata)
    facts = dict(metadata)
    _check_texts("metadata", [*facts, *facts.values()])
    _check_texts("arrays", list(arrays))
    plain = {name: _plain(name, value) for name, value in arrays.items()}
    return serialised(plain, facts)


def _check_mapping(operand: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ArgumentError(
            f"save: {operand} are a {type(value).__name__}, not a mapping\n"
            '  Pass a dictionary, such as {"weight": array}.'
        )


def _check_texts(operand: str, values: list[Any]) -> None:
    for value in values:
        if not isinstance(value, str):
            raise ArgumentError(
                f"save: {operand} holds {value!r} where a text must stand\n"
                f"  Pass str({value!r})."
            )
        if not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
            raise ArgumentError(
                f"save: {operand} holds {value!r}, which UTF-8 cannot write"
            )


def _plain(name: str, value: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(runtime.plain_array(value), order="C")
    if array.dtype.newbyteorder("<") not in _STORED:
        raise DTypeError(
            f"save: {name} has dtype {array.dtype}, which safetensors files lack\n"
            "  Convert it with .astype(numpy.float32)."
        )
    return array


def load(path: str | os.PathLike[str]) -> Arrays:
    """Returns the arrays stored in a safetensors file.

    Numbers stored as bfloat16, which NumPy lacks, are returned as float32; no bit of
    them is lost.

    Raises:
        ArgumentError: `path` is no path.
        DataError: The file is missing, damaged, of another format, or holds numbers
            that NumPy has no dtype for.
    """
    from safetensors import deserialize

    where = _path("load", path)
    try:
        if where.exists() and not where.is_file():  # reading a device may never end
            raise OSError("it is no regular file")
        content = where.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"load: {path} cannot be read: {error}") from error
    try:
        stored = deserialize(content)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever the parser makes of it, it is the file
        raise DataError(
            f"load: {path} cannot be read as safetensors: {error}\n  {_remedy(content)}"
        ) from error
    return {name: _array(where, name, entry) for name, entry in stored}


def _path(function: str, path: Any) -> Path:
    try:
        return Path(path)
    except TypeError:
        raise ArgumentError(
            f"{function}: path={path!r} is no path\n  Pass a text or a pathlib.Path."
        ) from None


def _remedy(content: bytes) -> str:
    if content.startswith(_PICKLES):
        return (
            "It looks like a file of torch.save: load it there, and store its state "
            "with safetensors.torch.save_file."
        )
    return "Pass a whole file written by save of rot180.train or of safetensors."


def _array(path: Path, name: str, entry: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    dtype, shape = entry["dtype"], entry["shape"]
    code = _DTYPES.get(dtype)
    if code is None:
        raise DataError(
            f"load: {path}: {name} has dtype {dtype}\n"
            f"  Convert it, for example to F32; known are {', '.join(_DTYPES)}."
        )
    flat = np.frombuffer(entry["data"], code)
    if dtype == "BF16":
        flat = widened(flat)
    try:
        return flat.astype(flat.dtype.newbyteorder("="), copy=False).reshape(shape)
    except ValueError as error:
        raise DataError(
            f"load: {path}: {name} of {len(shape)} axes and {flat.size} elements "
            f"cannot be an array: {error}\n"
            "  Store it with fewer axes."
        ) from error


def widened(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns the float32 numbers whose upper halves, as integers, are `bits`."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def write_atomically(contents: Mapping[Path, bytes]) -> None:
    """Writes files of one folder under other names, then renames them all.

    All are whole on the disk before the first gets its name: a full disk leaves the old
    ones, and a process that is killed leaves all old or all new but for microseconds.
    What is there and no file, such as /dev/null or a pipe, is written to as it lies.

    Raises:
        DataError: One cannot be written.
    """
    made: dict[str, Path] = {}
    try:
        try:
            for path, content in contents.items():
                if path.exists() and not path.is_file():
                    path.write_bytes(content)
                    continue
                made[_new_file(path)] = path
                _fill(next(reversed(made)), content)
            for name, path in made.items():
                os.replace(name, path)
        except BaseException:
            for name in made:
                with contextlib.suppress(OSError):  # it was renamed already
                    os.unlink(name)
            raise
        _keep_names({path.parent for path in contents})
    except (OSError, ValueError) as error:
        names = " and ".join(map(str, contents))
        raise DataError(f"save: {names} cannot be written: {error}") from error


def _new_file(path: Path) -> str:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    return name


def _fill(name: str, content: bytes) -> None:
    with open(name, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())


def _keep_names(folders: set[Path]) -> None:
    """Waits until the names in folders are on the disk, where that can be done."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some network file systems cannot
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
