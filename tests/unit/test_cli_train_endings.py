"""However training ends, its weights are on the disk, and a folder is of one run."""

import errno
import io
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rot180 import train
from rot180.cli import main
from rot180.cli._endings import Output
from rot180.errors import DataError
from rot180.train import _checkpoint

FULL = OSError(errno.ENOSPC, "No space left on device")


def _run(out: Path, *more: str) -> Result:
    options = ("--batch-size", "512", "--out", str(out))
    return CliRunner().invoke(main, ["train", *options, *more])


def _ending_in_epoch_2(monkeypatch: pytest.MonkeyPatch, end: Any) -> None:
    whole_epoch = train.Trainer.run_epoch

    def ended(trainer: train.Trainer, on_step: Any) -> train.Metrics:
        if trainer.epoch == 1:
            end()
        return whole_epoch(trainer, on_step)

    monkeypatch.setattr(train.Trainer, "run_epoch", ended)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_save_what_there_is(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    _ending_in_epoch_2(monkeypatch, lambda: signal.raise_signal(number))
    result = _run(tmp_path, "--epochs", "5")
    assert result.exit_code == 128 + number
    assert "interrupted after 2 steps (1 whole epochs of 5)" in result.stderr
    assert train.load(tmp_path / "model.safetensors")["1.num_batches_tracked"] == 2
    assert signal.getsignal(number) is before


def test_what_nohup_ignores_stays_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        _ending_in_epoch_2(monkeypatch, lambda: signal.raise_signal(signal.SIGHUP))
        assert _run(tmp_path, "--epochs", "2").exit_code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_every_epoch_is_on_the_disk_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look() -> None:
        weights = train.load(tmp_path / "model.safetensors")
        lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
        seen.append((int(weights["1.num_batches_tracked"]), len(lines)))

    _ending_in_epoch_2(monkeypatch, look)
    assert _run(tmp_path, "--epochs", "2").exit_code == 0
    assert seen == [(2, 1)]


class Closed(io.TextIOBase):
    """A standard output that takes nothing."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    def close(self) -> None:
        """Nothing, as closing flushes."""


def test_a_closed_output_is_said_once_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(SystemExit) as ended:
        _say_twice()
    assert ended.value.code == 1
    assert capfd.readouterr().err.count("could not be written") == 1


def _say_twice() -> None:
    with Output() as output:
        output.say("one")
        output.say("two")


def test_no_output_at_all_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with Output() as output:
        output.say("one")


def test_an_occupied_folder_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")  # not a run's
    assert _run(tmp_path, "--epochs", "1").exit_code == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    result = _run(tmp_path, "--epochs", "1", "--seed", "1")
    assert result.exit_code == 2
    assert "holds a run already: metrics.jsonl, model.safetensors" in result.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_of_two_runs_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    train.RunFolder(tmp_path)
    with pytest.raises(DataError, match="holds a run already"):
        train.RunFolder(tmp_path)


def test_a_full_disk_moves_the_run_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    out = tmp_path / "run"
    _fill_after_one_epoch(out, monkeypatch)
    result = _run(out, "--epochs", "3")
    assert result.exit_code == 0, result.output
    (moved,) = spare.iterdir()
    assert f"The run goes on in {moved}" in result.stderr
    lines = (moved / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    assert train.load(moved / "model.safetensors")["1.num_batches_tracked"] == 6
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 1
    assert train.load(out / "model.safetensors")["1.num_batches_tracked"] == 2


def _fill_after_one_epoch(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = _checkpoint._fill

    def full(name: str, content: bytes) -> None:
        if Path(name).parent == out and (out / "model.safetensors").exists():
            raise FULL
        fill(name, content)

    monkeypatch.setattr(_checkpoint, "_fill", full)


def test_a_full_disk_from_the_start_leaves_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fill, out = _checkpoint._fill, tmp_path / "run"

    def full(name: str, content: bytes) -> None:
        if Path(name).parent == out:
            raise FULL
        fill(name, content)

    monkeypatch.setattr(_checkpoint, "_fill", full)
    assert _run(out, "--epochs", "1").exit_code == 0
    assert train.load(out / "model.safetensors")["1.num_batches_tracked"] == 2


def test_progress_shows_no_nan_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(trainer: train.Trainer, on_step: Any) -> train.Metrics:
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Trainer, "run_epoch", ended)
    result = _run(tmp_path)
    assert result.exit_code == 130
    assert "loss \N{EN DASH} accuracy \N{EN DASH}" in result.stdout
    assert "nan" not in result.stdout
