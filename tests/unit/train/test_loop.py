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
from rot180.errors import ArgumentError, DataError, DivergenceError, ShapeError
from rot180.train import _loop


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
    with pytest.raises(ArgumentError, match="must be at most 2147483647"):
        train.Settings(epochs=10**20)


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
    folder.save_epoch(trainer, history[0])
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


def test_the_measures_are_those_of_the_images_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([10.0, 12.0, 14.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    tally = _loop._Tally(3)
    tally.add(10, 2.0, 5.0)
    tally.add(30, 1.0, 25.0)
    metrics = tally.metrics(7, 0.5)
    assert (metrics.epoch, metrics.step, metrics.lr) == (3, 7, 0.5)
    assert metrics.loss == (10 * 2.0 + 30 * 1.0) / 40
    assert metrics.accuracy == 30 / 40
    assert metrics.images_per_second == 40 / 2.0


def test_the_loss_of_an_epoch_is_the_mean_over_its_steps() -> None:
    losses: list[float] = []
    trainer = _trainer()
    one_step = trainer._one_step

    def watched(*args: Any) -> Any:
        loss, hits = one_step(*args)
        losses.append(float(loss))
        return loss, hits

    trainer._one_step = watched  # type: ignore[method-assign]
    metrics = trainer.run_epoch()
    assert len(losses) == 4
    assert metrics.loss == pytest.approx(sum(losses) / 4)


def test_the_learning_rate_stays_down_after_the_end() -> None:
    rates = [train.one_cycle(step, 100) for step in range(400)]
    assert set(rates[100:]) == {0.01}
    trainer = _trainer(epochs=1)
    trainer.run_epoch()
    assert trainer.run_epoch().lr <= 0.01 * trainer.settings.optimiser.lr


BAD_SETTINGS = [
    ({"epochs": 1.5}, "epochs=1.5 is not an integer"),
    ({"epochs": True}, "epochs=True is not an integer"),
    ({"batch_size": 0}, "batch_size=0 must be at least 1"),
    ({"batch_size": "64"}, "batch_size='64' is not an integer"),
    ({"seed": -1}, "seed=-1 must be at least 0"),
    ({"shift": -0.1}, "shift=-0.1 must be at least 0 and at most 1"),
    ({"shift": math.nan}, "shift=nan"),
    ({"label_smoothing": 1.5}, "label_smoothing=1.5 must be"),
    ({"label_smoothing": None}, "label_smoothing=None must be"),
    ({"optimiser": 0.1}, "optimiser=0.1 is none"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_SETTINGS)
def test_each_setting_is_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        train.Settings(**changes)


def test_a_batch_size_without_batches_is_refused_before_training() -> None:
    with pytest.raises(ArgumentError, match="batch size 200 is out of range"):
        _trainer(batch_size=200)


def test_a_network_with_other_classes_is_refused_before_training() -> None:
    settings = train.Settings(batch_size=32)
    for net in (nn.models.DigitsNet(4, classes=9), nn.Conv2d(1, 10, 3)):
        with pytest.raises(ShapeError, match="some digits has 10 classes"):
            train.Trainer(net, _small(), settings)


def test_images_that_do_not_fit_are_refused_with_the_layer() -> None:
    net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Flatten())
    with pytest.raises(
        ShapeError, match=r"in_channels=3\n(.*\n)+  In layer 0\.0, Conv"
    ):
        train.Trainer(net, _small(), train.Settings(batch_size=32))


def test_a_loss_that_is_not_finite_stops_at_its_step() -> None:
    trainer = _trainer(optimiser=train.SGD(1e30))
    seen: list[train.Metrics] = []
    with pytest.raises(DivergenceError, match=r"the loss is nan in step 2, of epoch 1"):
        trainer.run_epoch(seen.append)
    assert trainer.step == len(seen) == 1
    assert all(np.isfinite(a).all() for a in trainer.state_dict().values())


def test_weights_that_are_not_finite_are_found_after_the_last_step() -> None:
    trainer = _trainer(batch_size=128)
    trainer._rate = lambda: math.inf  # type: ignore[method-assign]
    with pytest.raises(DivergenceError, match=r"0\.weight is no longer finite"):
        trainer.run_epoch()
    assert (trainer.step, trainer.epoch) == (1, 0)


class _Noise(nn.Module):
    """Keeps what it drew, and needs a key."""

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def forward(self, scope: nn.Scope, x: Any) -> Any:
        if scope.training:
            assert scope.key is not None
            noise = scope.key.uniform((1,), 0.5, 1.0)
            self.drawn.append(float(noise[0]))
            x = functional.multiply(x, noise)
        return x


def test_a_key_of_its_own_reaches_the_layers_in_each_step() -> None:
    drawn = []
    for seed in (0, 0, 1):
        noise = _Noise()
        net = nn.Sequential(nn.Flatten(), noise, nn.Linear(64, 10))
        settings = train.Settings(epochs=2, batch_size=32, seed=seed)
        trainer = train.Trainer(net, _small(), settings)
        trainer.run_epoch()
        trainer.run_epoch()
        drawn.append(noise.drawn)
    assert len(set(drawn[0])) == len(drawn[0]) == 8
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_network_that_draws_nothing_is_traced_once() -> None:
    traced = []

    class Counted(nn.Module):
        def forward(self, scope: nn.Scope, x: Any) -> Any:
            traced.append(scope.training)
            return x

    net = nn.Sequential(nn.Flatten(), Counted(), nn.Linear(64, 10))
    train.Trainer(net, _small(), train.Settings(batch_size=32)).run_epoch()
    assert traced.count(True) == 1


def test_arguments_of_another_kind_are_refused() -> None:
    net, settings = nn.models.DigitsNet(4), train.Settings()
    with pytest.raises(ArgumentError, match="net is the class DigitsNet, not a Module"):
        train.Trainer(nn.models.DigitsNet, _small(), settings)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="data is ndarray, not a Dataset"):
        train.Trainer(net, _small().images, settings)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="accuracy: 1 images, 2 labels"):
        train.accuracy(lambda *a: a[2], {}, {}, np.eye(1), np.array([0, 1]))
    with pytest.raises(ArgumentError, match="chunk=0 is not a positive"):
        train.accuracy(lambda *a: a[2], {}, {}, np.eye(1), np.array([0]), chunk=0)
