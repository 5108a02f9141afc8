"""Weights on disk: exact, and whole or not there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rot180 import nn, train
from rot180.errors import DataError
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
