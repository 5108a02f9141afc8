"""The command line: what it prints, leaves behind, and how it ends."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rot180 import nn, train
from rot180.cli import main


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_train_leaves_a_run_folder_and_prints_the_accuracy_last(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws curves.png")
    out = tmp_path / "run"
    result = _run("train", "--epochs", "1", "--batch-size", "256", "--out", str(out))
    assert result.exit_code == 0, result.output
    last = result.output.splitlines()[-1]
    assert re.fullmatch(r"test accuracy [01]\.\d{4}", last)
    assert "epoch 1/1" in result.output
    assert "images/s" in result.output
    names = sorted(path.name for path in out.iterdir())
    assert names == ["curves.png", "metrics.jsonl", "model.safetensors"]
    (line,) = (out / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["epoch"] == 1


def test_without_matplotlib_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = _run(
        "train", "--epochs", "1", "--batch-size", "512", "--out", str(tmp_path)
    )
    assert result.exit_code == 0, result.output
    assert "pip install 'rot180[plot]'" in result.output
    assert not (tmp_path / "curves.png").exists()


def test_an_interrupt_saves_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_epoch = train.Trainer.run_epoch

    def interrupted(trainer: train.Trainer, on_step: Any) -> train.Metrics:
        if trainer.epoch == 1:
            raise KeyboardInterrupt
        return whole_epoch(trainer, on_step)

    monkeypatch.setattr(train.Trainer, "run_epoch", interrupted)
    result = _run(
        "train", "--epochs", "5", "--batch-size", "512", "--out", str(tmp_path)
    )
    assert result.exit_code == 130
    assert "interrupted after 2 steps (1 whole epochs of 5)" in result.stderr
    assert str(tmp_path / "model.safetensors") in result.stderr
    assert train.load(tmp_path / "model.safetensors")["1.num_batches_tracked"] == 2


def test_a_loss_that_is_not_finite_ends_training_with_one(tmp_path: Path) -> None:
    options = ("--epochs", "5", "--batch-size", "512", "--lr", "1e30")
    result = _run("train", *options, "--out", str(tmp_path))
    assert result.exit_code == 1
    assert re.search(
        r"training diverged: the loss is (nan|inf) in step 2, of epoch 1\n"
        r"  Use a smaller learning rate \(--lr\); in this step it was .*e\+29\.\n"
        r"  The weights before it are in ",
        result.stderr,
    )
    assert "test accuracy" not in result.output
    weights = train.load(tmp_path / "model.safetensors")
    assert all(np.isfinite(array).all() for array in weights.values())


BAD = [
    (("--epochs", "0"), "'--epochs': 0 is not in the range"),
    (("--epochs", "9" * 23), "is not in the range 1<=x<=1000000"),
    (("--batch-size", "1"), "'--batch-size': 1 is not in the range"),
    (("--batch-size", "1438"), "1438 is more than the 1437 training images"),
    (("--lr", "0"), "'--lr': 0 is not a finite number above 0"),
    (("--lr", "nan"), "'--lr': nan is not a finite number above 0"),
    (("--lr", "fast"), "'--lr': 'fast' is not a number"),
    (("--seed", "-1"), "'--seed': -1 is not in the range"),
    (("--threads", "0"), "'--threads': 0 is not in the range"),
    (("--size", "3"), "No such option"),
    (("--out", ""), "'--out': it names no folder; use . for the one you are in"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda v: str(v)[:24])
def test_bad_options_end_with_two_and_a_message(
    arguments: tuple[str, ...], message: str
) -> None:
    result = _run("train", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_that_cannot_be_written_ends_with_two(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        result = _run("train", "--out", str(out))
        assert result.exit_code == 2
        assert "'--out'" in result.stderr


def test_info_names_the_machine_the_cache_and_the_versions() -> None:
    result = _run("info")
    assert result.exit_code == 0, result.output
    rows = [line.split()[0] for line in result.output.splitlines()]
    assert rows == [
        "cpu",
        "lanes",
        "cores",
        "threads",
        "cache",
        "cached",
        "python",
        "rot180",
        "numpy",
        "llvmlite",
    ]


def test_help_names_the_commands_and_teaches_their_options() -> None:
    assert {"train", "info"} <= set(_run("--help").output.split())
    text = _run("train", "--help").output
    for option in ("epochs", "batch-size", "lr", "seed", "threads", "out"):
        assert f"--{option}" in text
    assert "rot180 train --seed 1" in text


def test_train_profile_writes_where_a_steps_time_goes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws profile.png")
    result = _profiled(tmp_path)
    assert result.exit_code == 0, result.output
    said = next(x for x in result.output.splitlines() if x.startswith("profile of"))
    assert "profile.txt, profile.json, profile.png" in said
    text = (tmp_path / "profile.txt").read_text()
    read = json.loads((tmp_path / "profile.json").read_text())
    assert text.startswith(f"step: {len(read['kernels'])} kernels")
    assert "measured us" in text
    assert read["measured_seconds"] > 0
    assert {kernel["pass"] for kernel in read["kernels"]} == {
        "forward",
        "backward",
        "update",
    }
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "model.safetensors").exists()


def test_a_profile_without_matplotlib_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = _profiled(tmp_path)
    assert result.exit_code == 0, result.output
    assert "no profile.png without matplotlib: pip install 'rot180[plot]'" in (
        result.output
    )
    found = sorted(path.name for path in tmp_path.glob("profile.*"))
    assert found == ["profile.json", "profile.txt"]


def test_a_folder_with_a_profile_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("{}")
    result = _profiled(tmp_path)
    assert result.exit_code == 2
    assert "holds a run already" in result.output


def test_a_profile_changes_nothing_that_is_learnt() -> None:
    settings = train.Settings(epochs=1, batch_size=512)
    weights = []
    for is_profiled in (False, True):
        trainer = train.Trainer(nn.models.DigitsNet(4), train.data.digits(), settings)
        if is_profiled:
            assert trainer.plan(measure=True).measured
        trainer.run_epoch()
        weights.append(trainer.state_dict())
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])


def _profiled(out: Path) -> Result:
    options = ("--epochs", "1", "--batch-size", "512", "--out", str(out))
    return _run("train", "--profile", *options)
