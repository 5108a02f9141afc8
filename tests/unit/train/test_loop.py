"""Training: it learns, repeats with the seed, and leaves its parameters whole."""

import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rot180 import functional, nn, train
from rot180.errors import ArgumentError, DataError


def _small(count: int = 128) -> train.data.Dataset:
    digits = train.data.digits()
    return train.data.Dataset(
        "some digits",
        digits.images[:count],
        digits.labels[:count],
        digits.test_images[:40],
        digits.test_labels[:40],
        10,
    )


def _trainer(**changes: Any) -> train.Trainer:
    settings = train.Settings(**{"epochs": 6, "batch_size": 32, **changes})
    return train.Trainer(nn.models.DigitsNet(4), _small(), settings)


def test_a_network_learns() -> None:
    trainer = _trainer()
    first, *_, last = [trainer.run_epoch() for _ in range(6)]
    assert trainer.epoch == 6
    assert trainer.step == last.step == 6 * 4
    assert last.loss < 0.6 * first.loss
    assert last.accuracy > 0.8
    assert trainer.test_accuracy() > 0.5
    assert last.images_per_second > 0


def test_the_seed_decides_everything() -> None:
    one, again, other = (_trainer(seed=seed) for seed in (1, 1, 2))
    for trainer in (one, again, other):
        trainer.run_epoch()
    arrays = [trainer.state_dict() for trainer in (one, again, other)]
    assert all((arrays[0][name] == arrays[1][name]).all() for name in arrays[0])
    assert (arrays[0]["0.weight"] != arrays[2]["0.weight"]).any()


@pytest.mark.parametrize(
    "optimiser", [train.SGD(0.05, momentum=0.9), train.Adam(5e-3)], ids=["SGD", "Adam"]
)
def test_either_optimiser_lowers_the_loss(optimiser: train.Optimiser) -> None:
    trainer = _trainer(optimiser=optimiser, shift=0.0, label_smoothing=0.0)
    losses = [trainer.run_epoch().loss for _ in range(4)]
    assert losses[-1] < losses[0]


def test_measures_come_after_each_step() -> None:
    seen: list[train.Metrics] = []
    last = _trainer().run_epoch(seen.append)
    assert [metrics.step for metrics in seen] == [1, 2, 3, 4]
    assert seen[-1] is last
    assert all(math.isfinite(metrics.loss) for metrics in seen)


def test_measures_are_means_over_the_epochs_images_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(7)
    monkeypatch.setattr(time, "perf_counter", lambda: 0.5 * next(clock))
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    # So slow that every step sees the first weights, and unmoved, unsmoothed images.
    settings = train.Settings(
        batch_size=32, shift=0.0, label_smoothing=0.0, optimiser=train.SGD(1e-12)
    )
    trainer = train.Trainer(net, _small(), settings)
    logits, _ = net.apply(trainer.params, trainer.state, _small().images, training=True)
    seen: list[train.Metrics] = []
    last = trainer.run_epoch(seen.append)
    loss = functional.cross_entropy(logits, _small().labels)
    assert last.loss == pytest.approx(float(loss), rel=1e-5)
    assert last.accuracy == (logits.argmax(1) == _small().labels).mean()
    assert [metrics.epoch for metrics in seen] == [1] * 4
    # The clock was read at the beginning, before the first step and after each.
    assert [m.images_per_second * (n + 2) / 2 for n, m in enumerate(seen)] == [
        32, 64, 96, 128,
    ]  # fmt: skip


def test_a_clock_that_stands_still_is_no_reason_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: 7.0)
    assert _trainer().run_epoch().images_per_second == 0


def test_an_interrupted_epoch_leaves_the_last_whole_step() -> None:
    trainer = _trainer()

    def interrupt(metrics: train.Metrics) -> None:
        if metrics.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch(interrupt)
    assert (trainer.step, trainer.epoch) == (2, 0)
    assert trainer.state_dict()["1.num_batches_tracked"] == 2


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ArgumentError, match="epochs=-1"):
        train.Settings(epochs=-1)
    with pytest.raises(ArgumentError, match="batch size 200 is out of range"):
        _trainer(batch_size=200).run_epoch()


def test_accuracy_counts_all_images_in_chunks() -> None:
    scores = np.eye(4, dtype="f4")
    hits = train.accuracy(
        lambda params, state, images: images,
        {},
        {},
        scores,
        np.array([0, 1, 2, 0]),
        chunk=3,
    )
    assert hits == 0.75


def test_a_run_folder_holds_measures_weights_and_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="draws curves.png")
    trainer = _trainer(epochs=1)
    folder = train.RunFolder(tmp_path / "run")
    history = [trainer.run_epoch()]
    folder.add(history[0])
    folder.save_weights(trainer)
    curves = folder.draw_curves(history)
    (line,) = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["loss"] == history[0].loss
    loaded = train.load(folder.path / "model.safetensors")
    assert (loaded["0.weight"] == trainer.params["0"]["weight"]).all()
    assert curves is not None
    assert curves.read_bytes().startswith(b"\x89PNG")


def test_new_run_folders_do_not_collide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = {train.RunFolder().path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.parent == Path("runs") for path in paths)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        train.RunFolder(tmp_path / "file" / "run")
