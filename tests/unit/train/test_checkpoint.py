"""Weights on disk: exact, and whole or not there."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rot180 import nn, train
from rot180.errors import ArgumentError, DataError, DTypeError
from rot180.train import _checkpoint as checkpoint


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    net = nn.models.DigitsNet(2)
    arrays = net.state_dict(*net.init(0))
    arrays["3.weight"] = arrays["3.weight"][..., ::-1]
    train.save(tmp_path / "model.safetensors", arrays, {"seed": "0"})
    loaded = train.load(tmp_path / "model.safetensors")
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert (loaded[name] == array).all()
    net.load_state_dict(loaded)


def test_pytorch_reads_it(tmp_path: Path, torch: Any) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="reads with PyTorch")
    net = nn.Linear(3, 2)
    train.save(tmp_path / "m.safetensors", net.state_dict(*net.init(0)))
    theirs = torch.nn.Linear(3, 2)
    theirs.load_state_dict(safetensors.load_file(tmp_path / "m.safetensors"))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    train.save(path, {"x": np.zeros(3)})
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint.os, "replace", fail)
    with pytest.raises(DataError, match="cannot be written: disk full"):
        train.save(path, {"x": np.ones(3)})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\xff" * 64])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as safetensors"):
        train.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        train.load(tmp_path / "none.safetensors")


def _file(dtype: str, shape: list[int], content: bytes) -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(content)]}
    header = json.dumps({"a": entry}).encode()
    return struct.pack("<Q", len(header)) + header + content


def test_bfloat16_is_read_as_float32(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(_file("BF16", [3], b"\x80\x3f\x00\xc0\x49\x40"))
    array = train.load(path)["a"]
    assert array.dtype == np.float32
    assert array.tolist() == [1.0, -2.0, 3.140625]


FOREIGN = [
    (_file("F8_E4M3", [2], b"\0\0"), "a has dtype F8_E4M3\n  Convert it"),
    (_file("F32", [1] * 100, b"\0" * 4), "a of 100 axes and 1 elements"),
    (_file("F32", [3], b"\0" * 4), "cannot be read as safetensors"),
    (_file("XYZ", [1], b"\0" * 4), "cannot be read as safetensors"),
    (b"PK\x03\x04" + b"\0" * 60, "looks like a file of torch.save"),
    (b"\x80\x02}q\x00." + b"\0" * 60, "looks like a file of torch.save"),
    (_file("F32", [1], b"\0" * 4)[:-2], "Pass a whole file"),
]


@pytest.mark.parametrize(("content", "message"), FOREIGN, ids=range(len(FOREIGN)))
def test_a_foreign_file_is_refused_in_our_words(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        train.load(path)


def test_a_flipped_byte_anywhere_is_read_or_refused(tmp_path: Path) -> None:
    good = _file("F32", [2, 2], bytes(16))
    path = tmp_path / "m.safetensors"
    refused = 0
    for at in range(len(good)):
        for value in (0, 34, 255):
            path.write_bytes(good[:at] + bytes([value]) + good[at + 1 :])
            try:
                train.load(path)
            except DataError:
                refused += 1
    assert refused > len(good)


def test_what_is_no_path_or_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, "a\0b"):
        with pytest.raises(DataError, match="cannot be read"):
            train.load(path)
    with pytest.raises(ArgumentError, match="path=3 is no path"):
        train.load(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arrays", "metadata", "kind", "message"),
    [
        ({"a": np.ones(2, "c8")}, {}, DTypeError, "a has dtype complex64"),
        ({"a": np.array(["x"])}, {}, DTypeError, "a has dtype <U1"),
        ({"a": object()}, {}, DTypeError, "a has dtype object"),
        ({3: np.ones(2)}, {}, ArgumentError, "arrays holds 3 where a text"),
        ({"a": np.ones(2)}, {"seed": 0}, ArgumentError, "metadata holds 0 where"),
    ],
)
def test_what_cannot_be_saved_is_refused(
    tmp_path: Path, arrays: Any, metadata: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        train.save(tmp_path / "m.safetensors", arrays, metadata)
    assert not list(tmp_path.iterdir())


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    replace, fsync = checkpoint.os.replace, checkpoint.os.fsync
    monkeypatch.setattr(
        checkpoint.os, "replace", lambda *a: (done.append("rename"), replace(*a))
    )
    monkeypatch.setattr(
        checkpoint.os, "fsync", lambda d: (done.append("sync"), fsync(d))
    )
    train.save(tmp_path / "m.safetensors", {"x": np.zeros(3)})
    assert done == ["sync", "rename", "sync"]


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        train.save(pipe, {"w": np.ones(3, "float32")})
        assert b'"w"' in os.read(reader, 4096)
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_two_files_are_written_both_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = tmp_path / "a", tmp_path / "b"
    checkpoint.write_atomically(dict.fromkeys(paths, b"old"))
    fill, filled = checkpoint._fill, []

    def full(name: str, content: bytes) -> None:
        filled.append(name)
        if len(filled) == 2:
            raise OSError("No space left on device")
        fill(name, content)

    monkeypatch.setattr(checkpoint, "_fill", full)
    with pytest.raises(DataError, match=r"a and .*b cannot be written: No space"):
        checkpoint.write_atomically(dict.fromkeys(paths, b"new"))
    assert [path.read_bytes() for path in paths] == [b"old", b"old"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_a_device_is_refused_unread() -> None:
    with pytest.raises(DataError, match="cannot be read: it is no regular file"):
        train.load("/dev/zero")
